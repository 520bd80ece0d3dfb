"""The thread that empties a live source: it never waits for the filter, and it notices when the source falls silent."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Protocol

from streamfilter.containment import attempt
from streamfilter.pipeline.channel import Cancelled, Channel
from streamfilter.structures import Frame

LIVE_INBOX_FRAMES = 2  # what waits longer is late already
GAP_MEMORY = 0.9  # of earlier gaps in the usual one
UNUSUAL = 4.0  # times the usual gap: a slow camera is not a lost one


class LiveFrames(Protocol):
    """A live source."""

    def __iter__(self) -> Iterator[Frame]:
        """Frames as they arrive, until the source ends or is closed."""
        ...

    def close(self) -> None:
        """End the iteration at once; from any thread."""
        ...


@dataclass(frozen=True, eq=False, slots=True)
class Arrival:
    """A frame, when it came, and how many times the source had been lost before."""

    frame: Frame
    at_s: float
    losses: int


class Reader:
    """Reads a source into `inbox`, which drops its oldest frame when it is full.

    Args:
        source: What is read.
        lost_after_s: A gap this long between two frames is a loss, unless such gaps are usual.
        reconnects: How often the source was connected anew. That, or another picture size, is a loss after any gap:
            who is seen now may be somebody else in the same place.
    """

    def __init__(self, source: LiveFrames, *, lost_after_s: float, reconnects: Callable[[], int] = lambda: 0) -> None:
        self.inbox: Channel[Arrival] = Channel(LIVE_INBOX_FRAMES, drop_oldest=True)
        self.read = self.losses = 0
        self.failure: Exception | None = None
        self.latest_s: float | None = None
        self._usual_s = 0.0
        self._source = source
        self._lost_after_s = lost_after_s
        self._reconnects = reconnects
        self._view: tuple[int, tuple[int, ...]] | None = None
        # A source that never returns cannot be ended; it must not keep the process from ending.
        self._thread = threading.Thread(target=self._run, name="streamfilter-live-reader", daemon=True)

    def start(self) -> None:
        """Begin to read."""
        self._thread.start()

    def close(self) -> None:
        """Close the source, so that the thread ends; what was read stays in the inbox. Waits for nothing."""
        threading.Thread(target=self._close, name="streamfilter-live-closer", daemon=True).start()

    def join(self, timeout_s: float) -> bool:
        """Whether the thread has ended, at the latest after `timeout_s`."""
        if self._thread.is_alive():
            self._thread.join(max(timeout_s, 0.0))
        return not self._thread.is_alive()

    def unusual(self, gap_s: float, least_s: float) -> bool:
        """Whether a gap is at least `least_s`, and long for this source."""
        return gap_s >= max(least_s, UNUSUAL * self._usual_s)

    def _run(self) -> None:
        try:
            self._read_all()
        except Exception as error:  # noqa: BLE001 - told to the caller once all that was read is protected
            self.failure = error
        self._close()
        self.inbox.finish()

    def _close(self) -> None:
        attempt(self._source.close)

    def _read_all(self) -> None:
        try:
            for frame in self._source:
                self.inbox.put(self._arrived(frame))
        except Cancelled:
            pass

    def _arrived(self, frame: Frame) -> Arrival:
        at_s = time.monotonic() if frame.captured_s is None else frame.captured_s
        view, before = (self._reconnects(), frame.image.shape), self._view
        self._view = view
        if self.latest_s is not None:
            gap_s = at_s - self.latest_s
            self.losses += view != before or self.unusual(gap_s, self._lost_after_s)
            capped_s = min(gap_s, 2 * self._lost_after_s)
            self._usual_s = capped_s if self.read == 1 else GAP_MEMORY * self._usual_s + (1 - GAP_MEMORY) * capped_s
        self.latest_s = at_s
        self.read += 1
        return Arrival(frame, at_s, self.losses)
