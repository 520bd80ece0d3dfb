"""Do two tracks of different people show one invented person: the mean cosine of their faces reaches the threshold.

Two tracks of one real person (before and after a cut, or an occlusion) may share one, so pairs whose originals reach
the threshold too, or that carry one label, are not counted.
"""

from __future__ import annotations

import numpy as np

from streamfilter.audit.consistency.judge import FALSE_ACCEPTS, Judge
from streamfilter.audit.consistency.people import Person
from streamfilter.audit.section import Figure, Table
from streamfilter.audit.wording import far, number

WORST = 10
COLUMNS = ("track", "and track", "cosine of results", "cosine of originals", "at the same time")

SharedPair = tuple[Person, Person, float, float]  # two tracks, cosine of their results and of their originals


def sharing(judge: Judge) -> tuple[Figure, Table]:
    """How many pairs of tracks share a person, and the worst of them: those of one moment first."""
    pairs, compared = _shared(judge)
    pairs.sort(key=lambda pair: (not pair[0].beside(pair[1]), -pair[2]))
    return _figure(judge, pairs, compared), _table(judge, pairs)


def _shared(judge: Judge) -> tuple[list[SharedPair], int]:
    """The pairs that share one, and how many pairs of different people there are."""
    people = judge.long + judge.photos
    alike, real = judge.alike(people), judge.alike(people, original=True)
    different = np.triu(judge.different(people), 1)
    limit = np.inf if judge.threshold is None else judge.threshold
    found = np.argwhere(different & (alike >= limit)).tolist()
    pairs = [(people[a], people[b], float(alike[a, b]), float(real[a, b])) for a, b in found]
    return pairs, int(different.sum())


def _figure(judge: Judge, pairs: list[SharedPair], compared: int) -> Figure:
    known = judge.threshold is not None and compared > 0
    together = sum(a.beside(b) for a, b, *_ in pairs)
    chance = number(compared * FALSE_ACCEPTS)
    note = f"{together} of them at one moment of one file; by chance {chance} would be taken for one"
    missing = "recogniser not calibrated" if judge.threshold is None else "no two tracks of different people"
    return Figure(
        name=f"shared_{judge.name}",
        label=f"Pairs of tracks that share an invented person, {judge.name}",
        value=len(pairs) if known else None,
        n=compared,
        counted="pair",
        note=note if known else missing,
    )


def _table(judge: Judge, pairs: list[SharedPair]) -> Table:
    rows = [(a.name, b.name, now, before, "yes" if a.beside(b) else "no") for a, b, now, before in pairs[:WORST]]
    limit = "" if judge.threshold is None else f"; threshold {number(judge.threshold)} at {far(FALSE_ACCEPTS)}"
    return Table(
        name=f"shared_{judge.name}",
        title=f"Tracks that share an invented person, {judge.name}",
        columns=COLUMNS,
        rows=tuple(rows),
        note=f"the worst {len(rows)} of {len(pairs)}{limit}",
    )
