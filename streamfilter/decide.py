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
from streamfilter.series import Flags, Series
from streamfilter.structures import Floats

FADE_S = 0.2
MIN_RUN_S = 0.2
SLACK = 0.8  # who is generated stays so down to this part of what it takes to begin
MAX_TURN = 0.8  # see `turn`; about 40 degrees of yaw
COASTING_TRUST = 0.7  # landmarks count this much where no detector confirms the face
_JAW_LEFT, _JAW_RIGHT = slice(0, 3), slice(14, 17)
_BRIDGE = slice(27, 29)
_EYES_LEFT, _EYES_RIGHT = slice(36, 42), slice(42, 48)


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
        now_s = float(series.times[series.index])
        if not good[0]:
            memory.good = memory.accepted = False
        elif not memory.good:
            memory.good, memory.since_s = True, -np.inf if born else now_s
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
        rise = (float(times[0]) - memory.since_s) / FADE_S + 0.25
        fall = (end_s - float(times[0])) / FADE_S
        return float(np.clip(min(rise, fall), 0.0, 1.0)), "fading between cover and face"


_REASONS = ("landmarks uncertain", "too small", "turned away", "detector uncertain")


def _tests(series: Series, config: AnonymizeConfig, sure_score: float) -> Floats:
    """Four marks (4, t) for each sample from the due one on: at least 1 passes, `SLACK` is enough to go on."""
    due = slice(series.index, None)
    trust = np.where(series.missed_s[due] > 0, COASTING_TRUST, 1.0)
    confidence = np.where(series.located[due], series.confidence[due], 0.0) * trust / max(config.min_confidence, 1e-6)
    size = np.sqrt(area(series.boxes[due])) / max(config.min_face_px, 1e-6)
    turned = MAX_TURN / np.maximum(turn(series.landmarks[due]), 1e-6)
    sure = np.full(len(size), _mean_score(series) / max(sure_score, 1e-6))
    return np.stack([confidence, size, np.where(np.isfinite(turned), turned, 0.0), sure]).astype(np.float32)


def _mean_score(series: Series) -> float:
    """Over the window, where the detector saw the face: no single frame may turn a hand into a person."""
    seen = series.missed_s == 0
    return float(series.score[seen].mean()) if seen.any() else 0.0


def _eased(memory: _Memory, wanted: float, now_s: float, *, born: bool, series: Series) -> float:
    """No jump down while there are landmarks to go on with; without them the cover is there at once."""
    if born or wanted > memory.opacity:
        return wanted
    usable = bool(series.located[series.index]) and series.confidence[series.index] > 0
    step = (now_s - memory.time_s) / FADE_S
    return max(wanted, memory.opacity - max(step, 0.0)) if usable else wanted


def turn(landmarks: Floats) -> Floats:
    """How far heads are turned sideways, from landmarks (t, 68, 2): 0 towards the camera, 1 and more in profile.

    The root of the nose, seen along the line of the eyes, lies midway between both ends of the jaw in a frontal face.
    """
    along = landmarks[:, _EYES_RIGHT].mean(1) - landmarks[:, _EYES_LEFT].mean(1)
    along = along / np.maximum(np.linalg.norm(along, axis=1, keepdims=True), 1e-6)
    ends = landmarks[:, _JAW_LEFT].mean(1), landmarks[:, _JAW_RIGHT].mean(1)
    nose = landmarks[:, _BRIDGE].mean(1)
    left = ((nose - ends[0]) * along).sum(1)
    right = ((ends[1] - nose) * along).sum(1)
    return np.asarray(np.abs(left - right) / np.maximum(np.abs(left + right), 1e-6), np.float32)
