"""What the caller's thread does in a live run: frames through the filter, and pictures while no frames come."""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import Protocol

from streamfilter import guard
from streamfilter.containment import attempt
from streamfilter.errors import ProtectionError
from streamfilter.face_filter import blank
from streamfilter.pipeline.config import PipelineConfig
from streamfilter.pipeline.fan_out import FanOut
from streamfilter.pipeline.live_status import LiveStatus, Rate, Signal
from streamfilter.pipeline.reader import LIVE_INBOX_FRAMES, Arrival, LiveFrames, Reader
from streamfilter.pipeline.timeline import Timeline
from streamfilter.shedding import Effort, Level, Shedder
from streamfilter.stream_state import LiveCounters, StreamState
from streamfilter.structures import Action, Frame, SafeFrame
from streamfilter.timing import StageTimes

CARD_TEXT = "no signal"
_WAKE_S = 0.05  # how soon a stop is noticed
_POLL_S = 0.004  # how soon it is noticed that a frame was painted


class LiveProtector(Protocol):
    """What protects the frames of a live stream: `guard.Guard`."""

    @property
    def times(self) -> StageTimes:
        """Durations per stage."""
        ...

    def push(self, frame: Frame) -> list[SafeFrame]:
        """Take in one frame, return those that are due."""
        ...

    def ready(self) -> list[SafeFrame]:
        """Return those that were finished in the meantime; waits for nothing."""
        ...

    @property
    def painting(self) -> bool:
        """Whether `ready` will have something before long."""
        ...

    def flush(self) -> list[SafeFrame]:
        """Return all frames that still wait."""
        ...

    def reset(self) -> None:
        """Start afresh."""
        ...

    def set_effort(self, effort: Effort) -> None:
        """Do less work from now on, or more again."""
        ...


