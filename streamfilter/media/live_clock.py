"""When the frames of a live stream are shown: by the source's own times as long as these can be believed."""

from __future__ import annotations

import time
from collections.abc import Callable
from fractions import Fraction

LIVE_TIME_BASE = Fraction(1, 90_000)
TICKS_PER_S = 90_000
BELIEVED_WITHIN_S = 0.5
# Two clocks never run alike: each frame draws the source's this much of their difference nearer to ours, unseen,
# where half a second would otherwise be skipped every few hours.
DRAWN_NEARER = 1e-3
FAR_AHEAD_S = 10.0


class LiveClock:
    """Gives every frame its time in ticks of `LIVE_TIME_BASE` since the first, strictly rising.

    The source's times are followed while they lie within `BELIEVED_WITHIN_S` of arrival; one that does not (a jump, a
    run backwards, a wrap-around) is anchored anew, at its own arrival. None lies later than its arrival: a frame that
    comes sooner than expected proves that the one before it was delayed (as those that pile up while a connection is
    made), and the rest follow the punctual one.
    """

    def __init__(self) -> None:
        self._start_s: float | None = None
        self._offset_s: float | None = None
        self._last = -1
        self.anchored = 0

    def restart(self) -> None:
        """The source is a new one, or came back: its next time is not compared with its earlier ones."""
        self._offset_s = None

    def place(self, source_s: float | None, arrival_s: float) -> int:
        """The time of the next frame.

        Args:
            source_s: As the source counts, seconds; None where it gives no time: then arrival counts.
            arrival_s: On the monotonic clock.
        """
        if self._start_s is None:
            self._start_s = arrival_s
        since_start_s = arrival_s - self._start_s
        shown_s = since_start_s if source_s is None else self._followed(source_s, since_start_s)
        self._last = max(round(shown_s * TICKS_PER_S), self._last + 1)
        return self._last

    def shown_s(self, source_s: float) -> float | None:
        """Where another time of the same source lies on the output's clock; None before the first frame."""
        return None if self._offset_s is None else source_s + self._offset_s

    def _followed(self, source_s: float, since_start_s: float) -> float:
        late_s = None if self._offset_s is None else since_start_s - (source_s + self._offset_s)
        if self._offset_s is None or late_s is None or abs(late_s) > BELIEVED_WITHIN_S:
            self.anchored += 1
            self._offset_s = since_start_s - source_s
            return since_start_s
        shown_s = source_s + self._offset_s + min(late_s, 0.0)
        self._offset_s += late_s * (DRAWN_NEARER if late_s > 0 else 1)
        return shown_s


class Pacer:
    """Holds back frames that come faster than they are to be shown (playlists, recordings) until they are due.

    Args:
        wait: Called with seconds to wait; may return early.
    """

    def __init__(self, wait: Callable[[float], None]) -> None:
        self._wait = wait
        self._offset_s: float | None = None

    def hold(self, source_s: float | None) -> None:
        """Return when the frame of this time is due; at once where it is late or its time cannot be believed."""
        if source_s is None:
            return
        now_s = time.monotonic()
        ahead_s = None if self._offset_s is None else source_s + self._offset_s - now_s
        if ahead_s is None or not -BELIEVED_WITHIN_S <= ahead_s <= FAR_AHEAD_S:
            self._offset_s = now_s - source_s
        elif ahead_s > 0:
            self._wait(ahead_s)
