"""When to stop: at a time limit, or when asked to by SIGINT or SIGTERM."""

from __future__ import annotations

import math
import signal
import time
from types import FrameType, TracebackType

SIGNALS = (signal.SIGINT, signal.SIGTERM)


class Stop:
    """Says when the loop shall end; the second signal is not caught, so that a hung run can still be ended.

    Args:
        limit_s: Seconds from `started` on.
        started: Monotonic time at which the command began.
    """

    def __init__(self, limit_s: float = math.inf, started: float | None = None) -> None:
        self.deadline = (time.monotonic() if started is None else started) + limit_s
        self.reason = ""

    def __enter__(self) -> Stop:
        self._before = {number: signal.signal(number, self._asked) for number in SIGNALS}
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._restore()

    def __bool__(self) -> bool:
        """Whether to stop now; `reason` then says why."""
        if not self.reason and self.left_s <= 0:
            self.reason = "the time is up"
        return bool(self.reason)

    @property
    def left_s(self) -> float:
        """Seconds until the limit."""
        return self.deadline - time.monotonic()

    def _asked(self, number: int, frame: FrameType | None) -> None:
        self.reason = f"{signal.Signals(number).name} was received"
        self._restore()

    def _restore(self) -> None:
        for number, handler in self._before.items():
            signal.signal(number, handler)
