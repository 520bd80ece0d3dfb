"""Any picture into a frame of fixed size: as large as fits, its shape kept, black around it."""

from __future__ import annotations

import cv2
import numpy as np

from streamfilter.structures import Image


def letterboxed(image: Image, width: int, height: int) -> Image:
    """`image` (h, w, 3) in the middle of a black (height, width, 3) picture; itself where it has that size."""
    have_height, have_width = image.shape[:2]
    if (have_width, have_height) == (width, height):
        return image
    scale = min(width / have_width, height / have_height)
    inner_width = min(max(round(have_width * scale), 1), width)
    inner_height = min(max(round(have_height * scale), 1), height)
    smaller = scale < 1
    inner = cv2.resize(
        image, (inner_width, inner_height), interpolation=cv2.INTER_AREA if smaller else cv2.INTER_LINEAR
    )
    framed = np.zeros((height, width, 3), np.uint8)
    left, top = (width - inner_width) // 2, (height - inner_height) // 2
    framed[top : top + inner_height, left : left + inner_width] = inner
    return framed
