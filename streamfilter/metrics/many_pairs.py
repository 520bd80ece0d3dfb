"""Verification over more pairs than fit into memory, and over a benchmark's folds.

A pair is taken for one person if its cosine is at least the threshold.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence

import numpy as np
from numpy.typing import NDArray

from streamfilter.structures import Doubles, Floats

BLOCK = 1024
MOST_PAIRS_PER_PERSON = 45  # all pairs of ten photos


def impostor_thresholds(
    identities: Floats, people: Sequence[str], rates: Sequence[float], block: int = BLOCK
) -> tuple[tuple[float, ...], int]:
    """For each rate the cosine that this share of ALL pairs of different people reaches, and how many pairs there are.

    Exactly the quantiles of `verification.threshold_at`; but only the highest cosines are kept, block by block, so
    that millions of pairs need little memory: the largest rate's share of them.

    Raises:
        ValueError: There is no pair of different people.
    """
    numbers = np.unique(np.asarray(people, np.str_), return_inverse=True)[1]
    count = _impostors(numbers)
    if not count:
        raise ValueError("thresholds need photos of at least two people")
    depths = [(count - 1) * rate for rate in rates]  # of each quantile, counted from the highest cosine
    most = min(count, int(np.ceil(max(depths))) + 2)
    highest = np.zeros(0, np.float32)
    for cosines in _blocks(identities, numbers, block):
        highest = _highest(np.concatenate([highest, _highest(cosines, most)]), most)
    ordered = np.sort(highest)[::-1].astype(np.float64)
    return tuple(float(np.interp(depth, np.arange(len(ordered)), ordered)) for depth in depths), count


def genuine_cosines(
    identities: Floats, people: Sequence[str], most: int = MOST_PAIRS_PER_PERSON, seed: int = 0
) -> Doubles:
    """Cosines of pairs of one person: all of them, but of nobody more than `most`, which are then drawn by chance.

    Else a person with 200 photos would outweigh hundreds of people with ten.
    """
    rng = np.random.default_rng(seed)
    numbers = np.unique(np.asarray(people, np.str_), return_inverse=True)[1]
    found = [np.zeros(0)]
    for number in range(int(numbers.max(initial=-1)) + 1):
        own = identities[numbers == number].astype(np.float64)
        cosines = (own @ own.T)[np.triu_indices(len(own), 1)]
        found.append(cosines if len(cosines) <= most else rng.choice(cosines, most, replace=False))
    return np.concatenate(found)


def best_threshold(scores: Doubles, same: NDArray[np.bool_]) -> float:
    """The score at which most pairs (n,) are told rightly; the middle between two scores, the lowest such place."""
    order = np.argsort(scores, kind="stable")
    ordered, right = scores[order], same[order]
    # Accepting all but the lowest k: the different ones among those, and the same ones among the others, are right.
    correct = np.concatenate([[0], np.cumsum(~right)]) + right.sum() - np.concatenate([[0], np.cumsum(right)])
    places = np.concatenate([[ordered[0] - 1e-6], (ordered[1:] + ordered[:-1]) / 2, [ordered[-1] + 1e-6]])
    return float(places[int(correct.argmax())])


def cross_validated(scores: Doubles, same: NDArray[np.bool_], folds: NDArray[np.intp]) -> tuple[float, float] | None:
    """Accuracy over the folds of a benchmark, each judged with the best threshold of the others; and its error.

    As LFW's view 2 demands: mean over the folds, and standard error (standard deviation with n - 1, over
    the root of their number). None with fewer than two folds.
    """
    numbers = np.unique(folds)
    if len(numbers) < 2:
        return None
    accuracies = []
    for number in numbers:
        held = folds == number
        limit = best_threshold(scores[~held], same[~held])
        accuracies.append(float(((scores[held] >= limit) == same[held]).mean()))
    return float(np.mean(accuracies)), float(np.std(accuracies, ddof=1) / np.sqrt(len(numbers)))


def separation(genuine: Doubles, impostors: Doubles) -> float:
    """How far both kinds lie apart, in standard deviations: Daugman's d' (1993); 0 where a kind is missing."""
    if not len(genuine) or not len(impostors):
        return 0.0
    spread = np.sqrt((genuine.var() + impostors.var()) / 2)
    return float((genuine.mean() - impostors.mean()) / max(float(spread), 1e-9))


def _impostors(numbers: NDArray[np.intp]) -> int:
    n, own = len(numbers), np.bincount(numbers)
    return int((n * n - (own.astype(np.int64) ** 2).sum()) // 2)


def _blocks(identities: Floats, numbers: NDArray[np.intp], block: int) -> Iterator[Floats]:
    """The cosines of all pairs of different people, each pair once."""
    n = len(numbers)
    for row in range(0, n, block):
        for column in range(row, n, block):
            a, b = slice(row, row + block), slice(column, column + block)
            wanted = numbers[a, None] != numbers[None, b]
            if row == column:
                wanted = np.triu(wanted, 1)
            yield (identities[a] @ identities[b].T)[wanted]


def _highest(values: Floats, most: int) -> Floats:
    return values if len(values) <= most else np.partition(values, len(values) - most)[-most:]