class LiveRun:
    """One run; everything but the reader happens in the caller's thread."""

    def __init__(
        self,
        source: LiveFrames,
        protect: LiveProtector,
        fan_out: FanOut[SafeFrame],
        config: PipelineConfig,
        *,
        signal: Signal | None,
        see: Callable[[SafeFrame], None],
    ) -> None:
        reconnects = (lambda: 0) if signal is None else (lambda: signal.reconnects)
        self.reader = Reader(source, lost_after_s=config.keep_s, reconnects=reconnects)
        self.fan_out = fan_out
        self._protect, self._config, self._signal, self._see = protect, config, signal, see
        self._shedder = None if config.shed is None else Shedder(config.shed)
        self._times, self._rate, self._timeline = StageTimes(), Rate(), Timeline()
        self._level = Level.FULL
        self._latest: SafeFrame | None = None
        self._losses = 0
        self._protected = self._blanked = self._cards = self._replaced = self._covered = 0
        self._shown_s = self._newest_s = time.monotonic()
        self._dropped = 0
        self._flushed = True

    def turn(self) -> bool:
        """Take one frame, or do what is to be done while none comes; False when the source has ended."""
        painting = bool(attempt(lambda: self._protect.painting)[0])
        arrival = self.reader.inbox.take(_POLL_S if painting else min(_WAKE_S, 0.5 / self._config.card_fps))
        if arrival is not None:
            self._filter(arrival)
        elif self.reader.inbox.drained:
            return False
        elif painting:
            self._emit_all(attempt(lambda: _safe(self._protect.ready()))[0] or [])
        else:
            self._idle(time.monotonic())
        return True

    def finish(self) -> None:
        """What was read is protected, and what waits in the filter is let go; nothing more is taken."""
        for _ in range(LIVE_INBOX_FRAMES):
            arrival = self.reader.inbox.take(0.0)
            if arrival is not None:
                self._filter(arrival)
        self.reader.inbox.cancel()
        self._flush()
        self._work_at(Level.FULL)

    def status(self, state: StreamState | None = None) -> LiveStatus:
        """The moment as a value; `state` overrides that of the source."""
        now_s = time.monotonic()
        event = None if self._signal is None else self._signal.event
        return LiveStatus(
            state=state or self.state,
            reason="" if event is None else event.reason,
            at_s=now_s,
            fps=self._rate.at(now_s),
            level=self._level,
            counters=self.counters,
            latency=self.latency,
            sinks=self.fan_out.statuses(),
        )

    @property
    def counters(self) -> LiveCounters:
        """What was counted so far."""
        return LiveCounters(
            read=self.reader.read,
            dropped=self.reader.inbox.dropped,
            protected=self._protected,
            blanked=self._blanked,
            cards=self._cards,
            replaced=self._replaced,
            covered=self._covered,
            reconnects=0 if self._signal is None else self._signal.reconnects,
        )

    @property
    def latency(self) -> dict[str, dict[str, float]]:
        """As in `LiveStatus`."""
        times, own = self._protect.times.summary(), self._times.summary()
        return {name: own[name] for name in own if name == "inbox"} | times | own

    @property
    def state(self) -> StreamState:
        """What the source is doing; guessed from the frames where nobody tells."""
        if self._signal is not None:
            return self._signal.event.state
        if self.reader.latest_s is None:
            return StreamState.CONNECTING
        silent_s = time.monotonic() - self.reader.latest_s
        return StreamState.STALLED if self.reader.unusual(silent_s, self._config.card_after_s) else StreamState.LIVE

    def _filter(self, arrival: Arrival) -> None:
        if arrival.losses != self._losses:
            self._losses = arrival.losses
            self._flush()
            attempt(self._protect.reset)
        self._flushed, self._newest_s = False, arrival.at_s
        self._times.add("inbox", _ns(time.monotonic() - arrival.at_s))
        due, error = attempt(lambda: _safe(self._protect.push(arrival.frame)))
        if error is not None or due is None:
            attempt(self._protect.reset)  # what waited in it is lost with it, so that nothing of it can come later
            due = [blank(arrival.frame, f"filter failed: {type(error).__name__}")]
        self._emit_all(due)

    def _flush(self) -> None:
        if not self._flushed:
            self._flushed = True
            due, _ = attempt(lambda: _safe(self._protect.flush()))
            for safe in due or []:  # what was held back for the look-ahead says nothing about the work
                attempt(self._emit, safe)

    def _emit_all(self, due: list[SafeFrame]) -> None:
        for safe in due:
            _, error = attempt(self._emit, safe)
            if error is None and safe.captured_s is not None:
                self._shed(safe.captured_s)

    def _emit(self, safe: SafeFrame) -> None:
        """Out to the sinks."""
        safe = self._timeline.follow(safe)
        self._count(safe)
        self._latest, self._shown_s = safe, time.monotonic()
        self._rate.add(self._shown_s)
        self.fan_out.put(safe)
        attempt(self._see, safe)

    def _count(self, safe: SafeFrame) -> None:
        self._protected += 1
        self._blanked += safe.blanked is not None
        replaced = sum(region.action is Action.GENERATED for region in safe.regions)
        self._replaced += replaced
        self._covered += len(safe.regions) - replaced
        if safe.captured_s is not None:
            self._times.add("protected", _ns(time.monotonic() - safe.captured_s))

    def _shed(self, captured_s: float) -> None:
        if self._shedder is None:
            return
        now_s = time.monotonic()
        waited_ms = max(self._newest_s - captured_s, 0.0) * 1e3
        dropped, self._dropped = self.reader.inbox.dropped - self._dropped, self.reader.inbox.dropped
        level = self._shedder.decide((now_s - captured_s) * 1e3, now_s, waited_ms=waited_ms, dropped=dropped)
        self._work_at(level)

    def _work_at(self, level: Level) -> None:
        if level is not self._level:
            self._level = level
            attempt(self._protect.set_effort, level.effort)

    def _idle(self, now_s: float) -> None:
        if self.reader.latest_s is None:
            return
        silent_s = now_s - self.reader.latest_s
        if not self.reader.unusual(silent_s, self._config.card_after_s):
            return
        self._flush()
        if now_s - self._shown_s >= 1 / self._config.card_fps:
            self._shown_s = now_s
            attempt(self._show_no_signal, now_s, frozen=silent_s < self._config.freeze_s)

    def _show_no_signal(self, now_s: float, *, frozen: bool) -> None:
        latest = self._latest
        if latest is None:
            return
        pts = self._timeline.pts_at(now_s, latest.time_base)
        if frozen:
            self.fan_out.put(guard.shown_again(latest, pts=pts))
            return
        height, width = latest.image.shape[:2]
        size = (height, width)
        self.fan_out.put(guard.card(size, CARD_TEXT, index=latest.index, pts=pts, time_base=latest.time_base))
        self._cards += 1


def _safe(due: list[SafeFrame]) -> list[SafeFrame]:
    """The frames as they are.

    Raises:
        ProtectionError: One of them is something else.
    """
    for safe in due:
        if type(safe) is not SafeFrame:
            raise ProtectionError(f"the filter returned a {type(safe).__name__}")
    return list(due)


def _ns(duration_s: float) -> int:
    return round(duration_s * 1e9)
