"""The small crop-space grid on which surroundings are measured, and how a frame is brought onto it."""

from __future__ import annotations

from dataclasses import dataclass, replace

import cv2
import numpy as np
from numpy.typing import NDArray

from streamfilter.structures import Floats, Image

GRID = 64
"""Side of the grid; it covers the whole aligned crop."""

STEPS = np.arange(GRID, dtype=np.float32)
FINE = 2
"""Pixels per cell at which the crop itself is examined."""

PROTECTED = 0.98
"""From this share of the mask on, a cell counts as part of the protected region."""

_CLEARANCE = np.ones((5, 5), np.uint8)
_TOUCHED = 0.003
_ALL_CHANNELS = np.ones((1, 3), np.float32)


@dataclass(frozen=True, slots=True)
class Box:
    """A part of the grid, in cells, and how many crop pixels a cell has."""

    top: int
    bottom: int
    left: int
    right: int
    cell_px: int

    @classmethod
    def of(cls, region: Floats, size: int) -> Box | None:
        """The cells that a mask touches, and one more on each side, for a crop of `size` px; None for an empty mask."""
        rows, columns = (np.flatnonzero(region.max(axis) > _TOUCHED) for axis in (1, 0))
        if not len(rows):
            return None
        top, left = (max(0, int(found[0]) - 1) for found in (rows, columns))
        bottom, right = (min(GRID, int(found[-1]) + 2) for found in (rows, columns))
        return cls(top, bottom, left, right, size // GRID)

    @property
    def size(self) -> tuple[int, int]:
        """Width and height in crop pixels."""
        return (self.right - self.left) * self.cell_px, (self.bottom - self.top) * self.cell_px

    @property
    def corner(self) -> tuple[int, int]:
        """Its first pixel in the crop, (x, y)."""
        return self.left * self.cell_px, self.top * self.cell_px

    def at(self, cell_px: int) -> Box:
        """The same box of a smaller copy of the crop with `cell_px` pixels per cell; never of a larger one."""
        return replace(self, cell_px=min(cell_px, self.cell_px))

    @property
    def part(self) -> tuple[slice, slice]:
        """The index of its pixels in a crop or mask."""
        px = self.cell_px
        return slice(self.top * px, self.bottom * px), slice(self.left * px, self.right * px)

    def enlarge(self, field: Floats) -> Floats:
        """The box's part of a field on the grid, at the crop's resolution."""
        part = field[self.top : self.bottom, self.left : self.right]
        return np.asarray(cv2.resize(part, self.size, interpolation=cv2.INTER_LINEAR), np.float32)


def total(field: Floats) -> Floats:
    """The sum over three channels."""
    return np.asarray(cv2.transform(field, _ALL_CHANNELS), np.float32)


def grid_matrix(matrix: Floats, size: int) -> Floats:
    """A frame -> crop matrix for crops of `size` px, made to lead to the grid instead."""
    scale = GRID / size
    out = matrix * np.float32(scale)
    out[:, 2] += 0.5 * scale - 0.5
    return out


def to_grid(image: NDArray[np.uint8] | Floats) -> Floats:
    """A crop or mask of any size, averaged onto the grid."""
    return np.asarray(cv2.resize(image, (GRID, GRID), interpolation=cv2.INTER_AREA), np.float32)


def sample(source: Image, matrix: Floats) -> tuple[Floats, Floats]:
    """The frame as the grid sees it: colour (GRID, GRID, 3), and 1 where a cell lies in the frame, else 0."""
    inverse = np.asarray(cv2.invertAffineTransform(matrix), np.float32)
    ends = np.array([[0, 0], [GRID, 0], [0, GRID], [GRID, GRID]], np.float32) @ inverse[:, :2].T + inverse[:, 2]
    limit = np.array(source.shape[1::-1])
    low = np.clip(np.floor(ends.min(0)) - 1, 0, limit - 1).astype(int)
    high = np.clip(np.ceil(ends.max(0)) + 2, low + 1, limit).astype(int)
    view = source[low[1] : high[1], low[0] : high[0]]
    small = _shrink(view, max(1, round(float(np.hypot(inverse[0, 0], inverse[1, 0])) / 1.25)))
    ratio = view.shape[1] // small.shape[1]
    onto = matrix.copy()
    onto[:, 2] += matrix[:, :2] @ (low + (ratio - 1) / 2)
    onto[:, :2] *= ratio
    colour = cv2.warpAffine(small, onto, (GRID, GRID), flags=cv2.INTER_LINEAR, borderMode=cv2.BORDER_REPLICATE)
    return np.asarray(colour, np.float32), _within(inverse, limit)


def ring(region: Floats, width: int) -> Floats:
    """1 in a ring of `width` cells around the protected region, so far off that no sample touches a protected pixel."""
    protected = (region > PROTECTED).astype(np.uint8)
    clear = cv2.dilate(protected, _CLEARANCE)
    reach = 2 * width + 1
    around = cv2.dilate(protected, cv2.getStructuringElement(cv2.MORPH_ELLIPSE, (reach, reach)))
    return np.asarray(around - np.minimum(clear, around), np.float32)


def extend(values: Floats, weight: Floats) -> Floats:
    """Fill a (GRID, GRID, 3) field from where `weight` is 1 to everywhere: near values first, smoother farther off."""
    known = cv2.merge([*cv2.split(values * weight[..., None]), weight])
    levels = [np.asarray(cv2.pyrDown(known), np.float32)]
    while levels[-1].shape[0] > 4:
        levels.append(np.asarray(cv2.pyrDown(levels[-1]), np.float32))
    whole = levels[-1].reshape(-1, 4).sum(0)
    field = np.broadcast_to(whole[:3] / max(float(whole[3]), 1e-6), (4, 4, 3)).astype(np.float32)
    for level in reversed(levels):
        if level.shape[0] > field.shape[0]:
            field = np.asarray(cv2.pyrUp(field), np.float32)
        share = level[..., 3:]
        # Where a quarter of a cell is known, the cell speaks for itself.
        field = field * (1 - np.minimum(1, share * 4)) + level[..., :3] * np.minimum(4, 1 / np.maximum(share, 1e-6))
    return np.asarray(cv2.pyrUp(field), np.float32)


def _shrink(view: Image, step: int) -> Image:
    """The view with `step` x `step` pixels averaged into one; what is left over at the far edges is dropped."""
    height, width = view.shape[0] // step * step, view.shape[1] // step * step
    if step == 1 or not height or not width:
        return view
    small = cv2.resize(view[:height, :width], (width // step, height // step), interpolation=cv2.INTER_AREA)
    return np.asarray(small, np.uint8)


def _within(inverse: Floats, limit: NDArray[np.int64]) -> Floats:
    column, row = STEPS[None, :], STEPS[:, None]
    inside = np.ones((GRID, GRID), bool)
    for axis in (0, 1):
        position = inverse[axis, 0] * column + inverse[axis, 1] * row + inverse[axis, 2]
        inside &= (position >= 0) & (position <= limit[axis] - 1)
    return inside.astype(np.float32)
