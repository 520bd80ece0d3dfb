"""What one recogniser found: cosines of pairs per attack. Each pair belongs to a person, who is drawn again whole."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from streamfilter.metrics.by_group import Grouped, mean_by_group, share_by_group
from streamfilter.metrics.reidentification import Indices
from streamfilter.structures import Doubles

FALSE_ACCEPTS = (1e-2, 1e-3, 1e-4)
DECISIVE = 1e-3
SURE = 1e-4

GALLERY, GALLERY_STRANGERS, SAME_FRAME = "gallery, another moment", "gallery, strangers", "same frame"
SECOND, SECOND_STRANGERS = "gallery anonymised too", "gallery anonymised too, strangers"
BEST_FRAME, MEAN_FACE = "best frame of each track", "mean of each track"
RESULT, ORIGINALS = "the result", "originals"


@dataclass(frozen=True, eq=False, kw_only=True)
class Scores:
    """Cosines (n,) of an attack on the faces of `probe` (the result, the originals, a method), and whose they are."""

    attack: str
    probe: str
    cosines: Doubles
    people: Indices

    def rate(self, threshold: float, seed: int = 0) -> Grouped | None:
        """TAR: the share that reaches the threshold."""
        return share_by_group(self.cosines >= threshold, self.people, seed)

    def distance(self, seed: int = 0) -> Grouped | None:
        """The mean of 1 - cosine."""
        return mean_by_group(1 - self.cosines, self.people, seed)

    def percentiles(self) -> tuple[float | None, float | None, float | None]:
        """5th, 50th and 95th percentile of 1 - cosine."""
        if not len(self.cosines):
            return None, None, None
        low, middle, high = np.percentile(1 - self.cosines, [5, 50, 95]).tolist()
        return low, middle, high


@dataclass(frozen=True, kw_only=True)
class Rank:
    """How often the nearest of all people is the right one."""

    gallery: str
    rate: Grouped | None
    people: int

    @property
    def chance(self) -> float:
        """Of somebody who guesses."""
        return 1 / self.people


@dataclass(frozen=True, eq=False, kw_only=True)
class Findings:
    """All that one recogniser found; `thresholds` per false accept rate."""

    recogniser: str
    thresholds: dict[float, float]
    scores: tuple[Scores, ...]
    ranks: tuple[Rank, ...]

    def get(self, attack: str, probe: str = RESULT) -> Scores | None:
        """One of the attacks, where it was made."""
        return next((s for s in self.scores if (s.attack, s.probe) == (attack, probe)), None)

    def rate(self, attack: str, probe: str = RESULT, false_accepts: float = DECISIVE, seed: int = 0) -> Grouped | None:
        """TAR of one of the attacks."""
        scores = self.get(attack, probe)
        return scores.rate(self.thresholds[false_accepts], seed) if scores else None
