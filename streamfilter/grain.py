"""Sharpness and grain: measure them around a face, and give them to the invented one."""

from __future__ import annotations

import cv2
import numpy as np

from streamfilter.structures import Floats, Image

LARGEST_BLUR_PX = 6.0
LARGEST_NOISE = 14.0

_TILE = 256
_STRONG_SHARE = 92
_REBLUR = 1.2
_MAD_TO_SIGMA = 1.4826


def luma(image: Image) -> Floats:
    """Luma of an RGB image as float32."""
    return cv2.cvtColor(image, cv2.COLOR_RGB2GRAY).astype(np.float32)


def blur_px(grey: Floats, where: Floats) -> float | None:
    """How wide the strongest edges of `grey` in `where` are, as a Gaussian's sigma; None where there is no edge.

    A second blur of known width weakens an edge by an amount that tells its own width, whatever its contrast.
    """
    gradient = _gradient(grey)
    again = _gradient(np.asarray(cv2.GaussianBlur(grey, (0, 0), _REBLUR), np.float32))
    chosen = gradient[where > 0]
    if chosen.size < 64:
        return None
    strong = (where > 0) & (gradient >= max(float(np.percentile(chosen, _STRONG_SHARE)), 6.0))
    if np.count_nonzero(strong) < 24:
        return None
    ratio = float(np.median(gradient[strong] / np.maximum(again[strong], 1e-3)))
    return min(_REBLUR / float(np.sqrt(max(ratio * ratio - 1, 1e-2))), LARGEST_BLUR_PX)


def noise_sigma(grey: Floats, where: Floats) -> float:
    """Standard deviation of the grain in the smooth parts of `where`."""
    detail = (grey - cv2.GaussianBlur(grey, (0, 0), 1.0))[where > 0]
    if detail.size < 64:
        return 0.0
    size = np.abs(detail)
    smooth = size[size <= np.percentile(size, 60)]
    return float(np.clip(np.median(smooth) * _MAD_TO_SIGMA * 1.5, 0.0, LARGEST_NOISE))


def grain(height: int, width: int, seed: int) -> Floats:
    """Unit grain (height, width), the same for the same seed: a cut from one fixed sheet, placed at random."""
    generator = np.random.default_rng(seed)
    top, left = (int(value) for value in generator.integers(0, _TILE, 2))
    rows = (np.arange(height) + top) % _TILE
    columns = (np.arange(width) + left) % _TILE
    return _SHEET[rows[:, None], columns[None, :]]


def _gradient(grey: Floats) -> Floats:
    across, down = cv2.Sobel(grey, cv2.CV_32F, 1, 0, scale=0.25), cv2.Sobel(grey, cv2.CV_32F, 0, 1, scale=0.25)
    return np.asarray(cv2.magnitude(across, down), np.float32)


def _sheet() -> Floats:
    """Noise as a codec leaves it: a little softer than white."""
    white = np.random.default_rng(20).standard_normal((_TILE, _TILE)).astype(np.float32)
    soft = cv2.GaussianBlur(white, (0, 0), 0.7, borderType=cv2.BORDER_REFLECT_101)
    return np.asarray(soft / soft.std(), np.float32)


_SHEET = _sheet()
