"""What an examiner concludes: figures with their limits, tables, plots and pictures, one verdict and one sentence."""

from __future__ import annotations

from dataclasses import dataclass, field
from enum import StrEnum
from typing import Protocol

from streamfilter.audit.moment import Moment
from streamfilter.structures import Image

Cell = str | float | int | None


class Verdict(StrEnum):
    """Of one section. What could not be judged has not passed."""

    PASSED = "passed"
    FAILED = "failed"
    UNKNOWN = "not judged"


@dataclass(frozen=True, kw_only=True)
class Figure:
    """One number.

    Attributes:
        name: Its key in the JSON report, for example `bare_share`.
        label: What a reader sees.
        value: None where nothing could be measured; `note` then says why.
        unit: `share` (0..1), `cosine`, `dB`, `px`, `degrees`, `s`, `faces`, `frames`, or nothing.
        low, high: 95 % interval (bootstrap), where there is one.
        n: How many were measured.
        counted: One of what `n` counts: `face`, `frame`, `pair`, `file`.
        limit: In words, for example `<= 0.01`; None: reported, not judged.
        kept: Whether the limit is kept; None where there is none, or nothing was measured.
        note: One more sentence, where the number would mislead without it.
    """

    name: str
    label: str
    value: float | int | None
    unit: str = ""
    low: float | None = None
    high: float | None = None
    n: int | None = None
    counted: str = ""
    limit: str | None = None
    kept: bool | None = None
    note: str = ""


@dataclass(frozen=True, kw_only=True)
class Table:
    """Rows of cells; the first column names the row."""

    name: str
    title: str
    columns: tuple[str, ...]
    rows: tuple[tuple[Cell, ...], ...]
    note: str = ""


@dataclass(frozen=True, kw_only=True)
class Series:
    """One curve or group of bars."""

    name: str
    x: tuple[float, ...]
    y: tuple[float, ...]


@dataclass(frozen=True, kw_only=True)
class Plot:
    """`kind` is `line`, `bars` (histograms) or `timeline` (x: seconds, y: 0..1); `marks` are named vertical lines."""

    name: str
    title: str
    kind: str
    x_label: str
    y_label: str
    series: tuple[Series, ...]
    marks: tuple[tuple[str, float], ...] = ()
    note: str = ""


@dataclass(frozen=True, eq=False, kw_only=True)
class Picture:
    """A small RGB picture for the page; `original`: an original face may be seen in it, so it is shown on demand."""

    name: str
    caption: str
    image: Image
    original: bool = False


@dataclass(frozen=True, eq=False, kw_only=True)
class Section:
    """One chapter of the report.

    Attributes:
        name: `leak`, `reid`, `consistency` or `utility`; what `--fail-on` takes.
        title: What a reader sees.
        verdict: FAILED if a limit is broken; UNKNOWN if what its limits need could not be measured; else PASSED.
        sentence: The conclusion in plain words, with the decisive numbers.
    """

    name: str
    title: str
    verdict: Verdict
    sentence: str
    figures: tuple[Figure, ...] = ()
    tables: tuple[Table, ...] = ()
    plots: tuple[Plot, ...] = ()
    pictures: tuple[Picture, ...] = ()
    notes: tuple[str, ...] = field(default=())


class Examiner(Protocol):
    """Looks at every moment once, in order, and concludes at the end; its memory does not grow with the length."""

    def look(self, moment: Moment) -> None:
        """One more moment."""

    def conclude(self) -> Section:
        """What was found; called once, after the last moment."""


def judged(figures: tuple[Figure, ...]) -> Verdict:
    """The verdict that follows from figures: those with a limit decide."""
    limited = [figure for figure in figures if figure.limit is not None]
    if any(figure.kept is False for figure in limited):
        return Verdict.FAILED
    if not limited or any(figure.kept is None for figure in limited):
        return Verdict.UNKNOWN
    return Verdict.PASSED
