"""Painting as something that goes on beside the search for faces: what is asked of whoever does it."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Protocol

from streamfilter.structures import SafeFrame


class Painting(Protocol):
    """A frame that is being painted: a `concurrent.futures.Future` of it."""

    def done(self) -> bool:
        """Whether it is finished."""
        ...

    def result(self) -> SafeFrame:
        """The frame, once it is finished."""
        ...


class Beside(Protocol):
    """Who paints frames in order: `pipeline.beside.Beside` in a thread, `Here` in the caller's."""

    def __call__(self, work: Callable[[], SafeFrame]) -> Painting:
        """Begin."""
        ...

    def rest(self) -> None:
        """Finish all that was begun."""
        ...


@dataclass(frozen=True, eq=False, slots=True)
class _Painted:
    frame: SafeFrame

    def done(self) -> bool:
        return True

    def result(self) -> SafeFrame:
        return self.frame


class Here:
    """Paints at once, in the caller's thread."""

    def __call__(self, work: Callable[[], SafeFrame]) -> Painting:
        """The finished frame."""
        return _Painted(work())

    def rest(self) -> None:
        """Nothing is ever unfinished."""
