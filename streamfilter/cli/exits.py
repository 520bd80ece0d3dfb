"""Exit codes, and one line for every error."""

from __future__ import annotations

from enum import IntEnum

from streamfilter.errors import ConfigError, StreamFilterError


class Exit(IntEnum):
    """What the exit code of a command says."""

    OK = 0
    """All was written, and every face in it was replaced or covered."""
    FAILED = 1
    """At least one target was not written."""
    USAGE = 2
    """The command itself cannot work: an unknown option, a value out of range."""
    INCOMPLETE = 3
    """All was written and protected, but frames were blanked or parts of a source could not be decoded."""
    INTERRUPTED = 130
    """Stopped by Ctrl-C or a termination signal; the unfinished target was removed."""


SEVEREST_FIRST = (Exit.INTERRUPTED, Exit.USAGE, Exit.FAILED, Exit.INCOMPLETE, Exit.OK)


def severest(codes: list[Exit]) -> Exit:
    """The exit code of several jobs together; no job at all is fine."""
    return min(codes, key=SEVEREST_FIRST.index, default=Exit.OK)


def exit_code(error: StreamFilterError) -> Exit:
    """The exit code that an error leads to."""
    return Exit.USAGE if isinstance(error, ConfigError) else Exit.FAILED


def one_line(message: object) -> str:
    """An error or text without line breaks: libraries below sometimes send paragraphs."""
    return " ".join(str(message).split()) or type(message).__name__
