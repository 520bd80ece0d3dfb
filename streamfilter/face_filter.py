"""The steps composed, without I/O: raw frames in, safe frames out, in order, some frames later.

Each region begins covered and generation may only replace the cover. Where the regions of a frame are not known, or
one of them could not be painted, the whole frame is blank. Faces are found in one frame while earlier ones are painted,
where somebody paints `beside`.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Sequence
from dataclasses import replace
from functools import partial

import numpy as np

from streamfilter.beside import Beside, Here, Painting
from streamfilter.config import FilterConfig
from streamfilter.containment import attempt
from streamfilter.decide import Decider, Decision
from streamfilter.errors import ProtectionError
from streamfilter.lookahead import Lookahead, Moment
from streamfilter.motion import area, inside
from streamfilter.painter import AnyAnonymizer, AnyCompositor, Cover, Order, Painter
from streamfilter.scene import SceneCut
from streamfilter.series import Series, Times, bridge, envelope
from streamfilter.shedding import Effort
from streamfilter.structures import Detections, Floats, Frame, Image, SafeFrame, Track
from streamfilter.timing import StageTimes
from streamfilter.track import NOMINAL_STEP_S, Tracker

BLANK_GREY = 40
MOST_PAINTING = 2  # frames that may be on their way through the painter; more would only wait there
SMOOTH_S = 0.25  # what is farther away says nothing of a landmark's place now

Detect = Callable[[Image], Detections | None]
Landmark = Callable[[Image, Sequence[Track]], list[Track]]
Smooth = Callable[[Times, Floats, Floats, int], Floats]


def blank(frame: Frame, reason: str) -> SafeFrame:
    """A uniform card in the place of a frame: nothing in it comes from the picture."""
    card = np.full_like(frame.image, BLANK_GREY)
    return SafeFrame(card, frame.index, frame.pts, frame.time_base, blanked=reason, captured_s=frame.captured_s)


class FaceFilter:
    """Protects the faces of one stream.

    Args:
        detect: Frame -> `Detections`; None where it did not run.
        landmark: Frame and tracks -> the same tracks with landmarks and confidence.
        anonymizer: Tracks -> crops -> patches; see `painter.AnyAnonymizer`.
        compositor: Patches -> frame; see `painter.AnyCompositor`.
        cover: Paints over a box; must not need a model.
        smooth: `(times, landmarks (t, 68, 2), confidence (t,), index)` -> the smoothed landmarks at `index`.
        config: All settings.
        detect_still: As `detect`, for photos; the same if not given.
        tracker: Detections -> tracks, with lasting ids.
        scene_cut: Frame -> whether a new scene begins with it.
        beside: Who paints; `Here` if not given. What finds faces and what paints them share no state but `times`.
    """

    def __init__(
        self,
        *,
        detect: Detect,
        landmark: Landmark,
        anonymizer: AnyAnonymizer,
        compositor: AnyCompositor,
        cover: Cover,
        smooth: Smooth,
        config: FilterConfig,
        detect_still: Detect | None = None,
        tracker: Tracker | None = None,
        scene_cut: SceneCut | None = None,
        beside: Beside | None = None,
    ) -> None:
        self.times = StageTimes()
        self._config = config
        self._detect, self._landmark, self._smooth = detect, landmark, smooth
        self._detect_still = detect_still or detect
        self._tracker = tracker or Tracker(config.track)
        self._scene_cut = scene_cut or SceneCut()
        self._lookahead = Lookahead(config.track, self._locate, config.anonymize.min_confidence)
        self._decider = Decider(config.anonymize, config.track.sure_score)
        self._painter = Painter(
            anonymizer=anonymizer, compositor=compositor, cover=cover, config=config.anonymize, times=self.times
        )
        self._effort = Effort()
        self._beside = beside or Here()
        self._painting: deque[Painting] = deque()
        self._forget_time_and_people()

    def set_effort(self, effort: Effort) -> None:
        """Do less work from the next frame on, or more again; every frame is looked at whatever the effort."""
        self._effort = effort
        self._painter.set_effort(effort)

    def push(self, frame: Frame) -> list[SafeFrame]:
        """Take in one frame; returns those that are finished: none at first, later mostly one."""
        time_s = self._clock(frame.time_s)
        if frame.captured_s is not None:  # live: painted while this one is searched, the picture comes sooner
            self._begin(self._lookahead.overdue(time_s))
        tracks, cut, failure = self._observe(frame, time_s)
        self._begin(self._lookahead.push(frame, time_s, tracks, cut=cut, failure=failure))
        return self._finished(most_left=MOST_PAINTING)

    def ready(self) -> list[SafeFrame]:
        """Those that were finished in the meantime; waits for nothing."""
        return self._finished(most_left=len(self._painting))

    @property
    def painting(self) -> bool:
        """Whether `ready` will have something before long."""
        return bool(self._painting)

    def flush(self) -> list[SafeFrame]:
        """All frames that still wait: the source has ended."""
        self._begin(self._lookahead.flush())
        safe = self._finished(most_left=0)
        self._beside.rest()
        return safe

    def reset(self) -> None:
        """Start afresh, as after a loss of the source: frames that wait are dropped, everyone is forgotten."""
        self._beside.rest()
        self._painting.clear()
        self._tracker.reset()
        self._scene_cut.reset()
        self._lookahead.reset()
        self._decider.reset()
        self._painter.reset()
        self._forget_time_and_people()

    def _begin(self, moments: Sequence[Moment]) -> None:
        self._painting.extend(self._beside(partial(self._protect, moment)) for moment in moments)

    def _finished(self, *, most_left: int) -> list[SafeFrame]:
        """In order: all that are done, and as many more as it takes to leave no more than `most_left`."""
        safe = []
        while self._painting and (len(self._painting) > most_left or self._painting[0].done()):
            safe.append(self._painting.popleft().result())
        return safe

    def _forget_time_and_people(self) -> None:
        self._now_s: float | None = None
        self._source_s: float = 0.0
        self._known: set[int] = set()
        self._located: dict[int, Floats] = {}

    def _clock(self, source_s: float) -> float:
        """Time that only runs forward, whatever the time stamps of the source do."""
        step_s = source_s - self._source_s
        self._source_s = source_s
        if self._now_s is None:
            self._now_s = source_s
        else:
            self._now_s += step_s if step_s > 0 else NOMINAL_STEP_S
        return self._now_s

    def _observe(self, frame: Frame, time_s: float) -> tuple[list[Track], bool, str | None]:
        """Tracks with landmarks, whether a scene begins, and why the faces of this frame are not known."""
        with self.times.stage("detect"):
            found, error = attempt(self._detect_still if frame.still else self._detect, frame.image)
        failure = None if error is None else f"detection failed: {type(error).__name__}"
        with self.times.stage("scene"):
            cut = bool(attempt(self._scene_cut, frame.image)[0])
            if cut:
                self._tracker.reset()
        with self.times.stage("track"):
            tracks, error = attempt(self._track, found, time_s)
            if error is not None or tracks is None:
                failure = failure or f"tracking failed: {type(error).__name__}"
                tracks = self._coast(time_s)
        return self._landmarked(frame.image, tracks), cut, failure

    def _landmarked(self, image: Image, tracks: list[Track]) -> list[Track]:
        """The tracks with landmarks, where anything is painted that would need them."""
        if not self._effort.generate:
            self._located = {}
            return tracks
        with self.times.stage("landmarks"):
            located = self._locate(image, [self._with_hint(track) for track in tracks])
        self._located = {t.track_id: t.landmarks for t in located if t.landmarks is not None and self._sure(t)}
        return located

    def _track(self, found: Detections | None, time_s: float) -> list[Track]:
        tracks = self._tracker.update(found, time_s)
        if found is not None and len(found):
            boxes = np.stack([track.xyxy for track in tracks]) if tracks else np.zeros((0, 4), np.float32)
            if not (inside(found.xyxy, boxes).max(axis=1, initial=0.0) > 0.99)[area(found.xyxy) > 1].all():
                raise ProtectionError("the tracker lost a detection")
        return tracks

    def _coast(self, time_s: float) -> list[Track]:
        """Tracks go on without this frame; a tracker that cannot even do that starts afresh."""
        tracks, error = attempt(self._tracker.update, None, time_s)
        if error is not None or tracks is None:
            self._tracker.reset()
            return []
        return tracks

    def _with_hint(self, track: Track) -> Track:
        """A coasting track carries its latest landmarks: they say where to look for the face."""
        if track.missed_s == 0:
            return track
        return replace(track, landmarks=self._located.get(track.track_id))

    def _sure(self, track: Track) -> bool:
        return track.landmarks is not None and track.confidence >= self._config.anonymize.min_confidence

    def _locate(self, image: Image, tracks: Sequence[Track]) -> list[Track]:
        """The tracks with landmarks where the step gave some; boxes and ids stay what they were."""
        bare = [replace(track, landmarks=None, confidence=0.0) for track in tracks]
        smallest = (self._config.anonymize.min_face_px / 2) ** 2
        large = [index for index, track in enumerate(tracks) if area(track.xyxy) >= smallest]
        located, error = attempt(self._landmark, image, [tracks[index] for index in large]) if large else ([], None)
        if error is not None or located is None or len(located) != len(large):
            return bare
        for index, track in zip(large, located, strict=True):
            landmarks = track.landmarks
            if track.track_id == bare[index].track_id and landmarks is not None and np.isfinite(landmarks).all():
                bare[index] = replace(bare[index], landmarks=landmarks, confidence=track.confidence)
        return bare

    def _protect(self, moment: Moment) -> SafeFrame:
        safe, error = attempt(self._painted, moment)
        self._forget_the_gone(moment.people)
        if error is not None or safe is None:
            return blank(moment.frame, f"painting failed: {type(error).__name__}")
        return safe

    def _painted(self, moment: Moment) -> SafeFrame:
        frame = moment.frame
        if moment.failure is not None:
            return blank(frame, moment.failure)
        if not moment.tracks:
            return SafeFrame(frame.image, frame.index, frame.pts, frame.time_base, captured_s=frame.captured_s)
        orders = [self._order(track, moment.series[track.track_id]) for track in moment.tracks]
        canvas = frame.image.copy()
        regions = self._painter(canvas, frame.image, orders)
        if {region.track_id for region in regions} != {track.track_id for track in moment.tracks}:
            raise ProtectionError("a track was not painted")
        return SafeFrame(canvas, frame.index, frame.pts, frame.time_base, regions, captured_s=frame.captured_s)

    def _order(self, track: Track, series: Series) -> Order:
        order, error = attempt(self._considered, track, series)
        if error is not None or order is None:
            return Order(track, track.xyxy, Decision(0.0, f"smoothing failed: {type(error).__name__}"))
        return order

    def _considered(self, track: Track, series: Series) -> Order:
        """One track as the window shows it: gaps bridged, landmarks smoothed, generated or covered."""
        series = bridge(series, self._config.anonymize.min_confidence)
        decision = self._decider(track.track_id, series)
        due, located = series.index, series.located
        landmarks = None
        if decision.opacity > 0 and located[due]:
            near = located & (np.abs(series.times - series.times[due]) <= SMOOTH_S)
            place = int(near[:due].sum())
            landmarks = self._smooth(series.times[near], series.landmarks[near], series.confidence[near], place)
        considered = replace(
            track, xyxy=series.boxes[due], landmarks=landmarks, confidence=float(series.confidence[due])
        )
        return Order(considered, envelope(series), decision)

    def _forget_the_gone(self, people: frozenset[int]) -> None:
        for track_id in self._known - people:
            self._decider.forget(track_id)
            self._painter.forget(track_id)
        self._known = set(people)
