"""Embeddings that are kept for the attacks: a bounded number, spread over each person's moments."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field

import numpy as np

from streamfilter.audit.sampling import Thinned
from streamfilter.metrics.reidentification import Indices
from streamfilter.structures import Doubles, Floats

PER_PERSON = 48
FACES = 8000
"""Of all people; with two recognisers of 128 numbers that is 16 MB, and as much again with a second result."""

_FEWEST = 2


@dataclass(frozen=True, eq=False, slots=True, kw_only=True)
class Seen:
    """One face at one moment; embeddings per recogniser, of unit length.

    Attributes:
        named: The audit knows who it is; otherwise `person` is one track only.
        second: Of a second result of the same original, by the same tool; empty where there is none.
    """

    person: str
    named: bool = False
    track: int
    source: str
    time_s: float
    original: Mapping[str, Floats]
    result: Mapping[str, Floats]
    second: Mapping[str, Floats] = field(default_factory=dict)


class Keeper:
    """Keeps at most `per_person` faces of each person, evenly spread, and at most `faces` of all.

    With too many in all, everybody keeps half as many, down to two; after that the people with the fewest are
    forgotten, the oldest first.
    """

    def __init__(self, per_person: int = PER_PERSON, faces: int = FACES) -> None:
        self._people: dict[str, Thinned[Seen]] = {}
        self._per_person, self._faces, self._count = per_person, faces, 0
        self.forgotten = 0

    def __len__(self) -> int:
        return self._count

    def __iter__(self) -> Iterator[Seen]:
        return (seen for person in self._people.values() for seen in person.items)

    def add(self, seen: Seen) -> None:
        """One more face, in the order of time."""
        person = self._people.setdefault(seen.person, Thinned(self._per_person))
        before = len(person.items)
        person.add(seen)
        self._count += len(person.items) - before
        while self._count > self._faces:
            self._shrink()

    def _shrink(self) -> None:
        if self._per_person > _FEWEST:
            self._per_person = max(self._per_person // 2, _FEWEST)
            for person in self._people.values():
                person.thin(self._per_person)
        else:
            del self._people[min(self._people, key=lambda name: len(self._people[name].items))]
            self.forgotten += 1
        self._count = sum(len(person.items) for person in self._people.values())


@dataclass(frozen=True, eq=False, kw_only=True)
class Faces:
    """Kept faces as arrays; `people`, `tracks` and `files` are numbers (n,) from 0."""

    seen: tuple[Seen, ...]
    people: Indices
    tracks: Indices
    files: Indices
    times_s: Doubles

    @classmethod
    def of(cls, faces: tuple[Seen, ...]) -> Faces:
        """Numbers for names, in the order in which they first appear."""
        return cls(
            seen=faces,
            people=_numbers([seen.person for seen in faces]),
            tracks=_numbers([seen.track for seen in faces]),
            files=_numbers([seen.source for seen in faces]),
            times_s=np.array([seen.time_s for seen in faces], np.float64),
        )

    def original(self, recogniser: str) -> Doubles:
        """(n, d)."""
        return stacked([seen.original[recogniser] for seen in self.seen])

    def result(self, recogniser: str) -> Doubles:
        """(n, d)."""
        return stacked([seen.result[recogniser] for seen in self.seen])

    def second(self, recogniser: str) -> Doubles:
        """(n, d): NaN where there is none."""
        missing = [np.full_like(seen.result[recogniser], np.nan) for seen in self.seen]
        pairs = zip(self.seen, missing, strict=True)
        return stacked([seen.second.get(recogniser, nothing) for seen, nothing in pairs])


def _numbers(values: list[str] | list[int]) -> Indices:
    order: dict[str | int, int] = {}
    return np.array([order.setdefault(value, len(order)) for value in values], np.intp)


def stacked(rows: list[Floats]) -> Doubles:
    """(n, d), or (0, 1) of nothing."""
    return np.asarray(np.stack(rows), np.float64) if rows else np.zeros((0, 1))
