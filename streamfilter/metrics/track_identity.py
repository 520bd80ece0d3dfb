"""Is each track one person, and are two tracks two: cosines of identities within tracks and between them.

Genuine pairs are two faces of one track that lie at least `APART_S` apart (neighbouring frames are alike by nature); a
shorter track gives its furthest pair. Impostor pairs are faces of two tracks that show different people. Both are
thinned evenly, so that no long track outweighs the others.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from streamfilter.metrics.bootstrap import LEVEL
from streamfilter.metrics.by_group import none_of
from streamfilter.metrics.verification import Indices, equal_error_rate
from streamfilter.structures import Doubles

APART_S = 1.0
MOST_GENUINE = 64  # pairs of one track
MOST_IMPOSTORS = 20_000  # pairs of all tracks
MOST_FACES = 8  # of a track against one other
DRAWS = 300
FEWEST_TRACKS = 3  # of which an interval can be drawn


@dataclass(frozen=True, eq=False)
class Course:
    """One track's faces over time: times (n,) in seconds, ascending, and identities (n, d) of unit length."""

    times: Doubles
    identities: Doubles


@dataclass(frozen=True, eq=False)
class Comparison:
    """Cosines of genuine pairs (n,) with their track (n,), and of impostor pairs (m,) with their two tracks (m, 2)."""

    genuine: Doubles
    owners: Indices
    impostors: Doubles
    rivals: Indices
    tracks: int

    @property
    def equal_error_rate(self) -> float | None:
        """None where a kind of pair is missing."""
        return equal_error_rate(self.genuine, self.impostors)


def spread_out(count: int, most: int) -> Indices:
    """At most `most` of the numbers below `count`, evenly."""
    return np.unique(np.linspace(0, count - 1, min(count, most)).round().astype(np.intp)) if count else np.zeros(0, int)


def pairs_within(times: Doubles) -> tuple[Indices, Indices]:
    """Indices (i, j), i < j, of a track's genuine pairs; none of a single face."""
    if len(times) < 2:
        return np.zeros(0, np.intp), np.zeros(0, np.intp)
    i, j = np.triu_indices(len(times), 1)
    far = np.flatnonzero(times[j] - times[i] >= APART_S)
    if not len(far):
        return np.array([0]), np.array([len(times) - 1])
    chosen = far[spread_out(len(far), MOST_GENUINE)]
    return i[chosen], j[chosen]


def compare(courses: Sequence[Course], different: NDArray[np.bool_]) -> Comparison:
    """Courses (T) of which `different` (T, T) says which two show different people."""
    genuine = [_within(course) for course in courses]
    owners = np.repeat(np.arange(len(courses)), [len(cosines) for cosines in genuine])
    rivals = np.argwhere(np.triu(different, 1))
    rivals = rivals[spread_out(len(rivals), MOST_IMPOSTORS)]
    faces = int(np.clip(np.sqrt(MOST_IMPOSTORS / max(len(rivals), 1)), 1, MOST_FACES))
    few = [course.identities[spread_out(len(course.times), faces)] for course in courses]
    impostors = [(few[a] @ few[b].T).ravel() for a, b in rivals]
    return Comparison(
        _joined(genuine),
        owners,
        _joined(impostors),
        np.repeat(rivals, [len(cosines) for cosines in impostors], axis=0),
        len(courses),
    )


def interval(comparison: Comparison, seed: int = 0) -> tuple[float, float] | None:
    """95 % interval of the equal error rate: tracks are drawn again, with all their pairs.

    Pairs of a track with itself, which a draw may hold twice, are left out. None of fewer than three tracks, or where
    hardly a draw has both kinds of pairs. Without any error every draw is alike: then up to `none_of` the tracks.
    """
    if comparison.tracks < FEWEST_TRACKS:
        return None
    rng = np.random.default_rng(seed)
    rates = [_drawn(comparison, rng) for _ in range(DRAWS)]
    known = [rate for rate in rates if rate is not None]
    if len(known) < DRAWS / 2:
        return None
    low, high = np.quantile(known, [(1 - LEVEL) / 2, (1 + LEVEL) / 2])
    return float(low), float(high) if any(known) else none_of(comparison.tracks)


def _drawn(c: Comparison, rng: np.random.Generator) -> float | None:
    times = np.bincount(rng.integers(0, c.tracks, c.tracks), minlength=c.tracks)
    return equal_error_rate(
        np.repeat(c.genuine, times[c.owners]), np.repeat(c.impostors, times[c.rivals].prod(-1).astype(np.intp))
    )


def _within(course: Course) -> Doubles:
    i, j = pairs_within(course.times)
    return np.asarray((course.identities[i] * course.identities[j]).sum(-1))


def _joined(parts: Sequence[Doubles]) -> Doubles:
    return np.concatenate([np.zeros(0), *parts])
