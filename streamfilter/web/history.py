"""The last ten minutes of a camera, second by second."""

from __future__ import annotations

from dataclasses import dataclass, fields, replace

from streamfilter.stream_state import LiveCounters, StreamState
from streamfilter.web.status import CameraStatus

HISTORY_S = 600

_NO_SIGNAL = frozenset({StreamState.CONNECTING, StreamState.STALLED, StreamState.RECONNECTING})


@dataclass(frozen=True, kw_only=True)
class Second:
    """One second, `at` seconds after the gallery was made: faces `replaced` and `covered`, frames `blanked`."""

    at: int
    replaced: int = 0
    covered: int = 0
    blanked: int = 0
    no_signal: bool = False


def lengthened(
    seconds: tuple[Second, ...], before: CameraStatus | None, now: CameraStatus, at: int
) -> tuple[Second, ...]:
    """The seconds up to `at`, after `now` was told; what was counted since `before` falls into the last of them."""
    seconds += _gap(seconds, before, at)
    counted = _since(before.counters if before else LiveCounters(), now.counters)
    last = seconds[-1]
    grown = replace(
        last,
        replaced=last.replaced + counted.replaced,
        covered=last.covered + counted.covered,
        blanked=last.blanked + counted.blanked,
        no_signal=last.no_signal or now.state in _NO_SIGNAL or counted.cards > 0,
    )
    return (*seconds[-HISTORY_S:-1], grown)


def _gap(seconds: tuple[Second, ...], before: CameraStatus | None, at: int) -> tuple[Second, ...]:
    """The seconds that have begun since the last one; whoever was without a signal then, was so all along."""
    first = max(seconds[-1].at + 1, at - HISTORY_S + 1) if seconds else at
    silent = before is not None and before.state in _NO_SIGNAL
    return tuple(Second(at=one, no_signal=silent) for one in range(first, at + 1))


def _since(before: LiveCounters, now: LiveCounters) -> LiveCounters:
    """What was counted in between; counters that went back belong to a camera that was started anew."""
    names = [one.name for one in fields(LiveCounters)]
    if any(getattr(now, name) < getattr(before, name) for name in names):
        return now
    return LiveCounters(**{name: getattr(now, name) - getattr(before, name) for name in names})
