"""Whether the pixels of a face are still there: a comparison that knows neither the tool nor the person.

The middle of the face's box (60 % of each side of what lies in the picture) is cut into cells. A cell survives if it
looks the same: both patterns correlate, and they differ by less than a part of their own contrast, or by no more than
what re-encoding did to the rest of the picture. A face is bare where at least half of its cells survive.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import cv2
import numpy as np

from streamfilter.metrics.over_time import correlation
from streamfilter.structures import Doubles, Floats, Image

MIDDLE = 0.6  # of each side of the box
CELLS = 4  # along each side
CORRELATION = 0.85
OF_CONTRAST = 0.25
OF_FLOOR = 2.0
FLATTEST = 0.3  # grey levels: below this contrast there is no pattern to compare
BARE = 0.5
SOFTER = 64  # a face of this many px is softened by a sigma of 1 px, which takes coding noise out
SMALLEST_SIGMA_PX = 0.6
LUMA = np.array([0.299, 0.587, 0.114], np.float32)
FRAME_STEP = 4
ROOM = 0.5  # of the face's size around it, where a tool may well change something


@dataclass(frozen=True, kw_only=True)
class Survival:
    """`share` of the cells that survive, in [0, 1]; `correlation`, `difference` (grey levels): of the whole middle."""

    share: float
    correlation: float
    difference: float

    @property
    def bare(self) -> bool:
        """The face can be seen."""
        return self.share >= BARE


def survival(original: Image, result: Image, xyxy: Floats, floor: float) -> Survival:
    """How much of the face in `xyxy` (4,) of two RGB pictures of one size is the same.

    Args:
        floor: What re-encoding changed elsewhere, in grey levels; from `coding_floor`.
    """
    window = _middle(xyxy, original.shape)
    sigma = max(SMALLEST_SIGMA_PX, float(xyxy[2] - xyxy[0]) / SOFTER)
    a, b = (_softened(picture[window], sigma) for picture in (original, result))
    alike = [_same(x, y, floor) for x, y in zip(_cells(a), _cells(b), strict=True)]
    known = [value for value in alike if value is not None]
    # A face without any pattern (too dark, too small) cannot be compared cell by cell, only as a whole.
    share = float(np.mean(known)) if known else float(bool(_same(a, b, floor)))
    return Survival(share=share, correlation=_correlation(a, b), difference=float(np.abs(a - b).mean()))


def coding_floor(original: Image, result: Image, boxes: Sequence[Floats]) -> float:
    """Median difference in grey levels away from all faces; 0 where faces fill the picture.

    The median, so that a large cover somewhere else does not excuse a bare face here.
    """
    apart = np.abs(original[::FRAME_STEP, ::FRAME_STEP].astype(np.int16) - result[::FRAME_STEP, ::FRAME_STEP])
    free = np.ones(apart.shape[:2], bool)
    for box in boxes:
        room = np.array([-1, -1, 1, 1]) * ROOM * np.tile(box[2:] - box[:2], 2)
        x0, y0, x1, y1 = np.maximum((box + room) / FRAME_STEP, 0).astype(int)
        free[y0 : y1 + 1, x0 : x1 + 1] = False
    values = apart.mean(-1)[free]
    return float(np.median(values)) if len(values) else 0.0


def _softened(picture: Image, sigma: float) -> Floats:
    return np.atleast_2d(np.asarray(cv2.GaussianBlur(picture @ LUMA, (0, 0), sigma), np.float32))


def _middle(xyxy: Floats, shape: tuple[int, ...]) -> tuple[slice, slice]:
    """Rows and columns of the middle of what of the box lies in the picture; at least one of each."""
    height, width = shape[:2]
    x0, y0, x1, y1 = np.clip(xyxy, 0, np.array([width - 1, height - 1, width, height]))
    across, down = (1 - MIDDLE) / 2 * max(x1 - x0, 0.0), (1 - MIDDLE) / 2 * max(y1 - y0, 0.0)
    left, top = int(x0 + across), int(y0 + down)
    return slice(top, max(top + 1, int(np.ceil(y1 - down)))), slice(left, max(left + 1, int(np.ceil(x1 - across))))


def _cells(picture: Floats) -> list[Floats]:
    return [cell for row in np.array_split(picture, CELLS) for cell in np.array_split(row, CELLS, axis=1)]


def _same(a: Floats, b: Floats, floor: float) -> bool | None:
    """Whether two patterns are one; None where there is no pattern."""
    contrast = float(a.std()) if a.size else 0.0
    if contrast < FLATTEST:
        return None
    near = float(np.abs(a - b).mean()) < max(OF_CONTRAST * contrast, OF_FLOOR * floor)
    return near and _correlation(a, b) > CORRELATION


def _correlation(a: Floats, b: Floats) -> float:
    x: Doubles = a.astype(np.float64) - a.mean(dtype=np.float64)
    y: Doubles = b.astype(np.float64) - b.mean(dtype=np.float64)
    return correlation(x, y) or 0.0
