"""How a stored picture is turned to stand upright: the eight ways that display matrices and EXIF know."""

from __future__ import annotations

import struct
from dataclasses import dataclass

import cv2
import numpy as np

from streamfilter.structures import Image

_MATRIX = struct.Struct("<9i")


@dataclass(frozen=True)
class Orientation:
    """First swap the axes (`transpose`), then mirror left-right (`flip_x`) and upside down (`flip_y`)."""

    transpose: bool = False
    flip_x: bool = False
    flip_y: bool = False

    @classmethod
    def from_matrix(cls, matrix: bytes) -> Orientation:
        """From FFmpeg's 3x3 display matrix; odd angles go to the nearest right angle."""
        a, b, _, c, d, *_ = _MATRIX.unpack(matrix[: _MATRIX.size])
        if abs(a) + abs(d) >= abs(b) + abs(c):
            return cls(False, a < 0, d < 0)
        return cls(True, c < 0, b < 0)

    @property
    def rotation(self) -> int:
        """Clockwise turn in degrees, mirroring left aside."""
        if self.transpose:
            return 90 if self.flip_x else 270
        return 180 if self.flip_y else 0

    def size(self, width: int, height: int) -> tuple[int, int]:
        """Width and height of the upright picture."""
        return (height, width) if self.transpose else (width, height)

    def apply(self, image: Image) -> Image:
        """The upright picture."""
        if self.transpose:
            image = np.asarray(cv2.transpose(image), np.uint8)
        if self.flip_x or self.flip_y:
            image = np.asarray(cv2.flip(image, -1 if self.flip_x and self.flip_y else int(self.flip_x)), np.uint8)
        return image


UPRIGHT = Orientation()
