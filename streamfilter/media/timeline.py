"""Presentation times as a player would understand them: missing ones derived, steps back mended."""

from __future__ import annotations


class Timeline:
    """Gives every frame its time, strictly rising.

    Args:
        step: Usual distance of two frames, in ticks; what a frame without any time advances by.
        jump: A step back of more than this many ticks starts a new count (joined recordings) and is not jitter.
        prefer_dts: The container keeps no presentation times (AVI); what the parser guesses is not to be trusted.
    """

    def __init__(self, *, step: int, jump: int, prefer_dts: bool = False) -> None:
        self._step = max(step, 1)
        self._jump = jump
        self._last: int | None = None
        self._offset = 0
        self._guess = _BestEffort()
        self._prefer_dts = prefer_dts
        self.derived = 0
        self.mended = 0

    def place(self, pts: int | None, dts: int | None) -> int:
        """The time of the next frame in ticks."""
        best = dts if self._prefer_dts else self._guess(pts, dts)
        if best is None:
            self.derived += 1
            best = 0 if self._last is None else self._last + self._step - self._offset
        self._last = self._rising(best + self._offset)
        return self._last

    def _rising(self, time: int) -> int:
        if self._last is None or time > self._last:
            return time
        self.mended += 1
        if self._last - time <= self._jump:
            return self._last + 1
        self._offset += self._last + self._step - time
        return self._last + self._step

    @property
    def notices(self) -> list[str]:
        """What had to be changed, in words."""
        said = []
        if self.derived:
            said.append(f"{self.derived} frames carried no time stamp; theirs was derived from the frame rate")
        if self.mended:
            said.append(f"{self.mended} time stamps did not rise and were moved forward")
        return said


class _BestEffort:
    """FFmpeg's own choice between presentation and decoding times, so that players agree with us."""

    def __init__(self) -> None:
        self._faults = [0, 0]
        self._last: list[int | None] = [None, None]

    def __call__(self, pts: int | None, dts: int | None) -> int | None:
        for which, time in enumerate((pts, dts)):
            last = self._last[which]
            if time is not None:
                self._faults[which] += last is not None and time <= last
                self._last[which] = time
        prefer_pts = self._faults[0] <= self._faults[1] or dts is None
        return pts if prefer_pts and pts is not None else dts
