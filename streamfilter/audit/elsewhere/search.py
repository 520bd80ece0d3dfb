"""Looks at the faces of the result, wherever they are: is one of them a person of the original?"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from streamfilter.audit.crops import Square
from streamfilter.audit.elsewhere.conclusion import Anywhere, conclusion
from streamfilter.audit.elsewhere.looks import Look
from streamfilter.audit.elsewhere.people import People
from streamfilter.audit.elsewhere.records import Known, Place, Records, Waiting
from streamfilter.audit.limits import Limits
from streamfilter.audit.moment import Moment
from streamfilter.audit.recognise import Recogniser
from streamfilter.audit.scout import Sighting
from streamfilter.metrics.boxes import iou
from streamfilter.structures import Doubles, Floats, Image

FACES_AT_ONCE = 4
CROP_PX, AROUND = 160, 1.8
SAME_PLACE = 0.3


class Elsewhere:
    """Every face that detectors find in the result is embedded by its own points, and compared with all people.

    Faces in which nobody is known yet are compared once more at the end, with those who came later. Memory is bounded.

    Args:
        recognisers: Whoever at least two of them know is recognised.
        limits: `recognised_anywhere` is used.
        seed: Of the draw, where more faces wait for the end than there is room for.
    """

    def __init__(self, recognisers: Sequence[Recogniser], limits: Limits, *, seed: int = 0) -> None:
        self._recognisers, self._limits = tuple(recognisers), limits
        self.people, self.records = People(recognisers, seed=seed), Records(seed)

    def meet(self, moment: Moment) -> None:
        """The original's people, from all faces whose embeddings were taken."""
        for face in moment.faces:
            if all(recogniser.name in face.identity for recogniser in self._recognisers):
                self.people.add(face.person, {name: pair[0] for name, pair in face.identity.items()})

    def look(self, moment: Moment, looks: Sequence[Look]) -> None:
        """One more moment, and what was found in its result."""
        self.meet(moment)
        for look in looks:
            self.records.pictures += look.turned == 0
            chosen = _chosen(look, moment)
            self.records.faces += len(chosen)
            if chosen and self._recognisers:
                self._compare(moment, look, chosen)

    def conclude(self) -> Anywhere | None:
        """All that was recognised, also in faces that came before the original's; None where nothing was looked at."""
        self._look_again()
        return conclusion(self.records, self.people, self._limits) if self.records.pictures else None

    def _look_again(self) -> None:
        waiting, self.records.waiting = self.records.waiting, []
        for face, cosines in zip(waiting, self.people.known([face.embeddings for face in waiting]), strict=True):
            if cosines is not None:
                self.records.recognised(Known(place=face.place, cosines=cosines))

    def _compare(self, moment: Moment, look: Look, faces: Sequence[Sighting]) -> None:
        points = np.stack([face.points for face in faces]).astype(np.float32)
        vectors = {recogniser.name: recogniser.embed(look.image, points) for recogniser in self._recognisers}
        embeddings = [{name: rows[i] for name, rows in vectors.items()} for i in range(len(faces))]
        place = Place(source=moment.source, time_s=moment.time_s, turned=look.turned)
        for face, vector, cosines in zip(faces, embeddings, self.people.known(embeddings), strict=True):
            if cosines is None:
                self.records.wait(Waiting(place=place, embeddings=vector))
            else:
                crop = _crop(look.image, face) if self.records.room_for_a_picture else None
                self.records.recognised(Known(place=place, cosines=cosines, crop=crop))


def _chosen(look: Look, moment: Moment) -> list[Sighting]:
    """At most so many: first those where the original has no face, then the largest."""
    found = sorted(look.sightings, key=lambda face: -float(face.xyxy[2] - face.xyxy[0]))
    if look.turned == 0 and len(found) > FACES_AT_ONCE:
        theirs, ours = _boxes([face.xyxy for face in moment.faces]), _boxes([face.xyxy for face in found])
        at_home = iou(ours, theirs).max(1, initial=0.0) >= SAME_PLACE
        found = [found[i] for i in np.argsort(at_home, kind="stable")]
    return found[:FACES_AT_ONCE]


def _boxes(boxes: Sequence[Floats]) -> Doubles:
    return np.asarray(boxes, np.float64).reshape(-1, 4)


def _crop(image: Image, face: Sighting) -> Image | None:
    area = Square.around(face.xyxy, AROUND)
    return area.cut(image, CROP_PX) if area else None
