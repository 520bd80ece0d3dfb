"""One consumer in a thread of its own behind a queue that drops rather than wait, so that it delays nobody else."""

from __future__ import annotations

import logging
import threading
import time
from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from typing import Generic, TypeVar

from streamfilter.containment import attempt
from streamfilter.pipeline.channel import Cancelled, Channel
from streamfilter.pipeline.sink_status import SinkState, SinkStatus
from streamfilter.redact import described
from streamfilter.timing import StageTimes

T = TypeVar("T")

QUEUE_ITEMS = 4
_log = logging.getLogger(__name__)


def _nothing() -> None:
    pass


def _always() -> bool:
    return True


@dataclass(frozen=True, kw_only=True)
class Retry:
    """How a consumer is tried again: `open` is called after a pause that doubles from `first_s` up to `most_s`.

    After `well_s` without a failure the next one counts as the first again: it is named, and the pause is short.
    """

    first_s: float = 0.5
    most_s: float = 10.0
    well_s: float = 5.0


@dataclass(frozen=True, kw_only=True)
class Consumer(Generic[T]):
    """What takes items; all of its functions are called in one thread of its own, and any may block or raise.

    Attributes:
        name: For messages and counters; without credentials.
        write: Takes one item.
        open: Called before the first item, and again for each retry.
        close: Called once at the end, and after a failure.
        queue: Items that may wait for it.
        starts: Which items can follow a gap (key frames); None: all.
        on_drop: Called when items are missing (to ask for a key frame), in any thread; must not block.
        retry: None: its first failure is its last.
        parts: Statuses of what stands behind it.
        alive: Whether anything behind it still takes items.
    """

    name: str
    write: Callable[[T], None]
    open: Callable[[], None] = _nothing
    close: Callable[[], None] = _nothing
    queue: int = QUEUE_ITEMS
    starts: Callable[[T], bool] | None = None
    on_drop: Callable[[], None] = _nothing
    retry: Retry | None = None
    parts: Callable[[], tuple[SinkStatus, ...]] = tuple
    alive: Callable[[], bool] = _always


def log_failure(name: str, text: str) -> None:
    """The default of what happens when a consumer fails."""
    _log.error("%s: %s", name, text)


class Lane(Generic[T]):
    """Runs one consumer.

    Args:
        consumer: See `Consumer`.
        on_error: Told the name and one line for each failure, but only once while it fails again and again.
        stalled_after_s: An item that is on its way for longer makes the state STALLED.
    """

    def __init__(
        self, consumer: Consumer[T], *, on_error: Callable[[str, str], None] = log_failure, stalled_after_s: float = 2.0
    ) -> None:
        self.consumer = consumer
        self._on_error = on_error
        self._stalled_after_s = stalled_after_s
        self._channel: Channel[T] = Channel(consumer.queue, drop_oldest=True, starts=consumer.starts)
        self._times, self._lock = StageTimes(), threading.Lock()
        self._state = SinkState.OPEN
        self._written = self._refused = self._failures = 0
        self._error: str | None = None
        self._busy_since_s: float | None = None
        self._opened = False
        self._well_since_s: float | None = None
        self._pause_s = 0.0
        # A consumer that never returns cannot be ended; it must not keep the process from ending.
        self._thread = threading.Thread(target=self._run, name=f"streamfilter-sink-{consumer.name}", daemon=True)

    def start(self) -> None:
        """Begin to consume."""
        self._thread.start()

    def put(self, item: T) -> None:
        """Hand over one item; never waits, never raises."""
        dropped = self._channel.dropped
        try:
            self._channel.put(item)
        except Cancelled:
            self._refused += 1
            return
        if self._channel.dropped > dropped:
            attempt(self.consumer.on_drop)

    def finish(self) -> None:
        """What waits is still written, then the consumer is closed."""
        self._channel.finish()

    def cancel(self) -> None:
        """What waits is thrown away."""
        self._channel.cancel()

    def join(self, timeout_s: float) -> bool:
        """Whether the consumer has ended, at the latest after `timeout_s`; if not, it is abandoned."""
        if self._thread.is_alive():
            self._thread.join(max(timeout_s, 0.0))
        if not self._thread.is_alive():
            return True
        self._channel.cancel()
        self._state = SinkState.ABANDONED
        return False

    @property
    def alive(self) -> bool:
        """Whether it still takes items, now or after a pause."""
        return self._state is not SinkState.FAILED and self.consumer.alive()

    def status(self) -> SinkStatus:
        """The state and counters of the moment."""
        with self._lock:
            latency = self._times.summary().get("written", {})
        return SinkStatus(
            name=self.consumer.name,
            state=self._shown_state(),
            written=self._written,
            dropped=self._channel.dropped + self._refused,
            failures=self._failures,
            error=self._error,
            latency=latency,
        )

    def _shown_state(self) -> SinkState:
        since_s = self._busy_since_s
        stalled = since_s is not None and time.monotonic() - since_s > self._stalled_after_s
        return SinkState.STALLED if stalled and self._state is SinkState.OPEN else self._state

    def _run(self) -> None:
        try:
            while not self._serve() and self._pause():
                self._channel.skip()
                attempt(self.consumer.on_drop)
        except Cancelled:
            pass
        self._channel.cancel()
        closed = self._close(named=True)
        if self._state is not SinkState.ABANDONED:
            well = closed and self._state is SinkState.OPEN
            self._state = SinkState.CLOSED if well else SinkState.FAILED

    def _serve(self) -> bool:
        """Open and write until the end; False where the consumer failed.

        Raises:
            Cancelled: Nothing more is to be written.
        """
        self._opened = True
        if not self._guarded(self.consumer.open):
            return False
        for item in self._channel:
            if not self._guarded(partial(self.consumer.write, item)):
                return False
            self._count(item)
        return True

    def _close(self, *, named: bool) -> bool:
        opened, self._opened = self._opened, False
        return not opened or self._guarded(self.consumer.close, named=named)

    def _count(self, item: T) -> None:
        self._state = SinkState.OPEN
        self._written += 1
        self._well_since_s = self._well_since_s or time.monotonic()
        captured_s: float | None = getattr(item, "captured_s", None)  # frames and packets carry it, sound does not
        if captured_s is not None:
            with self._lock:
                self._times.add("written", round((time.monotonic() - captured_s) * 1e9))

    def _pause(self) -> bool:
        """After a failure: whether to try again, once the time for it has come."""
        retry = self.consumer.retry
        if retry is None:
            self._state = SinkState.FAILED
            return False
        self._state = SinkState.RETRYING
        self._close(named=False)
        return not self._channel.wait_for_end(self._pause_s)

    def _guarded(self, step: Callable[[], None], *, named: bool = True) -> bool:
        """Run one step of the consumer; whether it succeeded."""
        self._busy_since_s = time.monotonic()
        try:
            step()
        except Exception as error:  # noqa: BLE001 - a sink may fail in any way, and the others must not notice
            if named:
                self._fail(error)
            return False
        finally:
            self._busy_since_s = None
        return True

    def _fail(self, error: Exception) -> None:
        retry, now_s = self.consumer.retry or Retry(), time.monotonic()
        well = self._well_since_s is not None and now_s - self._well_since_s >= retry.well_s
        again = self._failures > 0 and not well
        self._pause_s = min(2 * self._pause_s, retry.most_s) if again else retry.first_s
        self._well_since_s = None
        self._failures += 1
        self._error = described(error)
        if not again:
            attempt(self._on_error, self.consumer.name, self._error)
