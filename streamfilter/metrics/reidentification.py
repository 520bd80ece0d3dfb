"""Who is recognised: pairs of one person at two moments, the nearest of many people, tracks that show one person."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from streamfilter.metrics.over_time import unit
from streamfilter.structures import Doubles

APART_S = 1.0
"""Two moments of one video count as two only if so far apart: neighbouring frames are nearly the same picture."""

_BLOCK = 1024
Indices = NDArray[np.intp]


def other_moments(files: Indices, times_s: Doubles, apart_s: float = APART_S) -> tuple[Indices, Indices]:
    """All ordered pairs (gallery, probe) of one person's moments (n,) that lie in two files or `apart_s` apart.

    Where no two are so far apart, the two that are farthest, both ways; nothing if all are at one time.
    """
    distance = np.abs(times_s[:, None] - times_s[None, :])
    distance[files[:, None] != files[None, :]] = np.inf
    needed = min(apart_s, float(distance.max(initial=0)))
    if needed <= 0:
        return np.zeros(0, np.intp), np.zeros(0, np.intp)
    gallery, probe = np.nonzero(distance >= needed)
    return gallery, probe


def genuine_pairs(
    people: Indices, files: Indices, times_s: Doubles, *, most: int, seed: int = 0
) -> tuple[Indices, Indices]:
    """Pairs (gallery, probe) of every person at another moment, of faces (n,); at most `most` of each, drawn by `seed`.

    The bound keeps one long track, or one person with hundreds of photos, from outweighing all others.
    """
    rng, gallery, probe = np.random.default_rng(seed), [np.zeros(0, np.intp)], [np.zeros(0, np.intp)]
    for faces in by_number(people):
        i, j = other_moments(files[faces], times_s[faces])
        chosen = np.sort(rng.permutation(len(i))[:most])
        gallery.append(faces[i[chosen]])
        probe.append(faces[j[chosen]])
    return np.concatenate(gallery), np.concatenate(probe)


def impostor_pairs(people: Indices, *, most: int, seed: int = 0) -> tuple[Indices, Indices]:
    """Pairs (gallery, probe) of different people, of faces (n,): at most `most`, drawn by `seed`, each once."""
    drawn = np.random.default_rng(seed).integers(0, max(len(people), 1), (2, most if len(people) else 0))
    different = np.unique(drawn[:, people[drawn[0]] != people[drawn[1]]], axis=1)
    return different[0], different[1]


def by_number(numbers: Indices) -> list[Indices]:
    """The indices of each number's places, the smallest number first."""
    order = np.argsort(numbers, kind="stable")
    return np.split(order, np.flatnonzero(np.diff(numbers[order])) + 1) if len(order) else []


def means(identities: Doubles, numbers: Indices) -> Doubles:
    """Each number's mean of its identities (n, d), of unit length: (m, d), the smallest number first."""
    rows = [unit(identities[group].mean(0)) for group in by_number(numbers)]
    return np.stack(rows) if rows else np.zeros((0, identities.shape[1]))


def nearest(gallery: Doubles, probes: Doubles) -> Indices:
    """For each probe (m, d) the row of the gallery (n, d) with the largest cosine; all of unit length."""
    blocks = [probes[i : i + _BLOCK] @ gallery.T for i in range(0, len(probes), _BLOCK)]
    return np.concatenate([np.zeros(0, np.intp), *(block.argmax(1) for block in blocks)])


def joined(identities: Doubles, threshold: float) -> Indices:
    """A number (n,) for each of n identities of unit length: those that a chain of matches connects share one."""
    number = np.arange(len(identities))
    for alike in identities @ identities.T >= threshold:
        number[np.isin(number, number[alike])] = number[alike].min(initial=len(number))
    return np.unique(number, return_inverse=True)[1]
