"""From numbers to places on an axis, and the round numbers that stand beside it."""

from __future__ import annotations

import math
from collections.abc import Iterable
from dataclasses import dataclass

from streamfilter.audit.wording import clock, number

_STEPS = (1, 2, 2.5, 5, 10)
_CLOCK_STEPS = (0.1, 0.2, 0.5, 1, 2, 5, 10, 15, 30, 60, 120, 300, 600, 900, 1800, 3600, 7200)


@dataclass(frozen=True, kw_only=True)
class Scale:
    """Values from `low` to `high` become places from `start` to `end`."""

    low: float
    high: float
    start: float
    end: float

    def __call__(self, value: float) -> float:
        """The place of a value; what lies outside stays at the edge."""
        part = (value - self.low) / (self.high - self.low)
        return self.start + min(max(part, 0.0), 1.0) * (self.end - self.start)


def extent(values: Iterable[float], *, zero: bool = False) -> tuple[float, float]:
    """Least and greatest finite value, a little apart if they are the same; 0 to 1 if there are none."""
    finite = [value for value in values if math.isfinite(value)]
    if not finite:
        return 0.0, 1.0
    low, high = min(finite), max(finite)
    if zero:
        low, high = min(low, 0.0), max(high, 0.0)
    return (low, high) if high > low else (low - (0 if zero else 0.5), high + (1 if zero else 0.5))


def ticks(low: float, high: float, about: int) -> tuple[float, ...]:
    """Round numbers from `low` to `high`."""
    rough = (high - low) / max(about, 1)
    power = 10.0 ** math.floor(math.log10(rough))
    step = power * min(_STEPS, key=lambda factor: abs(math.log(factor * power / rough)))
    return _multiples(low, high, step)


def clock_ticks(low: float, high: float, about: int) -> tuple[float, ...]:
    """Round times from `low` to `high` seconds."""
    rough = (high - low) / max(about, 1)
    if rough > _CLOCK_STEPS[-1]:
        return tuple(3600 * hours for hours in ticks(low / 3600, high / 3600, about))
    return _multiples(low, high, min(_CLOCK_STEPS, key=lambda step: abs(math.log(step / rough))))


def clock_texts(values: tuple[float, ...]) -> list[str]:
    """Times as minutes and seconds where the longest has minutes, else as seconds."""
    if values and values[-1] >= 60:
        return [f"0:{value:02.0f}" if value < 60 else clock(value) for value in values]
    return [f"{number(round(value, 6))} s" for value in values]


def rounded_out(low: float, high: float, about: int) -> tuple[float, float]:
    """The next round numbers around both."""
    found = ticks(low, high, about)
    step = found[1] - found[0] if len(found) > 1 else high - low
    return math.floor(low / step + 1e-9) * step, math.ceil(high / step - 1e-9) * step


def _multiples(low: float, high: float, step: float) -> tuple[float, ...]:
    first, last = math.ceil(low / step - 1e-9), math.floor(high / step + 1e-9)
    return tuple(round(count * step, 12) + 0.0 for count in range(first, last + 1))
