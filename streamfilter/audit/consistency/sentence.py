"""The conclusion in plain words, with the decisive numbers."""

from __future__ import annotations

from collections.abc import Sequence

from streamfilter.audit.section import Figure, Verdict
from streamfilter.audit.wording import amount, limit, plural, told, within

# By the beginning of a figure's name; the number comes first.
PLAIN = {
    "equal_error_rate": "{} of comparisons confuse two people ({})",
    "within_track": "a likeness of {} within a track ({})",
    "flicker_jumps": "jumps on {} of frames ({})",
    "flicker": "{} of flicker ({})",
}


def sentence_of(verdict: Verdict, figures: Sequence[Figure], remark: str = "") -> str:
    """What the verdict rests on, who shares a person, and a remark."""
    limited = [figure for figure in figures if figure.limit is not None]
    return " ".join(part for part in (_verdict(verdict, limited), _sharing(figures), remark) if part)


def _verdict(verdict: Verdict, limited: Sequence[Figure]) -> str:
    if verdict is Verdict.FAILED:
        return f"Not consistent: {'; '.join(_plain(figure) for figure in limited if figure.kept is False)}."
    if verdict is Verdict.UNKNOWN:
        missing = [f"{within(figure.label)}: {within(figure.note)}" for figure in limited if figure.kept is None]
        return f"Not judged: {'; '.join(missing).rstrip('.') or 'photos have no time in which to change'}."
    return f"Each track keeps one face: {'; '.join(_plain(figure) for figure in limited)}."


def _plain(figure: Figure) -> str:
    words = next((words for name, words in PLAIN.items() if figure.name.startswith(name)), None)
    if words is None or figure.value is None:
        return told(figure)
    by = figure.label.rpartition(", ")[2] if figure.name not in PLAIN else ""
    return words.format(amount(figure.value, figure.unit), ", ".join(filter(None, (limit(figure), by))))


def _sharing(figures: Sequence[Figure]) -> str:
    """Where any recogniser sees two tracks share a person."""
    counts = [figure for figure in figures if figure.name.startswith("shared_") and figure.value]
    found = ", ".join(
        f"{figure.value:,} of {plural(figure.n or 0, 'pair')} ({figure.label.rsplit(', ', 1)[-1]})" for figure in counts
    )
    return f"Tracks of different people look like one invented person in {found}." if found else ""
