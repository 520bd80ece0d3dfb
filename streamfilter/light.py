"""The light on an invented face: how it must change to match its surroundings.

What is read of the original: the ring just outside the protected region, and from within it nothing but the median
colour of each cell of a 3x3 grid, 27 numbers per face, each over a ninth of it, and one number for the whole: how far
its darkest tenth lies below its median. They tell light, skin tone and contrast, and identify nobody.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace

import cv2
import numpy as np
from numpy.typing import NDArray

from streamfilter.crop_grid import GRID, STEPS, ring, total
from streamfilter.structures import Floats

LARGEST_RATIO = 16.0
LARGEST_LOG_NEAR = 0.5
LARGEST_CONTRAST = 0.4
"""Bounds of what is done to a face, whatever was measured."""

_FLOOR = 4.0
_DARK_FLOOR = 12.0  # of three channels
_DARK_SHARE = 0.5
_LEAST_DEPTH = 0.15
_CELL_FLOOR = 1.5
_CELLS = 3
_SAMPLES = 10
_RING_CELLS = 7
_DOUBT_LEVEL, _DOUBT_HUE = 0.17, 0.25
_FOREHEAD_LEVEL = 0.18  # how much more the level may differ there
_FOREHEAD_CELLS = 14
_RESTRAINT = 0.08
_REACH = 5.0
_WHOLLY = 0.999
_MIDDLE_LEVEL = 128.0
_WHITE = 260.0  # a little above the brightest level plus the floor, so that every curve stays finite
_HUELESS = 0.7
_LEAST_REDNESS = 0.08
_SKIN_FROM = 0.6  # of the skin's redness: lids in shadow are skin still, and would turn blue beside a warm cheek
_RED_LESS_BLUE = np.array([[1, 0, -1]], np.float32)
_SUM = np.ones((1, 3), np.float32)


@dataclass(frozen=True, slots=True)
class Light:
    """A curve per cell and channel, fields (GRID, GRID, 3): level -> level * gain / (1 + bend * level^2).

    Less light is a plain gain: it dims everything alike, white too. Another skin tone is a gain for the darker levels
    and bends towards white: a plain gain would turn the highlights of a tanned face blue when it becomes a pale one.
    For the same reason `tint`, the log of what sets the channels' gains apart, counts in full only where the crop is as
    red as its skin, `redness` (GRID, GRID): hair, eyes and teeth keep most of their hue. What is darker than the skin,
    whose channels' sum is `skin_sum` (GRID, GRID), is made darker still by the power `contrast`: 0 in a hazy frame.
    """

    gain: Floats
    bend: Floats
    tint: Floats
    redness: Floats
    skin_sum: Floats
    contrast: float = 0.0

    def curves(self, image: Floats, enlarge: Callable[[Floats], Floats]) -> tuple[Floats, Floats]:
        """Gain and bend for each pixel of an image; `enlarge` brings a field of the grid to its resolution."""
        skin = np.maximum(enlarge(self.redness), _LEAST_REDNESS)
        hueless = _HUELESS * (1 - np.clip(redness(image) / (_SKIN_FROM * skin), 0, 1))
        factor = np.asarray(cv2.exp(-hueless[..., None] * enlarge(self.tint)), np.float32)
        bend = ((1 + enlarge(self.bend) * _WHITE**2) * factor - 1) / _WHITE**2
        if self.contrast > 0:
            factor *= self._deepened(image, enlarge)[..., None]
        return np.asarray(enlarge(self.gain) * factor, np.float32), np.asarray(bend, np.float32)

    def _deepened(self, image: Floats, enlarge: Callable[[Floats], Floats]) -> Floats:
        ratio = (total(image) + _DARK_FLOOR) / (enlarge(self.skin_sum) + _DARK_FLOOR)
        return np.asarray(cv2.pow(np.minimum(ratio, 1), self.contrast), np.float32)

    def __call__(self, image: Floats) -> Floats:
        """An image on the grid in this light."""
        gain, bend = self.curves(image, lambda field: field)
        return np.asarray(image * gain / (1 + bend * np.square(image)), np.float32)

    def mix(self, other: Light, share: float) -> Light:
        """Between this light (share 0) and another (share 1)."""
        a, b = 1 - share, share
        contrast = a * self.contrast + b * other.contrast
        fields = zip(self._fields(), other._fields(), strict=True)
        gain, bend, tint, red, level = (np.asarray(cv2.addWeighted(x, a, y, b, 0), np.float32) for x, y in fields)
        return Light(gain, bend, tint, red, level, contrast)

    def change(self, other: Light) -> float:
        """How much two lights differ: the mean ratio of what they make of a middle level, as a natural log."""
        return float(np.abs(np.log(self._of_middle() / other._of_middle())).mean())

    def _fields(self) -> tuple[Floats, ...]:
        return self.gain, self.bend, self.tint, self.redness, self.skin_sum

    def _of_middle(self) -> Floats:
        return np.asarray(self.gain / (1 + self.bend * np.float32(_MIDDLE_LEVEL**2)), np.float32)


def redness(image: Floats) -> Floats:
    """How red an image (H, W, 3) is, about 0 for grey and 0.3 for skin; it does not depend on the level."""
    return np.asarray(cv2.transform(image, _RED_LESS_BLUE) / (cv2.transform(image, _SUM) + _FLOOR), np.float32)


def measure(frame: Floats, visible: Floats, face: Floats, own: Floats, region: Floats) -> Light:
    """The light that makes `face` look lit as `frame` is.

    All on the grid: `frame` and `face` in [0, 255], `visible` 1 where the frame has pixels, `own` 1 where the crop
    shows the face and not its own background, `region` the blend mask.
    """
    inside = (region >= _WHOLLY).astype(np.float32) * visible
    if not inside.any():
        nothing = np.zeros((GRID, GRID, 3), np.float32)
        return Light(nothing + 1, nothing, nothing, nothing[..., 0], nothing[..., 0])
    broad = _broad(_cells(frame, inside, inside), _cells(face, inside * own, inside), inside)
    lit = broad(face)
    near = _near(frame, lit, ring(region, _RING_CELLS) * visible)
    lacking = _depth(frame, inside) / max(_depth(lit, inside * own), _LEAST_DEPTH) - 1
    return replace(broad, gain=broad.gain * cv2.exp(near), contrast=min(max(lacking, 0.0), LARGEST_CONTRAST))


def _depth(image: Floats, inside: Floats) -> float:
    """How far the darkest tenth lies below the median, as a natural log."""
    level = np.sort(total(image)[inside > _DARK_SHARE])
    if not len(level):
        return 0.0
    dark, middle = level[len(level) // 10], level[len(level) // 2]
    return float(np.log((middle + _DARK_FLOOR) / (dark + _DARK_FLOOR)))


def _broad(ours: Floats, theirs: Floats, inside: Floats) -> Light:
    """The light that turns the cells' colours `theirs` into `ours`, and white into white as far as it is lit."""
    ratio = np.clip(ours / theirs, 1 / LARGEST_RATIO, LARGEST_RATIO)
    goal = ratio * theirs
    dim = np.minimum(1, ours.sum(-1, keepdims=True) / theirs.sum(-1, keepdims=True))
    white = np.maximum(_WHITE * dim, 1.1 * goal.max(-1, keepdims=True))
    bend = (ratio - white / _WHITE) / (white * _WHITE - goal * theirs)
    gain = ratio * (1 + bend * np.square(theirs))
    tint = np.log(ratio / ratio.mean(-1, keepdims=True))
    skin = np.broadcast_to(redness(theirs)[..., None], tint.shape)
    fields = _spread(np.dstack([gain, bend, tint, skin[..., :1], theirs.sum(-1, keepdims=True)]), inside)
    gain, bend, tint = (np.ascontiguousarray(fields[..., first : first + 3]) for first in (0, 3, 6))
    red, level = (np.ascontiguousarray(fields[..., index]) for index in (9, 10))
    return Light(gain, bend, tint, red, level)


