"""What the paper compares with: the face pixelised or blurred.

Both change the bounding box of the protected region (`align.face_outline`: jaw line to raised brows), with a hard edge;
sizes are pixels of the aligned 256 px crop.
"""

from __future__ import annotations

import cv2
import numpy as np

from streamfilter.align import face_outline
from streamfilter.structures import Floats, Image


def face_box(landmarks: Floats, size: int) -> tuple[int, int, int, int]:
    """(x0, y0, x1, y1) around the protected region of a crop of `size` px, within the crop; the ends are exclusive."""
    outline = face_outline(landmarks, size)
    x0, y0 = np.clip(np.floor(outline.min(0)), 0, size - 1).astype(int).tolist()
    x1, y1 = np.clip(np.ceil(outline.max(0)) + 1, 1, size).astype(int).tolist()
    return x0, y0, x1, y1


def pixelised(image: Image, landmarks: Floats, block: int) -> Image:
    """A copy (S, S, 3) whose face is made of squares of `block` px, each in its mean colour."""
    x0, y0, x1, y1 = face_box(landmarks, len(image))
    result = image.copy()
    for y in range(y0, y1, block):
        for x in range(x0, x1, block):
            square = result[y : min(y + block, y1), x : min(x + block, x1)]
            square[...] = np.round(square.mean((0, 1))).astype(np.uint8)
    return result


def blurred(image: Image, landmarks: Floats, kernel: int) -> Image:
    """A copy (S, S, 3) whose face is blurred by a Gaussian of `kernel` px (odd), sigma .3 ((kernel - 1) / 2 - 1) + .8.

    That is OpenCV's rule for a kernel without a sigma: 2.6 px for 15, 4.1 px for 25.
    """
    x0, y0, x1, y1 = face_box(landmarks, len(image))
    result = image.copy()
    result[y0:y1, x0:x1] = cv2.GaussianBlur(image, (kernel, kernel), 0)[y0:y1, x0:x1]
    return result
