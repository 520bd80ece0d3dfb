"""Whether two courses of time go together, over many tracks, and how sure that is."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from streamfilter.metrics.by_group import Grouped, Groups, interval_of
from streamfilter.metrics.over_time import FEWEST_FOR_SERIES
from streamfilter.structures import Doubles

LEAST_MOTION = 1e-9


def correlation_by_track(
    before: Doubles, after: Doubles, tracks: Groups, courses: Groups | None = None, seed: int = 0
) -> Grouped | None:
    """Correlation of two series (n,) within their courses of time, over all of them; the interval draws tracks again.

    Each value counts less its course's mean, as in `over_time.centred`; courses of fewer than eight values are left
    out, and so are values that are NaN. None where nothing is left, or nothing moves.

    Args:
        courses: Which values are one course, where that is not the track: of photos all together are one.
    """
    known = ~(np.isnan(before) | np.isnan(after))
    names = np.asarray(tracks)[known]
    course = names if courses is None else np.asarray(courses)[known]
    a, b, enough = _centred(before[known], after[known], course)
    a, b, names = a[enough], b[enough], names[enough]
    if not len(a):
        return None
    numbers = np.unique(names, return_inverse=True)[1]
    sums: Doubles = np.stack([np.bincount(numbers, values) for values in (a * b, a * a, b * b)], -1)
    value = float(_correlations(sums.sum(0)))
    if np.isnan(value):
        return None
    low, high = interval_of(sums, _correlations, seed) or (None, None)
    return Grouped(value, low, high, len(a), len(sums))


def _centred(before: Doubles, after: Doubles, courses: Groups) -> tuple[Doubles, Doubles, NDArray[np.bool_]]:
    """Both series less their courses' means, and whether the course is long enough."""
    numbers = np.unique(np.asarray(courses), return_inverse=True)[1]
    counts = np.maximum(np.bincount(numbers), 1)
    a, b = (values - (np.bincount(numbers, values) / counts)[numbers] for values in (before, after))
    return a, b, counts[numbers] >= FEWEST_FOR_SERIES


def _correlations(sums: Doubles) -> Doubles:
    """Of sums (..., 3) of products and squares; NaN where one series does not move."""
    scale = np.sqrt(sums[..., 1] * sums[..., 2])
    return np.asarray(np.where(scale < LEAST_MOTION, np.nan, sums[..., 0] / np.maximum(scale, LEAST_MOTION)))
