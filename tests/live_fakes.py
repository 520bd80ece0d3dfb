"""Stand-ins for live runs: a source that is driven by hand, sinks that stamp, break, stall or sleep."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Iterator
from fractions import Fraction

import numpy as np

from streamfilter.shedding import Effort
from streamfilter.structures import Frame, SafeFrame
from streamfilter.timing import StageTimes

TICKS = Fraction(1, 90_000)
RAW = np.full((24, 32, 3), 255, np.uint8)
"""What no sink may ever be given."""
SAFE_GREY = 90


def wait_for(condition: Callable[[], object], within_s: float = 5.0) -> None:
    deadline_s = time.monotonic() + within_s
    while not condition():
        assert time.monotonic() < deadline_s, "it did not happen in time"
        time.sleep(0.002)


class Source:
    """Live: yields what `give` was called with, until `close` or `end`."""

    def __init__(self, ignores_close: bool = False) -> None:
        self._changed = threading.Condition()
        self._frames: list[Frame] = []
        self._over = False
        self._error: Exception | None = None
        self.closed = 0
        self._ignores_close = ignores_close
        self._started_s = time.monotonic()
        self._count = 0

    def put(self, frame: Frame) -> None:
        with self._changed:
            self._frames.append(frame)
            self._changed.notify_all()

    def give(self, n: int = 1, *, pts: int | None = None) -> None:
        for _ in range(n):
            now_s = time.monotonic()
            own = round((now_s - self._started_s) * 90_000) + self._count
            with self._changed:
                self._frames.append(Frame(RAW, self._count, own if pts is None else pts, TICKS, captured_s=now_s))
                self._count += 1
                self._changed.notify_all()

    def end(self, error: Exception | None = None) -> None:
        with self._changed:
            self._over, self._error = True, error
            self._changed.notify_all()

    def close(self) -> None:
        self.closed += 1
        if not self._ignores_close:
            self.end(self._error)

    def __iter__(self) -> Iterator[Frame]:
        while True:
            with self._changed:
                self._changed.wait_for(lambda: self._frames or self._over)
                if not self._frames:
                    if self._error is not None:
                        raise self._error
                    return
                frame = self._frames.pop(0)
            yield frame


class Protector:
    """Stands in for a guard: paints every frame grey, `delay` frames late."""

    def __init__(self, delay: int = 0, act: Callable[[Frame], None] = lambda frame: None) -> None:
        self.times = StageTimes()
        self.delay, self.act = delay, act
        self.waiting: list[Frame] = []
        self.resets = 0
        self.efforts: list[Effort] = []
        self.pushed: list[int] = []

    def push(self, frame: Frame) -> list[SafeFrame]:
        self.act(frame)
        self.pushed.append(frame.index)
        self.waiting.append(frame)
        return [self.safe(self.waiting.pop(0))] if len(self.waiting) > self.delay else []

    def flush(self) -> list[SafeFrame]:
        rest, self.waiting = self.waiting, []
        return [self.safe(frame) for frame in rest]

    def ready(self) -> list[SafeFrame]:
        return []

    painting = False

    def reset(self) -> None:
        self.resets += 1
        self.waiting = []

    def set_effort(self, effort: Effort) -> None:
        self.efforts.append(effort)

    def safe(self, frame: Frame) -> SafeFrame:
        grey = np.full_like(frame.image, SAFE_GREY)
        return SafeFrame(grey, frame.index, frame.pts, frame.time_base, captured_s=frame.captured_s)


class Sink:
    """Keeps what it is given; `act` is called first and may raise or sleep."""

    def __init__(self, act: Callable[[object], None] = lambda item: None) -> None:
        self.act = act
        self.items: list[object] = []
        self.opened = self.closed = 0
        self.stamps: list[float] = []

    def open(self) -> None:
        self.opened += 1

    def write(self, item: object) -> None:
        self.act(item)
        self.stamps.append(time.monotonic())
        self.items.append(item)

    def close(self) -> None:
        self.closed += 1


class Asleep:
    """A sink that sleeps until it is woken, which is after the test."""

    def __init__(self) -> None:
        self.awake = threading.Event()
        self.calls = 0

    def write(self, item: object) -> None:
        self.calls += 1
        self.awake.wait()
