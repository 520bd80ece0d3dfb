"""What a live run is doing and what became of it, as values; and the one place that listens to its source."""

from __future__ import annotations

import threading
import time
from collections import deque
from collections.abc import Mapping
from dataclasses import dataclass

from streamfilter.pipeline.sink_status import SinkStatus
from streamfilter.shedding import Level
from streamfilter.stream_state import LiveCounters, StreamEvent, StreamState

RATE_S = 2.0
Latency = Mapping[str, Mapping[str, float]]
"""Per stage: `calls`, `total_s`, `p50_ms`, `p95_ms`."""


@dataclass(frozen=True, kw_only=True)
class LiveStatus:
    """One moment of a live run.

    Attributes:
        state: Of the source.
        reason: Why it is in this state; one line, may be empty.
        at_s: On the monotonic clock.
        fps: Protected frames per second, lately.
        level: How much work is shed.
        counters: Since the start.
        latency: `inbox` is arrival -> taken by the filter, `protected` is arrival -> out of the filter, look-ahead
            included; the filter's own stages are durations. What a sink adds is told by the sink.
        sinks: Every consumer.
    """

    state: StreamState
    reason: str
    at_s: float
    fps: float
    level: Level
    counters: LiveCounters
    latency: Latency
    sinks: tuple[SinkStatus, ...]


@dataclass(frozen=True, kw_only=True)
class LiveOutcome:
    """What became of a live run, once all of it has ended.

    Attributes:
        counters: Since the start.
        duration_s: From start to end.
        latency: As in `LiveStatus`.
        sinks: Every consumer at the end: closed, failed or abandoned.
        failure: Why the source ended, where that was not on purpose.
        abandoned: Names of consumers, and "source", that did not end in time.
    """

    counters: LiveCounters
    duration_s: float
    latency: Latency
    sinks: tuple[SinkStatus, ...]
    failure: Exception | None
    abandoned: tuple[str, ...]

    @property
    def well(self) -> bool:
        """Whether the source ended on purpose and every sink was finished properly."""
        return self.failure is None and not self.abandoned and all(sink.well for sink in self.sinks)


class Signal:
    """Remembers the latest event of a source; give it to the source as `on_event`."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._event = StreamEvent(state=StreamState.CONNECTING, at_s=time.monotonic())
        self._lost = False
        self._reconnects = 0

    def __call__(self, event: StreamEvent) -> None:
        """Take in an event; from any thread."""
        with self._lock:
            self._event = event
            if event.state is StreamState.RECONNECTING:
                self._lost = True
            elif event.state is StreamState.LIVE and self._lost:
                self._reconnects, self._lost = self._reconnects + 1, False

    @property
    def event(self) -> StreamEvent:
        """The latest."""
        with self._lock:
            return self._event

    @property
    def reconnects(self) -> int:
        """Times the source came back after a loss."""
        with self._lock:
            return self._reconnects


class Rate:
    """Events per second over the latest `RATE_S`."""

    def __init__(self) -> None:
        self._times: deque[float] = deque()
        self._since_s: float | None = None

    def add(self, now_s: float) -> None:
        """Count one."""
        self._since_s = now_s if self._since_s is None else self._since_s
        self._times.append(now_s)
        self._forget(now_s)

    def at(self, now_s: float) -> float:
        """The rate."""
        self._forget(now_s)
        if self._since_s is None or len(self._times) < 2:
            return 0.0
        steps, lasted_s = len(self._times) - 1, self._times[-1] - self._times[0]
        # The latter for frames that come all at once, as those do that waited when a stream was lost.
        return min(steps / max(lasted_s, 1e-6), (steps + 1) / max(min(now_s - self._since_s, RATE_S), 1e-6))

    def _forget(self, now_s: float) -> None:
        while self._times and self._times[0] < now_s - RATE_S:
            self._times.popleft()
