"""Doing less to keep up: how much work each level saves, and when to move between levels.

No level protects less: at every level the detector looks at every frame, and every face is painted over in it. (Looking
at every second frame was tried and taken out: whoever moves fast, comes or goes was bare in the frames between.)
"""

from __future__ import annotations

from dataclasses import dataclass
from enum import IntEnum

from streamfilter.errors import ConfigError

MEMORY = 0.8  # of earlier latencies in the running mean
LOSS_MEMORY = 0.98  # of earlier drops, per frame
MOST_LOST = 0.08  # frames dropped for each that is shown: one now and then is nothing, more is too much work
MOST_LOST_BY_FACES = 0.2  # the same, before faces are covered
COVERED_S = 10.0  # the longest wait before faces are tried again
ROOM_MS = 150.0  # beyond the look-ahead, where nobody says how late is too late
COVER_ROOM_MS = 500.0  # the same, before faces are covered: most people would rather see them later
RELAPSE_S = 10.0  # who must shed again this soon after recovering waits longer the next time


@dataclass(frozen=True, kw_only=True)
class Effort:
    """How much work a filter puts into a frame.

    Attributes:
        reuse: A face may be shown twice: painted in one frame, and moved to where the head is in the next.
        max_rung_px: The largest rung of the generator's ladder that may paint; None: the configured one.
        generate: Whether faces are painted at all; where not, they are covered.
    """

    reuse: bool = False
    max_rung_px: int | None = None
    generate: bool = True


class Level(IntEnum):
    """The stated order in which work is shed.

    Faces that are shown twice come first: on a CPU this saves more than the next smaller rung, and keeps the sharpness.
    """

    FULL = 0
    """Everything as configured."""
    REUSE = 1
    """A face is painted in every second frame, and shown twice where the head hardly changed in between."""
    RUNG_128 = 2
    """As above; no face is painted larger than 128 px."""
    RUNG_64 = 3
    """As above; no face is painted larger than 64 px."""
    COVER = 4
    """Faces are covered instead of painted."""

    @property
    def effort(self) -> Effort:
        """What it means for the filter."""
        return _EFFORTS[self]


_EFFORTS = {
    Level.FULL: Effort(),
    Level.REUSE: Effort(reuse=True),
    Level.RUNG_128: Effort(reuse=True, max_rung_px=128),
    Level.RUNG_64: Effort(reuse=True, max_rung_px=64),
    Level.COVER: Effort(reuse=True, max_rung_px=64, generate=False),
}


@dataclass(frozen=True, kw_only=True)
class ShedConfig:
    """When to shed and when to recover.

    Attributes:
        max_latency_ms: Above it work is shed; from the arrival of a frame until it leaves the filter.
        cover_latency_ms: Above it faces are covered instead of painted, if nothing else helps; None: the same.
        shed_after_s: The least time between two steps down, so that each can show what it saves; frames that were in
            the look-ahead at the first step have to leave before that.
        recover_after_s: How long the latency must be low before one step up; doubled, up to `recover_most_s`, each time
            that step proves too much.
        recover_most_s: See above.
        low_part: Low is below this part of `max_latency_ms`.
    """

    max_latency_ms: float
    cover_latency_ms: float | None = None
    shed_after_s: float = 0.5
    recover_after_s: float = 3.0
    recover_most_s: float = 60.0
    low_part: float = 0.6

    @classmethod
    def beyond(cls, lookahead_s: float, max_latency_ms: float | None = None) -> ShedConfig:
        """For a filter of this look-ahead; with no limit of its own `ROOM_MS` more than that, `COVER_ROOM_MS` to cover.

        Raises:
            ConfigError: The limit is not above 0.
        """
        if max_latency_ms is not None:
            return cls(max_latency_ms=max_latency_ms)
        return cls(max_latency_ms=lookahead_s * 1e3 + ROOM_MS, cover_latency_ms=lookahead_s * 1e3 + COVER_ROOM_MS)

    def __post_init__(self) -> None:
        if not self.max_latency_ms > 0:
            raise ConfigError(f"--max-latency must be more than 0 ms, got {self.max_latency_ms:g}")
        if not 0 < self.low_part < 1:
            raise ConfigError(f"low_part must lie between 0 and 1, got {self.low_part}")
        if min(self.shed_after_s, self.recover_after_s) < 0 or self.recover_most_s < self.recover_after_s:
            raise ConfigError("the times to shed and to recover must not be negative, nor the longest below the first")


