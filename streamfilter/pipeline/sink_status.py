"""What became of a sink, and of what it was given, as values."""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum


class SinkState(StrEnum):
    """Of one consumer."""

    OPEN = "open"
    """It takes what it is given."""
    STALLED = "stalled"
    """One item has been on its way into it for long."""
    RETRYING = "retrying"
    """It failed, and is tried again after a pause."""
    FAILED = "failed"
    """It failed for good; the others go on."""
    CLOSED = "closed"
    """It was finished properly."""
    ABANDONED = "abandoned"
    """It did not end in time."""


@dataclass(frozen=True, kw_only=True)
class SinkStatus:
    """One consumer at one moment.

    Attributes:
        name: As it was given; without credentials.
        state: See `SinkState`.
        written: Items that it took.
        dropped: Items that it was too slow or not able to take.
        failures: How often it failed.
        error: Its latest failure in one line; None where it never failed.
        latency: From arrival at the source until written: `p50_ms`, `p95_ms`, `calls`, `total_s`; empty at first.
    """

    name: str
    state: SinkState
    written: int
    dropped: int
    failures: int
    error: str | None
    latency: dict[str, float]

    @property
    def well(self) -> bool:
        """Whether nothing is wrong with it now."""
        return self.state in {SinkState.OPEN, SinkState.CLOSED}
