"""Output time that only runs forward, through cards as well as frames."""

from __future__ import annotations

from fractions import Fraction
from math import ceil

from streamfilter import guard
from streamfilter.structures import SafeFrame

MIN_STEP = Fraction(1, 1000)  # seconds between two pictures whose times disagree


class Timeline:
    """Keeps the times of what leaves strictly rising, and tells what time it is where no frame says so."""

    def __init__(self) -> None:
        self._latest: Fraction | None = None
        self._frame: tuple[Fraction, float] | None = None

    def follow(self, safe: SafeFrame) -> SafeFrame:
        """The frame as it is, or a little later where it would not come after the one before."""
        if safe.pts is None:
            return safe
        time = safe.pts * safe.time_base
        if self._latest is not None and time <= self._latest:
            pts = ceil((self._latest + MIN_STEP) / safe.time_base)
            safe, time = guard.moved(safe, pts=pts), pts * safe.time_base
        self._latest = time
        if safe.captured_s is not None:
            self._frame = time, safe.captured_s
        return safe

    def pts_at(self, now_s: float, time_base: Fraction) -> int:
        """The time of a picture that is made at `now_s` on the monotonic clock, later than all before."""
        least = Fraction(0) if self._latest is None else self._latest + MIN_STEP
        if self._frame is not None:
            time, captured_s = self._frame
            least = max(least, time + Fraction(now_s - captured_s))
        pts = ceil(least / time_base)
        self._latest = pts * time_base
        return pts
