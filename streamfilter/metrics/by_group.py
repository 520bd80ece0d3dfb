"""How sure a mean is where the values come in groups: frames of one person are not independent of each other.

Whole groups are drawn again, not single values (cluster bootstrap: Field and Welsh, 2007); otherwise a hundred frames
of one person would pass for a hundred people.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from streamfilter.metrics.bootstrap import DRAWS, LEVEL
from streamfilter.structures import Doubles

Groups = Sequence[object] | NDArray[np.generic]


@dataclass(frozen=True)
class Grouped:
    """A mean over `n` values of `groups` groups; `low` to `high` holds it with 95 %, None if one group cannot say."""

    value: float
    low: float | None
    high: float | None
    n: int
    groups: int


def mean_by_group(values: Doubles, groups: Groups, seed: int = 0) -> Grouped | None:
    """The mean of values (n,), each of which belongs to one of the groups (n,); None of nothing."""
    if not len(values):
        return None
    names, numbers = np.unique(np.asarray(groups), return_inverse=True)
    counts, sums = np.bincount(numbers), np.bincount(numbers, np.asarray(values, np.float64))
    value, many = float(sums.sum() / counts.sum()), len(names)
    if many < 2:
        return Grouped(value, None, None, len(values), many)
    times = np.random.default_rng(seed).multinomial(many, np.full(many, 1 / many), DRAWS)
    low, high = np.quantile((times @ sums) / (times @ counts), [(1 - LEVEL) / 2, (1 + LEVEL) / 2])
    return Grouped(value, float(low), float(high), len(values), many)


def share_by_group(hits: NDArray[np.bool_], groups: Groups, seed: int = 0) -> Grouped | None:
    """The share of hits (n,) that are true; None of nothing.

    Where all are alike, drawing again always gives the same; the interval then ends where the exact binomial one over
    the groups does (Clopper and Pearson, 1934): none of 10 people leaves up to 31 % possible.
    """
    found = mean_by_group(np.asarray(hits, np.float64), groups, seed)
    if found is None or 0 < found.value < 1:
        return found
    reach = float(((1 - LEVEL) / 2) ** (1 / found.groups))
    low, high = (0.0, 1 - reach) if found.value == 0 else (reach, 1.0)
    return Grouped(found.value, low, high, found.n, found.groups)
