"""How sure a mean is: percentiles of the means of samples drawn again (Efron, 1979)."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from streamfilter.structures import Doubles

DRAWS = 1000
LEVEL = 0.95


@dataclass(frozen=True)
class Estimate:
    """A mean over `n` values, and the interval that holds it with a probability of 95 %."""

    value: float
    low: float
    high: float
    n: int


def estimate(values: Doubles, seed: int = 0) -> Estimate | None:
    """The mean of values (n,), those that are NaN left out; None of nothing."""
    x = np.asarray(values, np.float64)
    x = x[~np.isnan(x)]
    if not len(x):
        return None
    rng = np.random.default_rng(seed)
    means = [x[rng.integers(0, len(x), len(x))].mean() for _ in range(DRAWS)]
    low, high = np.quantile(means, [(1 - LEVEL) / 2, (1 + LEVEL) / 2])
    return Estimate(float(x.mean()), float(low), float(high), len(x))