class Shedder:
    """Decides the level from one frame after the other; it reads no clock.

    It never sheds while the latency is within the limit and no frames are dropped, moves one level at a time, and comes
    back to `FULL` when latencies stay low.
    """

    def __init__(self, config: ShedConfig) -> None:
        self._config = config
        self.level = Level.FULL
        self._mean_ms: float | None = None
        self._lost = 0.0
        self._changed_s: float | None = None
        self._low_since_s: float | None = None
        self._recovered_s = -float("inf")
        self._patience_s = config.recover_after_s

    def decide(self, latency_ms: float, now_s: float, *, waited_ms: float = 0.0, dropped: int = 0) -> Level:
        """Take in the latency of a frame and return the level from now on.

        Args:
            latency_ms: From the arrival of the frame until it left the filter.
            now_s: When it left, on any clock that only runs forward.
            waited_ms: The part of it that was spent in the look-ahead on purpose: no level changes it.
            dropped: Frames that found no room before the filter since the one before: it cannot keep up.
        """
        limit_ms = self._limit_ms
        worked_ms, room_ms = latency_ms - waited_ms, self._config.max_latency_ms - waited_ms
        if self._changed_s is None:  # the first frames of a stream are slow for reasons of their own
            self._changed_s = now_s
        self._mean_ms = latency_ms if self._mean_ms is None else _mixed(self._mean_ms, latency_ms)
        settles_s = self._config.shed_after_s + waited_ms / 1e3
        settled = now_s - self._changed_s >= settles_s
        # What was waiting when the level changed is still to be worked off.
        self._lost = LOSS_MEMORY * self._lost + (1 - LOSS_MEMORY) * dropped if settled else 0.0
        loses = self._lost > (MOST_LOST_BY_FACES if self._next_covers else MOST_LOST)
        low = not loses and (worked_ms < self._config.low_part * room_ms or room_ms <= 0)
        if not low:
            self._low_since_s = None
        elif self._low_since_s is None:
            self._low_since_s = now_s
        if loses or (room_ms > 0 and min(latency_ms, self._mean_ms) > limit_ms):
            if settled and self.level is not Level.COVER:
                self._shed(now_s)
        elif self._low_since_s is not None and now_s - self._low_since_s >= self._wait_s:
            self._recover(now_s)
        return self.level

    @property
    def _next_covers(self) -> bool:
        return self.level + 1 >= Level.COVER

    @property
    def _limit_ms(self) -> float:
        """What the latency must exceed for the next step down."""
        return (self._next_covers and self._config.cover_latency_ms) or self._config.max_latency_ms

    @property
    def _wait_s(self) -> float:
        """How long latencies must be low for the next step up."""
        return min(self._patience_s, COVERED_S) if self.level is Level.COVER else self._patience_s

    def _shed(self, now_s: float) -> None:
        if now_s - self._recovered_s < max(RELAPSE_S, self._patience_s):
            self._patience_s = min(2 * self._patience_s, self._config.recover_most_s)
        self._recovered_s = -float("inf")  # one relapse counts once, however far down it leads
        self._move(Level(self.level + 1), now_s)

    def _recover(self, now_s: float) -> None:
        if self.level is Level.FULL:
            self._patience_s = self._config.recover_after_s
            return
        self._recovered_s = now_s
        self._low_since_s = now_s
        self._move(Level(self.level - 1), now_s)

    def _move(self, level: Level, now_s: float) -> None:
        self.level, self._changed_s = level, now_s
        self._mean_ms, self._lost = None, 0.0  # what was measured at another level says nothing about this one


def _mixed(before_ms: float, latency_ms: float) -> float:
    return MEMORY * before_ms + (1 - MEMORY) * latency_ms
