"""dlib's frontal detector and 68-point predictor, over all faces of a frame."""

from __future__ import annotations

from pathlib import Path

import cv2
import dlib
import numpy as np

from streamfilter.structures import Doubles, Floats, Image

LONG_SIDE_PX = 1280
SMALL_PICTURE_PX = 720  # up to here the picture is doubled first: the detector's window is 80 px


class DlibFaces:
    """Finds frontal faces and their landmarks in RGB pictures.

    Args:
        predictor: dlib's `shape_predictor_68_face_landmarks.dat`.
    """

    def __init__(self, predictor: Path) -> None:
        self._detect = dlib.get_frontal_face_detector()
        self._predict = dlib.shape_predictor(str(predictor))

    def boxes(self, image: Image, *, doubled: bool | None = None) -> Doubles:
        """Boxes (n, 4), xyxy; `doubled`: whether the picture is enlarged first, by default if it is small."""
        longest = max(image.shape[:2])
        factor = min(1.0, LONG_SIDE_PX / longest)
        small = cv2.resize(image, None, fx=factor, fy=factor, interpolation=cv2.INTER_AREA) if factor < 1 else image
        doubled = longest <= SMALL_PICTURE_PX if doubled is None else doubled
        found = self._detect(np.ascontiguousarray(small), int(doubled))
        edges = [(box.left(), box.top(), box.right() + 1, box.bottom() + 1) for box in found]
        return np.array(edges, np.float64).reshape(-1, 4) / factor

    def landmarks(self, image: Image, box: Doubles) -> Floats:
        """The 68 landmarks (68, 2) of the face in a box."""
        x0, y0, x1, y1 = (round(float(edge)) for edge in box)
        shape = self._predict(image, dlib.rectangle(x0, y0, x1 - 1, y1 - 1))
        return np.array([(p.x, p.y) for p in shape.parts()], np.float32)
