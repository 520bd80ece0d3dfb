"""The paths of faces through one scene: linked from sample to sample, and put in between."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field

import numpy as np

from streamfilter.audit.moment import Face
from streamfilter.audit.scout import Sighting
from streamfilter.metrics.boxes import inside
from streamfilter.structures import Doubles, Floats

BRIDGE_S = 1.0
# In widths of the face, from where it is expected to where it is found.
REACH = 1.0
MAX_GROWTH = 1.6
HIDDEN = 0.3
EARLY_S = 1e-6


@dataclass(frozen=True, eq=False)
class Spot:
    """Where and when a detector found a face; `sample`: how often it had been asked before."""

    time_s: float
    sighting: Sighting
    sample: int = 0

    @property
    def middle(self) -> Doubles:
        """(2,) centre of the box."""
        box = self.sighting.xyxy.astype(np.float64)
        return np.asarray((box[:2] + box[2:]) / 2)

    @property
    def side(self) -> float:
        """Mean of the box's width and height."""
        box = self.sighting.xyxy.astype(np.float64)
        return max(float((box[2:] - box[:2]).mean()), 1.0)


@dataclass(eq=False)
class Path:
    """One person's face over time; `spots` rise in time, those no longer needed are forgotten."""

    track: int
    spots: list[Spot] = field(default_factory=list)

    @property
    def last(self) -> Spot:
        """The newest."""
        return self.spots[-1]

    def expected(self, time_s: float) -> Doubles:
        """(2,) where its middle would be at an even pace; no further than one face's width from where it was."""
        if len(self.spots) < 2:
            return self.last.middle
        before = self.spots[-2]
        pace = (self.last.middle - before.middle) / (self.last.time_s - before.time_s)
        step = pace * (time_s - self.last.time_s)
        length = float(np.hypot(*step))
        return np.asarray(self.last.middle + step * min(1.0, self.last.side / max(length, 1e-9)))

    def face(self, time_s: float, carry_s: float) -> Face | None:
        """Seen then, put between two sightings (linear in time), or carried on `carry_s` after the last; else None."""
        before = next((spot for spot in reversed(self.spots) if spot.time_s <= time_s), None)
        after = next((spot for spot in self.spots if spot.time_s >= time_s), None)
        if before is None:
            return None
        if after is not None:
            return _between(self.track, before, after, time_s)
        return _between(self.track, before, before, time_s) if time_s - before.time_s <= carry_s + EARLY_S else None

    def bridges(self, time_s: float) -> bool:
        """Whether a face put there stands in for one that the detector looked for and did not find."""
        before = next((spot for spot in reversed(self.spots) if spot.time_s <= time_s), None)
        after = next((spot for spot in self.spots if spot.time_s >= time_s), None)
        return before is not None and after is not None and after.sample - before.sample > 1

    def forget(self, time_s: float) -> None:
        """Drop what lies before the newest two spots and before the one that a face at `time_s` starts from."""
        while len(self.spots) > 2 and self.spots[1].time_s <= time_s:
            del self.spots[0]


def _between(track: int, before: Spot, after: Spot, time_s: float) -> Face:
    if before is after:
        here = before.sighting
        seen = before.time_s == time_s
        return Face(track=track, xyxy=here.xyxy, points=here.points, score=float(here.score), seen=seen)
    part = (time_s - before.time_s) / (after.time_s - before.time_s)
    a, b = before.sighting, after.sighting
    return Face(
        track=track,
        xyxy=_mixed(a.xyxy, b.xyxy, part),
        points=_mixed(a.points, b.points, part),
        score=float(min(a.score, b.score)),
        seen=False,
    )


def _mixed(a: Floats, b: Floats, part: float) -> Floats:
    return np.asarray((1 - part) * a.astype(np.float64) + part * b.astype(np.float64), np.float32)


def visible(face: Face, others: Sequence[Face]) -> bool:
    """Whether a face that was put somewhere is not hidden behind a larger one: less than 0.3 of its box is covered."""
    box = face.xyxy[None].astype(np.float64)
    larger = [other.xyxy for other in others if other is not face and other.width > face.width]
    return not larger or bool(inside(box, np.stack(larger).astype(np.float64)).max() < HIDDEN)


def linked(paths: Sequence[Path], spots: Sequence[Spot]) -> dict[int, int]:
    """Which spot (its index) continues which path (its index): one to one, the nearest first.

    A spot can continue a path if it lies within one face's width of where the path is expected, and its side is at
    most 1.6 times larger or smaller.
    """
    costs = [
        (cost, i, j) for i, path in enumerate(paths) for j, spot in enumerate(spots) if (cost := _cost(path, spot)) <= 1
    ]
    partners: dict[int, int] = {}
    for _, i, j in sorted(costs):
        if i not in partners and j not in partners.values():
            partners[i] = j
    return partners


def _cost(path: Path, spot: Spot) -> float:
    """Distance from where the path is expected or was, in units of what is allowed; infinite for another size."""
    growth = spot.side / path.last.side
    if max(growth, 1 / growth) > MAX_GROWTH:
        return float("inf")
    away = min(float(np.hypot(*(spot.middle - place))) for place in (path.expected(spot.time_s), path.last.middle))
    return away / (REACH * min(spot.side, path.last.side))
