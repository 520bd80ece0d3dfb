"""What the search adds to the section on recognisers: a figure with a limit, the moments, and their pictures."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from streamfilter.audit.elsewhere.looks import PACE_S
from streamfilter.audit.elsewhere.people import FAR, People
from streamfilter.audit.elsewhere.records import Known, Records
from streamfilter.audit.limits import Limits
from streamfilter.audit.section import Figure, Picture, Table
from streamfilter.audit.wording import far, number, one_in, per_cent, plural

NAME = "recognised_anywhere"
LEAST_POWER = 0.5
"""Where fewer of the originals' own faces would be known, finding nobody proves nothing."""
HOW = (
    f"The detectors look at the result too, about every {number(PACE_S)} s, and now and then at the turned result: "
    "what was moved, mirrored, turned or pasted elsewhere is found there. A face counts where two recognisers (the "
    f"only one, if there is one) know the same person of the original in it, each so surely that {one_in(FAR)} "
    "strangers would pass among all people together. Among up to 100 people of LFW about 1 of 10,000 faces of "
    "strangers, or fewer, pass both built-in ones. The more people there are the more is asked for; where fewer than "
    f"{per_cent(LEAST_POWER)} of the originals' own faces would be known so surely, finding nobody is not judged."
)


@dataclass(frozen=True, eq=False, kw_only=True)
class Anywhere:
    """What is added.

    Attributes:
        known_in: The files in whose result somebody is recognised; None: the search is too weak to tell.
        sentence: Empty where nobody was recognised and that could be told.
    """

    figure: Figure
    known_in: frozenset[str] | None
    tables: tuple[Table, ...] = ()
    pictures: tuple[Picture, ...] = ()
    sentence: str = ""


def conclusion(records: Records, people: People, limits: Limits) -> Anywhere:
    """From what was found."""
    names, power = list(people.thresholds()), people.power() if len(people) else 0.0
    return Anywhere(
        figure=_figure(records, people, limits, power),
        known_in=frozenset(records.known_in) if power >= LEAST_POWER else None,
        tables=(_table(records.known, names, people),) if records.known else (),
        pictures=tuple(_pictures(records.known)),
        sentence=_sentence(records, people, power),
    )


def _figure(records: Records, people: People, limits: Limits, power: float) -> Figure:
    label, limit = "Faces at any place in which a person of the original is recognised", limits.recognised_anywhere
    searched = f"{plural(records.pictures, 'picture')} of the result searched for {_people(people)}, {far(FAR)}."
    some, broken = len(people) > 0, records.count > limit
    strong = f"Of the originals' own faces {per_cent(power)} would be known so surely."
    return Figure(
        name=NAME,
        label=label,
        value=records.count if some else None,
        unit="faces",
        n=records.faces,
        counted="face",
        limit=f"<= {limit}",
        kept=False if broken else True if power >= LEAST_POWER else None,
        note=f"{searched} {strong}" if some else "Nobody is known to compare with.",
    )


def _people(people: People) -> str:
    left_out = f" ({people.forgotten:,} more were left out to bound memory)" if people.forgotten else ""
    return plural(len(people), "person") + left_out


def _sentence(records: Records, people: People, power: float) -> str:
    if not records.count:
        weak = len(people) and power < LEAST_POWER
        return _weakness(people, power) if weak else ""
    return (
        f"In {records.count:,} of {plural(records.faces, 'face')} that were found in the result, at whatever place, "
        "a person of the original is recognised."
    )


def _weakness(people: People, power: float) -> str:
    return (
        f"Whether somebody is recognised at another place could not be judged: among {plural(len(people), 'person')} "
        f"only {per_cent(power)} of the originals' own faces would be known surely enough."
    )


def _table(known: Sequence[Known], names: Sequence[str], people: People) -> Table:
    asked = ", ".join(f"{name} {number(threshold)}" for name, threshold in people.thresholds().items())
    return Table(
        name=NAME,
        title="Where a person of the original is recognised in the result",
        columns=("file", "time (s)", "picture", *(f"cosine, {name}" for name in names)),
        rows=tuple(
            (one.place.source, round(one.place.time_s, 3), one.place.picture, *(one.cosines[name] for name in names))
            for one in known
        ),
        note=f"Cosines to the mean of the person's originals. With all people known, {asked} are asked for.",
    )


def _pictures(known: Sequence[Known]) -> list[Picture]:
    shown = [(one.place, one.crop) for one in known if one.crop is not None]
    return [
        Picture(
            name=f"{NAME}_{index}",
            caption=f"{place.source}, {place.time_s:.2f} s, {place.picture}: a person of the original is recognised",
            image=crop,
            original=True,
        )
        for index, (place, crop) in enumerate(shown, 1)
    ]
