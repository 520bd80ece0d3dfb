"""Losses beyond the paper: who it must not be, expression, light, and steadiness over time."""

from __future__ import annotations

import torch
from torch import Tensor
from torch.nn import functional as F

# Lower and upper points of the left eye, the right eye and the inner lips in dlib's scheme.
LIDS = (((41, 40), (37, 38)), ((47, 46), (43, 44)), ((66,), (62,)))
# Corners of each eye, and all of its points.
EYES = (((36, 39), slice(36, 42)), ((42, 45), slice(42, 48)))
PATCH_SIDE, GAZE_SIDE = 5, 16


def away(result: Tensor, original: Tensor, margin: float = 0.0) -> Tensor:
    """How far cos(R(X'), R(X)) lies above `margin`: the result must not be the person who was filmed."""
    return ((result * original).sum(1) - margin).relu().mean()


def same(result: Tensor) -> Tensor:
    """1 - cosine of embeddings (N, d) in rows 2k and 2k + 1: one invented person, two poses."""
    return 1 - (result[0::2] * result[1::2]).sum(1).mean()


def distinct(result: Tensor, own: Tensor, others: Tensor, scale: float = 16.0) -> Tensor:
    """Cross-entropy of recognising each result as its own person among `others` (K, d).

    Without it the easiest way to be one person in every pose is to be the same person always.
    """
    right = (result * own).sum(1, keepdim=True)
    wrong = result @ others.T
    # A person among `others` who is the own one, or looks just like it, is no mistake.
    wrong = wrong.masked_fill((own @ others.T) > 0.95, -1.0)
    logits = scale * torch.cat((right, wrong), 1)
    return F.cross_entropy(logits, logits.new_zeros(len(logits), dtype=torch.long))


def opening(landmarks: Tensor) -> Tensor:
    """How far left eye, right eye and mouth are open, (N, 3), in crop sides."""
    gaps = [landmarks[:, list(low), 1].mean(1) - landmarks[:, list(up), 1].mean(1) for low, up in LIDS]
    return torch.stack(gaps, 1)


def openings(got: Tensor, want: Tensor) -> Tensor:
    """Mean difference of the openings of eyes (counted twice) and mouth, in hundredths of the crop's side."""
    scale = got.new_tensor([200.0, 200.0, 100.0])
    return ((opening(got) - opening(want)).abs() * scale).mean()


def patch_places(landmarks: Tensor) -> tuple[Tensor, Tensor]:
    """Middles (N, 5, 2) and radius (N,) of the skin patches of `training.generator.measure.patch_colours`."""
    brows = landmarks[:, 17:27].mean(1)
    up = landmarks[:, 27] - landmarks[:, 8]
    middles = (
        (landmarks[:, 2] + landmarks[:, 31] + landmarks[:, 40]) / 3,
        (landmarks[:, 14] + landmarks[:, 35] + landmarks[:, 47]) / 3,
        brows + up * 0.18,
        landmarks[:, 28],
        landmarks[:, 57] * 0.45 + landmarks[:, 8] * 0.55,
    )
    return torch.stack(middles, 1), up.norm(dim=1) * 0.045


def patch_colours(picture: Tensor, landmarks: Tensor) -> Tensor:
    """Mean colour (N, 5, 3) of five skin patches of pictures (N, 3, S, S)."""
    middles, radius = patch_places(landmarks.detach())
    line = torch.linspace(-1, 1, PATCH_SIDE, device=picture.device)
    offsets = torch.stack(torch.meshgrid(line, line, indexing="xy"), -1).reshape(1, 1, -1, 2)
    places = middles[:, :, None] + offsets * radius[:, None, None, None]
    colours = F.grid_sample(picture.float(), places * 2 - 1, padding_mode="border", align_corners=False)
    return colours.mean(3).transpose(1, 2)


def colours(result: Tensor, original: Tensor, at: Tensor, was: Tensor) -> Tensor:
    """Mean difference of skin colour: of the result at its landmarks `at`, of the original at its own, `was`."""
    return (patch_colours(result, at) - patch_colours(original, was)).abs().mean()


def seam(face: Tensor, original: Tensor, mask: Tensor) -> Tensor:
    """Difference of low-passed colour where the blend mask falls off: what shows as an edge once fused."""
    ring = ((mask > 0.02) & (mask < 0.98)).float()
    apart = F.avg_pool2d((face - original).float(), 5, 1, 2).abs().mean(1, keepdim=True)
    return (apart * ring).sum() / ring.sum().clamp_min(1.0)


def gaze_point(picture: Tensor, landmarks: Tensor) -> Tensor:
    """Where the dark of each eye lies between its corners: (N, 2, 2), along and across, in eye widths."""
    points = []
    for corners, _ in EYES:
        a, b = landmarks[:, corners[0]].detach(), landmarks[:, corners[1]].detach()
        across = torch.stack((a[:, 1] - b[:, 1], b[:, 0] - a[:, 0]), 1)
        u = torch.linspace(0.15, 0.85, GAZE_SIDE, device=picture.device)
        v = torch.linspace(-0.18, 0.18, GAZE_SIDE // 2, device=picture.device)
        grid = torch.stack(torch.meshgrid(u, v, indexing="xy"), -1)
        places = a[:, None, None] + grid[..., :1] * (b - a)[:, None, None] + grid[..., 1:] * across[:, None, None]
        eye = F.grid_sample(picture.float(), places * 2 - 1, padding_mode="border", align_corners=False).mean(1)
        dark = (-8 * eye.flatten(1)).softmax(1)
        points.append(dark @ grid.reshape(-1, 2))
    return torch.stack(points, 1)


def gaze(result: Tensor, original: Tensor, at: Tensor, was: Tensor) -> Tensor:
    """Mean difference of where the eyes look, in eye widths."""
    return (gaze_point(result, at) - gaze_point(original, was)).abs().mean()


def flicker(result: Tensor, original: Tensor, follows: Tensor) -> Tensor:
    """How much more the result changes than the original, between a row that `follows` and the row before it."""
    later = follows.nonzero()[:, 0]
    if not len(later):
        return result.new_zeros(())
    change = (result[later] - result[later - 1]).abs() - (original[later] - original[later - 1]).abs()
    return F.avg_pool2d(change.float(), 4).relu().mean()


def pull(shift: Tensor) -> Tensor:
    """Mean square of the learnt shift, in standard deviations of the latents: near the latents the decoder knows."""
    return shift.float().square().mean()


def adversarial_generator(logits: Tensor) -> Tensor:
    """Non-saturating loss of the generator."""
    return F.softplus(-logits).mean()


def adversarial_critic(real: Tensor, fake: Tensor) -> Tensor:
    """Logistic loss of the discriminator."""
    return F.softplus(-real).mean() + F.softplus(fake).mean()


def r1(logits: Tensor, pictures: Tensor) -> Tensor:
    """R1 penalty (Mescheder et al., 2018): squared gradient of the discriminator at real pictures."""
    (gradient,) = torch.autograd.grad(logits.sum(), pictures, create_graph=True)
    return gradient.square().sum((1, 2, 3)).mean()
