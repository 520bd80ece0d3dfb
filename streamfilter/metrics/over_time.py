"""Numbers over tracks: courses of time and identities, as pure functions of arrays."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from streamfilter.structures import Doubles

FEWEST_FOR_SERIES = 8
FEWEST_FOR_IDENTITY = 5


def centred(values: Doubles, tracks: Sequence[int]) -> Doubles:
    """Values (n, ...) less their track's mean; tracks that are too short for a course of time are left out."""
    groups = grouped(tracks, FEWEST_FOR_SERIES)
    return np.concatenate([np.zeros((0, *values.shape[1:])), *(values[g] - values[g].mean(0) for g in groups)])


def grouped(tracks: Sequence[int], fewest: int) -> list[list[int]]:
    """Indices of each track's faces; tracks with fewer than `fewest` are left out."""
    groups: dict[int, list[int]] = {}
    for index, track in enumerate(tracks):
        groups.setdefault(track, []).append(index)
    return [group for group in groups.values() if len(group) >= fewest]


def correlation(a: Doubles, b: Doubles) -> float | None:
    """Of two centred series (n,): None where one of them does not move."""
    scale = float(np.sqrt((a**2).sum() * (b**2).sum()))
    return None if scale < 1e-9 else float((a * b).sum() / scale)


def spread(series: Doubles) -> float | None:
    """Standard deviation of a centred series (n,): None of nothing."""
    return float(np.sqrt((series**2).mean())) if len(series) else None


def unit(vector: Doubles) -> Doubles:
    """The same direction, length 1."""
    return np.asarray(vector / max(float(np.linalg.norm(vector)), 1e-9))


def to_track_mean(identities: Doubles, tracks: Sequence[int]) -> Doubles:
    """Cosine of each face (n, d) of unit length to its track's mean; tracks too short to say are left out."""
    groups = grouped(tracks, FEWEST_FOR_IDENTITY)
    return np.concatenate([np.zeros(0), *(identities[g] @ unit(identities[g].mean(0)) for g in groups)])


def between_tracks(identities: Doubles, tracks: Sequence[int]) -> Doubles:
    """Cosine of the means of every two tracks."""
    means = [unit(identities[g].mean(0)) for g in grouped(tracks, FEWEST_FOR_IDENTITY)]
    return np.array([a @ b for i, a in enumerate(means) for b in means[:i]])
