"""Pictures of the worst moments: the face in the result, the same in the original, and where in the frame it is."""

from __future__ import annotations

from collections.abc import Sequence

import cv2
import numpy as np

from streamfilter.audit.crops import Square
from streamfilter.structures import Floats, Image

CROP_PX = 160
AROUND = 0.4  # of the box's size on each side
PLACE_PX = 320
COARSE_PX = 40  # of the blurred frame, along its longer side
BLOCKS = 4  # across a hidden face
RED, WIDE = (214, 48, 49), 2


def area_of(xyxy: Floats) -> Square:
    """What is cut out: the face with some room around it."""
    return Square.around(xyxy, 1 + 2 * AROUND) or Square(int(xyxy[0]), int(xyxy[1]), 2)


def crop_of(picture: Image, xyxy: Floats) -> Image:
    """The face with some room around it, (CROP_PX, CROP_PX, 3); edges are repeated where it leaves the frame."""
    return area_of(xyxy).cut(picture, CROP_PX)


def place_of(picture: Image, xyxy: Floats, faces: Sequence[Floats]) -> Image:
    """The whole frame as a blur, every face in it as a few blocks of colour, and a frame around the one in question.

    A blur, because there may be faces in it that the detectors missed too.
    """
    scale = PLACE_PX / max(picture.shape[:2])
    width, height = (max(1, round(side * scale)) for side in picture.shape[1::-1])
    coarse = tuple(max(1, round(side / PLACE_PX * COARSE_PX)) for side in (width, height))
    blur = cv2.resize(picture, coarse, interpolation=cv2.INTER_AREA)
    small = np.asarray(cv2.resize(blur, (width, height), interpolation=cv2.INTER_CUBIC), np.uint8)
    for box in faces:
        _hide(small, box * scale)
    x0, y0, x1, y1 = (xyxy * scale).round().astype(int).tolist()
    cv2.rectangle(small, (x0, y0), (x1, y1), RED, WIDE)
    return small


def _hide(picture: Image, box: Floats) -> None:
    room = np.array([-1, -1, 1, 1]) * 0.25 * np.tile(box[2:] - box[:2], 2)
    x0, y0, x1, y1 = np.maximum(box + room, 0).astype(int)
    part = picture[y0:y1, x0:x1]
    if part.size:
        blocks = cv2.resize(part, (BLOCKS, BLOCKS), interpolation=cv2.INTER_AREA)
        part[...] = cv2.resize(blocks, part.shape[1::-1], interpolation=cv2.INTER_NEAREST)
