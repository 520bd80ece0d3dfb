"""How the commands speak: everything but results on stderr, one line for every error, an exit code for every end."""

from __future__ import annotations

import logging
import signal
from collections.abc import Iterator
from contextlib import contextmanager

import click
from rich.console import Console
from rich.logging import RichHandler

from streamfilter.cli.exits import Exit, exit_code, one_line
from streamfilter.errors import StreamFilterError
from streamfilter.redact import redacted

_log = logging.getLogger(__name__)
_package_log = logging.getLogger("streamfilter")


def stderr_console() -> Console:
    """The console for everything that is not a result."""
    return Console(stderr=True, highlight=False)


def say(console: Console, text: str, *, style: str | None = None) -> None:
    """Print one line as it is: no markup, no colours for numbers, no wrapping."""
    console.print(text, style=style, markup=False, highlight=False, soft_wrap=True)


def say_error(console: Console, error: StreamFilterError) -> None:
    """One line; the traceback follows where debug lines are shown."""
    say(console, f"error: {redacted(one_line(error))}", style="red")
    _log.debug("where it happened", exc_info=error)


class _RedactedLines(logging.Formatter):
    """Records without credentials, their tracebacks included."""

    def format(self, record: logging.LogRecord) -> str:
        lines = super().format(record).splitlines()
        return "\n".join(f"{line[: len(line) - len(line.lstrip())]}{redacted(line)}" for line in lines)


@contextmanager
def log_lines(console: Console, *, verbose: bool) -> Iterator[None]:
    """Show what the package logs for as long as the block runs: all of it if `verbose`, else nothing.

    Steps that fail log a warning for every frame; the summary and the report say the same in few words.
    """
    handler = RichHandler(console=console, show_path=False, rich_tracebacks=False)
    handler.setFormatter(_RedactedLines("%(message)s"))
    before = _package_log.level
    _package_log.setLevel(logging.DEBUG if verbose else logging.CRITICAL)
    _package_log.addHandler(handler)
    try:
        yield
    finally:
        _package_log.removeHandler(handler)
        _package_log.setLevel(before)


@contextmanager
def stopped_by_signals() -> Iterator[None]:
    """A termination signal ends the block as Ctrl-C does, so that unfinished files are removed."""
    before = signal.signal(signal.SIGTERM, signal.default_int_handler)
    try:
        yield
    finally:
        signal.signal(signal.SIGTERM, before)


class Commands(click.Group):
    """A group whose commands end in one line and an exit code, whatever was raised on purpose."""

    def invoke(self, ctx: click.Context) -> object:
        """Run the command."""
        console = stderr_console()
        try:
            with stopped_by_signals():
                return super().invoke(ctx)
        except StreamFilterError as error:
            say_error(console, error)
            ctx.exit(exit_code(error))
        except KeyboardInterrupt:
            say(console, "interrupted", style="red")
            ctx.exit(Exit.INTERRUPTED)
