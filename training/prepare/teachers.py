"""Who says where the 68 landmarks are: dlib's predictor, or our own network for those who may not use its file."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Protocol

import cv2
import dlib
import numpy as np

from streamfilter.errors import ConfigError
from streamfilter.landmarks import Landmarker, to_frame
from streamfilter.structures import Floats, Image, Track
from training.generator.measure import DlibTeacher
from training.landmarks.teacher import Teacher as SteadyTeacher
from training.landmarks.teacher import error, quad_of_landmarks

FIRST_LOOK_PX, SECOND_LOOK_PX = 640, 1280
"""Longer side of the picture in which a face is looked for; the detector's window is 80 px."""
MAX_ENLARGED = 2.0
MAX_DISAGREEMENT = 0.15
"""Between first and second look, in distances of the outer corners of the eyes."""
MIN_CONFIDENCE = 0.5

NO_FACE = "no face found"
UNSURE = "the landmarks cannot be trusted"


class Unusable(Exception):  # noqa: N818
    """A picture gives no sample; the text is the reason."""


class Teacher(Protocol):
    """Finds the landmarks of a picture's largest face; `name` goes into the report."""

    name: str

    def __call__(self, image: Image) -> Floats:
        """Landmarks (68, 2), in pixels, of an (H, W, 3) RGB picture.

        Raises:
            Unusable: there is no face, or none that can be trusted.
        """


class DlibLandmarks:
    """dlib's HOG detector and 68-point predictor.

    The predictor answers in whole pixels, so a second look takes the mean over four starts in an upright crop.

    Args:
        predictor: dlib's `shape_predictor_68_face_landmarks.dat`.
    """

    name = "dlib"

    def __init__(self, predictor: Path) -> None:
        self._look = DlibTeacher(predictor)
        self._look_again = SteadyTeacher(predictor)

    def __call__(self, image: Image) -> Floats:
        """See `Teacher`."""
        coarse = _in_two_sizes(image, self._look)
        quad = quad_of_landmarks(coarse)
        fine = to_frame(self._look_again(image, quad).points, quad)
        if error(fine, coarse) > MAX_DISAGREEMENT:
            raise Unusable(UNSURE)
        return fine


class OwnLandmarks:
    """dlib's HOG detector, whose licence is free, and the landmark network that streamfilter ships."""

    name = "own"

    def __init__(self) -> None:
        self._detect = dlib.get_frontal_face_detector()
        self._landmarks = Landmarker.load(threads=1)

    def __call__(self, image: Image) -> Floats:
        """See `Teacher`."""
        corners = _in_two_sizes(image, self._box)
        # The crop of a box is rough: the second pass starts from the landmarks of the first.
        (first,) = self._landmarks(image, [Track(0, corners.ravel())])
        (second,) = self._landmarks(image, [first])
        if second.landmarks is None or second.confidence < MIN_CONFIDENCE:
            raise Unusable(UNSURE)
        return second.landmarks

    def _box(self, image: Image) -> Floats | None:
        found = self._detect(image, 0)
        if not found:
            return None
        box = max(found, key=lambda one: one.area())
        return np.array([[box.left(), box.top()], [box.right(), box.bottom()]], np.float32)


def _in_two_sizes(image: Image, look: Callable[[Image], Floats | None]) -> Floats:
    """Points that `look` finds in the reduced picture, or else in a larger one; in pixels of `image`."""
    longest = max(image.shape[:2])
    for factor in (min(FIRST_LOOK_PX / longest, 1.0), min(SECOND_LOOK_PX / longest, MAX_ENLARGED)):
        how = cv2.INTER_AREA if factor < 1 else cv2.INTER_LINEAR
        found = look(np.asarray(cv2.resize(image, None, fx=factor, fy=factor, interpolation=how), np.uint8))
        if found is not None:
            return np.asarray((found + 0.5) / factor - 0.5, np.float32)
    raise Unusable(NO_FACE)


def make_teacher(name: str, predictor: Path | None) -> Teacher:
    """The teacher of this name.

    Raises:
        ConfigError: dlib's file is not given, or is something else.
    """
    if name == OwnLandmarks.name:
        return OwnLandmarks()
    if predictor is None:
        raise ConfigError(
            "--teacher dlib needs --predictor FILE: shape_predictor_68_face_landmarks.dat from http://dlib.net/files/; "
            "or use --teacher own"
        )
    try:
        return DlibLandmarks(predictor)
    except RuntimeError as error:
        raise ConfigError(f"--predictor {predictor} is no dlib shape predictor: {error}") from error
