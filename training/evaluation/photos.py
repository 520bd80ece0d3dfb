"""The photos that methods are compared on: aligned at 256 px, with landmarks, from a pack."""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Protocol

import numpy as np

from streamfilter.errors import InputError
from streamfilter.structures import Doubles, Floats, Image
from training.prepare.pack import Pack

SIDE_PX = 256


@dataclass(frozen=True, eq=False)
class Photo:
    """One aligned photo: `image` (256, 256, 3) RGB, `landmarks` (68, 2) in its pixels, `name` within its source."""

    index: int
    name: str
    person: str
    image: Image
    landmarks: Floats


class AlignedPack(Protocol):
    """What is read of a pack; see `training.prepare.pack.Pack`."""

    landmarks: Floats
    person: Doubles
    name: Doubles

    def image(self, i: int, side: int) -> Image:
        """Photo i, (side, side, 3) RGB."""
        ...


class Photos:
    """The first `count` photos of a pack, or those named, in that order.

    Raises:
        InputError: a name is not in the pack, or the pack is empty.
    """

    def __init__(self, pack: AlignedPack, *, count: int, names: Sequence[str] | None = None) -> None:
        self._pack = pack
        self._chosen = _choose([str(name) for name in pack.name], names)[:count]
        if not self._chosen:
            raise InputError("there is no photo to compare on")

    def __len__(self) -> int:
        return len(self._chosen)

    def __getitem__(self, index: int) -> Photo:
        i = self._chosen[index]
        return Photo(
            index, self.names[index], self.persons[index], self._pack.image(i, SIDE_PX), self._landmarks([i])[0]
        )

    @property
    def names(self) -> list[str]:
        """Files within their source."""
        return [str(self._pack.name[i]) for i in self._chosen]

    @property
    def persons(self) -> list[str]:
        """Who is shown, photo by photo."""
        return [str(self._pack.person[i]) for i in self._chosen]

    def digest(self, indices: Sequence[int]) -> str:
        """Changes when other photos, or the same ones aligned otherwise, take these places."""
        found = hashlib.sha256(self._landmarks([self._chosen[i] for i in indices]).tobytes())
        for i in indices:
            found.update(str(self._pack.name[self._chosen[i]]).encode() + b"\0")
        return found.hexdigest()

    def _landmarks(self, rows: list[int]) -> Floats:
        return (np.asarray(self._pack.landmarks[rows], np.float32) * SIDE_PX - 0.5).astype(np.float32)


def open_photos(folder: Path, *, count: int, names: Sequence[str] | None = None) -> Photos:
    """The photos of a pack's folder."""
    return Photos(Pack([folder]), count=count, names=names)


def _choose(known: list[str], names: Sequence[str] | None) -> list[int]:
    if names is None:
        return list(range(len(known)))
    place = {name: i for i, name in enumerate(known)}
    missing = [name for name in names if name not in place]
    if missing:
        raise InputError(f"{len(missing)} of {len(names)} names are not among the photos; the first is {missing[0]!r}")
    return [place[name] for name in names]
