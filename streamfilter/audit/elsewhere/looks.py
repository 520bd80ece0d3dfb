"""Looks for faces in the result itself, at a pace: nothing says that they are where the original's were."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from streamfilter.audit.moment import Moment
from streamfilter.audit.sampling import Pace
from streamfilter.audit.scout import Detect, Sighting
from streamfilter.structures import Image

PACE_S = 1.0
AT_FIRST = 8  # sampled moments of a file that are looked at whatever the pace: a short file has no others
TURNED_EVERY = 5  # looks
TURNS = (180, 90, 270)


@dataclass(frozen=True, eq=False, slots=True, kw_only=True)
class Look:
    """What was found in one picture.

    Attributes:
        image: (H, W, 3) uint8 RGB: the result, turned.
        turned: Degrees against the clock: 0, 90, 180 or 270.
        sightings: The faces in it, in its own pixels.
    """

    image: Image
    turned: int = 0
    sightings: tuple[Sighting, ...] = ()


class Looks:
    """Asks the detectors about results: the first sampled moments of a file, then one a second.

    Every fifth look of a film, beginning with its first, is taken once more with the picture turned: by 180 degrees,
    by 90, by 270, and so on; of photos every fifth photo. Mirrored faces need no look of their own: detectors and
    recognisers hardly mind.
    """

    def __init__(self, detect: Detect) -> None:
        self._detect, self._pace = detect, Pace(PACE_S)
        self._source, self._count, self._sampled = "", 0, 0

    def __call__(self, moment: Moment) -> tuple[Look, ...]:
        """Upright first; nothing where it is not time."""
        if not moment.sampled or not self._due(moment):
            return ()
        turned, rest = divmod(self._count, TURNED_EVERY)
        self._count += 1
        turns = (0,) if rest else (0, TURNS[turned % len(TURNS)])
        return tuple(self._look(moment.result, degrees) for degrees in turns)

    def _due(self, moment: Moment) -> bool:
        if moment.source != self._source:
            self._source, self._sampled = moment.source, 0
            self._count = self._count if moment.still else 0
        self._sampled += 1
        return self._pace.due(moment.source, moment.time_s) or self._sampled <= AT_FIRST

    def _look(self, result: Image, degrees: int) -> Look:
        image = np.ascontiguousarray(np.rot90(result, degrees // 90))
        return Look(image=image, turned=degrees, sightings=tuple(self._detect(image)))
