"""Peak signal-to-noise ratio of a part of two pictures."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from streamfilter.errors import ShapeError
from streamfilter.structures import Floats, Image

PEAK = 255.0
IDENTICAL_DB = 100.0  # what stands for infinity


def outside(shape: tuple[int, int], boxes: Floats, growth: float, step: int = 1) -> NDArray[np.bool_]:
    """Where none of the boxes (n, 4) is, each enlarged by `growth` of its width and height, about its middle.

    Args:
        shape: (height, width) of the picture.
        boxes: xyxy in pixels.
        growth: 0.6 makes a box 1.6 times as wide and as high.
        step: Only every `step`-th row and column is asked for, beginning with the first.
    """
    free = np.ones(shape, bool)[::step, ::step]
    for box in boxes:
        room = growth / 2 * (box[2:] - box[:2])
        low = np.maximum(np.floor((box[:2] - room) / step), 0).astype(int)
        high = np.maximum(np.ceil((box[2:] + room) / step) + 1, 0).astype(int)
        free[low[1] : high[1], low[0] : high[0]] = False
    return free


def psnr(a: Image, b: Image, where: NDArray[np.bool_] | None = None) -> float | None:
    """In dB over all channels of RGB pictures (H, W, 3), at the places `where` (H, W); None where that is nowhere.

    10 log10(255^2 / mean squared difference); equal pictures have `IDENTICAL_DB`, which nothing exceeds.
    """
    if a.shape != b.shape:
        raise ShapeError(f"pictures of one size are needed, got {a.shape} and {b.shape}")
    apart = (a.astype(np.int32) - b) if where is None else (a[where].astype(np.int32) - b[where])
    if not apart.size:
        return None
    error = float((apart**2).mean())
    return IDENTICAL_DB if error == 0 else min(IDENTICAL_DB, float(10 * np.log10(PEAK**2 / error)))
