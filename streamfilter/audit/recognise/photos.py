"""Photos of known people in folders, as LFW lays them out, and a benchmark's list of pairs."""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass
from pathlib import Path

from streamfilter.errors import InputError
from streamfilter.media.kinds import IMAGE_SUFFIXES

FEWEST_FOLDS = 2


@dataclass(frozen=True, kw_only=True)
class Photo:
    """A photo of one person: `person` is the folder's name, `path` the file."""

    person: str
    path: Path

    @property
    def key(self) -> str:
        """Person and file without its ending: what pairs name."""
        return f"{self.person}/{self.path.stem}"


@dataclass(frozen=True, kw_only=True)
class BenchmarkPair:
    """Two photos by their keys, whether they show one person, and the fold that judges them together."""

    fold: int
    same: bool
    first: str
    second: str


def photos_in(folder: Path) -> tuple[Photo, ...]:
    """All pictures person/photo below a folder, in order of names.

    Raises:
        InputError: A folder cannot be read, there are not two people, or nobody has two photos.
    """
    people = [path for path in _inside(folder) if path.is_dir()]
    found = [Photo(person=person.name, path=path) for person in people for path in _pictures(person)]
    per_person = Counter(photo.person for photo in found)
    if len(per_person) < 2 or max(per_person.values()) < 2:
        raise InputError(
            f"{folder} holds {len(found)} photos of {len(per_person)} people as PERSON/PHOTO.jpg; "
            "needed are at least two people, and two photos of at least one of them"
        )
    return tuple(found)


def read_pairs(path: Path) -> tuple[BenchmarkPair, ...]:
    """Pairs in LFW's format: `folds pairs`, then for each fold lines `name i j` (same) and `name i name j` (different).

    Raises:
        InputError: It cannot be read, or is not of this format.
    """
    try:
        header, *lines = [line.split() for line in path.read_text(encoding="utf-8").splitlines() if line.strip()]
        folds, each = (int(number) for number in header)
        pairs = [_pair(words, number // max(2 * each, 1)) for number, words in enumerate(lines)]
    except OSError as error:
        raise InputError(f"{path} cannot be read: {error.strerror}") from error
    except ValueError as error:
        raise InputError(f"{path} is no list of pairs in LFW's format ({error}); see its pairs.txt") from error
    if folds < FEWEST_FOLDS or each < 1 or len(pairs) != 2 * folds * each:
        raise InputError(f"{path} announces {folds} folds of 2 x {each} pairs, and holds {len(pairs)} pairs")
    return tuple(pairs)


def _inside(folder: Path) -> list[Path]:
    try:
        return sorted(folder.iterdir())
    except OSError as error:
        raise InputError(f"{folder} cannot be read: {error.strerror}; name a folder of PERSON/PHOTO.jpg") from error


def _pictures(folder: Path) -> list[Path]:
    return [path for path in _inside(folder) if path.suffix.lower() in IMAGE_SUFFIXES and path.is_file()]


def _pair(words: list[str], fold: int) -> BenchmarkPair:
    match words:
        case [name, i, j]:
            return BenchmarkPair(fold=fold, same=True, first=_key(name, i), second=_key(name, j))
        case [name, i, other, j]:
            return BenchmarkPair(fold=fold, same=False, first=_key(name, i), second=_key(other, j))
    raise ValueError(f"a line has {len(words)} words")


def _key(name: str, number: str) -> str:
    return f"{name}/{name}_{int(number):04d}"
