"""Square crops around a face, of one size whatever the size of the face."""

from __future__ import annotations

from dataclasses import dataclass

import cv2
import numpy as np

from streamfilter.structures import Floats, Image


@dataclass(frozen=True)
class Square:
    """A square of a picture: its left upper corner and its side, in whole pixels; it may reach over the edge."""

    x: int
    y: int
    side: int

    @classmethod
    def around(cls, box: Floats, surroundings: float) -> Square | None:
        """Around a box (4,), `surroundings` times its longer side; None for a box without an area."""
        side = round(float((box[2:] - box[:2]).max()) * surroundings)
        if side < 2:
            return None
        x, y = np.round((box[:2] + box[2:]) / 2 - side / 2).astype(int).tolist()
        return cls(x, y, side)

    def touches(self, box: Floats) -> bool:
        """Whether a part of a box (4,) lies in it."""
        corner = np.array([self.x, self.y])
        return bool((box[:2] < corner + self.side).all() and (box[2:] > corner).all())

    def cut(self, image: Image, size: int) -> Image:
        """(size, size, 3): what lies outside the picture repeats its edge."""
        columns = np.clip(self.x + np.arange(self.side), 0, image.shape[1] - 1)
        rows = np.clip(self.y + np.arange(self.side), 0, image.shape[0] - 1)
        how = cv2.INTER_AREA if size < self.side else cv2.INTER_LINEAR
        return np.asarray(cv2.resize(image[rows][:, columns], (size, size), interpolation=how), np.uint8)

    def inwards(self, points: Floats, size: int) -> Floats:
        """Points (n, 2) of the picture in a crop of this size."""
        return np.asarray((points - (self.x, self.y) + 0.5) * (size / self.side) - 0.5, np.float32)

    def outwards(self, points: Floats, size: int) -> Floats:
        """Points (n, 2) of a crop of this size in the picture."""
        return np.asarray((points + 0.5) * (self.side / size) - 0.5 + (self.x, self.y), np.float32)