def _cells(image: Floats, weight: Floats, inside: Floats) -> Floats:
    """Median colours (3, 3, 3) over the region's box where `weight` is set: the skin's, for most of a cell is skin.

    Cells that hold little of the region lean on the median of the whole.
    """
    part, side = _bounds(inside), _CELLS * _SAMPLES
    colour = np.asarray(cv2.resize(image[part], (side, side), interpolation=cv2.INTER_LINEAR), np.float32)
    colour[cv2.resize(weight[part], (side, side), interpolation=cv2.INTER_LINEAR) <= 0.5] = np.inf
    blocks = colour.reshape(_CELLS, _SAMPLES, _CELLS, _SAMPLES, 3).transpose(0, 2, 1, 3, 4).reshape(_CELLS**2, -1, 3)
    whole, of_whole = _middle(blocks.reshape(1, -1, 3))
    if not of_whole.any():
        return np.full((_CELLS, _CELLS, 3), _MIDDLE_LEVEL, np.float32)
    cells, of_cells = _middle(blocks)
    trust = np.minimum(1, of_cells / (0.3 * _SAMPLES**2))[:, None]
    mixed = whole + trust * (np.where(np.isfinite(cells), cells, whole) - whole)
    return np.asarray(mixed.reshape(_CELLS, _CELLS, 3) + _CELL_FLOOR, np.float32)


