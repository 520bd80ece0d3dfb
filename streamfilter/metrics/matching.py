"""Which box belongs to which: between two pictures, and over time."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from streamfilter.metrics.boxes import areas, intersections, iou
from streamfilter.structures import Doubles

SAME_PLACE = 0.4
SAME_TRACK = 0.3
NOBODY = -1


@dataclass(frozen=True, eq=False)
class Seen:
    """Where a face was: its frame, the shot it belongs to and its box, xyxy (4,)."""

    frame: int
    shot: int
    box: Doubles


def match(a: Doubles, b: Doubles, limit: float = SAME_PLACE) -> list[int]:
    """For each box of `a` the index of its partner in `b`, or `NOBODY`; one to one, the best overlap first."""
    partners = [NOBODY] * len(a)
    overlap = iou(a, b)
    while overlap.size and overlap.max() >= limit:
        row, column = (int(i) for i in np.unravel_index(overlap.argmax(), overlap.shape))
        partners[row] = column
        overlap[row] = overlap[:, column] = -1
    return partners


def suppress(boxes: Doubles, limit: float, *, by_smaller: bool = False) -> list[int]:
    """Indices of the boxes (n, 5: xyxy and score) that stay, best first.

    Overlap is taken by union, or by the smaller box: then a box inside another counts as the same face too.
    """
    shared, area = intersections(boxes, boxes), areas(boxes)
    whole = np.minimum(area[:, None], area) if by_smaller else area[:, None] + area - shared
    overlap = shared / np.maximum(whole, 1e-9)
    kept: list[int] = []
    for i in np.argsort(-boxes[:, 4], kind="stable"):
        if not kept or overlap[i, kept].max() <= limit:
            kept.append(int(i))
    return kept


def tracks(seen: Sequence[Seen]) -> list[int]:
    """A track number for each face, in order of frames.

    A shot in which no frame shows two faces is one track; elsewhere a face continues the track whose last box it
    overlaps most. No track outlives its shot.
    """
    numbers: list[int] = []
    last: dict[int, Seen] = {}
    count = 0
    lonely = _lonely_shots(seen)
    for group in _by_frame(seen):
        shot = group[0].shot
        open_ = {number: face for number, face in last.items() if face.shot == shot}
        partners = _continue(group, open_, anywhere=shot in lonely)
        for face, partner in zip(group, partners, strict=True):
            number = partner
            if number == NOBODY:
                number, count = count, count + 1
            numbers.append(number)
            last[number] = face
    return numbers


def _continue(group: list[Seen], open_: dict[int, Seen], *, anywhere: bool) -> list[int]:
    """The open track that each face of a frame continues, or `NOBODY`."""
    if not open_:
        return [NOBODY] * len(group)
    known = list(open_)
    if anywhere:
        return known[:1]
    found = match(np.stack([face.box for face in group]), np.stack([open_[n].box for n in known]), SAME_TRACK)
    return [NOBODY if i == NOBODY else known[i] for i in found]


def _by_frame(seen: Sequence[Seen]) -> list[list[Seen]]:
    groups: dict[int, list[Seen]] = {}
    for face in seen:
        groups.setdefault(face.frame, []).append(face)
    return list(groups.values())


def _lonely_shots(seen: Sequence[Seen]) -> set[int]:
    crowded = {group[0].shot for group in _by_frame(seen) if len(group) > 1}
    return {face.shot for face in seen} - crowded
