"""The file that will be written: refused early, built under a temporary name, renamed when complete."""

from __future__ import annotations

import os
import secrets
import weakref
from collections.abc import Iterable
from contextlib import suppress
from pathlib import Path

from streamfilter.errors import OutputError

PARTIAL = ".part"


def same_file(one: Path, other: Path) -> bool:
    """Whether two names mean one file, also through symbolic and hard links."""
    try:
        return one.samefile(other)
    except OSError:
        return False


def check_target(path: Path, *, sources: Iterable[Path] = (), overwrite: bool = False) -> None:
    """Refuse a target before any work is done.

    Raises:
        OutputError: it is a source, a folder, exists already, or its folder cannot be written.
    """
    try:
        _check(path, sources, overwrite=overwrite)
    except OutputError:
        raise
    except OSError as error:  # a name that is too long, a folder that may not be looked into
        raise OutputError(f"the output {path} cannot be written: {error.strerror or error}") from error


def _check(path: Path, sources: Iterable[Path], *, overwrite: bool) -> None:
    if any(same_file(path, source) for source in sources):
        raise OutputError(f"the output {path} is the input itself; give another name")
    if path.is_dir():
        raise OutputError(f"the output {path} is a folder where a file name is needed")
    if path.exists() and not path.is_file():
        # Renaming onto /dev/null would replace the device.
        raise OutputError(f"the output {path} is no regular file; give the name of one")
    if path.exists() and not overwrite:
        raise OutputError(f"{path} exists already; give --overwrite to replace it, or another name")
    _check_folder(path.parent)


def _check_folder(folder: Path) -> None:
    """The nearest folder that exists must be one, and be writable; what is missing below it is made later."""
    while not folder.exists() and folder != folder.parent:
        folder = folder.parent
    if not folder.is_dir():
        raise OutputError(f"{folder} is a file where the folder of an output is needed")
    if not os.access(folder, os.W_OK | os.X_OK):
        raise OutputError(f"the folder {folder} cannot be written; choose another place or change its permissions")


class Target:
    """One output file: write to `partial`, then `commit` or `discard`. The final name appears only when complete."""

    def __init__(self, path: Path, *, source: Path | None = None, overwrite: bool = False) -> None:
        check_target(path, sources=[source] if source else [], overwrite=overwrite)
        # A symbolic link stays; what it points to is replaced.
        self.path = path.resolve()
        self._overwrite = overwrite
        try:
            self.path.parent.mkdir(parents=True, exist_ok=True)
        except OSError as error:
            raise OutputError(f"the folder {self.path.parent} cannot be made: {error.strerror}") from error
        # Hidden, and with the right ending, by which FFmpeg chooses the container.
        self.partial = self.path.with_name(f".{self.path.stem}.{secrets.token_hex(4)}{PARTIAL}{self.path.suffix}")
        # Ctrl-C may strike between the file's birth and its owner's first `try`: then this removes it.
        weakref.finalize(self, _remove, self.partial)

    def commit(self) -> None:
        """Give the finished file its name.

        Raises:
            OutputError: it could not be brought to disk, or the name was taken meanwhile.
        """
        if self.path.exists() and not self._overwrite:
            raise OutputError(f"{self.path} appeared while it was being written; give --overwrite to replace it")
        try:
            _sync(self.partial)
            self.partial.replace(self.path)
        except OSError as error:
            raise OutputError(f"{self.path} cannot be completed: {error.strerror}") from error

    def discard(self) -> None:
        """Remove what was written so far; harmless when there is nothing."""
        _remove(self.partial)


def _remove(path: Path) -> None:
    with suppress(OSError):
        path.unlink(missing_ok=True)


def _sync(path: Path) -> None:
    descriptor = os.open(path, os.O_RDWR)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
