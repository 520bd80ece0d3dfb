"""What the detectors' networks are shown: the picture reduced and padded, or the surroundings of one box enlarged."""

from __future__ import annotations

from collections.abc import Callable, Sequence

import cv2
import numpy as np

from streamfilter.audit.detect.windows import cut
from streamfilter.detect import MULTIPLE, resize, suppress
from streamfilter.metrics.boxes import iou
from streamfilter.structures import Detections, Doubles, Floats, Image

FACE_PX = 100
SURROUNDINGS = 0.6  # beyond each edge of a box, in parts of its longer side
SAME_FACE = 0.3  # overlap (IoU) of two detectors' boxes of one face: they draw it from the brows or from the hair

# Input (1, 3, H, W) of a network -> what it finds there, in pixels of the input.
See = Callable[[Floats], Detections]


def look(image: Image, long_sides_px: Sequence[int], see: See, max_iou: float) -> Detections:
    """What a network sees of an RGB picture at several sizes: best first, each face once, clipped to the picture.

    Small faces show in the large look, faces that fill the picture or are cut by its edge in the small one.

    Args:
        image: (H, W, 3) uint8.
        long_sides_px: The looks; no picture is enlarged for one.
        see: The network and its decoder.
        max_iou: Of two boxes that overlap more, the better stays.
    """
    longest = max(image.shape[:2])
    looks = [_look(image, side, see) for side in sorted({min(side, longest) for side in long_sides_px})]
    xyxy, score, landmarks = (np.concatenate(parts) for parts in zip(*looks, strict=True))
    keep = suppress(xyxy, score, max_iou)
    edges = np.array([image.shape[1], image.shape[0]] * 2, np.float32)
    return Detections(np.clip(xyxy[keep], 0, edges), score[keep], landmarks[keep])


def _look(image: Image, long_side_px: int, see: See) -> tuple[Floats, Floats, Floats]:
    tensor, scale = as_input(image, long_side_px)
    found = see(tensor)
    return found.xyxy * np.tile(scale, 2), found.score, found.landmarks * scale


def as_input(image: Image, long_side_px: int) -> tuple[Floats, Floats]:
    """An RGB picture of this long side as (1, 3, H, W), values 0..255, black beyond its edges up to a multiple of 32.

    Also (x, y): how many pixels of the picture one pixel of the input is.
    """
    factor = long_side_px / max(image.shape[:2])
    height, width = (max(1, round(side * factor)) for side in image.shape[:2])
    small = resize(image, height, width)
    padded = cv2.copyMakeBorder(small, 0, -height % MULTIPLE, 0, -width % MULTIPLE, cv2.BORDER_CONSTANT)
    scale = np.array([image.shape[1] / width, image.shape[0] / height], np.float32)
    return np.ascontiguousarray(padded.transpose(2, 0, 1)[None], np.float32), scale


def surroundings(image: Image, box: Doubles) -> tuple[Image, Doubles]:
    """The place of a box, scaled so that its longer side is `FACE_PX`; and the box (4,) in that crop."""
    side = max(1.0, float((box[2:4] - box[:2]).max()))
    middle, half = (box[:2] + box[2:4]) / 2, side * (0.5 + SURROUNDINGS)
    window = np.concatenate([middle - half, middle + half])
    size = round(FACE_PX * (1 + 2 * SURROUNDINGS))
    return cut(image, window, size), (box[:4] - np.tile(window[:2], 2)) * (size / (2 * half))


def is_there(boxes: Doubles, box: Doubles) -> bool:
    """Whether any of these boxes (n, 4 or more) shows the face of the box (4,)."""
    return bool((iou(boxes[:, :4], box[None, :4]) >= SAME_FACE).any())
