"""Progress of downloads on stderr: a bar on a terminal, a plain line now and then elsewhere."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager

from rich.console import Console
from rich.progress import BarColumn, DownloadColumn, Progress, TextColumn, TransferSpeedColumn

from streamfilter.cli.console import say
from streamfilter.cli.model_list import licence_of
from streamfilter.model_store.catalogue import Package
from streamfilter.model_store.pull import Begin
from streamfilter.model_store.store import mebibytes

LINE_INTERVAL_S = 5.0
Clock = Callable[[], float]


@contextmanager
def arrival(console: Console, *, clock: Clock = time.monotonic) -> Iterator[Begin]:
    """What `pull` tells of its packages: name, size and licences before each is fetched, then what has arrived."""
    if not console.is_terminal:
        yield lambda package: _lines(console, package, clock)
        return
    columns = (TextColumn("{task.description}"), BarColumn(), DownloadColumn(binary_units=True), TransferSpeedColumn())
    with Progress(*columns, console=console, transient=True) as bars:

        def begin(package: Package) -> Callable[[int], None]:
            announce(console, package)
            task = bars.add_task(package.name, total=package.bytes)
            return lambda arrived: bars.update(task, completed=arrived)

        yield begin


def announce(console: Console, package: Package) -> None:
    """What is about to be pulled, what for, and under which licences."""
    say(console, f"{package.name} {package.version}, {mebibytes(package.bytes)}: {package.why}")
    say(console, f"  {package.url}; licence: {package.licence}")
    for file in package.files:
        say(console, f"  {file.name}: {file.purpose}; licence: {licence_of(file)}")


def _lines(console: Console, package: Package, clock: Clock) -> Callable[[int], None]:
    announce(console, package)
    said, said_at = 0, clock()

    def seen(arrived: int) -> None:
        nonlocal said, said_at
        if arrived != said and clock() - said_at >= LINE_INTERVAL_S:
            said, said_at = arrived, clock()
            say(console, f"  {package.name}: {mebibytes(arrived)} of {mebibytes(package.bytes)}")

    return seen
