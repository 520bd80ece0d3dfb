"""Looks at every face of every frame: do its pixels survive?"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Protocol

import numpy as np

from streamfilter.audit.leaks import conclusion
from streamfilter.audit.leaks.pictures import crop_of, place_of
from streamfilter.audit.leaks.records import Counts, Course, Ranking, Runs, Worst
from streamfilter.audit.limits import Limits
from streamfilter.audit.moment import Face, Moment
from streamfilter.audit.section import Section
from streamfilter.metrics.boxes import iou
from streamfilter.metrics.survival import Survival, coding_floor, survival
from streamfilter.structures import Floats, Image

SHEET = 12
PARTLY = 0.25
SAME_PLACE = 0.3
REMEMBERED_S = 0.5


class Sighted(Protocol):
    """What a detector gives."""

    @property
    def xyxy(self) -> Floats:
        """(4,)."""


class Leaks:
    """Bare faces, wherever they are: on all frames, not only on those that the detectors looked at.

    Between two looks of the detectors a face's place is only interpolated; a fast head may be elsewhere, and the
    untouched wall behind it is no leak. So a bare place that was interpolated is looked at once more with `detect`.

    Args:
        detect: Finds faces in an RGB picture (H, W, 3).
    """

    def __init__(self, detect: Callable[[Image], Sequence[Sighted]], limits: Limits) -> None:
        self._detect = detect
        self._limits = limits
        self._counts, self._runs = Counts(), Runs()
        self._course, self._ranking = Course(), Ranking(SHEET)
        self._bare_at: dict[int, float] = {}
        self._start_s = 0.0
        self._before: tuple[str, float] = ("", 0.0)
        self._offset_s = 0.0

    def look(self, moment: Moment) -> None:
        """One more moment."""
        time_s, frame_s = self._along(moment)
        self._counts.frames += 1
        if not moment.faces:
            return
        floor = coding_floor(moment.original, moment.result, [face.xyxy for face in moment.faces])
        bare = [self._face(moment, face, floor, time_s) for face in moment.faces]
        if any(bare):
            self._counts.list_frame(moment.source, moment.index)
            self._runs.add(moment.source, moment.index, moment.time_s, frame_s)

    def conclude(self) -> Section:
        """What was found."""
        return conclusion.section(self._counts, self._runs, self._course, self._ranking.ranked(), self._limits)

    def _along(self, moment: Moment) -> tuple[float, float]:
        """Time over all files in a row, and how long the frame before stood."""
        source, last = self._before
        if moment.source != source:
            self._offset_s += last - self._start_s + (1.0 if source else 0.0)
            self._start_s = moment.time_s
            last = moment.time_s
            self._bare_at.clear()
        self._before = moment.source, moment.time_s
        return self._offset_s + moment.time_s - self._start_s, max(moment.time_s - last, 0.0)

    def _face(self, moment: Moment, face: Face, floor: float, time_s: float) -> bool:
        found, box, sure = self._compare(moment, face, floor)
        counts = self._counts
        counts.faces += 1
        counts.faces_by_source[moment.source] += 1
        counts.unconfirmed += found.bare and not sure
        counts.partly += found.share >= PARTLY and not found.bare
        bare = found.bare and sure
        if bare:
            counts.bare += 1
            counts.by_source[moment.source] += 1
            self._bare_at[face.track] = moment.time_s
        if sure:
            self._course.add(time_s, found.share)
            self._rank(moment, face.track, box, found)
        return bare

    def _compare(self, moment: Moment, face: Face, floor: float) -> tuple[Survival, Floats, bool]:
        """What survives, in which box, and whether that is where the face is."""
        found = survival(moment.original, moment.result, face.xyxy, floor)
        lately = moment.time_s - self._bare_at.get(face.track, -np.inf) <= REMEMBERED_S
        if not found.bare or face.seen or lately:
            return found, face.xyxy, True
        boxes = np.array([sighted.xyxy for sighted in self._detect(moment.original)], np.float64).reshape(-1, 4)
        overlap = iou(face.xyxy[None].astype(np.float64), boxes)[0]
        if not overlap.size or overlap.max() < SAME_PLACE:
            return found, face.xyxy, False
        box = boxes[int(overlap.argmax())].astype(np.float32)
        return survival(moment.original, moment.result, box, floor), box, True

    def _rank(self, moment: Moment, track: int, box: Floats, found: Survival) -> None:
        if not self._ranking.wants(found.share):
            return
        self._ranking.add(
            track,
            Worst(
                share=found.share,
                order=self._ranking.next_order(),
                source=moment.source,
                index=moment.index,
                time_s=moment.time_s,
                bare=found.bare,
                crop=crop_of(moment.result, box),
                original=crop_of(moment.original, box),
                place=place_of(moment.result, box, [face.xyxy for face in moment.faces]),
            ),
        )
