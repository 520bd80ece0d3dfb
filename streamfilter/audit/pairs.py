"""Which result belongs to which original: two files, or two folders that mirror each other."""

from __future__ import annotations

import os
from collections import defaultdict
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path

from streamfilter.errors import InputError
from streamfilter.media.kinds import IMAGE_SUFFIXES, MEDIA_SUFFIXES, kind_of
from streamfilter.media.target import same_file

NAMED = 3


@dataclass(frozen=True, kw_only=True)
class Pair:
    """An original and what was made of it.

    Attributes:
        name: Relative to what was given to the audit.
        label: Whose photo it is, where the originals are folders of photos, one for each person; otherwise empty.
    """

    name: str
    original: Path
    result: Path
    label: str = ""


def pairs_of(original: Path | str, result: Path | str) -> tuple[Pair, ...]:
    """Pair two files, or all media files of two folders by their relative path; endings may differ.

    Raises:
        InputError: something is missing, empty or the same twice, a file is given beside a folder, a folder holds no
            media, or files have no counterpart.
    """
    first, second = Path(original), Path(result)
    if same_file(first, second):
        raise InputError(f"{first} was given twice; give the original first and then what was made of it")
    if first.is_dir() != second.is_dir() and first.exists() and second.exists():
        raise InputError(f"{first} and {second}: give two files or two folders, not one of each")
    if first.is_dir():
        return _folders(first, second)
    for path in (first, second):
        kind_of(path)  # refuses what is missing or empty
    return (Pair(name=first.name, original=first, result=second),)


def _folders(original: Path, result: Path) -> tuple[Pair, ...]:
    originals, results = _media(original, besides=result), _media(result, besides=original)
    partners = _partners(originals, results)
    if not partners:
        raise InputError(
            f"no file of {original} has a counterpart of the same name in {result} "
            f"({originals[0].as_posix()} has none, for example); are these the right folders?"
        )
    _refuse_lonely(set(originals) - set(partners), missing_in=result, present_in=original)
    _refuse_lonely(set(results) - set(partners.values()), missing_in=original, present_in=result)
    people = all(len(path.parts) > 1 and path.suffix.lower() in IMAGE_SUFFIXES for path in originals)
    return tuple(
        Pair(
            name=path.as_posix(),
            original=original / path,
            result=result / partners[path],
            label=path.parent.as_posix() if people else "",
        )
        for path in originals
    )


def _media(folder: Path, *, besides: Path) -> list[Path]:
    """Relative paths in a stable order, without what is hidden and without the other folder."""
    found = [path.relative_to(folder) for path in _walk(folder, besides) if path.suffix.lower() in MEDIA_SUFFIXES]
    if not found:
        raise InputError(f"the folder {folder} holds no video and no picture")
    return found


def _walk(folder: Path, besides: Path) -> Iterator[Path]:
    for root, names, files in os.walk(folder):
        here = Path(root)
        names[:] = sorted(n for n in names if not n.startswith(".") and not same_file(here / n, besides))
        yield from (here / name for name in sorted(files) if not name.startswith("."))


def _partners(originals: list[Path], results: list[Path]) -> dict[Path, Path]:
    """The same path; among those left, the only one of the same path without its ending."""
    present = set(results)
    partners = {path: path for path in originals if path in present}
    left = _by_stem(path for path in results if path not in partners)
    for stem, paths in _by_stem(path for path in originals if path not in partners).items():
        if len(paths) == len(left[stem]) == 1:
            partners[paths[0]] = left[stem][0]
    return partners


def _by_stem(paths: Iterable[Path]) -> defaultdict[Path, list[Path]]:
    groups: defaultdict[Path, list[Path]] = defaultdict(list)
    for path in paths:
        groups[path.with_suffix("")].append(path)
    return groups


def _refuse_lonely(paths: set[Path], *, missing_in: Path, present_in: Path) -> None:
    if paths:
        names = [path.as_posix() for path in sorted(paths)]
        more = f" and {len(names) - NAMED} more" if len(names) > NAMED else ""
        raise InputError(
            f"{', '.join(names[:NAMED])}{more} of {present_in} have no counterpart in {missing_in}; "
            "complete it, or leave them out on both sides"
        )
