"""A file of text that appears only when it is complete."""

from __future__ import annotations

from pathlib import Path

from streamfilter.errors import OutputError
from streamfilter.media.target import Target


def write_whole(path: Path, text: str) -> None:
    """Write under a temporary name beside it, then rename; a file of that name is replaced.

    Raises:
        OutputError: It cannot be written.
    """
    target = Target(path, overwrite=True)
    try:
        target.partial.write_text(text, "utf-8", newline="\n")
        target.commit()
    except OutputError:
        raise
    except OSError as error:
        raise OutputError(f"{path} cannot be written: {error.strerror}; free space or name another place") from error
    finally:
        target.discard()
