"""The file format of a pack: `part_0000.npz`, ..., each written whole or not at all.

jpeg (bytes) u8, offsets (n + 1) i64   the aligned crops, 256 px, one after the other
landmarks (n, 68, 2) f32               in [0, 1] of the crop
matrix (n, 2, 3) f32                   picture -> crop
person, name (n) text                  who, and the file within its source
neighbour (n) i64                      place, within this part, of the next frame of the same clip, or -1
latents (n, 3, 512) f16                of generated faces; else (0, 3, 512)
left_out (m, 2) text                   name and reason of what gave no sample
source, key () text                    the source's label; what the part was made from
"""

from __future__ import annotations

import os
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np

from streamfilter.errors import ConfigError
from training.prepare.faces import Face
from training.prepare.sources import Picture

LATENT = (3, 512)
Arrays = dict[str, np.ndarray]


@dataclass(kw_only=True)
class Part:
    """Samples as they come."""

    source: str
    key: str
    faces: list[Face] = field(default_factory=list)
    person: list[str] = field(default_factory=list)
    name: list[str] = field(default_factory=list)
    neighbour: list[int] = field(default_factory=list)
    latents: list[np.ndarray] = field(default_factory=list)
    left_out: list[tuple[str, str]] = field(default_factory=list)

    def add(self, face: Face, picture: Picture, *, follows_last: bool) -> None:
        """Add one sample; `follows_last`: it is the next frame after the sample added before."""
        if follows_last:
            self.neighbour[-1] = len(self.faces)
        self.faces.append(face)
        self.person.append(picture.person)
        self.name.append(picture.name)
        self.neighbour.append(-1)
        if picture.latent is not None:
            self.latents.append(picture.latent)

    def arrays(self) -> Arrays:
        """The part as it is stored."""
        blobs = [np.frombuffer(face.jpeg, np.uint8) for face in self.faces]
        return {
            "jpeg": np.concatenate([np.zeros(0, np.uint8), *blobs]),
            "offsets": np.cumsum([0, *(len(blob) for blob in blobs)], dtype=np.int64),
            "landmarks": np.array([face.landmarks for face in self.faces], np.float32).reshape(-1, 68, 2),
            "matrix": np.array([face.matrix for face in self.faces], np.float32).reshape(-1, 2, 3),
            "person": np.array(self.person, np.str_),
            "name": np.array(self.name, np.str_),
            "neighbour": np.array(self.neighbour, np.int64),
            "latents": np.array(self.latents, np.float16).reshape(-1, *LATENT),
            "left_out": np.array(self.left_out, np.str_).reshape(-1, 2),
            "source": np.array(self.source),
            "key": np.array(self.key),
        }

    def save(self, path: Path) -> None:
        """Write the part; a file with this name is always whole."""
        partial = path.with_suffix(".partial")
        with partial.open("wb") as file:
            np.savez(file, **self.arrays())
        os.replace(partial, path)


def read_part(path: Path) -> Arrays:
    """All arrays of a part."""
    with np.load(path, allow_pickle=False) as stored:
        return dict(stored.items())


def key_of(path: Path) -> str:
    """What a part was made from."""
    with np.load(path, allow_pickle=False) as stored:
        return str(stored["key"])


def part_path(folder: Path, number: int) -> Path:
    """File of the part with this number."""
    return folder / f"part_{number:04d}.npz"


def part_paths(folder: Path) -> list[Path]:
    """All parts of a pack, in order.

    Raises:
        ConfigError: there is none.
    """
    paths = sorted(folder.glob("part_*.npz"))
    if not paths:
        raise ConfigError(f"{folder} is no pack: it holds no part_*.npz; make it with `python -m training.prepare`")
    return paths
