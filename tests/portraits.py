"""Aligned pictures with landmarks and no person in them, for tests of judges and metrics."""

from __future__ import annotations

import cv2
import numpy as np

from streamfilter.align import ffhq_matrix, transform
from streamfilter.structures import Image
from tests.synthetic_face import face_shape, placed

SIDE = 256
_PLACED = placed(face_shape(), size=60)
POINTS = transform(_PLACED, ffhq_matrix(_PLACED, SIDE))
"""Where an aligned face has its landmarks."""


def noise(seed: int = 0, side: int = SIDE) -> Image:
    return np.random.default_rng(seed).integers(0, 256, (side, side, 3), dtype=np.uint8)


def scene(seed: int = 0) -> Image:
    """Smooth colours, as a photo has, with a little grain."""
    rng = np.random.default_rng(seed)
    smooth = cv2.resize(rng.uniform(60, 200, (6, 6, 3)), (SIDE, SIDE), interpolation=cv2.INTER_CUBIC)
    return np.clip(smooth + rng.normal(0, 4, smooth.shape), 0, 255).astype(np.uint8)


def turned(yaw: float, pitch: float, roll: float) -> np.ndarray:
    """The rotation with these angles (degrees), as 3DDFA puts them together."""
    x, y, z = np.radians([pitch, yaw, roll])
    about_x = [[1, 0, 0], [0, np.cos(x), -np.sin(x)], [0, np.sin(x), np.cos(x)]]
    about_y = [[np.cos(y), 0, -np.sin(y)], [0, 1, 0], [np.sin(y), 0, np.cos(y)]]
    about_z = [[np.cos(z), -np.sin(z), 0], [np.sin(z), np.cos(z), 0], [0, 0, 1]]
    return np.array(about_z) @ about_y @ about_x
