"""What the network is taught: places, openings of eyes and mouth, heatmaps, and when not to be trusted."""

from __future__ import annotations

import torch
from torch import Tensor
from torch.nn.functional import binary_cross_entropy_with_logits

from training.landmarks.network import Output

USABLE_ERROR = 0.08
"""Confidence is the probability that the error (NME) is below this."""

LIDS = ((37, 41), (38, 40), (43, 47), (44, 46))
LIPS = ((61, 67), (62, 66), (63, 65))

_WEIGHT = torch.ones(68)
_WEIGHT[:17] = 0.6
_WEIGHT[36:48] = 2.0
_WEIGHT[48:] = 1.4


def scale_of(points: Tensor) -> Tensor:
    """Inter-ocular distance (n,); not less than half of a frontal face's, so that profiles stay finite."""
    return (points[:, 36] - points[:, 45]).norm(dim=1).clamp_min(0.2)


def wing(distance: Tensor, width: float = 0.1, sharpness: float = 0.02) -> Tensor:
    """Wing loss: logarithmic near zero, linear beyond `width`."""
    offset = width - width * torch.log1p(torch.tensor(width / sharpness))
    return torch.where(distance < width, width * torch.log1p(distance / sharpness), distance - offset)


def places(points: Tensor, truth: Tensor) -> Tensor:
    """Weighted wing loss over all points, (n,)."""
    distance = (points - truth).abs() / scale_of(truth)[:, None, None]
    return (wing(distance).sum(2) * _WEIGHT).mean(1)


def openings(points: Tensor, truth: Tensor) -> Tensor:
    """How far lids and lips are apart, against the truth, (n,)."""
    upper, lower = (torch.tensor(index) for index in zip(*LIDS, *LIPS, strict=True))
    wrong = ((points[:, lower] - points[:, upper]) - (truth[:, lower] - truth[:, upper])).abs().sum(2)
    return wrong.mean(1) / scale_of(truth)


def heatmaps(log_heat: Tensor, truth: Tensor, grid: int, sigma_cells: float = 1.0) -> Tensor:
    """Cross-entropy against a Gaussian around each point inside the crop, (n,)."""
    centres = (torch.arange(grid) + 0.5) / grid
    away = (centres - truth[..., None]) * (grid / sigma_cells)
    line = torch.exp(-0.5 * away**2)
    line = line / line.sum(3, keepdim=True).clamp_min(1e-6)
    wanted = (line[:, :, 1, :, None] * line[:, :, 0, None, :]).flatten(2)
    inside = ((truth > 0) & (truth < 1)).all(2)
    return (-(wanted * log_heat).sum(2) * inside).mean(1)


def nme(points: Tensor, truth: Tensor) -> Tensor:
    """Mean distance over the inter-ocular distance, (n,)."""
    return (points - truth).norm(dim=2).mean(1) / scale_of(truth)


def total(output: Output, truth: Tensor, is_face: Tensor, grid: int) -> tuple[Tensor, dict[str, float]]:
    """Mean loss of a batch, and its parts for the log."""
    faces = is_face.float()
    count = faces.sum().clamp_min(1)
    parts = {
        "places": 2.0 * (places(output.points, truth) * faces).sum() / count,
        "openings": 3.0 * (openings(output.points, truth) * faces).sum() / count,
        "heat": 0.15 * (heatmaps(output.log_heat, truth, grid) * faces).sum() / count,
    }
    wrong = nme(output.points.detach(), truth)
    usable = ((wrong < USABLE_ERROR) & is_face).float()
    parts["usable"] = 0.1 * binary_cross_entropy_with_logits(output.usable, usable)
    seen = {name: float(value.detach()) for name, value in parts.items()}
    seen["nme"] = float((wrong * faces).sum() / count)
    return torch.stack(list(parts.values())).sum(), seen
