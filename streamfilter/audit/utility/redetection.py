"""Whether other people's detectors still find the faces that they find in the original."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from typing import Protocol

import numpy as np

from streamfilter.audit.estimated import estimated, sentences
from streamfilter.audit.moment import Face, Moment
from streamfilter.audit.sampling import Pace, Reservoir
from streamfilter.audit.section import Figure
from streamfilter.audit.wording import amount
from streamfilter.metrics.by_group import Grouped, share_by_group
from streamfilter.structures import Doubles, Image

LABELS = {"dlib": "Faces that dlib's detector still finds", "mtcnn": "Faces that MTCNN still finds"}
FEWEST_FACES = 5

_ROW = np.dtype([("track", np.int64), ("found", np.bool_)])


class NearDetector(Protocol):
    """A detector that can be asked about one place."""

    def near(self, image: Image, box: Doubles) -> bool:
        """Whether there is a face at this box (4,) of an RGB picture."""
        ...


class Redetection:
    """Looks at each track at most every `interval_s`, in the original first; its denominator is what it finds there.

    Args:
        detectors: By name; `dlib` and `mtcnn` are the ones that limits are set for.
        interval_s: Seconds between two looks at a track.
    """

    def __init__(self, detectors: Mapping[str, NearDetector], interval_s: float) -> None:
        self._detectors = dict(detectors)
        self._interval_s = interval_s
        self._answers = {name: Reservoir(_ROW) for name in self._detectors}
        self._pace = Pace(interval_s)
        self._legible: dict[int, bool] = {}

    def next_file(self) -> None:
        """Tracks of the file before do not come again."""
        self._legible.clear()

    def look(self, moment: Moment) -> None:
        """Ask about the faces that are due."""
        for face in moment.faces:
            if face.seen and self._pace.due(moment.source, moment.time_s, face.track):
                self._legible[face.track] = self._ask(moment, face)

    def legible(self, track: int) -> bool:
        """Whether at the last look at a track a detector found its face in both pictures; without detectors, always.

        Landmarks are worth something only there: a predictor of landmarks answers on a black cover too.
        """
        return not self._detectors or self._legible.get(track, False)

    def figures(self, least: float) -> tuple[Figure, ...]:
        """The share that each detector still finds, with its limit."""
        return tuple(self._figure(name, least) for name in dict.fromkeys((*LABELS, *self._detectors)))

    def _ask(self, moment: Moment, face: Face) -> bool:
        """Whether one of the detectors finds the face in the original and in the result."""
        box = np.asarray(face.xyxy, np.float64)
        legible = False
        for name, detector in self._detectors.items():
            if detector.near(moment.original, box):
                found = detector.near(moment.result, box)
                self._answers[name].add(face.track, found)
                legible = legible or found
        return legible

    def _figure(self, name: str, least: float) -> Figure:
        share = self._share(name)
        few = share is None or share.n < FEWEST_FACES
        found = estimated(
            f"redetected_{name}",
            LABELS.get(name, f"Faces that {name} still finds"),
            share,
            note=self._note(few=few),
            missing=self._missing(name),
        )
        kept = None if share is None or few else share.value >= least
        return replace(found, n=self._seen(name), limit=f">= {least:g}", kept=kept)

    def _share(self, name: str) -> Grouped | None:
        rows = self._answers[name].rows if name in self._answers else np.zeros(0, _ROW)
        return share_by_group(rows["found"], rows["track"])

    def _seen(self, name: str) -> int:
        return self._answers[name].seen if name in self._answers else 0

    def _missing(self, name: str) -> str:
        known = name in self._detectors
        return "It finds none of the faces in the original." if known else "This detector was not there."

    def _note(self, *, few: bool) -> str:
        pace = amount(self._interval_s, "s")
        fewest = f"Fewer than {FEWEST_FACES} are not judged." if few else ""
        return sentences(f"Of the faces that it finds in the original, looked at every {pace} of a track.", fewest)
