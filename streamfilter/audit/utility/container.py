"""Frames, times, size and sound: what became of the file around the faces."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

from streamfilter.audit.container_facts import ContainerFacts, Fate
from streamfilter.audit.section import Cell, Figure, Table
from streamfilter.audit.wording import plural

TIME_TOLERANCE_MS = 1.0  # Matroska counts in milliseconds
FILES_SHOWN = 50

Facts = Sequence[tuple[str, ContainerFacts]]


@dataclass(frozen=True)
class _Question:
    """One figure: of the files that it concerns, the share of those that are as they should be."""

    name: str
    label: str
    nothing: str
    concerns: Callable[[ContainerFacts], bool]
    holds: Callable[[ContainerFacts], bool]
    note: str = ""
    limited: bool = True


def frames_identical(facts: ContainerFacts) -> bool:
    """As many pictures, and each has its partner."""
    return facts.frames_equal and not facts.unpaired_frames and not facts.unexamined_frames


def times_identical(facts: ContainerFacts) -> bool:
    """All pictures are shown within a millisecond of when they were."""
    return frames_identical(facts) and max(facts.time_error_ms, abs(facts.shift_ms)) <= TIME_TOLERANCE_MS


def kept(facts: ContainerFacts, kind: str) -> bool:
    """All tracks of a kind are there in their length, if with other bytes."""
    fates = [track.fate for track in facts.tracks if track.kind == kind]
    return all(fate in (Fate.IDENTICAL, Fate.REENCODED) for fate in fates)


def figures(facts: Facts) -> tuple[Figure, ...]:
    """Shares of the files; a question that concerns no file has no limit."""
    return tuple(_figure(question, facts) for question in _QUESTIONS)


def table(facts: Facts) -> Table:
    """One row for each file, those that differ first."""
    ordered = sorted(facts, key=lambda item: _unchanged(item[1]))
    rows = tuple(_row(name, fact) for name, fact in ordered[:FILES_SHOWN])
    more = len(facts) - len(rows)
    columns = ("file", "frames", "frames of the result", "shift, ms", "time error, ms", "size", "sound", "subtitles")
    return Table(
        name="container",
        title="Frames, times, size, sound",
        columns=columns,
        rows=rows,
        note=f"{plural(more, 'more file')}; those that differ come first." if more else "",
    )


def _figure(question: _Question, facts: Facts) -> Figure:
    concerned = [fact for _, fact in facts if question.concerns(fact)]
    good = sum(question.holds(fact) for fact in concerned)
    share = good / len(concerned) if concerned else None
    # Where files were compared and none has sound, there is nothing to be kept; without files nothing is known.
    limited = question.limited and (bool(concerned) or not facts)
    return Figure(
        name=question.name,
        label=question.label,
        value=share,
        unit="share",
        n=len(concerned),
        counted="file",
        limit=">= 1" if limited else None,
        kept=None if share is None or not limited else share == 1,
        note=question.note if concerned else (question.nothing if facts else "The files were not compared."),
    )


def _unchanged(facts: ContainerFacts) -> bool:
    timely = facts.still or times_identical(facts)
    return frames_identical(facts) and timely and facts.size_equal and kept(facts, "audio")


def _row(name: str, facts: ContainerFacts) -> tuple[Cell, ...]:
    times = (None, None) if facts.still else (round(facts.shift_ms, 2), round(facts.time_error_ms, 2))
    size = "x".join(map(str, facts.original_size))
    if not facts.size_equal:
        size += " -> " + "x".join(map(str, facts.result_size))
    sides = (_fates(facts, kind) for kind in ("audio", "subtitle"))
    return name, facts.original_frames, facts.result_frames, *times, size, *sides


def _fates(facts: ContainerFacts, kind: str) -> str:
    fates = [str(track.fate) for track in facts.tracks if track.kind == kind]
    return ", ".join(fates) if fates else "none"


def _has(kind: str) -> Callable[[ContainerFacts], bool]:
    return lambda facts: facts.identical(kind) is not None


_QUESTIONS = (
    _Question("frames_identical", "Files with the same number of frames", "", lambda _: True, frames_identical),
    _Question(
        "times_identical",
        "Videos whose frames are shown at the same times",
        "Photos have no times.",
        lambda facts: not facts.still,
        times_identical,
        "Within a millisecond.",
    ),
    _Question(
        "size_identical", "Files of the same width and height", "", lambda _: True, lambda facts: facts.size_equal
    ),
    _Question(
        "audio_kept",
        "Files with sound that kept it",
        "No file has sound.",
        _has("audio"),
        lambda facts: kept(facts, "audio"),
        "Every track, in its length; it may have been encoded anew.",
    ),
    _Question(
        "audio_identical",
        "Files whose sound is the same byte for byte",
        "No file has sound.",
        _has("audio"),
        lambda facts: bool(facts.identical("audio")),
        limited=False,
    ),
    _Question(
        "subtitles_kept",
        "Files with subtitles that kept them",
        "No file has subtitles.",
        _has("subtitle"),
        lambda facts: kept(facts, "subtitle"),
        limited=False,
    ),
)
