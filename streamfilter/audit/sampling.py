"""Memory that does not grow, however long an audit is: even and random samples, values over time, a pace."""

from __future__ import annotations

from collections.abc import Callable, Hashable
from typing import Any, Generic, TypeVar

import numpy as np
from numpy.typing import NDArray

MOST_ROWS = 20_000
FIRST_ROWS = 64
CLOCK_TOLERANCE = 0.9  # of an interval: frames do not fall on its multiples exactly

T = TypeVar("T")
Rows = NDArray[np.void]


class Pace:
    """Lets each of the tracks (or whatever has a key) of a file through at most every `interval_s`.

    Args:
        tolerance: Which part of the interval is enough.
    """

    def __init__(self, interval_s: float, tolerance: float = CLOCK_TOLERANCE) -> None:
        self._least_s = interval_s * tolerance
        self._source = ""
        self._taken: dict[Hashable, float] = {}

    def due(self, source: str, time_s: float, key: Hashable = None) -> bool:
        """Whether it is time again; then the clock starts anew. Keys of an earlier file do not come again."""
        if source != self._source:
            self._source, self._taken = source, {}
        if key in self._taken and time_s - self._taken[key] < self._least_s:
            return False
        self._taken = {known: last for known, last in self._taken.items() if time_s - last < self._least_s}
        self._taken[key] = time_s
        return True


class Lottery:
    """Which of many keep a place: all up to `most`, then each with the same probability (Vitter, 1985, algorithm R)."""

    def __init__(self, most: int, seed: int = 0) -> None:
        self.seen = 0
        self._most = most
        self._random = np.random.default_rng(seed)

    def place(self) -> int | None:
        """The place of the next one, whose holder it replaces; None: it is not kept."""
        place = self.seen if self.seen < self._most else int(self._random.integers(self.seen + 1))
        self.seen += 1
        return place if place < self._most else None


class Reservoir:
    """Rows of numbers, a fair sample of all that came.

    Args:
        dtype: Of a row: named numbers.
        most: How many are kept.
        seed: Which ones are kept is the same each time.
    """

    def __init__(self, dtype: np.dtype[np.void], *, most: int = MOST_ROWS, seed: int = 0) -> None:
        self._most = most
        self._lottery = Lottery(most, seed)
        self._rows: Rows = np.zeros(min(FIRST_ROWS, most), dtype)

    @property
    def seen(self) -> int:
        """How many came."""
        return self._lottery.seen

    def add(self, *values: Any) -> None:
        """One row, a value for each name of the dtype, in order."""
        place = self._lottery.place()
        if place is None:
            return
        if place >= len(self._rows):
            self._rows = np.resize(self._rows, min(2 * len(self._rows), self._most))
        self._rows[place] = values

    @property
    def rows(self) -> Rows:
        """What is kept, (n,); not in order once some were dropped."""
        return self._rows[: min(self.seen, self._most)]


class Sample:
    """Mean of all numbers that came, the largest with its place, and a random sample for quantiles."""

    SIZE = 4096

    def __init__(self) -> None:
        self.total = 0.0
        self.largest, self.place = -np.inf, ("", 0.0)
        self._kept = Reservoir(np.dtype([("value", "f8")]), most=self.SIZE)

    def add(self, value: float, place: tuple[str, float] = ("", 0.0)) -> None:
        """One more number; place: the source and the time at which it was measured."""
        self.total += value
        if value > self.largest:
            self.largest, self.place = value, place
        self._kept.add(value)

    @property
    def count(self) -> int:
        """How many came."""
        return self._kept.seen

    @property
    def mean(self) -> float | None:
        """Of all that came; None of nothing."""
        return self.total / self.count if self.count else None

    def quantile(self, share: float) -> float | None:
        """Of the sample; None of nothing."""
        return float(np.quantile(self._kept.rows["value"], share)) if self.count else None


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
        self.thin(self._most)

    def thin(self, most: int) -> None:
        """From now on at most so many."""
        self._most = most
        while len(self.items) > most:
            self.items = self.items[::2]
            self._stride *= 2


class Timeline(Generic[T]):
    """A value in each stretch of time; stretches double in length when there are too many.

    Args:
        joined: Of two values of one stretch the one that stands for both.
        width_s: Length of a stretch at first.
    """

    def __init__(self, joined: Callable[[T, T], T], width_s: float, most: int = 600) -> None:
        self._joined, self._most = joined, most
        self.width_s = width_s
        self._stretches: dict[int, T] = {}

    def add(self, time_s: float, value: T) -> None:
        """One more value."""
        self._gather(int(time_s // self.width_s), value)
        if len(self._stretches) > self._most:
            fine, self._stretches, self.width_s = self._stretches, {}, self.width_s * 2
            for number, before in fine.items():
                self._gather(number // 2, before)

    def _gather(self, number: int, value: T) -> None:
        known = number in self._stretches
        self._stretches[number] = self._joined(self._stretches[number], value) if known else value

    def points(self) -> tuple[tuple[float, ...], tuple[T, ...]]:
        """Start of each stretch in seconds, and its value."""
        numbers = sorted(self._stretches)
        return tuple(n * self.width_s for n in numbers), tuple(self._stretches[n] for n in numbers)
