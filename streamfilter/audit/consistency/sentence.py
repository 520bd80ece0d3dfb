"""The conclusion in plain words, with the decisive numbers."""

from __future__ import annotations

from collections.abc import Sequence

from streamfilter.audit.section import Figure, Verdict


def sentence_of(verdict: Verdict, figures: Sequence[Figure]) -> str:
    """One sentence, or two: what the verdict rests on, and who shares a person."""
    limited = [figure for figure in figures if figure.limit is not None]
    if verdict is Verdict.FAILED:
        broken = "; ".join(_told(figure) for figure in limited if figure.kept is False)
        return f"Not consistent: {broken}."
    if verdict is Verdict.UNKNOWN:
        missing = [f"{figure.label.lower()}: {figure.note}" for figure in limited if figure.kept is None]
        return "Not judged: " + ("; ".join(missing) or "photos have no time in which to change") + "."
    numbers = "; ".join(_told(figure) for figure in limited)
    return f"Each track keeps one face ({numbers}).{_sharing(figures)}"


def _told(figure: Figure) -> str:
    value = "nothing" if figure.value is None else f"{figure.value:.3g}"
    unit = "" if figure.unit in {"share", "cosine"} else f" {figure.unit}"
    return f"{figure.label[0].lower()}{figure.label[1:]} {value}{unit}, limit {figure.limit}"


def _sharing(figures: Sequence[Figure]) -> str:
    """Where any recogniser sees two tracks share a person."""
    counts = [figure for figure in figures if figure.name.startswith("shared_") and figure.value]
    told = ", ".join(f"{figure.value} of {figure.n} pairs ({figure.label.rsplit(', ', 1)[-1]})" for figure in counts)
    return f" Two tracks of different people look like one invented person in {told}." if told else ""
