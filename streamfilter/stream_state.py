"""What a live stream is doing, as values: states, events, counters. Nothing here knows an address or a picture."""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum


class StreamState(StrEnum):
    """Of a live source."""

    CONNECTING = "connecting"
    """Opening for the first time."""
    LIVE = "live"
    """Frames arrive."""
    STALLED = "stalled"
    """Connected, but no frame has come for a while."""
    RECONNECTING = "reconnecting"
    """Lost; waiting for the next try, or trying."""
    ENDED = "ended"
    """Over: closed on purpose, at its end, or given up."""


@dataclass(frozen=True, kw_only=True)
class StreamEvent:
    """A change of state. `at_s` is on the monotonic clock; `reason` is one line without credentials."""

    state: StreamState
    at_s: float
    reason: str = ""


@dataclass(frozen=True, kw_only=True)
class LiveCounters:
    """Since the start, except where said.

    Attributes:
        read: Frames that came from the source.
        dropped: Frames that a full inbox dropped, the oldest first.
        protected: Frames that left the filter, cards not counted.
        blanked: Of these, the wholly blank ones.
        cards: Cards shown while there was no signal.
        replaced, covered: Faces over all frames.
        reconnects: Times the source came back.
    """

    read: int = 0
    dropped: int = 0
    protected: int = 0
    blanked: int = 0
    cards: int = 0
    replaced: int = 0
    covered: int = 0
    reconnects: int = 0
