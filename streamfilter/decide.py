"""Whether a face is generated or covered now, decided over a window of time so that it does not flicker.

Both are safe; what matters here is that the picture stays calm. A face is generated while it is large enough, turned
towards the camera and its landmarks can be trusted, for long enough to be worth it; otherwise the invented face
cross-fades to the cover before the landmarks fail.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from streamfilter.config import AnonymizeConfig
from streamfilter.motion import area
from streamfilter.pose import apart, filled, turn
from streamfilter.series import Flags, Series
from streamfilter.structures import Floats

FADE_S = 0.2
MIN_RUN_S = 0.2
SLACK = 0.8  # who is generated stays so down to this part of what it takes to begin
MAX_TURN = 0.8  # see `turn`; about 40 degrees of yaw
COASTING_TRUST = 0.7  # landmarks count this much where no detector confirms the face
MIN_FILLED = 0.42  # of the detected box, by the landmarks' extent; `verify` insists on the part that `SLACK` leaves
MAX_APART = 0.13  # of the box's size, between landmarks and the detector's points; as above


@dataclass(frozen=True, slots=True)
class Decision:
    """How much of the invented face shows over the cover, in [0, 1], and why it is not 1."""

    opacity: float
    reason: str


@dataclass(slots=True)
class _Memory:
    good: bool = False
    accepted: bool = False
    since_s: float = -np.inf
    opacity: float = 0.0
    time_s: float = 0.0


class Decider:
    """Decides for each track as its frames fall due; remembers, per track, what was shown last."""

    def __init__(self, config: AnonymizeConfig, sure_score: float = 0.5) -> None:
        self._config = config
        self._sure_score = sure_score
        self._memory: dict[int, _Memory] = {}

    def reset(self) -> None:
        """Forget all tracks."""
        self._memory.clear()

    def forget(self, track_id: int) -> None:
        """Forget one track."""
        self._memory.pop(track_id, None)

    def __call__(self, track_id: int, series: Series) -> Decision:
        """Decide for the frame that is due."""
        born = track_id not in self._memory
        memory = self._memory.setdefault(track_id, _Memory())
        good, reason = self._judge(series, memory.good)
        now_s, ahead = float(series.times[series.index]), len(good) > 1
        if not good[0]:
            memory.good = memory.accepted = False
        elif not memory.good:
            memory.good, memory.since_s = True, -np.inf if born and not ahead else now_s
        opacity, reason = self._opacity(memory, series, good, reason)
        memory.opacity, memory.time_s = _eased(memory, opacity, now_s, born=born, series=series), now_s
        return Decision(memory.opacity, reason if memory.opacity < 1 else "")

    def _judge(self, series: Series, was_good: bool) -> tuple[Flags, str]:
        """Which samples from the due one on can be generated, and what is wrong with the due one."""
        tests = _tests(series, self._config, self._sure_score)
        flags, good = [], was_good
        worst = tests.min(axis=0)
        for value in worst:
            good = bool(value >= (SLACK if good else 1.0))
            flags.append(good)
        reason = _REASONS[int(tests[:, 0].argmin())]
        return np.array(flags), reason

    def _opacity(self, memory: _Memory, series: Series, good: Flags, reason: str) -> tuple[float, str]:
        if not memory.good:
            return 0.0, reason
        times = series.times[series.index :]
        bad = np.flatnonzero(~good)
        end_s = float(times[bad[0]]) if len(bad) else np.inf
        known_s = min(end_s, float(times[-1])) - max(memory.since_s, -1e9)
        over = series.ends and not len(bad)
        memory.accepted = memory.accepted or known_s >= MIN_RUN_S or over
        if not memory.accepted:
            return 0.0, "good for too short a time"
        fall = (end_s - float(times[0])) / FADE_S
        return float(np.clip(fall, 0.0, 1.0)), "fading between cover and face"


_REASONS = (
    "landmarks uncertain",
    "too small",
    "turned away",
    "landmarks do not fill the detected box",
    "landmarks contradict the detector",
    "detector uncertain",
)


def _tests(series: Series, config: AnonymizeConfig, sure_score: float) -> Floats:
    """A mark for each of `_REASONS` and each sample from the due one on: 1 passes, `SLACK` is enough to go on."""
    due = slice(series.index, None)
    boxes, landmarks, seen = series.boxes[due], series.landmarks[due], series.missed_s[due] == 0
    trust = np.where(seen, 1.0, COASTING_TRUST)
    marks = (
        np.where(series.located[due], series.confidence[due] * trust, 0.0) / max(config.min_confidence, 1e-6),
        np.sqrt(area(boxes)) / max(config.min_face_px, 1e-6),
        MAX_TURN / np.maximum(turn(landmarks), 1e-6),
        np.where(seen, filled(landmarks, boxes) / MIN_FILLED, 1.0),
        MAX_APART / np.maximum(np.nan_to_num(apart(landmarks, series.points[due], boxes)), 1e-6),
        np.full(len(boxes), _mean_score(series) / max(sure_score, 1e-6)),
    )
    return np.asarray(np.nan_to_num(np.stack(marks)), np.float32)


def _mean_score(series: Series) -> float:
    """Over the window, where the detector saw the face: no single frame may turn a hand into a person."""
    seen = series.missed_s == 0
    return float(series.score[seen].mean()) if seen.any() else 0.0


def _eased(memory: _Memory, wanted: float, now_s: float, *, born: bool, series: Series) -> float:
    """No jumps, but to the cover where there are no landmarks to go on with."""
    step = max(now_s - memory.time_s, 0.0) / FADE_S
    if born or abs(wanted - memory.opacity) <= step:
        return wanted
    if wanted > memory.opacity:
        return memory.opacity + step
    usable = bool(series.located[series.index]) and series.confidence[series.index] > 0
    return memory.opacity - step if usable else wanted
