"""A bounded delay line: each frame waits until what comes after it is known, so that no face is found too late.

A person found for the first time is covered in the frames before as well, and short losses are bridged from both
sides. Nothing is carried across a scene cut. Only frames that wait are held; of those gone only the tracks remain,
for as long as the smoothing looks back.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from itertools import chain

import numpy as np

from streamfilter.config import TrackConfig
from streamfilter.series import Series
from streamfilter.structures import Frame, Image, Track

MAX_FRAMES = 32
MAX_BYTES = 160 * 2**20
MIN_HISTORY_S = 0.25
FEWEST_AHEAD = 5  # frames that `overdue` leaves: where there are fewer, each tells too much to do without
JITTER_S = 0.005  # of time stamps: ten frames of 40 ms are 400 ms, or a hair less, and no frame should wait for that

Locate = Callable[[Image, Sequence[Track]], list[Track]]


@dataclass(frozen=True, eq=False, slots=True)
class Moment:
    """One frame that is due: its tracks, what came before and after for each, or why its faces are not known.

    `people` are the ids of all tracks in it and in the frames that still wait.
    """

    frame: Frame
    time_s: float
    tracks: tuple[Track, ...]
    series: dict[int, Series]
    failure: str | None = None
    people: frozenset[int] = frozenset()


@dataclass(eq=False, slots=True)
class _Entry:
    time_s: float
    tracks: dict[int, Track]
    cut: bool
    failure: str | None


class Lookahead:
    """The delay line. `locate` finds landmarks for tracks that are added to frames already in it.

    Holds frames for `lookahead_s`, but never more than `MAX_FRAMES` or `MAX_BYTES` of them; with a look-ahead of 0
    each frame leaves at once.
    """

    def __init__(self, config: TrackConfig, locate: Locate, min_confidence: float = 0.5) -> None:
        self._config = config
        self._locate = locate
        self._min_confidence = min_confidence
        self._history_s = max(config.lookahead_s, MIN_HISTORY_S)
        self.reset()

    def reset(self) -> None:
        """Forget all frames and tracks."""
        self._frames: deque[Frame] = deque()
        self._waiting: deque[_Entry] = deque()
        self._gone: deque[_Entry] = deque()

    def __len__(self) -> int:
        return len(self._waiting)

    def push(
        self, frame: Frame, time_s: float, tracks: Sequence[Track], *, cut: bool = False, failure: str | None = None
    ) -> list[Moment]:
        """Take in one frame with its tracks; returns the frames that are due, in order."""
        entry = _Entry(time_s, {track.track_id: track for track in tracks}, cut, failure)
        self._fill_back(entry)
        self._frames.append(frame)
        self._waiting.append(entry)
        due = []
        while self._waiting and self._is_due(frame.image.nbytes):
            due.append(self._release(ended=False))
        return due

    def overdue(self, time_s: float) -> list[Moment]:
        """The frames that are due once a frame of this time comes, without what will be found in it.

        For who is in a hurry: a frame can be painted while the next one is searched. The look-ahead is a frame shorter.
        """
        due = []
        while len(self._waiting) > FEWEST_AHEAD and self._is_over(time_s):
            due.append(self._release(ended=False))
        return due

    def flush(self) -> list[Moment]:
        """All frames that still wait: the source has ended."""
        return [self._release(ended=True) for _ in range(len(self._waiting))]

    def _is_due(self, frame_bytes: int) -> bool:
        room = min(MAX_FRAMES, max(1, MAX_BYTES // max(frame_bytes, 1)))
        return self._is_over(self._waiting[-1].time_s) or len(self._waiting) > room

    def _is_over(self, time_s: float) -> bool:
        """Whether the oldest frame has waited for long enough."""
        return time_s - self._waiting[0].time_s >= self._config.lookahead_s - JITTER_S

    def _fill_back(self, entry: _Entry) -> None:
        """Add people first seen in `entry` to the frames before it, back to the scene cut."""
        known = {track_id for before in chain(self._gone, self._waiting) for track_id in before.tracks}
        born = [track for track_id, track in entry.tracks.items() if track_id not in known]
        if entry.cut or not born:
            return
        for track in born:
            self._walk_back(track, entry.time_s)

    def _walk_back(self, track: Track, found_s: float) -> None:
        size = float(np.sqrt(max(np.prod(track.xyxy[2:] - track.xyxy[:2]), 1.0)))
        latest, sure = track, True
        for before, frame in zip(reversed(self._waiting), reversed(self._frames), strict=True):
            away_s = max(found_s - before.time_s, 1e-3)
            if track.score < self._config.sure_score and away_s > self._config.doubtful_hold_s:
                return
            margin = size * self._config.coast_growth_per_s * away_s / 2
            guess = _held(latest, track, margin, away_s)
            if sure:
                (located,) = self._locate(frame.image, [guess])
                sure = located.landmarks is not None and located.confidence >= self._min_confidence
                guess = _followed(located, latest) if sure else guess
                latest = guess if sure else latest
            before.tracks[track.track_id] = guess
            if before.cut:
                return

    def _release(self, *, ended: bool) -> Moment:
        frame, entry = self._frames.popleft(), self._waiting.popleft()
        series = {track_id: self._series(entry, track_id, ended=ended) for track_id in entry.tracks}
        self._gone.append(entry)
        while self._gone[0].time_s < entry.time_s - self._history_s or len(self._gone) > 2 * MAX_FRAMES:
            self._gone.popleft()
        people = frozenset(track_id for each in (entry, *self._waiting) for track_id in each.tracks)
        return Moment(frame, entry.time_s, tuple(entry.tracks.values()), series, entry.failure, people)

    def _series(self, entry: _Entry, track_id: int, *, ended: bool) -> Series:
        scene, closed = self._scene(entry)
        with_it = [other for other in scene if track_id in other.tracks]
        return Series.gather(
            [other.time_s for other in with_it],
            [other.tracks[track_id] for other in with_it],
            index=with_it.index(entry),
            ends=ended or closed or with_it[-1] is not scene[-1],
        )

    def _scene(self, entry: _Entry) -> tuple[list[_Entry], bool]:
        """The entries around `entry` up to the cuts on both sides, and whether a cut follows."""
        before: list[_Entry] = []
        if not entry.cut:
            for other in reversed(self._gone):
                before.append(other)
                if other.cut:
                    break
        after: list[_Entry] = []
        for other in self._waiting:
            if other.cut:
                return [*reversed(before), entry, *after], True
            after.append(other)
        return [*reversed(before), entry, *after], False


def _held(latest: Track, born: Track, margin: float, away_s: float) -> Track:
    """The track as it may have been a little earlier; it carries its later landmarks as a hint where to look."""
    box = np.concatenate([latest.xyxy[:2] - margin, latest.xyxy[2:] + margin]).astype(np.float32)
    return Track(born.track_id, box, score=born.score, landmarks=latest.landmarks, missed_s=away_s)


def _followed(located: Track, later: Track) -> Track:
    """The located track with its box moved as its landmarks moved since `later`."""
    if located.landmarks is None or later.landmarks is None:
        return located
    centre = (later.xyxy[:2] + later.xyxy[2:]) / 2 + located.landmarks.mean(0) - later.landmarks.mean(0)
    half = (located.xyxy[2:] - located.xyxy[:2]) / 2
    return replace(located, xyxy=np.concatenate([centre - half, centre + half]).astype(np.float32))
