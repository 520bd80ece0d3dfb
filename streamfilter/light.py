"""How the light on an invented face must change to match its surroundings: a smooth field of gains.

What is read of the original: the ring just outside the protected region, and from within it nothing but the mean
colour of a 3x3 grid of soft cells (27 numbers per face, each a mean over a ninth of it). They tell light and skin
tone, and identify nobody.
"""

from __future__ import annotations

import cv2
import numpy as np
from numpy.typing import NDArray

from streamfilter.structures import Floats, Image

GRID = 64
"""Side of the crop-space grid on which light is measured."""

LARGEST_LOG_GAIN = 1.4
"""Light changes by at most a factor of 4, whatever was measured."""

_FLOOR = 6.0
_CELLS = 3
_RING_CELLS = 7
_DOUBT = 0.22
_REACH = 5.0
_NEAR_ONE = 0.999
_STEPS = np.arange(GRID, dtype=np.float32)


def crop_matrix(matrix: Floats, size: int) -> Floats:
    """The frame -> crop matrix, for crops of `GRID` pixels instead of `size`."""
    scale = GRID / size
    shift = 0.5 * scale - 0.5
    out = matrix * np.float32(scale)
    out[:, 2] += shift
    return out


def sample(source: Image, matrix: Floats) -> tuple[Floats, Floats]:
    """The frame as the light grid sees it: colour (GRID, GRID, 3), and 1 where a cell lies in the frame, else 0."""
    inverse = np.asarray(cv2.invertAffineTransform(matrix), np.float32)
    ends = np.array([[0, 0], [GRID, 0], [0, GRID], [GRID, GRID]], np.float32) @ inverse[:, :2].T + inverse[:, 2]
    limit = np.array(source.shape[1::-1])
    low = np.clip(np.floor(ends.min(0)) - 1, 0, limit - 1).astype(int)
    high = np.clip(np.ceil(ends.max(0)) + 2, low + 1, limit).astype(int)
    view = source[low[1] : high[1], low[0] : high[0]]
    small, ratio = _shrink(view, float(np.hypot(inverse[0, 0], inverse[1, 0])) / 1.5)
    to_grid = matrix.copy()
    to_grid[:, 2] += matrix[:, :2] @ (low + (ratio - 1) / 2)
    to_grid[:, :2] *= ratio
    colour = cv2.warpAffine(small, to_grid, (GRID, GRID), flags=cv2.INTER_LINEAR, borderMode=cv2.BORDER_REPLICATE)
    return colour.astype(np.float32), _within(inverse, limit)


def _shrink(view: Image, step: float) -> tuple[Image, NDArray[np.float64]]:
    """The view with `step` pixels averaged into one, and by how much it shrank exactly, (x, y)."""
    size = np.array(view.shape[1::-1])
    wanted = np.maximum(1, np.round(size / max(step, 1.0))).astype(int)
    small = cv2.resize(view, (int(wanted[0]), int(wanted[1])), interpolation=cv2.INTER_AREA)
    return np.asarray(small, np.uint8), size / wanted


def _within(inverse: Floats, limit: NDArray[np.int64]) -> Floats:
    column, row = _STEPS[None, :], _STEPS[:, None]
    inside = np.ones((GRID, GRID), bool)
    for axis in (0, 1):
        position = inverse[axis, 0] * column + inverse[axis, 1] * row + inverse[axis, 2]
        inside &= (position >= 0) & (position <= limit[axis] - 1)
    return inside.astype(np.float32)


def log_gain(frame: Floats, visible: Floats, face: Floats, mask: Floats) -> Floats:
    """Natural log of the gain per cell and channel, (GRID, GRID, 3), that lights `face` as `frame` is lit.

    All on the grid: `frame` and `face` in [0, 255], `visible` 1 where the frame has pixels, `mask` the blend mask.
    """
    inside = (mask >= _NEAR_ONE).astype(np.float32)
    if not (inside * visible).any():
        return np.zeros_like(face)
    base = _broad(frame, face, inside * visible)
    ring = visible * _ring(mask)
    residual = np.asarray(np.log((frame + _FLOOR) / (face + _FLOOR)) - base, np.float32)
    near = _near(residual, ring)
    return np.asarray(np.clip(base + near, -LARGEST_LOG_GAIN, LARGEST_LOG_GAIN), np.float32)


def _ring(mask: Floats) -> Floats:
    """1 just outside the protected region, far enough from it that no sample touches a protected pixel."""
    protected = (mask > 0.98).astype(np.uint8)
    clear = cv2.dilate(protected, np.ones((5, 5), np.uint8))
    reach = 2 * _RING_CELLS + 1
    around = cv2.dilate(protected, cv2.getStructuringElement(cv2.MORPH_ELLIPSE, (reach, reach)))
    return np.asarray(around - np.minimum(clear, around), np.float32)


def _broad(frame: Floats, face: Floats, inside: Floats) -> Floats:
    """The ratio of the 3x3 mean colours, spread smoothly over the grid."""
    rows, columns = np.flatnonzero(inside.any(1)), np.flatnonzero(inside.any(0))
    box = (int(rows[0]), int(rows[-1]) + 1, int(columns[0]), int(columns[-1]) + 1)
    part = np.s_[box[0] : box[1], box[2] : box[3]]
    weight = inside[part]
    cell_weight = _cells(weight)
    share = np.maximum(cell_weight, 1e-3)[..., None]
    ours = (_cells(frame[part] * weight[..., None]) + _FLOOR * 1e-3) / share
    theirs = (_cells(face[part] * weight[..., None]) + _FLOOR * 1e-3) / share
    ratio = np.log((ours + _FLOOR) / (theirs + _FLOOR))
    trust = cell_weight[..., None] / cell_weight.max()
    mean = (ratio * trust).sum((0, 1)) / trust.sum()
    ratio = mean + (ratio - mean) * np.minimum(1, trust * 2)
    return _spread(ratio.astype(np.float32), box)


def _cells(values: Floats) -> Floats:
    return np.asarray(cv2.resize(values, (_CELLS, _CELLS), interpolation=cv2.INTER_AREA), np.float32)


def _spread(ratio: Floats, box: tuple[int, int, int, int]) -> Floats:
    """Lay a 3x3 field over its box and let it run on, flat, to the edges of the grid."""
    top, bottom, left, right = box
    down = np.clip((_STEPS - top + 0.5) * (_CELLS / (bottom - top)) - 0.5, 0, _CELLS - 1)
    across = np.clip((_STEPS - left + 0.5) * (_CELLS / (right - left)) - 0.5, 0, _CELLS - 1)
    map_x, map_y = np.meshgrid(across.astype(np.float32), down.astype(np.float32))
    field = cv2.remap(ratio, map_x, map_y, cv2.INTER_LINEAR, borderMode=cv2.BORDER_REPLICATE)
    return np.asarray(cv2.GaussianBlur(field, (0, 0), 4.0), np.float32)


def _near(residual: Floats, ring: Floats) -> Floats:
    """What the broad field leaves open at the boundary, fading inwards; hair, collar and background do not count."""
    doubt = np.square(residual / _DOUBT).sum(2)
    weight = ring / (1 + np.square(doubt))
    spread = cv2.GaussianBlur(np.dstack([residual * weight[..., None], weight]), (0, 0), _REACH)
    return np.asarray(spread[..., :3] / (spread[..., 3:] + 0.08), np.float32)
