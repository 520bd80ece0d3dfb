"""One picture -> one aligned face with its landmarks, or the reason why there is none."""

from __future__ import annotations

from dataclasses import dataclass

import cv2
import numpy as np

from streamfilter.align import crop, ffhq_matrix, transform
from streamfilter.structures import Floats, Image
from training.prepare.teachers import Teacher, Unusable

SIDE = 256
QUALITY = 95
SMALLEST_PX = 64
"""Side of the crop in the picture; below it the eyes are 16 px apart and nothing of the mouth can be told."""

UNREADABLE = "cannot be read"
TOO_SMALL = f"the face's crop is under {SMALLEST_PX} px"


@dataclass(frozen=True, eq=False, kw_only=True)
class Face:
    """An aligned face.

    Attributes:
        jpeg: the aligned crop, `SIDE` px, encoded.
        landmarks: (68, 2) in [0, 1] of the crop.
        matrix: (2, 3), picture -> crop.
    """

    jpeg: bytes
    landmarks: Floats
    matrix: Floats


def face_of(image: Image, teacher: Teacher) -> Face:
    """Align the largest face of an (H, W, 3) RGB picture as FFHQ does.

    Raises:
        Unusable: no face, one that is too small, or landmarks that cannot be trusted.
    """
    found = teacher(image)
    matrix = ffhq_matrix(found, SIDE)
    if SIDE / float(np.hypot(matrix[0, 0], matrix[1, 0])) < SMALLEST_PX:
        raise Unusable(TOO_SMALL)
    landmarks = (transform(found, matrix) + 0.5) / SIDE
    return Face(jpeg=encode(crop(image, matrix, SIDE)), landmarks=landmarks.astype(np.float32), matrix=matrix)


def encode(image: Image) -> bytes:
    """RGB picture -> JPEG."""
    _, data = cv2.imencode(".jpg", cv2.cvtColor(image, cv2.COLOR_RGB2BGR), [cv2.IMWRITE_JPEG_QUALITY, QUALITY])
    return data.tobytes()


def movement(first: Face, second: Face) -> float:
    """Mean way of the landmarks between two frames, in sides of the first one's crop."""
    there = transform(_in_picture(second), first.matrix)
    return float(np.hypot(*(there + 0.5 - first.landmarks * SIDE).T).mean()) / SIDE


def _in_picture(face: Face) -> Floats:
    inverse = np.asarray(cv2.invertAffineTransform(face.matrix), np.float32)
    return transform(face.landmarks * SIDE - 0.5, inverse)
