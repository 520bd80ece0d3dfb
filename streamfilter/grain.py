"""Sharpness and grain: measured around a face, given to the invented one."""

from __future__ import annotations

from dataclasses import dataclass

import cv2
import numpy as np

from streamfilter.structures import Floats, Image

LARGEST_BLUR_PX = 6.0
LARGEST_NOISE = 8.0
_PAINTED = 0.07  # times the root of the side: .57, .81 and 1.12 px were measured for 64, 128 and 256 px
_RESAMPLING_PX = 0.6
_ALIAS_FREE_PX = 0.5
_SHEET_SIDE = 512
_SHEET_SIGMA = 32.0
_BLOCK = 6
_STRONG_SHARE = 0.96  # a larger part of the pixels would let a defocused background soften the face
_WEAKEST_EDGE = 6.0
_REBLUR = 1.2
_ENOUGH = 24
_SHARP_PERCENTILE = 70
_SOFTER_FACE = 1.1  # hair and collars have sharper edges than a face
_SHARPEN_MOST = 0.2


@dataclass(frozen=True, slots=True)
class Texture:
    """Width of edges as a Gaussian's sigma, in pixels, and standard deviation of the grain, in levels."""

    blur_px: float
    noise: float

    def mix(self, other: Texture, share: float) -> Texture:
        """Between this texture (share 0) and another (share 1)."""
        a, b = 1 - share, share
        return Texture(self.blur_px * a + other.blur_px * b, self.noise * a + other.noise * b)


def measure(view: Image, where: Floats, otherwise: Texture) -> Texture:
    """The texture of an RGB view where `where` is positive; `otherwise` for what cannot be told there."""
    grey = np.asarray(cv2.cvtColor(view, cv2.COLOR_RGB2GRAY), np.float32)
    blur, noise = _blur_px(grey, where), _noise(grey, where)
    return Texture(otherwise.blur_px if blur is None else blur, otherwise.noise if noise is None else noise)


def painted_blur_px(side_px: int) -> float:
    """Width of the edges in a painted crop of `side_px`, in its own pixels: a larger one is the softer there."""
    return float(_PAINTED * np.sqrt(side_px))


def usual(scale: float, side_px: int) -> Texture:
    """The texture of a painted crop of `side_px` that is enlarged `scale` times, before anything is done to it."""
    return Texture(float(np.hypot(painted_blur_px(side_px) * scale, _RESAMPLING_PX)), 0.0)


def soften(image: Image, wanted: Texture, scale: float, side_px: int) -> Image:
    """Blur or sharpen a part of a crop of `side_px`.

    Enlarged `scale` times, its edges then are as wide as wanted, and nothing aliases.
    """
    has = usual(scale, side_px).blur_px
    against_aliasing = (_ALIAS_FREE_PX / scale) ** 2 - painted_blur_px(side_px) ** 2
    sigma = float(np.sqrt(max(0.0, against_aliasing, (wanted.blur_px**2 - has**2) / scale**2)))
    if sigma > 0.2:
        return np.asarray(cv2.GaussianBlur(image, (0, 0), sigma), np.uint8)
    amount = min(_SHARPEN_MOST, 0.5 * (has / max(wanted.blur_px, 0.3) - 1))
    if amount < 0.05:
        return image
    return np.asarray(cv2.addWeighted(image, 1 + amount, cv2.GaussianBlur(image, (0, 0), 1.2), -amount, 0), np.uint8)


def add_grain(image: Image, noise: float, seed: int) -> Image:
    """The image with grain: the same for the same seed, cut at random from one fixed sheet."""
    if noise < 0.1:
        return image
    height, width = image.shape[:2]
    top, left = (int(value) for value in np.random.default_rng(seed).integers(0, _SHEET_SIDE // 2, 2))
    sheet = _SHEET
    if top + height > _SHEET_SIDE or left + width > _SHEET_SIDE:
        sheet = np.tile(sheet, ((top + height) // _SHEET_SIDE + 1, (left + width) // _SHEET_SIDE + 1, 1))
    share = noise / _SHEET_SIGMA
    cut = sheet[top : top + height, left : left + width]
    return np.asarray(cv2.addWeighted(image, 1, cut, share, -128 * share), np.uint8)


def _blur_px(grey: Floats, where: Floats) -> float | None:
    """How wide the strongest edges are; None where there are none.

    A second blur of known width weakens an edge by an amount that tells its own width, whatever its contrast.
    """
    once, twice = _gradient(grey), _gradient(np.asarray(cv2.GaussianBlur(grey, (0, 0), _REBLUR), np.float32))
    step = max(1, round(np.sqrt(grey.size / 30000)))
    chosen = where[::step, ::step] > 0
    first, second = once[::step, ::step][chosen], twice[::step, ::step][chosen]
    if first.size < _ENOUGH:
        return None
    rank = int(first.size * _STRONG_SHARE)
    strong = first >= max(float(np.partition(first, rank)[rank]), _WEAKEST_EDGE)
    if np.count_nonzero(strong) < _ENOUGH:
        return None
    ratio = float(np.percentile(first[strong] / np.maximum(second[strong], 1e-3), _SHARP_PERCENTILE))
    return min(_SOFTER_FACE * _REBLUR / float(np.sqrt(max(ratio * ratio - 1, 1e-2))), LARGEST_BLUR_PX)


def _noise(grey: Floats, where: Floats) -> float | None:
    """Standard deviation of the grain in the smoother blocks; None where all is black, white or too small."""
    detail = np.square(grey - cv2.GaussianBlur(grey, (0, 0), 1.0))
    size = (max(1, grey.shape[1] // _BLOCK), max(1, grey.shape[0] // _BLOCK))
    power, level, share = (cv2.resize(field, size, interpolation=cv2.INTER_AREA) for field in (detail, grey, where))
    blocks = power[(share > 0.95) & (level > 25) & (level < 230)]
    if len(blocks) < _ENOUGH:
        return None
    return float(min(np.sqrt(np.percentile(blocks, 5)) * 1.6, LARGEST_NOISE))


def _gradient(grey: Floats) -> Floats:
    across, down = cv2.Sobel(grey, cv2.CV_32F, 1, 0, scale=0.25), cv2.Sobel(grey, cv2.CV_32F, 0, 1, scale=0.25)
    return np.asarray(cv2.magnitude(across, down), np.float32)


def _sheet() -> Image:
    """Noise around 128 as a codec leaves it: a little softer than white, nearly the same in all channels."""
    white = np.random.default_rng(20).standard_normal((_SHEET_SIDE, _SHEET_SIDE, 4)).astype(np.float32)
    soft = np.asarray(cv2.GaussianBlur(white, (0, 0), 0.7), np.float32)
    mixed = soft[..., :1] + 0.25 * soft[..., 1:]
    return np.asarray(np.clip(128 + mixed / mixed.std() * _SHEET_SIGMA, 0, 255).round(), np.uint8)


_SHEET = _sheet()
