"""The folder of pulled models: every file is compared with its pinned SHA-256 before it is used."""

from __future__ import annotations

import hashlib
import os
import secrets
import shutil
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from enum import StrEnum
from functools import lru_cache
from pathlib import Path
from typing import BinaryIO

from platformdirs import user_cache_path

from streamfilter.errors import ModelError, OutputError
from streamfilter.model_files import sha256
from streamfilter.model_store.catalogue import GROUPS, Package, StoredFile

FOLDER_VARIABLE = "STREAMFILTER_MODELS"
BLOCK_BYTES = 1 << 20


class Condition(StrEnum):
    """Of a file in the store."""

    INTACT = "intact"
    MISSING = "missing"
    DAMAGED = "damaged"
    """It is there, but it is not the file that is pinned, or it cannot be read."""


@dataclass(frozen=True, kw_only=True)
class Holding:
    """One file of the catalogue, where it lies or would lie, and how it is."""

    group: str
    package: Package
    file: StoredFile
    path: Path
    condition: Condition


class Store:
    """Pulled models in one folder.

    Args:
        folder: Need not exist.
        groups: What may lie in it.
    """

    def __init__(self, folder: Path, groups: Mapping[str, tuple[Package, ...]] = GROUPS) -> None:
        self.folder = folder
        self.groups = groups

    @classmethod
    def default(cls) -> Store:
        """The folder named by STREAMFILTER_MODELS, else one in the user's cache folder."""
        named = os.environ.get(FOLDER_VARIABLE)
        return cls(Path(named).expanduser() if named else user_cache_path("streamfilter", appauthor=False) / "models")

    def path(self, name: str) -> Path:
        """Where the file `name` lies, after its bytes were checked.

        A file is read in full at its first use in a process, and again when its size or time of change has changed.

        Raises:
            ModelError: it was not pulled, was changed since, or is not in the catalogue.
        """
        held = self._held(name)
        if held.condition is Condition.MISSING:
            raise ModelError(f"the model {name} is not in {self.folder}; get it: {self.pull_command(held.group)}")
        if held.condition is Condition.DAMAGED:
            command = self.pull_command(held.group)
            raise ModelError(f"the model {held.path} was changed since it was pulled; get it again: {command}")
        return held.path

    def state(self, group: str | None = None) -> tuple[Holding, ...]:
        """Every file of one group, or of all, in the catalogue's order; reads what lies there."""
        return tuple(self._holding(*entry) for entry in self._entries() if group in (None, entry[0]))

    def lacks(self, package: Package) -> tuple[StoredFile, ...]:
        """Files of a package that are missing or damaged."""
        return tuple(file for file in package.files if _condition(self.folder / file.name, file) != Condition.INTACT)

    def pull_command(self, group: str) -> str:
        """What a user types to fill this store."""
        elsewhere = "" if self.folder == Store.default().folder else f" --folder {self.folder}"
        return f"streamfilter models pull {group}{elsewhere}"

    def prepare(self, needed_bytes: int) -> None:
        """Make the folder, so that what cannot be stored is not downloaded.

        Raises:
            OutputError: it cannot be made or written, or has less room than is needed.
        """
        try:
            self.folder.mkdir(parents=True, exist_ok=True)
        except OSError as error:
            raise OutputError(f"the folder {self.folder} cannot be made: {error.strerror}; name another") from error
        if not os.access(self.folder, os.W_OK | os.X_OK):
            raise OutputError(f"the folder {self.folder} cannot be written; name another or change its permissions")
        check_room(self.folder, needed_bytes, remedy="free some space, or name another folder")

    def put(self, file: StoredFile, content: BinaryIO, *, origin: str) -> None:
        """Store a file under its name, once all of it was read and is what it must be; else nothing changes.

        Args:
            file: What `content` must be.
            content: Read to its end.
            origin: Where it comes from, for messages.

        Raises:
            ModelError: its SHA-256 is another.
            OutputError: the folder cannot be written, or the disk is full.
        """
        target = self.folder / file.name
        partial = self.folder / f".{file.name}.{secrets.token_hex(4)}.part"
        try:
            check_sha256(_copy(content, partial), file.sha256, f"{file.name} from {origin}")
            partial.replace(target)
        except OSError as error:
            needed = f"it needs {mebibytes(file.bytes)}"
            raise OutputError(f"{target} cannot be written: {error.strerror or error}; {needed}") from error
        finally:
            _remove(partial)

    def _entries(self) -> Iterator[tuple[str, Package, StoredFile]]:
        for group, packages in self.groups.items():
            for package in packages:
                for file in package.files:
                    yield group, package, file

    def _held(self, name: str) -> Holding:
        for entry in self._entries():
            if entry[2].name == name:
                return self._holding(*entry)
        known = ", ".join(file.name for _, _, file in self._entries())
        raise ModelError(f"no model of the name {name} can be pulled; there are {known}")

    def _holding(self, group: str, package: Package, file: StoredFile) -> Holding:
        path = self.folder / file.name
        return Holding(group=group, package=package, file=file, path=path, condition=_condition(path, file))


def check_sha256(found: str, expected: str, what: str) -> None:
    """Refuse what is not pinned.

    Raises:
        ModelError: the two differ.
    """
    if found != expected:
        raise ModelError(f"{what} is not the file that is pinned: expected SHA-256 {expected}, got {found}")


def check_room(folder: Path, needed_bytes: int, *, remedy: str) -> None:
    """Refuse a folder on a disk that is too full.

    Raises:
        OutputError: less is free than is needed.
    """
    free = shutil.disk_usage(folder).free
    if free < needed_bytes:
        needed = f"{mebibytes(needed_bytes)} are needed; {remedy}"
        raise OutputError(f"the disk of {folder} has {mebibytes(free)} free where {needed}")


def mebibytes(count: int) -> str:
    """A size as people read it, for example `95.5 MiB`."""
    return f"{count / 2**20:.1f} MiB"


def _condition(path: Path, file: StoredFile) -> Condition:
    try:
        facts = path.stat()
        if facts.st_size != file.bytes:
            return Condition.DAMAGED
        found = _known_sha256(path.resolve(), facts.st_size, facts.st_mtime_ns)
    except (FileNotFoundError, NotADirectoryError):
        return Condition.MISSING
    except OSError:
        return Condition.DAMAGED
    return Condition.INTACT if found == file.sha256 else Condition.DAMAGED


@lru_cache(maxsize=64)
def _known_sha256(path: Path, _size: int, _changed_ns: int) -> str:
    """The hash, computed once in a process for a file that stays as it is."""
    return sha256(path)


def _copy(content: BinaryIO, target: Path) -> str:
    """Write to a new file, down to the disk; its SHA-256."""
    digest = hashlib.sha256()
    with target.open("xb") as file:
        while block := content.read(BLOCK_BYTES):
            digest.update(block)
            file.write(block)
        file.flush()
        os.fsync(file.fileno())
    return digest.hexdigest()


def _remove(path: Path) -> None:
    try:
        path.unlink(missing_ok=True)
    except OSError:  # the folder itself is not to be had
        return
