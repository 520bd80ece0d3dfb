"""Rows of numbers in bounded memory: a fair sample of all that came (Vitter, 1985, algorithm R)."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

MOST_ROWS = 20_000
FIRST_ROWS = 64

Rows = NDArray[np.void]


class Reservoir:
    """Keeps all rows up to `most`; of more, each one that ever came with the same probability.

    Args:
        dtype: Of a row: named numbers.
        most: How many are kept.
        seed: Which ones are kept is the same each time.
    """

    def __init__(self, dtype: np.dtype[np.void], *, most: int = MOST_ROWS, seed: int = 0) -> None:
        self.seen = 0
        self._most = most
        self._rows: Rows = np.zeros(min(FIRST_ROWS, most), dtype)
        self._random = np.random.default_rng(seed)

    def add(self, *values: Any) -> None:
        """One row, a value for each name of the dtype, in order."""
        place = self.seen if self.seen < self._most else int(self._random.integers(self.seen + 1))
        self.seen += 1
        if place >= self._most:
            return
        if place >= len(self._rows):
            self._rows = np.resize(self._rows, min(2 * len(self._rows), self._most))
        self._rows[place] = values

    @property
    def rows(self) -> Rows:
        """What is kept, (n,); not in order once some were dropped."""
        return self._rows[: min(self.seen, self._most)]
