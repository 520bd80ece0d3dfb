"""Reads packs: aligned faces, and what the models see of them, made by the one definition in `streamfilter.align`."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import cv2
import numpy as np

from streamfilter.align import face_mask, pose_image, remove_face
from streamfilter.structures import Floats, Image
from training.prepare.parts import Arrays, part_paths, read_part


class Pack:
    """The samples of one or several packs, one after the other.

    Attributes:
        landmarks: (n, 68, 2) float32 in [0, 1] of the crop: (pixel + 0.5) / side.
        matrix: (n, 2, 3) float32, source picture -> crop of 256 px.
        person, name, source: (n,) text; `name` is the file within its source.
        neighbour: (n,) index of the next frame of the same clip, or -1.
        latents: (n, 3, 512) float16 where every sample was generated; else None.

    Args:
        folders: what `python -m training.prepare` wrote.

    Raises:
        ConfigError: a folder is no pack.
    """

    def __init__(self, folders: Sequence[Path]) -> None:
        parts = [read_part(path) for folder in folders for path in part_paths(Path(folder))]
        sizes = [len(part["name"]) for part in parts]
        starts = np.cumsum([0, *sizes])[:-1]
        self._jpeg = [(part["jpeg"], part["offsets"]) for part in parts]
        self._part = np.repeat(np.arange(len(parts)), sizes)
        self._place = np.concatenate([np.arange(size) for size in sizes])
        self.landmarks: Floats = _column(parts, "landmarks")
        self.matrix: Floats = _column(parts, "matrix")
        self.person, self.name = _column(parts, "person"), _column(parts, "name")
        self.source = np.concatenate([np.repeat(part["source"], size) for part, size in zip(parts, sizes, strict=True)])
        self.neighbour = np.concatenate([_moved(part["neighbour"], at) for part, at in zip(parts, starts, strict=True)])
        latents = _column(parts, "latents")
        self.latents = latents if len(self) and len(latents) == len(self) else None

    def __len__(self) -> int:
        return len(self._part)

    def image(self, index: int, side: int) -> Image:
        """The aligned crop (side, side, 3), RGB."""
        jpeg, offsets = self._jpeg[self._part[index]]
        place = self._place[index]
        picture = cv2.imdecode(jpeg[offsets[place] : offsets[place + 1]], cv2.IMREAD_COLOR)
        if picture.shape[0] != side:
            how = cv2.INTER_AREA if side < picture.shape[0] else cv2.INTER_CUBIC
            picture = cv2.resize(picture, (side, side), interpolation=how)
        return np.asarray(cv2.cvtColor(picture, cv2.COLOR_BGR2RGB), np.uint8)

    def points(self, index: int, side: int) -> Floats:
        """The landmarks (68, 2) in pixels of the crop."""
        return (self.landmarks[index] * side - 0.5).astype(np.float32)

    def surroundings(self, index: int, side: int) -> Image:
        """The crop (side, side, 3) with the face removed except the forehead."""
        return remove_face(self.image(index, side), self.points(index, side))

    def pose(self, index: int, side: int) -> Floats:
        """The binary pose image (side, side) in {0, 1}."""
        return pose_image(self.points(index, side), side)

    def mask(self, index: int, side: int) -> Floats:
        """The blend mask (side, side) in [0, 1] by which a painted face is fused."""
        return face_mask(self.points(index, side), side)


def _column(parts: Sequence[Arrays], name: str) -> np.ndarray:
    return np.concatenate([part[name] for part in parts])


def _moved(neighbour: np.ndarray, by: int) -> np.ndarray:
    return np.where(neighbour >= 0, neighbour + by, -1)
