"""Landmark jitter: how much landmarks tremble from frame to frame, beyond what they do on the original.

|x(t - 1) - 2 x(t) + x(t + 1)| / width of the face: the second difference, which steady motion leaves at zero. It is per
frame: of one movement, footage with more frames a second has less.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from streamfilter.errors import ShapeError
from streamfilter.structures import Floats


@dataclass(frozen=True)
class Jitter:
    """Of three consecutive frames, in widths of the face, for the original and for the result."""

    original: float
    result: float

    @property
    def added(self) -> float:
        """What the result adds."""
        return self.result - self.original


def tremble(points: Floats) -> float:
    """Mean length of the second difference of landmarks (3, n, 2), in px."""
    if points.ndim != 3 or len(points) != 3 or points.shape[2] != 2:
        raise ShapeError(f"landmarks of three frames are needed, (3, n, 2), got {points.shape}")
    x = points.astype(np.float64)
    return float(np.linalg.norm(x[0] - 2 * x[1] + x[2], axis=-1).mean())


def jitter(original: Floats, result: Floats, width: float) -> Jitter:
    """Landmarks (3, n, 2) of one face on three consecutive frames of the original and of the result."""
    return Jitter(tremble(original) / width, tremble(result) / width)
