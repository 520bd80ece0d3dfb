"""training.losses: each loss is zero where it should be, grows where it should, and passes gradients."""

from __future__ import annotations

import math

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from torch import Tensor
from torch.nn import functional as F

from streamfilter.align import MIRROR
from tests.synthetic_face import face_shape, placed
from training.generator.measure import patch_colours
from training.losses import beyond, paper


def faces(count: int = 2) -> Tensor:
    """Landmarks of a plain face in an aligned crop, (count, 68, 2) in [0, 1]."""
    shape = placed(face_shape(mouth=0.2), x=0.5, y=0.47, size=0.24)
    return torch.from_numpy(shape).expand(count, -1, -1).clone()


def test_landmark_loss_is_the_norm_of_the_difference() -> None:
    got = faces()
    got[:, :, 0] += 3 / 256
    assert paper.landmark_l2(got, faces()).item() == pytest.approx(math.sqrt(68) * 3 / 256, rel=1e-4)
    fourfold = paper.landmark_l2(got, faces(), torch.full((68,), 4.0)).item()
    assert fourfold == pytest.approx(2 * math.sqrt(68) * 3 / 256, rel=1e-4)


@given(st.integers(0, 10_000))
def test_identity_loss_is_one_minus_the_cosine(seed: int) -> None:
    a, b = F.normalize(torch.randn(2, 4, 16, generator=torch.Generator().manual_seed(seed)), dim=2)
    assert paper.identity(a, a).item() == pytest.approx(0, abs=1e-5)
    assert paper.identity(a, -a).item() == pytest.approx(2, abs=1e-5)
    assert paper.identity(a, b).item() == pytest.approx(1 - F.cosine_similarity(a, b).mean().item(), abs=1e-5)


def test_perceptual_loss_counts_only_masked_places() -> None:
    original = [torch.rand(1, 8, 16, 16), torch.rand(1, 16, 8, 8)]
    changed = [layer.clone() for layer in original]
    for layer in changed:
        layer[..., : layer.shape[3] // 2] = layer[..., : layer.shape[3] // 2].flip(1)
    right = torch.zeros(1, 1, 32, 32)
    right[..., 16:] = 1
    assert paper.perceptual(changed, original).item() > 0.01
    assert paper.perceptual(changed, original, right).item() == 0
    assert paper.perceptual(changed, original, 1 - right).item() > paper.perceptual(changed, original).item()


def test_away_and_same() -> None:
    one = F.normalize(torch.randn(4, 16), dim=1)
    assert beyond.away(one, one).item() == pytest.approx(1, abs=1e-5)
    assert beyond.away(one, -one).item() == 0
    pairs = one[[0, 0, 1, 1]]
    assert beyond.same(pairs).item() == pytest.approx(0, abs=1e-5)
    assert beyond.same(torch.cat((one[:1], -one[:1]))).item() == pytest.approx(2, abs=1e-5)


def test_distinct_asks_to_be_told_from_others() -> None:
    own, others = torch.eye(8)[:2], torch.eye(8)[2:]
    assert beyond.distinct(own, own, others).item() < 1e-5
    assert beyond.distinct(others[:2], own, others).item() > 10
    middle = F.normalize(own + others[:2], dim=1)
    assert beyond.distinct(middle, own, others).item() == pytest.approx(math.log(2), rel=1e-3)
    # Oneself among the others is no mistake.
    assert beyond.distinct(own, own, torch.cat((own, others))).item() < 1e-5


def test_openings_see_a_blink_and_nothing_else() -> None:
    blink = faces(1)
    blink[:, [37, 38], 1] = blink[:, [41, 40], 1]
    shifted = faces(1) + 0.1
    assert beyond.openings(shifted, faces(1)).item() == pytest.approx(0, abs=1e-4)
    gap = beyond.opening(faces(1))[0, 0].item()
    assert beyond.openings(blink, faces(1)).item() == pytest.approx(200 * gap / 3, rel=1e-3)


def test_colours_compare_the_same_places_of_two_faces() -> None:
    picture = torch.zeros(2, 3, 64, 64)
    picture[:, 0] = 0.5
    assert beyond.colours(picture, picture, faces(), faces() + 0.05).item() == pytest.approx(0, abs=1e-6)
    assert beyond.colours(picture + 0.3, picture, faces(), faces()).item() == pytest.approx(0.3, rel=1e-4)


def test_patches_lie_where_the_measured_ones_do() -> None:
    picture = torch.linspace(-1, 1, 128).expand(1, 3, 128, 128)
    image = ((picture[0] + 1) * 127.5).round().byte().permute(1, 2, 0).contiguous().numpy()
    measured = torch.from_numpy(patch_colours(image, faces(1)[0].numpy() * 128 - 0.5)).view(5, 3)
    torch.testing.assert_close(beyond.patch_colours(picture, faces(1))[0], measured, atol=0.02, rtol=0)


def test_seam_looks_at_the_ring_only() -> None:
    mask = torch.zeros(1, 1, 32, 32)
    mask[..., 8:24, 8:24] = 1
    mask[..., 7:25, 7] = mask[..., 7:25, 24] = mask[..., 7, 7:25] = mask[..., 24, 7:25] = 0.5
    original, face = torch.zeros(1, 3, 32, 32), torch.zeros(1, 3, 32, 32)
    face[..., 14:18, 14:18] = 1
    assert beyond.seam(face, original, mask).item() == 0
    assert beyond.seam(original + 0.4, original, mask).item() == pytest.approx(0.4, rel=1e-3)


def with_irises(offset: float) -> Tensor:
    picture, points = torch.ones(1, 3, 256, 256), faces(1)[0] * 256
    rows, columns = torch.meshgrid(torch.arange(256.0), torch.arange(256.0), indexing="ij")
    for eye in (slice(36, 42), slice(42, 48)):
        x, y = points[eye].mean(0)
        picture[:, :, (columns - x - offset).square() + (rows - y).square() < 9] = -1
    return picture


def test_gaze_follows_the_irises() -> None:
    ahead, left, far_left = (beyond.gaze_point(with_irises(offset), faces(1))[0, :, 0] for offset in (0, -2, -4))
    assert (far_left < left).all() and (left < ahead).all()
    assert beyond.gaze(with_irises(-4), with_irises(0), faces(1), faces(1)).item() > 0.02


def test_flicker_is_only_what_the_original_does_not_do_itself() -> None:
    follows = torch.tensor([False, True])
    still, moving = torch.zeros(2, 3, 16, 16), torch.zeros(2, 3, 16, 16)
    moving[1] = 0.5
    assert beyond.flicker(moving, moving, follows).item() == 0
    assert beyond.flicker(moving, still, follows).item() == pytest.approx(0.5)
    assert beyond.flicker(moving, still, torch.zeros(2, dtype=torch.bool)).item() == 0


def test_the_adversarial_game_has_its_known_values() -> None:
    zero = torch.zeros(3)
    assert beyond.adversarial_critic(zero, zero).item() == pytest.approx(2 * math.log(2))
    assert beyond.adversarial_generator(zero).item() == pytest.approx(math.log(2))
    pictures = torch.rand(2, 3, 4, 4, requires_grad=True)
    assert beyond.r1((pictures * 2).sum((1, 2, 3)), pictures).item() == pytest.approx(4 * 48)


def test_lids_and_corners_keep_their_sense_when_mirrored() -> None:
    mirrored = torch.stack((1 - faces()[:, MIRROR, 0], faces()[:, MIRROR, 1]), 2)
    torch.testing.assert_close(beyond.opening(mirrored)[:, [1, 0, 2]], beyond.opening(faces()))
