"""Looks at every face of every frame: do its pixels survive?"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import cache

import numpy as np

from streamfilter.audit.leaks import conclusion
from streamfilter.audit.leaks.pictures import area_of, crop_of, place_of
from streamfilter.audit.leaks.records import Counts, Ranking, Runs, Worst
from streamfilter.audit.limits import Limits
from streamfilter.audit.moment import Face, Moment
from streamfilter.audit.original_faces import PARTLY
from streamfilter.audit.sampling import Timeline
from streamfilter.audit.scout import Detect
from streamfilter.audit.section import Section
from streamfilter.audit.showable import Showable
from streamfilter.metrics.boxes import iou
from streamfilter.metrics.survival import Survival, coding_floor, survival
from streamfilter.structures import Doubles, Floats, Image

SHEET = 12
SAME_PLACE = 0.3
REMEMBERED_S = 0.5
STRETCH_S = 0.25


@dataclass(frozen=True, eq=False)
class _Compared:
    """What survives of whose face, in which box, and whether that is where the face is."""

    track: int
    found: Survival
    box: Floats
    sure: bool


class Leaks:
    """Bare faces, wherever they are: on all frames, not only on those that the detectors looked at.

    Between two looks of the detectors a face's place is only interpolated; a fast head may be elsewhere, and the
    untouched wall behind it is no leak. So a frame with a bare place that was interpolated is looked at once more with
    `detect`.

    Args:
        detect: Finds faces in an RGB picture (H, W, 3).
        limits: What is judged.
        showable: Which crops of the result may be shown to anyone; asked at the end, filled by whoever made it.
    """

    def __init__(self, detect: Detect, limits: Limits, showable: Showable) -> None:
        self._detect = detect
        self._limits, self._showable = limits, showable
        self._counts, self._runs = Counts(), Runs()
        self._course, self._ranking = Timeline[float](max, STRETCH_S), Ranking(SHEET)
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
        sighted = cache(lambda: self._sighted(moment.original))
        compared = [self._compare(moment, face, floor, sighted) for face in moment.faces]
        bare = [self._count(moment, face, found) for face, found in zip(moment.faces, compared, strict=True)]
        for one in compared:
            if one.sure:
                self._course.add(time_s, one.found.share)
                self._rank(moment, one, compared)
        if any(bare):
            self._counts.list_frame(moment.source, moment.index)
            self._runs.add(moment.source, moment.index, moment.time_s, frame_s)

    def beside(self, *, unseen_frames: int, further_pictures: int) -> None:
        """After a file's last moment: what its result holds beside what was compared."""
        self._counts.unseen += unseen_frames
        self._counts.further_pictures += further_pictures

    def conclude(self) -> Section:
        """What was found."""
        return conclusion.section(
            self._counts,
            self._runs,
            self._course,
            self._ranking.ranked(),
            limits=self._limits,
            showable=self._showable,
        )

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

    def _count(self, moment: Moment, face: Face, one: _Compared) -> bool:
        """Count a face; whether it is bare."""
        counts, found = self._counts, one.found
        counts.faces += 1
        counts.faces_by_source[moment.source] += 1
        counts.unconfirmed += found.bare and not one.sure
        counts.partly += found.share >= PARTLY and not found.bare
        bare = found.bare and one.sure
        if bare:
            counts.bare += 1
            counts.by_source[moment.source] += 1
            self._bare_at[face.track] = moment.time_s
        return bare

    def _sighted(self, image: Image) -> Doubles:
        """Boxes (n, 4) of the faces in a picture."""
        return np.array([seen.xyxy for seen in self._detect(image)], np.float64).reshape(-1, 4)

    def _compare(self, moment: Moment, face: Face, floor: float, sighted: Callable[[], Doubles]) -> _Compared:
        found = survival(moment.original, moment.result, face.xyxy, floor)
        lately = moment.time_s - self._bare_at.get(face.track, -np.inf) <= REMEMBERED_S
        if not found.bare or face.seen or lately:
            return _Compared(face.track, found, face.xyxy, sure=True)
        boxes = sighted()
        overlap = iou(face.xyxy[None].astype(np.float64), boxes)[0]
        if not overlap.size or overlap.max() < SAME_PLACE:
            return _Compared(face.track, found, face.xyxy, sure=False)
        box = boxes[int(overlap.argmax())].astype(np.float32)
        return _Compared(face.track, survival(moment.original, moment.result, box, floor), box, sure=True)

    def _rank(self, moment: Moment, one: _Compared, all_faces: Sequence[_Compared]) -> None:
        if not self._ranking.wants(one.found.share):
            return
        area = area_of(one.box)
        inside = [other for other in all_faces if area.touches(other.box)]
        self._ranking.add(
            one.track,
            Worst(
                share=one.found.share,
                order=self._ranking.next_order(),
                source=moment.source,
                index=moment.index,
                time_s=moment.time_s,
                shows=any(other.found.share >= PARTLY for other in inside),
                tracks=(one.track, *(other.track for other in inside)),
                crop=crop_of(moment.result, one.box),
                original=crop_of(moment.original, one.box),
                place=place_of(moment.result, one.box, [face.xyxy for face in moment.faces]),
            ),
        )
