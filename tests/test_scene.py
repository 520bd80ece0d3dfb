"""Scene cuts are found; flashes, pans, fast motion and slow fades are none."""

from __future__ import annotations

import cv2
import numpy as np
import pytest

from streamfilter.scene import SceneCut
from streamfilter.structures import Image


def scenery(seed: int, width: int = 480, height: int = 270) -> Image:
    """A picture of coloured shapes, different for each seed."""
    rng = np.random.default_rng(seed)
    base = rng.integers(20, 200, 3)
    image = np.full((height, width, 3), base, np.uint8)
    for _ in range(25):
        centre = (int(rng.integers(0, width)), int(rng.integers(0, height)))
        axes = (int(rng.integers(8, width // 5)), int(rng.integers(8, height // 4)))
        cv2.ellipse(image, centre, axes, float(rng.integers(180)), 0, 360, rng.integers(0, 255, 3).tolist(), -1)
    return cv2.GaussianBlur(image, (0, 0), 1.5)


def cuts(pictures) -> list[int]:
    cut = SceneCut()
    return [index for index, picture in enumerate(pictures) if cut(picture)]


@pytest.mark.parametrize("seed", range(12))
def test_a_cut_is_found_where_it_is(seed):
    one, other = scenery(seed), scenery(100 + seed)
    assert cuts([one] * 6 + [other] * 6 + [one] * 6) == [6, 12]


@pytest.mark.parametrize("gain", [0.4, 1.5, 2.2])
@pytest.mark.parametrize("seed", range(4))
def test_a_flash_is_no_cut(seed, gain):
    picture = scenery(seed)
    flash = np.clip(picture * gain + 10, 0, 255).astype(np.uint8)
    assert cuts([picture] * 4 + [flash] + [picture] * 4 + [flash] * 3) == []


@pytest.mark.parametrize("seed", range(4))
def test_a_fast_pan_is_no_cut(seed):
    wide = scenery(seed, width=1400)
    assert cuts([np.ascontiguousarray(wide[:, x : x + 480]) for x in range(0, 900, 45)]) == []


def test_noise_is_no_cut():
    rng = np.random.default_rng(1)
    picture = scenery(3).astype(int)
    noisy = [np.clip(picture + rng.normal(0, 25, picture.shape), 0, 255).astype(np.uint8) for _ in range(10)]
    assert cuts(noisy) == []


def test_a_slow_fade_is_no_cut():
    one, other = scenery(1).astype(float), scenery(2).astype(float)
    assert cuts([(one * (1 - k / 30) + other * k / 30).astype(np.uint8) for k in range(31)]) == []


def test_after_a_reset_the_next_frame_is_no_cut():
    cut = SceneCut()
    cut(scenery(1))
    cut.reset()
    assert not cut(scenery(2))


@pytest.mark.parametrize("shape", [(1, 1), (2, 3), (17, 31), (1080, 1920)])
def test_any_size_will_do(shape):
    cut = SceneCut()
    assert not cut(np.zeros((*shape, 3), np.uint8))
    cut(np.full((*shape, 3), 255, np.uint8))
