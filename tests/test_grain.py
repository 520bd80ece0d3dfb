"""Sharpness and grain: measured as they were made, given back as they were measured."""

from __future__ import annotations

import cv2
import numpy as np
import pytest

from streamfilter.grain import Texture, add_grain, measure, soften, usual

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
    picture = edges(0.85)
    plain, soft = (soften(picture, Texture(usual(scale).blur_px + more, 0.0), scale) for more in (0.0, 3.0))
    assert np.abs(cv2.Laplacian(soft, cv2.CV_32F)).mean() < 0.5 * np.abs(cv2.Laplacian(plain, cv2.CV_32F)).mean()


def test_a_sharper_frame_sharpens_a_little():
    picture = edges(1.5)
    sharp = soften(picture, Texture(0.5, 0.0), 2.0)
    assert sharp.std() > picture.std()
    assert sharp.std() < 1.2 * picture.std()


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
