"""Sharpness and grain: measured as they were made, given back as they were measured."""

from __future__ import annotations

import cv2
import numpy as np
import pytest

from streamfilter.grain import Texture, add_grain, measure, painted_blur_px, soften, usual

SIZE = 160
EVERYWHERE = np.ones((SIZE, SIZE), np.float32)
UNKNOWN = Texture(-1.0, -1.0)


def edges(sigma: float) -> np.ndarray:
    picture = np.random.default_rng(3).choice(np.array([60, 190], np.uint8), (SIZE // 20, SIZE // 20))
    picture = np.dstack([picture.repeat(20, 0).repeat(20, 1)] * 3)
    return cv2.GaussianBlur(picture, (0, 0), sigma)


def noisy(sigma: float) -> np.ndarray:
    noise = np.random.default_rng(4).normal(0, sigma, (SIZE, SIZE, 1))
    return np.clip(120 + noise.repeat(3, 2), 0, 255).astype(np.uint8)


def test_blur_is_told_in_order():
    widths = [measure(edges(sigma), EVERYWHERE, UNKNOWN).blur_px for sigma in (0.7, 1.2, 2.0, 3.0, 4.5)]
    assert widths == sorted(widths)
    assert 0.5 < widths[0] < 1.2
    assert 2.2 < widths[3] < 4.5


@pytest.mark.parametrize("sigma", [1.0, 3.0, 6.0])
def test_noise_is_told(sigma):
    assert measure(noisy(sigma), EVERYWHERE, UNKNOWN).noise == pytest.approx(sigma, rel=0.35)


def test_what_cannot_be_told_is_as_before():
    flat = np.full((SIZE, SIZE, 3), 120, np.uint8)
    assert measure(flat, EVERYWHERE, Texture(2.5, 1.0)).blur_px == 2.5
    assert measure(flat, 0 * EVERYWHERE, Texture(2.5, 1.0)) == Texture(2.5, 1.0)
    assert measure(0 * flat, EVERYWHERE, Texture(2.5, 1.0)) == Texture(2.5, 1.0)


@pytest.mark.parametrize("scale", [0.3, 0.7, 1.0, 1.5, 2.5])
def test_softening_reaches_the_width_that_was_asked_for(scale):
    picture, has = edges(0.85), usual(scale, SIZE).blur_px
    plain, soft = (soften(picture, Texture(has + more, 0.0), scale, SIZE) for more in (0.0, 3.0))
    assert np.abs(cv2.Laplacian(soft, cv2.CV_32F)).mean() < 0.5 * np.abs(cv2.Laplacian(plain, cv2.CV_32F)).mean()


def test_a_sharper_frame_sharpens_a_little():
    picture = edges(1.5)
    sharp = soften(picture, Texture(0.5, 0.0), 2.0, SIZE)
    assert sharp.std() > picture.std()
    assert sharp.std() < 1.2 * picture.std()


@pytest.mark.parametrize(("side", "scale"), [(64, 1.0), (64, 2.0), (128, 0.7), (128, 1.3), (256, 0.5), (256, 2.0)])
def test_a_face_that_is_as_soft_as_wanted_is_left_alone(side, scale):
    """What the generator of each size paints by itself counts: softening it once more would blur the face."""
    picture = edges(painted_blur_px(side))
    assert soften(picture, usual(scale, side), scale, side) is picture


def test_softening_grows_with_what_is_wanted():
    picture = edges(1.1)
    detail = [
        np.abs(cv2.Laplacian(soften(picture, Texture(blur_px, 0.0), 1.0, 256), cv2.CV_32F)).mean()
        for blur_px in (1.3, 1.5, 1.8, 2.4, 3.5)
    ]
    assert detail == sorted(detail, reverse=True)
    assert detail[-1] < 0.5 * detail[0]


@pytest.mark.parametrize("scale", [0.15, 0.25, 0.4])
def test_a_great_reduction_does_not_alias(scale):
    """Stripes that the reduced picture cannot hold must be gone before it is reduced."""
    stripes = np.where(np.arange(256) % 4 < 2, 60, 190).astype(np.uint8)
    picture = np.broadcast_to(stripes[None, :, None], (256, 256, 3)).copy()
    # What the generator paints holds no stripes sharper than its own edges.
    picture = cv2.GaussianBlur(picture, (0, 0), painted_blur_px(256))
    assert soften(picture, usual(scale, 256), scale, 256).std() < 0.22 * 65


def test_a_defocused_background_does_not_soften_a_face():
    """Most edges in view are wide ones of the background; the few of the person are what counts."""
    view = np.vstack([edges(0.9)[:60], edges(4.0), edges(4.0)])
    assert measure(view, np.ones(view.shape[:2], np.float32), UNKNOWN).blur_px < 1.3


@pytest.mark.parametrize("size", [(40, 50), (700, 530)])
def test_grain_has_the_strength_asked_for_and_its_seed_decides(size):
    flat = np.full((*size, 3), 128, np.uint8)
    one, same, other = (add_grain(flat, 4.0, seed) for seed in (1, 1, 2))
    assert one.shape == flat.shape
    assert one.std() == pytest.approx(4.0, rel=0.2)
    assert abs(one.mean() - 128) < 1
    assert np.array_equal(one, same)
    assert not np.array_equal(one, other)
    assert add_grain(flat, 0.0, 1) is flat
