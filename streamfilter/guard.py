"""Fail-closed around the filter: whatever goes wrong within it, each frame comes out once, in order, safe or blank."""

from __future__ import annotations

from collections import deque
from collections.abc import Callable
from fractions import Fraction
from functools import lru_cache
from typing import Protocol

import cv2
import numpy as np

from streamfilter.containment import attempt
from streamfilter.errors import ProtectionError
from streamfilter.face_filter import BLANK_GREY, blank
from streamfilter.shedding import Effort
from streamfilter.structures import Frame, Image, SafeFrame
from streamfilter.timing import StageTimes

MAX_WAITING = 64
CARD_TEXT_GREY = 200
_CARD_FONT = cv2.FONT_HERSHEY_SIMPLEX


class AnyFilter(Protocol):
    """What a guard stands around: `face_filter.FaceFilter`, or another with its interface."""

    times: StageTimes

    def push(self, frame: Frame) -> list[SafeFrame]:
        """Take in one frame, return those that are due."""
        ...

    def ready(self) -> list[SafeFrame]:
        """Return those that were finished in the meantime."""
        ...

    @property
    def painting(self) -> bool:
        """Whether any is being painted."""
        ...

    def flush(self) -> list[SafeFrame]:
        """Return all frames that still wait."""
        ...

    def reset(self) -> None:
        """Start afresh."""
        ...

    def set_effort(self, effort: Effort) -> None:
        """Do less work from now on, or more again."""
        ...


class Guard:
    """Has the interface of the filter that it guards, and never raises for a frame.

    If the filter fails, or returns something other than the frames it was given, the frames that wait in it become
    blank and it starts afresh. `failures` counts how often that happened.
    """

    def __init__(self, inner: AnyFilter) -> None:
        self._inner = inner
        self._waiting: deque[Frame] = deque()
        self.failures = 0

    @property
    def times(self) -> StageTimes:
        """Durations per stage."""
        return self._inner.times

    def push(self, frame: Frame) -> list[SafeFrame]:
        """Take in one frame; returns those that are due."""
        self._waiting.append(frame)
        return self._run(lambda: self._inner.push(frame), most_waiting=MAX_WAITING)

    def ready(self) -> list[SafeFrame]:
        """Return those that were finished in the meantime; waits for nothing."""
        return self._run(self._inner.ready, most_waiting=MAX_WAITING)

    @property
    def painting(self) -> bool:
        """Whether `ready` will have something before long."""
        return self._inner.painting

    def flush(self) -> list[SafeFrame]:
        """Return all frames that still wait; none is left afterwards."""
        return self._run(self._inner.flush, most_waiting=0)

    def reset(self) -> None:
        """Start afresh; frames that still wait are dropped, so `flush` first where they matter."""
        self._waiting.clear()
        self._restart()

    def set_effort(self, effort: Effort) -> None:
        """Do less work from now on, or more again; a filter that cannot goes on as it is."""
        attempt(lambda: self._inner.set_effort(effort))

    def _run(self, step: Callable[[], list[SafeFrame]], *, most_waiting: int) -> list[SafeFrame]:
        safe, error = attempt(step)
        out: list[SafeFrame] = []
        if error is None:
            _, error = attempt(self._accept, safe, out)
        if error is None and len(self._waiting) > most_waiting:
            error = ProtectionError("the filter kept a frame back")
        if error is not None:
            out.extend(self._blank_waiting(error))
        return out

    def _accept(self, frames: list[SafeFrame] | None, out: list[SafeFrame]) -> None:
        """Move frames to `out` for as long as each is the one that is due.

        Raises:
            ProtectionError: One is not.
        """
        for safe in frames or []:
            if not isinstance(safe, SafeFrame):
                raise ProtectionError(f"the filter returned a {type(safe).__name__}")
            if not self._waiting:
                raise ProtectionError(f"the filter returned a frame too many, index {safe.index}")
            due = self._waiting[0]
            if _stamp(safe) != _stamp(due):
                raise ProtectionError(f"the filter returned frame {_stamp(safe)}, due was {_stamp(due)}")
            out.append(safe)
            self._waiting.popleft()

    def _blank_waiting(self, error: Exception) -> list[SafeFrame]:
        self.failures += 1
        reason = f"filter failed: {type(error).__name__}"
        blanks = [blank(frame, reason) for frame in self._waiting]
        self._waiting.clear()
        self._restart()
        return blanks

    def _restart(self) -> None:
        """A filter that cannot even be reset fails again with the next frame, which is blanked in turn."""
        attempt(self._inner.reset)


def _stamp(frame: Frame | SafeFrame) -> tuple[object, ...]:
    return frame.index, frame.pts, frame.time_base, frame.image.shape


def card(size: tuple[int, int], text: str, *, index: int, pts: int | None, time_base: Fraction) -> SafeFrame:
    """A plain picture with one line of text: made of nothing but these arguments, so nothing of a source is in it.

    Args:
        size: Height and width in pixels.
        text: One line of ASCII; reduced until it fits.
        index: As of a frame.
        pts: As of a frame.
        time_base: As of a frame.
    """
    return SafeFrame(_card_image(*size, text), index, pts, time_base, blanked=text)


@lru_cache(maxsize=4)
def _card_image(height: int, width: int, text: str) -> Image:
    """Drawn once and shared, hence read-only."""
    image = np.full((height, width, 3), BLANK_GREY, np.uint8)
    (wide, high), _ = cv2.getTextSize(text, _CARD_FONT, 1.0, 1)
    scale = min(0.6 * width / max(wide, 1), 0.12 * height / max(high, 1))
    place = (round((width - wide * scale) / 2), round((height + high * scale) / 2))
    thickness = max(1, round(1.5 * scale))
    cv2.putText(image, text, place, _CARD_FONT, scale, (CARD_TEXT_GREY,) * 3, thickness, cv2.LINE_AA)
    image.setflags(write=False)
    return image


def shown_again(safe: SafeFrame, *, pts: int | None) -> SafeFrame:
    """The same protected picture at a later time; its regions and its arrival were told once already."""
    return SafeFrame(safe.image, safe.index, pts, safe.time_base, blanked=safe.blanked)


def moved(safe: SafeFrame, *, pts: int) -> SafeFrame:
    """The same protected frame at another time."""
    return SafeFrame(safe.image, safe.index, pts, safe.time_base, safe.regions, safe.blanked, safe.captured_s)
