"""Numbers over observations: landmarks, openings of eyes and mouth, identity. Pure functions of arrays."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from streamfilter.structures import Floats
from training.detector.boxes import Array
from training.generator.steer import opening_matrix

INNER = slice(17, 68)  # all but the jaw line
FEWEST_FOR_SERIES = 8
FEWEST_FOR_IDENTITY = 5


def distances(before: Floats, after: Floats) -> Array:
    """Distance of each landmark: (n, 68, 2) twice -> (n, 68)."""
    return np.linalg.norm(np.asarray(after - before, np.float64), axis=-1)


def openings(landmarks: Floats, side: float) -> Array:
    """How far eyes (mean of both) and mouth are open, in pixels: (n, 68, 2) in a crop of `side` px -> (n, 2)."""
    flat = np.asarray(landmarks, np.float64).reshape(len(landmarks), -1) / side
    left, right, mouth = (flat @ opening_matrix() * side).T
    return np.stack([(left + right) / 2, mouth], -1)


def centred(values: Array, tracks: Sequence[int]) -> Array:
    """Values (n, ...) less their track's mean; tracks that are too short for a course of time are left out."""
    groups = grouped(tracks, FEWEST_FOR_SERIES)
    return np.concatenate([np.zeros((0, *values.shape[1:])), *(values[g] - values[g].mean(0) for g in groups)])


def grouped(tracks: Sequence[int], fewest: int) -> list[list[int]]:
    """Indices of each track's faces; tracks with fewer than `fewest` are left out."""
    groups: dict[int, list[int]] = {}
    for index, track in enumerate(tracks):
        groups.setdefault(track, []).append(index)
    return [group for group in groups.values() if len(group) >= fewest]


def correlation(a: Array, b: Array) -> float | None:
    """Of two centred series (n,): None where one of them does not move."""
    scale = float(np.sqrt((a**2).sum() * (b**2).sum()))
    return None if scale < 1e-9 else float((a * b).sum() / scale)


def spread(series: Array) -> float | None:
    """Standard deviation of a centred series (n,): None of nothing."""
    return float(np.sqrt((series**2).mean())) if len(series) else None


def unit(vector: Array) -> Array:
    """The same direction, length 1."""
    return np.asarray(vector / max(float(np.linalg.norm(vector)), 1e-9))


def to_track_mean(identities: Array, tracks: Sequence[int]) -> Array:
    """Cosine of each face (n, d) of unit length to its track's mean; tracks too short to say are left out."""
    groups = grouped(tracks, FEWEST_FOR_IDENTITY)
    return np.concatenate([np.zeros(0), *(identities[g] @ unit(identities[g].mean(0)) for g in groups)])


def between_tracks(identities: Array, tracks: Sequence[int]) -> Array:
    """Cosine of the means of every two tracks."""
    means = [unit(identities[g].mean(0)) for g in grouped(tracks, FEWEST_FOR_IDENTITY)]
    return np.array([a @ b for i, a in enumerate(means) for b in means[:i]])
