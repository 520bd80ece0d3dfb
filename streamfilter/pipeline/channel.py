"""A bounded queue between two threads that can be drained or thrown away."""

from __future__ import annotations

import threading
import time
from collections import deque
from collections.abc import Callable, Iterator
from typing import Generic, TypeVar

T = TypeVar("T")

_WAKE_S = 0.5  # a wait without end would hold Ctrl-C back on some systems


class Cancelled(Exception):  # noqa: N818 - a signal between threads, never seen outside
    """The other end of a channel gave up."""


class Channel(Generic[T]):
    """A bounded queue between two threads that either end may finish (drain) or cancel (throw away).

    With `drop_oldest`, a full channel makes room by dropping what waited longest, and counts it; otherwise it makes
    the sender wait. Where items lean on those before them, `starts` tells which can stand at the beginning (a key
    frame): after a loss, everything up to the next of these is dropped too.
    """

    def __init__(self, capacity: int, *, drop_oldest: bool = False, starts: Callable[[T], bool] | None = None) -> None:
        self._items: deque[T] = deque()
        self._capacity = capacity
        self._drop_oldest = drop_oldest
        self._starts = starts
        self._changed = threading.Condition()
        self._finished = self._cancelled = self._torn = False
        self.dropped = 0

    def put(self, item: T) -> None:
        """Add an item, waiting for room.

        Raises:
            Cancelled: Nobody will take it.
        """
        with self._changed:
            while len(self._items) >= self._capacity and not self._cancelled:
                if self._drop_oldest:
                    self._drop(1)
                else:
                    self._changed.wait(_WAKE_S)
            if self._cancelled:
                raise Cancelled
            if self._torn and self._starts is not None and not self._starts(item):
                self.dropped += 1
                return
            self._torn = False
            self._items.append(item)
            self._changed.notify_all()

    def __iter__(self) -> Iterator[T]:
        """Take items until the channel is finished and empty.

        Raises:
            Cancelled: No more will come, and those that waited are gone.
        """
        while True:
            item = self.take(_WAKE_S)
            if item is not None:
                yield item
            elif self.drained:
                return

    def take(self, timeout_s: float) -> T | None:
        """The next item, or None where none came in time or none will come any more (see `drained`).

        Raises:
            Cancelled: No more will come, and those that waited are gone.
        """
        deadline_s = time.monotonic() + timeout_s
        with self._changed:
            while not (self._items or self._finished or self._cancelled):
                left_s = deadline_s - time.monotonic()
                if left_s <= 0:
                    return None
                self._changed.wait(left_s)
            if self._cancelled:
                raise Cancelled
            if not self._items:
                return None
            item = self._items.popleft()
            self._changed.notify_all()
            return item

    @property
    def drained(self) -> bool:
        """Whether it is finished and empty."""
        with self._changed:
            return self._finished and not self._items

    def skip(self) -> None:
        """Drop what cannot follow a new beginning: all up to the last item that `starts`, to be up to date at once."""
        with self._changed:
            places = [place for place, item in enumerate(self._items) if self._starts is None or self._starts(item)]
            self._drop(places[-1] if places else len(self._items))
            self._torn = not places

    def _drop(self, count: int) -> None:
        """The first `count` items, and those after them that cannot stand without."""
        for _ in range(count):
            self._items.popleft()
            self.dropped += 1
        if count and self._starts is not None:
            while self._items and not self._starts(self._items[0]):
                self._items.popleft()
                self.dropped += 1
            self._torn = not self._items

    def wait_for_end(self, timeout_s: float) -> bool:
        """Whether it was finished or cancelled, at the latest after `timeout_s`."""
        with self._changed:
            return self._changed.wait_for(lambda: self._finished or self._cancelled, timeout_s)

    def finish(self) -> None:
        """No more will be put; what waits may still be taken."""
        with self._changed:
            self._finished = True
            self._changed.notify_all()

    def cancel(self) -> None:
        """Throw away what waits and wake both ends."""
        with self._changed:
            self._cancelled = True
            self._items.clear()
            self._changed.notify_all()
