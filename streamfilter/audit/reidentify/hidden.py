"""What blur and squares would have left: computed on the spot from some of the audit's own faces.

A face is cut out as an FFHQ crop of 256 px and hidden there as in the paper (`metrics.baselines`), in the region that
dlib's landmarks span; where a face has none, in its box, whose lower edge stands for the chin and whose upper edge for
the brows, which are raised by 12 % as those of landmarks are. `untouched` is the same crop as it is: what is lost by
cutting out alone.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from streamfilter.align import LEFT_EYE, RIGHT_EYE, crop, ffhq_matrix, transform
from streamfilter.audit.moment import Face, Moment
from streamfilter.audit.recognise import Recogniser
from streamfilter.audit.reidentify.kept import Seen
from streamfilter.audit.sampling import Lottery, Pace
from streamfilter.metrics.baselines import blurred, pixelised
from streamfilter.structures import Floats, Image

SIDE_PX = 256
MOST = 200
EVERY_S = 2.0

UNTOUCHED = "untouched"
METHODS: Mapping[str, Callable[[Image, Floats], Image]] = {
    UNTOUCHED: lambda image, landmarks: image,
    "blur 15": lambda image, landmarks: blurred(image, landmarks, 15),
    "blur 25": lambda image, landmarks: blurred(image, landmarks, 25),
    "squares 15": lambda image, landmarks: pixelised(image, landmarks, 15),
    "squares 25": lambda image, landmarks: pixelised(image, landmarks, 25),
}


@dataclass(frozen=True, eq=False, slots=True, kw_only=True)
class Hidden:
    """A face of the audit, and its embeddings per method and recogniser once it is hidden by that method."""

    seen: Seen
    embeddings: Mapping[str, Mapping[str, Floats]]


class Sample:
    """At most `most` faces of all, each as likely as any other ; of a track one in 2 s."""

    def __init__(self, recognisers: Sequence[Recogniser], *, most: int = MOST, seed: int = 0) -> None:
        self._recognisers = tuple(recognisers)
        self._lottery, self._pace = Lottery(most, seed), Pace(EVERY_S)
        self.faces: list[Hidden] = []

    def offer(self, moment: Moment, face: Face, seen: Seen) -> None:
        """A face with an identity, and what is kept of it."""
        if not self._pace.due(moment.source, moment.time_s, face.track):
            return
        place = self._lottery.place()
        if place is not None:
            self.faces[place : place + 1] = [Hidden(seen=seen, embeddings=self._embedded(moment.original, face))]

    def _embedded(self, image: Image, face: Face) -> dict[str, dict[str, Floats]]:
        picture, landmarks, points = cut_out(image, face)
        found = {}
        for name, hide in METHODS.items():
            changed = hide(picture, landmarks)
            found[name] = {r.name: r.embed(changed, points[None])[0] for r in self._recognisers}
        return found


def cut_out(image: Image, face: Face) -> tuple[Image, Floats, Floats]:
    """The crop (256, 256, 3), the 68 landmarks that say what to hide and the five points, both in its pixels."""
    landmarks = face.landmarks[0] if face.landmarks is not None else box_as_landmarks(face.xyxy)
    matrix = ffhq_matrix(eyes_and_mouth(face.points), SIDE_PX)
    return crop(image, matrix, SIDE_PX), transform(landmarks, matrix), transform(face.points, matrix)


def eyes_and_mouth(points: Floats) -> Floats:
    """Five points as those of 68 landmarks that an alignment needs: both eyes and the corners of the mouth."""
    landmarks = np.zeros((68, 2), np.float32)
    landmarks[LEFT_EYE], landmarks[RIGHT_EYE] = points[0], points[1]
    landmarks[48], landmarks[54] = points[3], points[4]
    return landmarks


def box_as_landmarks(xyxy: Floats) -> Floats:
    """A box as 68 points, so that chin and jaw lie on its lower corners and brows and bridge on its upper ones."""
    x0, y0, x1, y1 = xyxy
    landmarks = np.array([(x0, y1), (x1, y1)] * 34, np.float32)
    landmarks[17:28] = [(x0, y0), (x1, y0)] * 5 + [(x0, y0)]
    return landmarks
