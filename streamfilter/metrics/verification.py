"""Whether two pictures show one person: thresholds and errors of a recogniser's cosines."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from streamfilter.structures import Doubles

Indices = NDArray[np.intp]


def pairs_of(people: Sequence[object]) -> tuple[Indices, Indices, NDArray[np.bool_]]:
    """All pairs (i, j), i < j, and whether both are the same person: three arrays (n (n - 1) / 2,)."""
    rows, columns = np.triu_indices(len(people), 1)
    numbers = np.unique([str(person) for person in people], return_inverse=True)[1]
    return rows, columns, numbers[rows] == numbers[columns]


def cosines(identities: Doubles, people: Sequence[object]) -> tuple[Doubles, Doubles]:
    """Cosines of all pairs of identities (n, d) of unit length: of the same person, and of different people."""
    rows, columns, same = pairs_of(people)
    alike = (identities @ identities.T)[rows, columns]
    return alike[same], alike[~same]


def threshold_at(impostors: Doubles, false_accepts: float) -> float | None:
    """The cosine that this share of the pairs of different people reaches; None of nothing."""
    return float(np.quantile(impostors, 1 - false_accepts)) if len(impostors) else None


def equal_error_rate(genuine: Doubles, impostors: Doubles) -> float | None:
    """Where as many genuine pairs are refused as impostors accepted; None where either is missing."""
    if not len(genuine) or not len(impostors):
        return None
    limits = np.unique(np.concatenate([genuine, impostors, [np.inf]]))
    refused = np.searchsorted(np.sort(genuine), limits, side="left") / len(genuine)
    accepted = 1 - np.searchsorted(np.sort(impostors), limits, side="left") / len(impostors)
    best = int(np.abs(refused - accepted).argmin())
    return float((refused[best] + accepted[best]) / 2)
