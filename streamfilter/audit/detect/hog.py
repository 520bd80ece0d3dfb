"""dlib's frontal detector (King, 2009): histograms of gradients in a window of 80 px, five directions of the head."""

from __future__ import annotations

import dlib
import numpy as np

from streamfilter.audit.detect import looking
from streamfilter.audit.detect.windows import resized
from streamfilter.structures import Doubles, Image

LONG_SIDE_PX = 1280
SMALL_PICTURE_PX = 720  # up to here the picture is doubled first, as its window is large


class Hog:
    """Finds frontal faces in RGB pictures, from about 40 px in small pictures and 80 px in others."""

    def __init__(self) -> None:
        self._detect = dlib.get_frontal_face_detector()

    def __call__(self, image: Image) -> Doubles:
        """Boxes (n, 5: xyxy and dlib's score, a distance from its limit) in pixels of the picture, best first."""
        longest = max(image.shape[:2])
        factor = min(1.0, LONG_SIDE_PX / longest)
        boxes = self._boxes(resized(image, factor), doubled=longest <= SMALL_PICTURE_PX)
        boxes[:, :4] /= factor
        return boxes

    def near(self, image: Image, box: Doubles) -> bool:
        """Whether there is a face at this box (4,), looking at its surroundings only."""
        crop, place = looking.surroundings(image, box)
        return looking.is_there(self._boxes(crop, doubled=False), place)

    def _boxes(self, image: Image, *, doubled: bool) -> Doubles:
        found, scores, _ = self._detect.run(np.ascontiguousarray(image), int(doubled), 0.0)
        rows = [(b.left(), b.top(), b.right() + 1, b.bottom() + 1, s) for b, s in zip(found, scores, strict=True)]
        boxes = np.array(rows, np.float64).reshape(-1, 5)
        return boxes[np.argsort(-boxes[:, 4], kind="stable")]
