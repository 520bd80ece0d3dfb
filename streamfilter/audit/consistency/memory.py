"""Memory that does not grow: an even sample over time, a random sample of numbers, and a line of means over time."""

from __future__ import annotations

from typing import Generic, TypeVar

import numpy as np

from streamfilter.structures import Doubles

T = TypeVar("T")


class Thinned(Generic[T]):
    """At least `most` / 2 and at most `most` items, evenly over all that came: every 1st, then 2nd, 4th, ..."""

    def __init__(self, most: int) -> None:
        self._most, self._stride, self._count = most, 1, 0
        self.items: list[T] = []

    @property
    def wanted(self) -> bool:
        """Whether the next item will be kept: spares making it."""
        return self._count % self._stride == 0

    def add(self, item: T | None) -> None:
        """One more; None may stand for an item that is not wanted."""
        if self.wanted and item is not None:
            self.items.append(item)
        self._count += 1
        if len(self.items) > self._most:
            self.items = self.items[::2]
            self._stride *= 2


class Sample:
    """Mean of all numbers that came, the largest with its place, and a random sample for quantiles."""

    SIZE = 4096

    def __init__(self) -> None:
        self.count, self.total = 0, 0.0
        self.largest, self.place = -np.inf, ("", 0.0)
        self._kept: list[float] = []
        self._rng = np.random.default_rng(0)

    def add(self, value: float, place: tuple[str, float] = ("", 0.0)) -> None:
        """One more number; place: the source and the time at which it was measured."""
        self.count, self.total = self.count + 1, self.total + value
        if value > self.largest:
            self.largest, self.place = value, place
        if len(self._kept) < self.SIZE:
            self._kept.append(value)
        elif (slot := int(self._rng.integers(0, self.count))) < self.SIZE:
            self._kept[slot] = value

    @property
    def mean(self) -> float | None:
        """Of all that came; None of nothing."""
        return self.total / self.count if self.count else None

    def quantile(self, share: float) -> float | None:
        """Of the sample; None of nothing."""
        return float(np.quantile(self._kept, share)) if self._kept else None


class Timeline:
    """Sums and counts of a value over time, in bins of `width_s` that double when there would be too many."""

    MOST_BINS = 600

    def __init__(self, width_s: float = 1.0) -> None:
        self.width_s = width_s
        self._bins: dict[int, tuple[float, int]] = {}

    def add(self, time_s: float, value: float) -> None:
        """One more value."""
        self._gather(int(time_s // self.width_s), value, 1)
        if len(self._bins) > self.MOST_BINS:
            fine, self._bins, self.width_s = self._bins, {}, self.width_s * 2
            for number, (total, count) in fine.items():
                self._gather(number // 2, total, count)

    def _gather(self, number: int, total: float, count: int) -> None:
        before = self._bins.get(number, (0.0, 0))
        self._bins[number] = (before[0] + total, before[1] + count)

    def means(self) -> tuple[tuple[float, ...], tuple[float, ...]]:
        """Start of each bin in seconds, and its mean."""
        numbers = sorted(self._bins)
        return tuple(n * self.width_s for n in numbers), tuple(self._bins[n][0] / self._bins[n][1] for n in numbers)

    def sums(self) -> Doubles:
        """(n, 2): sum and count of each bin."""
        return np.array([self._bins[n] for n in sorted(self._bins)], np.float64).reshape(-1, 2)
