"""Tells a person's facial shape from pose and expression, in landmark space.

Landmarks of one person vary with pose and expression (within-person covariance W), those of different people also with
shape (between-person covariance B). For aligned landmarks L with mean m the expected pose and expression are

    E[pose and expression | L] = m + W (W + B)^-1 (L - m)

the two-covariance model of linear discriminant analysis. P = W (W + B)^-1 keeps them and lets shape go.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from streamfilter.align import MIRROR

Array = NDArray[np.float64]
JAW = np.arange(17)


@dataclass(frozen=True)
class ShapeModel:
    """`mean` (136,), `keep` (136, 136): P above; both for landmarks flattened as x0, y0, x1, y1, ..."""

    mean: Array
    keep: Array


def mirrored(landmarks: Array) -> Array:
    """Landmarks (n, 68, 2) in [0, 1] of the mirrored faces."""
    return np.stack([1 - landmarks[:, MIRROR, 0], landmarks[:, MIRROR, 1]], -1)


def fit_shape(landmarks: Array, person: NDArray[np.str_], shrink: float = 1e-5) -> ShapeModel:
    """Fit on aligned landmarks (n, 68, 2) and who each face is; every face also counts mirrored."""
    both = np.concatenate([landmarks, mirrored(landmarks)]).reshape(-1, 136)
    names = np.concatenate([person, np.char.add(person, "|mirrored")])
    _, index, counts = np.unique(names, return_inverse=True, return_counts=True)
    means = np.zeros((len(counts), 136))
    np.add.at(means, index, both)
    means /= counts[:, None]
    weight = _weights(counts)[index]
    deviation = both - means[index]
    # A mean of n samples hides 1/n of the variance: n / (n - 1) gives it back.
    unbias = np.where(counts > 1, counts / np.maximum(counts - 1, 1), 0)[index]
    within = (deviation * (weight * unbias)[:, None]).T @ deviation / weight[counts[index] > 1].sum()
    mean = means.mean(0)
    spread = means - mean
    between = spread.T @ spread / len(means) - within * np.mean(1 / counts)
    between = _positive(between)
    keep = within @ np.linalg.inv(within + between + shrink * np.eye(136))
    return ShapeModel(mean, keep)


def _weights(counts: NDArray[np.int64]) -> Array:
    """A clip with hundreds of frames must not outweigh a hundred people."""
    return np.minimum(counts, 30) / counts


def _positive(matrix: Array) -> Array:
    values, vectors = np.linalg.eigh((matrix + matrix.T) / 2)
    return (vectors * np.maximum(values, 0)) @ vectors.T


def follow_jaw(model: ShapeModel, share: float) -> ShapeModel:
    """Let the jaw line follow the original by `share` of what the model let go: the background pins it down."""
    keep = model.keep.copy()
    rows = np.concatenate([JAW * 2, JAW * 2 + 1])
    keep[rows] = (1 - share) * keep[rows] + share * np.eye(136)[rows]
    return ShapeModel(model.mean, keep)
