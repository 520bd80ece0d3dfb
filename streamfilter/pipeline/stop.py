"""Ending on purpose: a flag that may be raised from anywhere, and by the signals that ask a process to end."""

from __future__ import annotations

import signal
from collections.abc import Iterator
from contextlib import contextmanager
from types import FrameType
from typing import Protocol

SIGNALS = (signal.SIGINT, signal.SIGTERM)


class StopFlag(Protocol):
    """What asks for a proper end: a `Stop`, or a `threading.Event`."""

    def is_set(self) -> bool:
        """Whether it is time."""
        ...


class Stop:
    """Raised once, never lowered. Not an event: a signal handler that took its lock could wait for itself."""

    def __init__(self) -> None:
        self._is_set = False

    def set(self) -> None:
        """Ask for a proper end: the source is closed, what was read is protected and written, sinks are finished."""
        self._is_set = True

    def is_set(self) -> bool:
        """Whether it is time."""
        return self._is_set


@contextmanager
def stopping_on_signals() -> Iterator[Stop]:
    """The first SIGINT or SIGTERM requests a proper end, the second raises KeyboardInterrupt; main thread only.

    The handlers of before are back when the block ends.
    """
    stop = Stop()

    def handle(number: int, frame: FrameType | None) -> None:
        if stop.is_set():
            raise KeyboardInterrupt
        stop.set()

    before = {number: signal.signal(number, handle) for number in SIGNALS}
    try:
        yield stop
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)
