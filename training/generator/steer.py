"""Pose, expression and light in closed form: one matrix product per face (a MAP estimate).

Observations y of a generated face are nearly linear in its latents x (three groups of W+, 3 * 512 numbers):
y = A' x + c + noise, where y = [landmarks, patch colours, openings of eyes and mouth, identity embedding]. For an
identity x_id and a target t

    K = S A (A' S A + R)^-1,      x = x_id + K (t - y(x_id))

with S the covariance of the latents and R that of the noise. The target of the embedding is the identity's own: what
moves the face must not change who it is.
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from streamfilter.metrics.pose import opening_matrix
from training.generator.sample import THUMB

Array = NDArray[np.float64]
LANDMARKS, COLOURS, OPENINGS = 136, 15, 3
STEERED = LANDMARKS + COLOURS + OPENINGS


@dataclass(frozen=True)
class Steering:
    """`predict` (1536, 154) and `offset` (154,): latents -> [landmarks, colours, openings]; `gain` (1536, 154): K."""

    predict: Array
    offset: Array
    gain: Array


@dataclass(frozen=True)
class SteerWeights:
    """Trust in each kind of observation: a factor on its residual variance (smaller: followed more closely)."""

    landmarks: float = 0.2
    colours: float = 1.0
    openings: float = 0.01
    embedding: float = 0.1
    ridge: float = 30.0


def load_parts(folder: Path) -> dict[str, NDArray[np.generic]]:
    """All parts written by `sample`, joined."""
    parts = [np.load(path) for path in sorted(folder.glob("part_*.npz"))]
    return {name: np.concatenate([part[name] for part in parts]) for name in parts[0].files}


def ridge(x: Array, y: Array, strength: float) -> tuple[Array, Array]:
    """Weights (d, k) and offset (k,) of y ~ x W + b."""
    x_mean, y_mean = x.mean(0), y.mean(0)
    xc, yc = x - x_mean, y - y_mean
    weights = np.linalg.solve(xc.T @ xc + strength * np.eye(x.shape[1]), xc.T @ yc)
    return weights, y_mean - x_mean @ weights


def fit_steering(samples: dict[str, NDArray[np.generic]], average: Array, weights: SteerWeights) -> Steering:
    """Fit A and K on samples of `sample`; `average` (512,) is the latent mean."""
    x = (samples["groups"].astype(np.float64) - average).reshape(len(samples["groups"]), -1)
    landmarks = samples["landmarks"].reshape(len(x), -1)
    y = np.concatenate([landmarks, samples["colours"], landmarks @ opening_matrix(), samples["embedding"]], 1).astype(
        np.float64
    )
    A, offset = ridge(x, y, weights.ridge)
    residual = (y - x @ A - offset).var(0)
    kinds = np.repeat(
        [weights.landmarks, weights.colours, weights.openings, weights.embedding],
        [LANDMARKS, COLOURS, OPENINGS, y.shape[1] - STEERED],
    )
    S = _group_covariance(x)
    SA = S @ A
    K = SA @ np.linalg.inv(A.T @ SA + np.diag(residual * kinds))
    # The embedding's difference is zero by construction, so its columns of K are not needed at run time.
    return Steering(A[:, :STEERED], offset[:STEERED], K[:, :STEERED])


def _group_covariance(x: Array) -> Array:
    blocks = x.reshape(len(x), 3, -1)
    S = np.zeros((x.shape[1], x.shape[1]))
    width = blocks.shape[2]
    for g in range(3):
        S[g * width : (g + 1) * width, g * width : (g + 1) * width] = np.cov(blocks[:, g].T)
    return S


def fit_light(thumbs: NDArray[np.generic], colours: Array, strength: float = 300.0) -> tuple[Array, Array]:
    """Ridge from the surroundings, (n, 16, 16, 3) uint8, to the face's patch colours: (768, 15) and (15,)."""
    x = thumbs.reshape(len(thumbs), THUMB * THUMB * 3).astype(np.float64) / 127.5 - 1
    return ridge(x, colours, strength)


def explained(y: Array, predicted: Array) -> float:
    """Share of variance explained, over all columns."""
    return float(1 - (y - predicted).var(0).sum() / y.var(0).sum())
