"""One stream of items to many consumers, each in its own thread: none delays, breaks or ends the others."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterable, Sequence
from typing import Generic, TypeVar

from streamfilter.pipeline.lane import QUEUE_ITEMS, Consumer, Lane, log_failure
from streamfilter.pipeline.sink_status import SinkStatus

T = TypeVar("T")
U = TypeVar("U")

CLOSE_WAIT_S = 5.0


class FanOut(Generic[T]):
    """Gives every item to every consumer.

    Args:
        consumers: Their names must differ.
        on_error: Told the name and one line when a consumer fails, once while it keeps failing; any thread.
        stalled_after_s: An item that is on its way for longer makes a consumer STALLED.
    """

    def __init__(
        self,
        consumers: Sequence[Consumer[T]],
        *,
        on_error: Callable[[str, str], None] = log_failure,
        stalled_after_s: float = 2.0,
    ) -> None:
        self._lanes = [Lane(one, on_error=on_error, stalled_after_s=stalled_after_s) for one in consumers]
        self._started = False

    def start(self) -> None:
        """Start all consumers; a second call does nothing."""
        if not self._started:
            self._started = True
            for lane in self._lanes:
                lane.start()

    def put(self, item: T) -> None:
        """Give an item to every consumer; never waits, never raises."""
        for lane in self._lanes:
            lane.put(item)

    @property
    def alive(self) -> bool:
        """Whether at least one consumer still takes items, now or after a pause."""
        return not self._lanes or any(lane.alive for lane in self._lanes)

    def statuses(self) -> tuple[SinkStatus, ...]:
        """Every consumer in the order given, each followed by those behind it."""
        return tuple(status for lane in self._lanes for status in (lane.status(), *lane.consumer.parts()))

    def close(self, wait_s: float = CLOSE_WAIT_S) -> tuple[str, ...]:
        """Let all consumers finish, at most `wait_s` in all; returns the names of those that did not, now abandoned."""
        for lane in self._lanes:
            lane.finish()
        return self._join(wait_s)

    def cancel(self, wait_s: float = 0.0) -> tuple[str, ...]:
        """Throw away what waits; as `close` else."""
        for lane in self._lanes:
            lane.cancel()
        return self._join(wait_s)

    def _join(self, wait_s: float) -> tuple[str, ...]:
        if not self._started:
            return ()
        deadline_s = time.monotonic() + wait_s
        return tuple(lane.consumer.name for lane in self._lanes if not lane.join(deadline_s - time.monotonic()))


def through(
    name: str,
    change: Callable[[T], Iterable[U]],
    flush: Callable[[], Iterable[U]],
    onward: FanOut[U],
    *,
    open: Callable[[], None] = lambda: None,  # noqa: A002 - the word of `Consumer`
    queue: int = QUEUE_ITEMS,
    close_wait_s: float = 0.7 * CLOSE_WAIT_S,
) -> Consumer[T]:
    """A consumer that hands what it makes of each item to consumers of its own: one encoder before many outlets.

    Args:
        name: Of the stage.
        change: Item -> what comes of it, none or several.
        flush: What is left at the end.
        onward: Started and closed with the stage.
        open: Called before `onward` is started.
        queue: As in `Consumer`.
        close_wait_s: How long those behind it may take to finish; less than the outer time, so that they are named.
    """

    def write(item: T) -> None:
        for made in change(item):
            onward.put(made)

    def begin() -> None:
        open()
        onward.start()

    def end() -> None:
        try:
            for made in flush():
                onward.put(made)
        finally:
            onward.close(close_wait_s)

    return Consumer(
        name=name,
        write=write,
        open=begin,
        close=end,
        queue=queue,
        parts=onward.statuses,
        alive=lambda: onward.alive,
    )
