"""The section's tables: every attack with originals and other methods beside it, and the worst moments."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from streamfilter.audit.recognise import Recogniser
from streamfilter.audit.reidentify.findings import (
    DECISIVE,
    FALSE_ACCEPTS,
    GALLERY,
    RESULT,
    SAME_FRAME,
    SECOND,
    SECOND_STRANGERS,
    Findings,
    Scores,
)
from streamfilter.audit.reidentify.hidden import METHODS
from streamfilter.audit.reidentify.series import Course
from streamfilter.audit.section import Cell, Table
from streamfilter.audit.wording import far

WORST = 10
_RATES = tuple(far(rate) for rate in FALSE_ACCEPTS)


def tables(
    findings: Sequence[Findings], recognisers: Sequence[Recogniser], course: Course, seed: int
) -> tuple[Table, ...]:
    """All tables, in the order in which they are read."""
    return (
        attacks(findings, seed),
        methods(findings, seed),
        rank_one(findings),
        worst(findings, course),
        thresholds(recognisers),
    )


def attacks(findings: Sequence[Findings], seed: int) -> Table:
    """TAR per attack, faces and recogniser."""
    rows = [_row(found, scores, seed) for found in findings for scores in found.scores if scores.probe not in METHODS]
    return Table(
        name="true_accepts",
        title="True accept rate of each attack",
        columns=("attack", "faces", "recogniser", *_RATES, "low", "high", "pairs", "people"),
        rows=tuple(rows),
        note="`low` and `high`: 95 % interval at FAR 1e-3, by drawing whole people again. "
        "`strangers`: the same with different people of this audit, which is what chance gives here. "
        "The maximum over a long track reaches a threshold by chance more easily than one frame does.",
    )


def _row(found: Findings, scores: Scores, seed: int) -> tuple[Cell, ...]:
    rates = [scores.rate(found.thresholds[accepts], seed) for accepts in FALSE_ACCEPTS]
    sure = rates[FALSE_ACCEPTS.index(DECISIVE)]
    values = [rate.value if rate else None for rate in rates]
    low, high, n, people = (sure.low, sure.high, sure.n, sure.groups) if sure else (None, None, 0, 0)
    return (scores.attack, scores.probe, found.recogniser, *values, low, high, n, people)


def methods(findings: Sequence[Findings], seed: int) -> Table:
    """The result beside blur and squares, which were computed on the spot on some of the faces."""
    rows = [_method(found, method, seed) for found in findings for method in (RESULT, *METHODS)]
    return Table(
        name="methods",
        title="Beside blur and pixelation",
        columns=(
            "method", "recogniser", "distance", "5 %", "50 %", "95 %",
            "same frame", "gallery", "gallery too", "strangers", "faces",
        ),
        rows=tuple(rows),
        note="Distance is 1 - cosine to the own original, with percentiles; then TAR at FAR 1e-3 in the same frame, "
        "against a gallery of originals at another moment, and against a gallery that was hidden in the same way. "
        "`strangers`: how often that last attack takes two different people for one. "
        "Blur 15 and 25: Gaussian kernels; squares 15 and 25: their sides; all in pixels of a face crop of 256 px, "
        "over the face from jaw to brows. `untouched`: the same crops as they are.",
    )  # fmt: skip


def _method(found: Findings, method: str, seed: int) -> tuple[Cell, ...]:
    own = found.get(SAME_FRAME, method)
    distance = own.distance(seed) if own else None
    rates = [found.rate(attack, method, seed=seed) for attack in (SAME_FRAME, GALLERY, SECOND, SECOND_STRANGERS)]
    return (
        method,
        found.recogniser,
        distance.value if distance else None,
        *(own.percentiles() if own else (None, None, None)),
        *(rate.value if rate else None for rate in rates),
        distance.n if distance else 0,
    )


def rank_one(findings: Sequence[Findings]) -> Table:
    """How often the nearest of all people is the right one, beside guessing."""
    rows: list[tuple[Cell, ...]] = []
    for found in findings:
        for rank in found.ranks:
            rate = rank.rate
            low, high, n = (rate.low, rate.high, rate.n) if rate else (None, None, 0)
            share = rate.value if rate else None
            rows.append((rank.gallery, found.recogniser, share, low, high, rank.chance, rank.people, n))
    return Table(
        name="rank_one",
        title="Nearest of all people",
        columns=("gallery", "recogniser", "right", "low", "high", "chance", "people", "faces"),
        rows=tuple(rows),
        note="The gallery holds all people of this audit, the very frames of the probes too. Tracks without a name "
        "whose originals match at FAR 1e-4 count as one person.",
    )


def worst(findings: Sequence[Findings], course: Course) -> Table:
    """The moments at which a face is nearest to its own original, by the recogniser that is most sure."""
    rows = [_moment(findings, course, face) for face in worst_faces(findings, course)]
    return Table(
        name="worst_moments",
        title="Where the result is nearest to the original",
        columns=("file", "time (s)", "track", "recogniser", "cosine", "threshold at FAR 1e-3"),
        rows=tuple(rows),
    )


def worst_faces(findings: Sequence[Findings], course: Course) -> list[int]:
    """Numbers of at most ten faces, the worst first."""
    if not findings or not len(course):
        return []
    return [int(face) for face in np.argsort(-_margins(findings, course).max(0), kind="stable")[:WORST]]


def _margins(findings: Sequence[Findings], course: Course) -> np.ndarray[tuple[int, int], np.dtype[np.float64]]:
    """(recognisers, faces): how far above its threshold a cosine lies, 1 for identical pictures."""
    rows = []
    for found in findings:
        limit = found.thresholds[DECISIVE]
        rows.append((course.cosines[found.recogniser] - limit) / max(1 - limit, 1e-6))
    return np.stack(rows)


def _moment(findings: Sequence[Findings], course: Course, face: int) -> tuple[Cell, ...]:
    found = findings[int(_margins(findings, course)[:, face].argmax())]
    cosine = float(course.cosines[found.recogniser][face])
    place = (course.sources[course.source[face]], round(float(course.time_s[face]), 3), int(course.track[face]))
    return (*place, found.recogniser, cosine, found.thresholds[DECISIVE])


def thresholds(recognisers: Sequence[Recogniser]) -> Table:
    """What each recogniser's thresholds were taken from, and what it reaches there."""
    rows: list[tuple[Cell, ...]] = []
    for recogniser in recognisers:
        known = recogniser.calibration
        at = [known.threshold(accepts) for accepts in FALSE_ACCEPTS]
        accepts = known.true_accepts(DECISIVE)
        rows.append((recogniser.name, *at, known.accuracy, accepts, known.impostor_pairs, known.people, known.photos))
    return Table(
        name="recognisers",
        title="Recognisers and their thresholds",
        columns=("recogniser", *_RATES, "accuracy", "TAR at FAR 1e-3", "impostor pairs", "people", "photos"),
        rows=tuple(rows),
        note="Thresholds are cosines that this share of the stated pairs of different people reaches.",
    )
