"""Finds scene cuts: a new picture in structure and in colour, that is neither a flash nor a fast pan."""

from __future__ import annotations

from collections import deque

import cv2
import numpy as np

from streamfilter.structures import Floats, Image

GRID = (32, 18)
BINS = 6
MIN_NEWNESS = 0.4  # of the picture's structure, after the best shift
MIN_RECOLOURED = 0.2  # part of the picture whose colour was not there before
MIN_CHANGE = 8.0  # mean change of the blocks, grey levels
OUTSTANDING = 2.0  # a cut changes this many times more than the frames before it did
MEMORY = 12


class SceneCut:
    """Tells whether a frame begins a new scene; remembers the last one, small."""

    def __init__(self) -> None:
        self.reset()

    def reset(self) -> None:
        """Forget the last frame; the next one is no cut."""
        self._blocks: Floats | None = None
        self._colours = np.zeros(BINS**3, np.float32)
        self._changes: deque[float] = deque(maxlen=MEMORY)

    def __call__(self, image: Image) -> bool:
        """Whether `image` begins a new scene."""
        blocks, colours = _blocks(image), _colours(image)
        before, colours_before = self._blocks, self._colours
        self._blocks, self._colours = blocks, colours
        if before is None:
            return False
        change = float(np.abs(blocks - before).mean())
        usual = float(np.median(self._changes)) if self._changes else 0.0
        self._changes.append(change)
        if change < max(MIN_CHANGE, OUTSTANDING * usual):
            return False
        recoloured = 1 - float(np.minimum(colours, colours_before).sum())
        return recoloured > MIN_RECOLOURED and newness(before, blocks) > MIN_NEWNESS


def newness(before: Floats, after: Floats) -> float:
    """1 minus the correlation of two luma grids at the shift that suits them best: light and pans do not count."""
    height, width = after.shape[:2]
    dy, dx = height // 9, width // 8
    core = after.mean(axis=2)[dy : height - dy, dx : width - dx]
    scores = cv2.matchTemplate(before.mean(axis=2), core, cv2.TM_CCOEFF_NORMED)
    return 1 - float(scores.max())


def _blocks(image: Image) -> Floats:
    step = max(1, min(image.shape[0] // (GRID[1] * 3), image.shape[1] // (GRID[0] * 3)))
    sparse = np.ascontiguousarray(image[::step, ::step])
    return np.asarray(cv2.resize(sparse, GRID, interpolation=cv2.INTER_AREA), np.float32)


def _colours(image: Image) -> Floats:
    """Shares of the picture per colour, brightness normalised so that a flash keeps them."""
    step = max(1, min(image.shape[0] // 45, image.shape[1] // 80))
    pixels = image[::step, ::step].reshape(-1, 3).astype(np.float32)
    level = max(float(pixels.mean()), 1.0)
    bins = np.minimum(pixels * (BINS / 2 / level), BINS - 1).astype(np.int32)
    index = (bins[:, 0] * BINS + bins[:, 1]) * BINS + bins[:, 2]
    return (np.bincount(index, minlength=BINS**3) / len(index)).astype(np.float32)
