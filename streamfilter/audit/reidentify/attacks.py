"""The attacks of one recogniser."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

import numpy as np

from streamfilter.audit.recognise import Recogniser
from streamfilter.audit.reidentify.findings import (
    BEST_FRAME,
    FALSE_ACCEPTS,
    GALLERY,
    GALLERY_STRANGERS,
    MEAN_FACE,
    ORIGINALS,
    RESULT,
    SAME_FRAME,
    SECOND,
    SECOND_STRANGERS,
    SURE,
    Findings,
    Rank,
    Scores,
)
from streamfilter.audit.reidentify.hidden import METHODS, Hidden
from streamfilter.audit.reidentify.kept import Faces, stacked
from streamfilter.audit.reidentify.series import Course
from streamfilter.metrics.by_group import share_by_group
from streamfilter.metrics.reidentification import (
    Indices,
    by_number,
    genuine_pairs,
    impostor_pairs,
    joined,
    means,
    nearest,
)
from streamfilter.structures import Doubles

PAIRS_PER_PERSON = 100
PAIRS_OF_STRANGERS = 5000


def attack(recogniser: Recogniser, faces: Faces, course: Course, hidden: Sequence[Hidden], seed: int) -> Findings:
    """All attacks with one recogniser."""
    name = recogniser.name
    thresholds = {rate: recogniser.calibration.threshold(rate) for rate in FALSE_ACCEPTS}
    people = people_of(faces, faces.original(name), thresholds[SURE])
    return Findings(
        recogniser=name,
        thresholds=thresholds,
        scores=(
            *_on_result(name, faces, people, seed),
            *_on_course(name, course),
            _mean_faces(name, faces),
            *_on_methods(name, hidden, thresholds[SURE], seed),
        ),
        ranks=ranks(faces.original(name), faces.result(name), people, seed),
    )


def _on_result(name: str, faces: Faces, people: Indices, seed: int) -> list[Scores]:
    """The gallery of originals against originals and result, and that of a second result, all with the same pairs."""
    i, j = genuine_pairs(faces.people, faces.files, faces.times_s, most=PAIRS_PER_PERSON, seed=seed)
    original, result, second = faces.original(name), faces.result(name), faces.second(name)
    whose = faces.people[j]
    scores = [_pairs(GALLERY, ORIGINALS, original[i], original[j], whose)]
    scores.append(_pairs(GALLERY, RESULT, original[i], result[j], whose))
    scores.append(_strangers(GALLERY_STRANGERS, RESULT, original, result, people, seed=seed))
    known = np.isfinite(second[i]).all(1)
    if known.any():
        scores.append(_pairs(SECOND, RESULT, second[i[known]], result[j[known]], whose[known]))
        scores.append(_strangers(SECOND_STRANGERS, RESULT, second, result, people, seed=seed))
    return scores


def _on_course(name: str, course: Course) -> list[Scores]:
    """Every face against its own original, and each track's largest such cosine: one leaked frame is enough."""
    largest, whose = course.per_track(name)
    return [
        Scores(attack=SAME_FRAME, probe=RESULT, cosines=course.cosines[name], people=course.person),
        Scores(attack=BEST_FRAME, probe=RESULT, cosines=largest, people=whose),
    ]


def _mean_faces(name: str, faces: Faces) -> Scores:
    """The mean of each track's originals against the mean of its results."""
    original, result = means(faces.original(name), faces.tracks), means(faces.result(name), faces.tracks)
    whose = np.array([faces.people[group[0]] for group in by_number(faces.tracks)], np.intp)
    return _pairs(MEAN_FACE, RESULT, original, result, whose)


def _on_methods(name: str, hidden: Sequence[Hidden], same_person: float, seed: int) -> Iterator[Scores]:
    """The same attacks on faces that other methods hid."""
    sample = Faces.of(tuple(item.seen for item in hidden))
    original, whose = sample.original(name), sample.people
    people = people_of(sample, original, same_person)
    i, j = genuine_pairs(whose, sample.files, sample.times_s, most=PAIRS_PER_PERSON, seed=seed)
    for method in METHODS:
        changed = stacked([item.embeddings[method][name] for item in hidden])
        yield _pairs(GALLERY, method, original[i], changed[j], whose[j])
        yield _pairs(SAME_FRAME, method, original, changed, whose)
        yield _pairs(SECOND, method, changed[i], changed[j], whose[j])
        yield _strangers(SECOND_STRANGERS, method, changed, changed, people, seed=seed)


def _strangers(kind: str, probe: str, gallery: Doubles, probes: Doubles, people: Indices, *, seed: int) -> Scores:
    """Faces of different people: as far as these match too, a match says nothing about who it is."""
    i, j = impostor_pairs(people, most=PAIRS_OF_STRANGERS, seed=seed)
    known = np.isfinite(gallery[i]).all(1)
    return _pairs(kind, probe, gallery[i[known]], probes[j[known]], people[j[known]])


def _pairs(kind: str, probe: str, gallery: Doubles, probes: Doubles, people: Indices) -> Scores:
    return Scores(attack=kind, probe=probe, cosines=(gallery * probes).sum(-1), people=people)


def ranks(original: Doubles, result: Doubles, people: Indices, seed: int) -> tuple[Rank, ...]:
    """Rank-1 of every kept result among all people (n,); nothing with fewer than two of them.

    The gallery holds the probe's own moment too.
    """
    count = len(np.unique(people))
    if count < 2:
        return ()
    found = {
        "mean of the originals": nearest(means(original, people), result),
        "best of the originals": people[nearest(original, result)],
    }
    return tuple(
        Rank(gallery=gallery, rate=share_by_group(who == people, people, seed), people=count)
        for gallery, who in found.items()
    )


def people_of(faces: Faces, original: Doubles, same_person: float) -> Indices:
    """A number (n,) from 0 for the person of each face.

    Tracks without a name whose mean originals reach `same_person` are joined: else a right match with somebody's other
    track would be counted as a wrong one, and somebody's other track as a stranger.
    """
    groups = by_number(faces.people)
    centres, number = means(original, faces.people), np.arange(len(groups))
    nameless = np.array([i for i, group in enumerate(groups) if not faces.seen[group[0]].named], np.intp)
    number[nameless] = nameless[_first(joined(centres[nameless], same_person))]
    return np.unique(number[faces.people], return_inverse=True)[1]


def _first(groups: Indices) -> Indices:
    """For each place the first place of its group."""
    return np.array([int(np.flatnonzero(groups == group)[0]) for group in groups], np.intp)
