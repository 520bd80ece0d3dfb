"""How sure a mean is where the values come in groups: frames of one person are not independent of each other.

Whole groups are drawn again, not single values (cluster bootstrap: Field and Welsh, 2007); otherwise a hundred frames
of one person would pass for a hundred people. One group alone cannot say how much groups differ: it has no interval.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

from streamfilter.metrics.bootstrap import DRAWS, LEVEL
from streamfilter.structures import Doubles

Groups = Sequence[object] | NDArray[np.generic]
FEWEST_GROUPS = 2


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
    numbers = np.unique(np.asarray(groups), return_inverse=True)[1]
    totals, counts = np.bincount(numbers, np.asarray(values, np.float64)), np.bincount(numbers)
    sums: Doubles = np.stack([totals, counts.astype(np.float64)], -1)
    low, high = interval_of(sums, ratio, seed) or (None, None)
    return Grouped(float(ratio(sums.sum(0))), low, high, len(values), len(sums))


def share_by_group(hits: NDArray[np.bool_], groups: Groups, seed: int = 0) -> Grouped | None:
    """The share of hits (n,) that are true; None of nothing.

    Where all are alike, drawing again always gives the same; the interval is then `none_of` the groups.
    """
    found = mean_by_group(np.asarray(hits, np.float64), groups, seed)
    if found is None or found.low is None or 0 < found.value < 1:
        return found
    reach = none_of(found.groups)
    low, high = (0.0, reach) if found.value == 0 else (1 - reach, 1.0)
    return replace(found, low=low, high=high)


def none_of(groups: int) -> float:
    """The share that is still possible where none of the groups has it: exact binomial (Clopper and Pearson, 1934).

    None of 10 people leaves up to 31 % possible.
    """
    return 1 - float(((1 - LEVEL) / 2) ** (1 / groups))


def ratio(sums: Doubles) -> Doubles:
    """Means, of sums and counts (..., 2)."""
    return np.asarray(sums[..., 0] / sums[..., 1])


def interval_of(sums: Doubles, measure: Callable[[Doubles], Doubles], seed: int = 0) -> tuple[float, float] | None:
    """The 95 % interval of a measure of sums over groups; None of fewer than two groups.

    Args:
        sums: (groups, k) what each group adds.
        measure: (draws, k) sums over the groups drawn again -> (draws,) values; NaN where a draw has none.
    """
    many = len(sums)
    if many < FEWEST_GROUPS:
        return None
    times = np.random.default_rng(seed).multinomial(many, np.full(many, 1 / many), DRAWS)
    drawn = measure(np.asarray(times @ sums, np.float64))
    low, high = np.nanquantile(drawn, [(1 - LEVEL) / 2, (1 + LEVEL) / 2])
    return float(low), float(high)
