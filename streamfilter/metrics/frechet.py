"""Frechet distance of two sets of features, each taken as a Gaussian (Heusel et al., 2017, equation 6)."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from streamfilter.structures import Doubles


@dataclass(frozen=True, eq=False)
class Gaussian:
    """Mean (d,) and covariance (d, d)."""

    mean: Doubles
    covariance: Doubles

    @classmethod
    def of(cls, features: Doubles) -> Gaussian:
        """Fitted to features (n, d), n >= 2."""
        if len(features) < 2:
            raise ValueError(f"a covariance needs at least two pictures, got {len(features)}")
        x = np.asarray(features, np.float64)
        return cls(x.mean(0), np.atleast_2d(np.cov(x, rowvar=False)))


def frechet_distance(a: Gaussian, b: Gaussian) -> float:
    """|m_a - m_b|^2 + Tr(C_a + C_b - 2 (C_a C_b)^(1/2)).

    The trace of the root is taken from the eigenvalues of the symmetric C_a^(1/2) C_b C_a^(1/2), which are those of
    C_a C_b: no root of a matrix that is not symmetric, and no imaginary parts to drop.
    """
    root = _root(a.covariance)
    eigenvalues = np.linalg.eigvalsh(root @ b.covariance @ root)
    trace = a.covariance.trace() + b.covariance.trace() - 2 * np.sqrt(np.maximum(eigenvalues, 0)).sum()
    return float(((a.mean - b.mean) ** 2).sum() + max(trace, 0.0))


def _root(covariance: Doubles) -> Doubles:
    values, vectors = np.linalg.eigh(covariance)
    return np.asarray((vectors * np.sqrt(np.maximum(values, 0))) @ vectors.T)
