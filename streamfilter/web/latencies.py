"""A histogram of latencies, as a value."""

from __future__ import annotations

from bisect import bisect_left
from dataclasses import dataclass

BOUNDS_S = (0.02, 0.04, 0.06, 0.08, 0.1, 0.15, 0.2, 0.3, 0.5, 0.75, 1.0, 1.5, 2.5, 5.0, 10.0)


@dataclass(frozen=True)
class Latencies:
    """`counts` (n+1,): frames up to each of `BOUNDS_S` and above the last; `total_s`: the sum of all."""

    counts: tuple[int, ...] = (0,) * (len(BOUNDS_S) + 1)
    total_s: float = 0.0

    def with_one(self, latency_s: float) -> Latencies:
        """The same with one frame more."""
        at = bisect_left(BOUNDS_S, latency_s)
        counts = (*self.counts[:at], self.counts[at] + 1, *self.counts[at + 1 :])
        return Latencies(counts, self.total_s + latency_s)
