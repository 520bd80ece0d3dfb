"""Waking a call that waits inside FFmpeg: every tenth of a second FFmpeg asks PyAV whether to go on, and PyAV us.

PyAV knows one answer, "has the time-out passed?", by its own clock, and it lets no other thread end a call. That clock
is all that is replaced here: for the thread that waits, and once its owner wants to stop, it runs far ahead. Should a
later PyAV keep its clock elsewhere, calls end by their time-out, as without this file.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from contextvars import ContextVar

from av.container import core

_AHEAD_S = 1e6

Watch = Callable[[], bool]
"""Asked while a call waits, in the thread that waits: whether to stop."""

_watch: ContextVar[_Clock | None] = ContextVar("streamfilter_watch", default=None)


class _Clock:
    def __init__(self, watch: Watch) -> None:
        self._watch = watch
        self._ahead_s = 0.0

    def now(self) -> float:
        if self._watch():
            # Ever further: a call that begins only now must find its time-out passed at its next look, too.
            self._ahead_s += _AHEAD_S
        return time.monotonic() + self._ahead_s


class _PyavTime:
    """Stands for the module `time` in PyAV's containers, which use nothing else of it."""

    @staticmethod
    def monotonic() -> float:
        clock = _watch.get()
        return time.monotonic() if clock is None else clock.now()


@contextmanager
def watched(watch: Watch) -> Iterator[None]:
    """End what waits inside FFmpeg in this block, with FFmpeg's error, soon after `watch` says so.

    Only calls of containers that were opened with a time-out are ended.
    """
    token = _watch.set(_Clock(watch))
    try:
        yield
    finally:
        _watch.reset(token)


vars(core)["time"] = _PyavTime
