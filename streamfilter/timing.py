"""How long each stage took, per frame, in bounded memory; stages may be timed in several threads."""

from __future__ import annotations

import time
from collections.abc import Iterator
from contextlib import contextmanager

import numpy as np

RESERVOIR = 4096


class StageTimes:
    """Durations per stage: totals over the whole run, percentiles over the latest `RESERVOIR` calls."""

    def __init__(self) -> None:
        self._recent: dict[str, list[int]] = {}
        self._count: dict[str, int] = {}
        self._total_ns: dict[str, int] = {}

    @contextmanager
    def stage(self, name: str) -> Iterator[None]:
        """Time the block as one call of the stage `name`."""
        start = time.perf_counter_ns()
        try:
            yield
        finally:
            self.add(name, time.perf_counter_ns() - start)

    def add(self, name: str, duration_ns: int) -> None:
        """Count one call of `name` that took `duration_ns`."""
        recent = self._recent.setdefault(name, [])
        count = self._count.get(name, 0)
        if len(recent) < RESERVOIR:
            recent.append(duration_ns)
        else:
            recent[count % RESERVOIR] = duration_ns
        self._count[name] = count + 1
        self._total_ns[name] = self._total_ns.get(name, 0) + duration_ns

    def summary(self) -> dict[str, dict[str, float]]:
        """Per stage: `calls`, `total_s`, `p50_ms`, `p95_ms`."""
        return {
            name: {
                "calls": self._count[name],
                "total_s": self._total_ns[name] / 1e9,
                "p50_ms": float(np.percentile(recent, 50)) / 1e6,
                "p95_ms": float(np.percentile(recent, 95)) / 1e6,
            }
            for name, recent in list(self._recent.items())
        }
