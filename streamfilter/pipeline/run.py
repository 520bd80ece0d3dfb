"""One recorded source: a reader, a writer, and the filter in the caller's thread between them.

The first failure anywhere cancels both channels, all threads are joined, and that failure is raised to the caller.
"""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from typing import Protocol

from streamfilter.errors import DamagedStreamError
from streamfilter.pipeline.channel import Cancelled, Channel
from streamfilter.structures import Frame, SafeFrame

INBOX_FRAMES = 4
OUTBOX_FRAMES = 8
_POLL_S = 0.005


class Protector(Protocol):
    """What protects frames: `guard.Guard`."""

    def push(self, frame: Frame) -> list[SafeFrame]:
        """Take in one frame, return those that are due."""
        ...

    def flush(self) -> list[SafeFrame]:
        """Return all frames that still wait."""
        ...


@dataclass(frozen=True, kw_only=True)
class Flow:
    """What went through: frames `read` and `written`."""

    read: int
    written: int


Progress = Callable[[Flow], None]


class _Run:
    """One run: its channels, its counters, and its first failure."""

    def __init__(self) -> None:
        self.inbox: Channel[Frame] = Channel(INBOX_FRAMES)
        self.outbox: Channel[SafeFrame] = Channel(OUTBOX_FRAMES)
        self.read = self.written = 0
        self.failure: BaseException | None = None
        self.damage: DamagedStreamError | None = None
        self._lock = threading.Lock()

    @property
    def flow(self) -> Flow:
        return Flow(read=self.read, written=self.written)

    def guarded(self, part: Callable[[], None]) -> None:
        """Run one part; its failure, if it is the first, ends the others."""
        try:
            part()
        except Cancelled:
            pass
        except BaseException as error:  # noqa: BLE001 - raised again in the caller's thread
            with self._lock:
                self.failure = self.failure or error
            self.cancel()

    def cancel(self) -> None:
        """End every part."""
        self.inbox.cancel()
        self.outbox.cancel()

    def reading(self, frames: Iterable[Frame]) -> None:
        try:
            for frame in frames:
                self.read += 1
                self.inbox.put(frame)
        except DamagedStreamError as damage:  # what could be decoded is still protected and written
            self.damage = damage
        finally:
            close = getattr(frames, "close", None)
            if close is not None:
                close()
        self.inbox.finish()

    def filtering(self, protect: Protector, on_progress: Progress | None) -> None:
        for frame in self.inbox:
            for safe in protect.push(frame):
                self.outbox.put(safe)
            if on_progress is not None:
                on_progress(self.flow)
        for safe in protect.flush():
            self.outbox.put(safe)
        self.outbox.finish()

    def writing(self, write: Callable[[SafeFrame], None]) -> None:
        for safe in self.outbox:
            write(safe)
            self.written += 1


def run(
    frames: Iterable[Frame],
    protect: Protector,
    write: Callable[[SafeFrame], None],
    *,
    on_progress: Progress | None = None,
) -> Flow:
    """Read, protect and write until the source ends; returns what went through.

    `frames` is iterated (and closed, if it can be) in a thread of its own, `write` is called in another; `protect` and
    `on_progress` run in the caller's. No frame is dropped. All threads have ended when this returns or raises.

    Raises:
        DamagedStreamError: Part of the source could not be decoded; all that could be has been written.
        BaseException: The first failure of the source, the filter or `write`, Ctrl-C included.
    """
    state = _Run()
    parts = {"reader": lambda: state.reading(frames), "writer": lambda: state.writing(write)}
    threads = [
        threading.Thread(target=state.guarded, args=(part,), name=f"streamfilter-{name}")
        for name, part in parts.items()
    ]
    try:
        for thread in threads:
            thread.start()
        state.guarded(lambda: state.filtering(protect, on_progress))
        for thread in threads:
            thread.join()
    except BaseException:  # Ctrl-C between two parts, where nothing guards
        state.cancel()
        _wait_for_end(threads)
        raise
    if state.failure is not None:
        raise state.failure
    if on_progress is not None:
        on_progress(state.flow)
    if state.damage is not None:
        raise state.damage
    return state.flow


def _wait_for_end(threads: list[threading.Thread]) -> None:
    """As `join`, but also for a thread whose start was interrupted: that one cannot be joined yet."""
    while set(threads) & set(threading.enumerate()):
        time.sleep(_POLL_S)
