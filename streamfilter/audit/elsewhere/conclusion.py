"""What the search adds to the section on recognisers: a figure with a limit, the moments, and their pictures."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from streamfilter.audit.elsewhere.looks import PACE_S
from streamfilter.audit.elsewhere.people import FAR, People
from streamfilter.audit.elsewhere.records import Known, Records
from streamfilter.audit.limits import Limits
from streamfilter.audit.section import Figure, Picture, Table
from streamfilter.audit.wording import far, number, one_in, plural

NAME = "recognised_anywhere"
HOW = (
    f"The detectors look at the result too, about every {number(PACE_S)} s, and now and then at the turned result: "
    "what was moved, mirrored, turned or pasted elsewhere is found there. A face counts where two recognisers (the "
    f"only one, if there is one) know the same person of the original in it, each so surely that {one_in(FAR)} "
    "strangers would pass among all people together. Among up to 100 people of LFW about 1 of 10,000 faces of "
    "strangers, or fewer, pass both built-in ones."
)


@dataclass(frozen=True, eq=False, kw_only=True)
class Anywhere:
    """What is added; `sentence` is empty where nobody was recognised."""

    figure: Figure
    tables: tuple[Table, ...] = ()
    pictures: tuple[Picture, ...] = ()
    sentence: str = ""


def conclusion(records: Records, people: People, limits: Limits) -> Anywhere:
    """From what was found."""
    names = list(people.thresholds())
    return Anywhere(
        figure=_figure(records, people, limits),
        tables=(_table(records.known, names, people),) if records.known else (),
        pictures=tuple(_pictures(records.known)),
        sentence=_sentence(records),
    )


def _figure(records: Records, people: People, limits: Limits) -> Figure:
    label, limit = "Faces at any place in which a person of the original is recognised", limits.recognised_anywhere
    searched = f"{plural(records.pictures, 'picture')} of the result searched for {_people(people)}, {far(FAR)}."
    some = len(people) > 0
    return Figure(
        name=NAME,
        label=label,
        value=records.count if some else None,
        unit="faces",
        n=records.faces,
        counted="face",
        limit=f"<= {limit}",
        kept=records.count <= limit if some else None,
        note=searched if some else "Nobody is known to compare with.",
    )


def _people(people: People) -> str:
    left_out = f" ({people.forgotten:,} more were left out to bound memory)" if people.forgotten else ""
    return plural(len(people), "person") + left_out


def _sentence(records: Records) -> str:
    if not records.count:
        return ""
    return (
        f"In {records.count:,} of {plural(records.faces, 'face')} that were found in the result, at whatever place, "
        "a person of the original is recognised."
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
