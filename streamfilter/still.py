"""Finds the faces of a photo: there is time, and there will be no second frame.

A video is looked at again and again, and what one frame hides the next one shows. A photo is looked at from near and
from far, brightened, and with room around its edges, where half a face is cut off. What only one of these looks takes
for a face must be sure; what two of them see need not be.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import cv2
import numpy as np
from numpy.typing import NDArray

from streamfilter.detect import BELIEVED, Detector, brightened, echoes, overlap, suppress
from streamfilter.structures import Detections, Image

SAME_FACE = 0.4


@dataclass(frozen=True, kw_only=True)
class Look:
    """One way to look: at this resolution, with a mirrored border of this part of the shorter side."""

    long_side_px: int
    border: float = 0.0


LOOKS = (Look(long_side_px=320), Look(long_side_px=448), Look(long_side_px=1280),
         Look(long_side_px=320, border=0.25), Look(long_side_px=448, border=0.25))  # fmt: skip


class StillDetector:
    """A `Detector` that looks six times; keeps no memory."""

    def __init__(self, detector: Detector, looks: Sequence[Look] = LOOKS) -> None:
        self.detector = detector
        self._looks = tuple(looks)

    def __call__(self, image: Image) -> Detections:
        """Find the faces of an RGB picture (H, W, 3); raises what `Detector` raises."""
        first, lit = self.detector(image), brightened(image)
        more = [self._seen(lit, look) for look in self._looks]
        others = [[first, *more[:i], *more[i + 1 :]] for i in range(len(more))]
        added = [believed(found, besides) for found, besides in zip(more, others, strict=True)]
        return self._each_once(first, _joined(added))

    def _seen(self, image: Image, look: Look) -> Detections:
        edge = round(look.border * min(image.shape[:2]))
        wide = cv2.copyMakeBorder(image, edge, edge, edge, edge, cv2.BORDER_REFLECT_101) if edge else image
        found = self.detector(np.asarray(wide, np.uint8), long_side_px=look.long_side_px)
        height, width = image.shape[:2]
        xyxy = found.xyxy - edge
        middle = (xyxy[:, :2] + xyxy[:, 2:]) / 2
        inside = ((middle >= 0) & (middle < (width, height))).all(-1)  # not the mirror images in the border
        return _rows(Detections(xyxy, found.score, found.landmarks - edge), np.flatnonzero(inside))

    def _each_once(self, first: Detections, added: Detections) -> Detections:
        """All of the first look, and of the others what lies elsewhere and repeats no face at another scale."""
        config = self.detector.config
        elsewhere = [overlap(box, first.xyxy).max(initial=0.0) <= config.nms_iou for box in added.xyxy]
        added = _rows(added, np.flatnonzero(np.array(elsewhere, bool)))
        both = _joined([first, _rows(added, suppress(added.xyxy, added.score, config.nms_iou))])
        repeated = echoes(both.xyxy, both.score, config.threshold)
        repeated[: len(first)] = False  # however sure a small box within it is, a face of the first look stays
        return _rows(both, np.flatnonzero(~repeated))


def believed(found: Detections, others: Sequence[Detections]) -> Detections:
    """Of one look's faces those that are sure, or that another look sees too."""
    seen = _joined(others).xyxy
    twice = [overlap(box, seen).max(initial=0.0) >= SAME_FACE for box in found.xyxy]
    return _rows(found, np.flatnonzero((found.score >= BELIEVED) | np.array(twice, bool)))


def _rows(found: Detections, rows: NDArray[np.intp]) -> Detections:
    return Detections(found.xyxy[rows], found.score[rows], found.landmarks[rows])


def _joined(parts: Sequence[Detections]) -> Detections:
    return Detections(
        np.concatenate([part.xyxy for part in parts]),
        np.concatenate([part.score for part in parts]),
        np.concatenate([part.landmarks for part in parts]),
    )