def _middle(blocks: Floats) -> tuple[Floats, NDArray[np.int64]]:
    """Median per block and channel of (n, samples, 3), infinite ones left out, and how many counted."""
    count = np.isfinite(blocks[..., 0]).sum(1)
    ordered = np.sort(blocks, axis=1)
    return ordered[np.arange(len(blocks)), np.maximum(count - 1, 0) // 2], count


def _bounds(inside: Floats) -> tuple[slice, slice]:
    rows, columns = np.flatnonzero(inside.any(1)), np.flatnonzero(inside.any(0))
    return slice(int(rows[0]), int(rows[-1]) + 1), slice(int(columns[0]), int(columns[-1]) + 1)


def _spread(cells: Floats, inside: Floats) -> Floats:
    """Lay a 3x3 field over the region's box and let it run on, flat, to the edges of the grid."""
    rows, columns = _bounds(inside)
    size = (columns.stop - columns.start, rows.stop - rows.start)
    field = cv2.resize(np.ascontiguousarray(cells, np.float32), size, interpolation=cv2.INTER_LINEAR)
    edges = (rows.start, GRID - rows.stop, columns.start, GRID - columns.stop)
    field = cv2.copyMakeBorder(field, *edges, cv2.BORDER_REPLICATE)
    return np.asarray(cv2.blur(cv2.blur(field, (9, 9)), (9, 9)), np.float32)


def _near(frame: Floats, face: Floats, around: Floats) -> Floats:
    """Log gain at the boundary that the broad light leaves open, fading inwards; what is not skin hardly counts."""
    residual = np.log((frame + _FLOOR) / (face + _FLOOR))
    forehead = _forehead(around)
    level = total(residual) / 3
    hue = np.maximum(total(np.square(residual)) - 3 * np.square(level), 0)
    doubt = np.square(level / (_DOUBT_LEVEL + _FOREHEAD_LEVEL * forehead)) + hue / _DOUBT_HUE**2
    weight = around / (1 + np.square(doubt))
    known = cv2.merge([*cv2.split(residual * weight[..., None]), weight])
    spread = cv2.GaussianBlur(known, (0, 0), _REACH)
    gain = spread[..., :3] / (spread[..., 3] + _RESTRAINT * (1 - 0.7 * forehead))[..., None]
    return np.asarray(np.clip(gain, -LARGEST_LOG_NEAR, LARGEST_LOG_NEAR), np.float32)


def _forehead(around: Floats) -> Floats:
    """1 in the rows where skin meets skin, whatever their levels, falling to 0 at the eyes: (GRID, 1)."""
    rows = np.flatnonzero(around.any(1))
    top = float(rows[0]) if len(rows) else 0.0
    rise = (top + _FOREHEAD_CELLS - STEPS) / (_FOREHEAD_CELLS / 2)
    return np.asarray(np.clip(rise, 0, 1)[:, None], np.float32)
