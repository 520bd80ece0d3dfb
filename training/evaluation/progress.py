"""How far a long measurement is and how long it will still take."""

from __future__ import annotations

import time
from collections.abc import Callable

SAY_EVERY_S = 10.0


class Progress:
    """Counts steps and now and then says how many are left.

    Args:
        total: Steps expected.
        say: Takes one line of text.
        clock: Seconds.
    """

    def __init__(self, total: int, say: Callable[[str], None], clock: Callable[[], float] = time.monotonic) -> None:
        self._total, self._say, self._clock = total, say, clock
        self._done = 0
        self._start = self._said = clock()

    def step(self, label: str) -> None:
        """One more is done."""
        self._done += 1
        now = self._clock()
        if now - self._said >= SAY_EVERY_S:
            self._said = now
            self._say(f"{label}: {self._done} of about {self._total}, {self.left(now)} left")

    def left(self, now: float) -> str:
        """Time left as minutes and seconds, at the pace so far."""
        seconds = round((now - self._start) / max(self._done, 1) * max(self._total - self._done, 0))
        return f"{seconds // 60}:{seconds % 60:02d}"
