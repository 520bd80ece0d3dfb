"""Do landmarks tremble: bursts of three consecutive frames, the same predictor on both pictures at the same place.

It looks at crops of one size, since dlib answers in whole pixels: on a face of 50 px that alone would tremble by .02.
"""

from __future__ import annotations

from typing import Protocol

import numpy as np

from streamfilter.audit.consistency.flickering import follows
from streamfilter.audit.crops import Square
from streamfilter.audit.moment import Face, Moment
from streamfilter.audit.sampling import Sample
from streamfilter.audit.section import Figure
from streamfilter.metrics.jitter import jitter
from streamfilter.structures import Floats, Image

CROP_PX, SURROUNDINGS = 384, 1.8
PACE_S = 1.0  # between the starts of two bursts of a track
MOST_BURSTS = 3  # at one time
FRAMES = 3


class Landmarker(Protocol):
    """Finds dlib's 68 points."""

    def pair(self, original: Image, result: Image, points: Floats) -> tuple[Floats, Floats]:
        """(68, 2) on the original, and at the same place of the result; `points` (5, 2) are the original's."""


class Jittering:
    """Follows a few tracks at a time for three frames each."""

    def __init__(self, landmarker: Landmarker | None) -> None:
        self._landmarker = landmarker
        self._last: Moment | None = None
        self._open: dict[int, list[Floats]] = {}
        self._started: dict[int, float] = {}
        self.added, self.original = Sample(), Sample()

    def look(self, moment: Moment) -> None:
        """One more moment."""
        if self._landmarker is None or moment.still:
            return
        last, self._last = self._last, moment
        if last is None or not follows(moment, last):
            self._open.clear()
            self._started.clear()
        faces = {face.track: face for face in moment.faces}
        self._open = {track: frames for track, frames in self._open.items() if track in faces}
        self._started = {track: time for track, time in self._started.items() if track in faces}
        for face in sorted(moment.faces, key=lambda face: self._started.get(face.track, -np.inf)):
            if face.track in self._open or self._may_start(face, moment.time_s):
                self._add(face, moment, self._landmarker)

    def _may_start(self, face: Face, time_s: float) -> bool:
        waited = time_s - self._started.get(face.track, -np.inf)
        return len(self._open) < MOST_BURSTS and waited >= PACE_S

    def _add(self, face: Face, moment: Moment, landmarker: Landmarker) -> None:
        points = landmarks_of(moment, face, landmarker)
        if points is None:
            return
        frames = self._open.setdefault(face.track, [])
        if not frames:
            self._started[face.track] = moment.time_s
        frames.append(points)
        if len(frames) == FRAMES:
            original, result = np.stack(self._open.pop(face.track), 1)
            found = jitter(original, result, face.width)
            self.added.add(found.added)
            self.original.add(found.original)

    def figures(self) -> tuple[Figure, ...]:
        """Median and 95th percentile of what the result adds, and the original's own median."""
        if self._landmarker is None or not self.added.count:
            note = "no landmark predictor" if self._landmarker is None else "no face on three consecutive frames"
            return (Figure(name="jitter", label="Landmark jitter", value=None, unit="face widths", n=0, note=note),)
        note = "second difference per frame of the result's landmarks less the original's own; below 0: calmer"
        n = self.added.count
        return tuple(
            Figure(name=name, label=label, value=value, unit="face widths", n=n, counted="burst", note=extra)
            for name, label, value, extra in (
                ("jitter", "Landmark jitter, median", self.added.quantile(0.5), note),
                ("jitter_p95", "Landmark jitter, 95th percentile", self.added.quantile(0.95), ""),
                ("original_jitter", "The original's own jitter, median", self.original.quantile(0.5), ""),
            )
        )


def landmarks_of(moment: Moment, face: Face, landmarker: Landmarker) -> Floats | None:
    """(2, 68, 2) on the original and on the result, in pixels of the frame; None for a box without an area."""
    area = Square.around(face.xyxy, SURROUNDINGS)
    if area is None:
        return None
    original, result = (area.cut(image, CROP_PX) for image in (moment.original, moment.result))
    found = landmarker.pair(original, result, area.inwards(face.points, CROP_PX))
    return np.stack([area.outwards(points, CROP_PX) for points in found])
