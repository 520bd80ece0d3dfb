"""Progress on stderr: a bar on a terminal, a plain line now and then elsewhere, nothing when quiet."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Protocol

from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TaskID, TextColumn

LINE_INTERVAL_S = 5.0
# Before, the pace is that of models warming up and of the first file alone.
TELLS_AFTER_S, TELLS_AFTER = 5.0, 20
MAX_LINE_INTERVAL_S = 60.0
LINES_SPREAD = 0.1  # of the time that a job has taken: long jobs report more seldom
BAR_INTERVAL_S = 0.1
Clock = Callable[[], float]


class Meter:
    """Frames (or other units), faces and pace of one job; `expected` is None where the source does not tell."""

    def __init__(self, expected: int | None, clock: Clock, unit: str = "frames") -> None:
        self.expected = expected
        self.unit = unit
        self.done = 0
        self.faces = 0
        self._clock = clock
        self._start = clock()

    def count(self, faces: int) -> None:
        """One more is done, and so many faces were in it."""
        self.done += 1
        self.faces = faces

    @property
    def fps(self) -> float:
        """Frames per second since the start."""
        return self.done / max(self._clock() - self._start, 1e-6)

    @property
    def left_s(self) -> float | None:
        """Seconds until the expected number of frames is reached at this pace; None where that is unknown.

        It is unknown in the first 5 s and before 20 are done.
        """
        early = self.done < TELLS_AFTER or self._clock() - self._start < TELLS_AFTER_S
        if self.expected is None or early:
            return None
        return max(self.expected - self.done, 0) / self.fps

    def __str__(self) -> str:
        """Pace, faces and time left."""
        faces = f"{self.faces} face{'' if self.faces == 1 else 's'}"
        left = "" if self.left_s is None else f", {clock_time(self.left_s)} left"
        pace = f"{self.fps:.1f} fps" if self.unit == "frames" else f"{self.fps:.1f} {self.unit}/s"
        return f"{pace}, {faces}{left}"


class Display(Protocol):
    """Shows the progress of one job."""

    def show(self, meter: Meter) -> None:
        """Called after every frame."""


class Line:
    """A plain line now and then, for logs and pipes."""

    def __init__(self, console: Console, name: str, clock: Clock) -> None:
        self._console = console
        self._name = name
        self._clock = clock
        self._start = self._last = clock()

    def show(self, meter: Meter) -> None:
        """Print a line if it is time."""
        now = self._clock()
        if now - self._last < min(max(LINE_INTERVAL_S, LINES_SPREAD * (now - self._start)), MAX_LINE_INTERVAL_S):
            return
        self._last = now
        of = "" if meter.expected is None else f" of {meter.expected}"
        self._console.print(f"{self._name}: {meter.done}{of} {meter.unit}, {meter}", markup=False, highlight=False)


class Bar:
    """A bar that is redrawn in place."""

    def __init__(self, progress: Progress, task: TaskID, clock: Clock) -> None:
        self._progress = progress
        self._task = task
        self._clock = clock
        self._last = clock()

    def show(self, meter: Meter) -> None:
        """Redraw if it is time."""
        if self._clock() - self._last < BAR_INTERVAL_S:
            return
        self._last = self._clock()
        self._progress.update(self._task, completed=meter.done, pace=str(meter), refresh=True)


class Hidden:
    """Shows nothing."""

    def show(self, meter: Meter) -> None:
        """Nothing."""


@contextmanager
def progress(
    console: Console,
    name: str,
    expected: int | None,
    *,
    unit: str = "frames",
    quiet: bool = False,
    clock: Clock = time.monotonic,
) -> Iterator[Callable[[int], None]]:
    """Yield what is to be called after every frame of the job `name` with its faces; nothing is shown where `quiet`."""
    meter = Meter(expected, clock, unit)
    with _display(console, name, expected, quiet, clock) as display:

        def advance(faces: int) -> None:
            meter.count(faces)
            display.show(meter)

        yield advance


@contextmanager
def _display(console: Console, name: str, frames: int | None, quiet: bool, clock: Clock) -> Iterator[Display]:
    if quiet:
        yield Hidden()
    elif not console.is_terminal:
        yield Line(console, name, clock)
    else:
        columns = (TextColumn("{task.description}", markup=False), BarColumn(), MofNCompleteColumn())
        pace = TextColumn("{task.fields[pace]}", markup=False)
        # Refreshed by hand: threads live in the pipeline only.
        with Progress(*columns, pace, console=console, transient=True, auto_refresh=False) as bars:
            yield Bar(bars, bars.add_task(name, total=frames, pace=""), clock)


def clock_time(seconds: float) -> str:
    """Seconds as `m:ss` or `h:mm:ss`."""
    minutes, rest = divmod(round(seconds), 60)
    hours, minutes = divmod(minutes, 60)
    return f"{hours}:{minutes:02}:{rest:02}" if hours else f"{minutes}:{rest:02}"
