"""What is remembered of each track: when it was there, and a thinned course of its identities."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field

import numpy as np

from streamfilter.audit.moment import Face, Moment
from streamfilter.audit.sampling import Thinned
from streamfilter.metrics.over_time import unit
from streamfilter.metrics.track_identity import Course
from streamfilter.structures import Doubles, Floats

MOST_PEOPLE = 512
MOST_IDENTITIES = 32


class Identities:
    """One track's embeddings by one recogniser: sums of all, and an even sample over time."""

    def __init__(self) -> None:
        self.count = 0
        self._sums: Doubles = np.zeros((2, 1))
        self._kept: Thinned[tuple[float, Floats, Floats]] = Thinned(MOST_IDENTITIES)

    def add(self, time_s: float, pair: tuple[Floats, Floats]) -> None:
        """The embeddings (d,) of the original and of the result."""
        self.count += 1
        self._sums = self._sums + np.stack(pair).astype(np.float64)
        self._kept.add((time_s, *pair))

    def mean_vector(self, *, original: bool = False) -> Doubles:
        """(d,) mean of all faces; its length is `closeness`."""
        return np.asarray(self._sums[0 if original else 1] / max(self.count, 1))

    def closeness(self, *, original: bool = False) -> float:
        """Mean cosine of all faces to the direction of their mean: for unit vectors the length of that mean."""
        return float(np.linalg.norm(self.mean_vector(original=original)))

    def course(self, *, original: bool = False) -> Course:
        """The sample that was kept."""
        which = 1 if original else 2
        kept = self._kept.items
        return Course(np.array([item[0] for item in kept]), np.array([item[which] for item in kept], np.float64))

    def least(self, *, original: bool = False) -> float:
        """The least cosine of a kept face to the mean."""
        mean = unit(self.mean_vector(original=original))
        return float((self.course(original=original).identities @ mean).min())


@dataclass
class Person:
    """One track."""

    track: int
    label: str
    source: str
    still: bool
    first_s: float
    last_s: float
    identities: dict[str, Identities] = field(default_factory=dict)

    @property
    def name(self) -> str:
        """For a reader."""
        who = f"{self.label}, track {self.track}" if self.label else f"track {self.track}"
        return f"{who} of {self.source}"

    def faces(self, name: str) -> int:
        """How many of its faces this recogniser saw."""
        return self.identities[name].count if name in self.identities else 0

    def direction(self, name: str) -> Doubles:
        """(d,) of the mean of its original faces, length 1; empty where this recogniser saw none."""
        known = self.identities.get(name)
        return np.zeros(0) if known is None else unit(known.mean_vector(original=True))

    def beside(self, other: Person) -> bool:
        """Both were in one file at one time: then they are two people."""
        overlap = self.first_s <= other.last_s and other.first_s <= self.last_s
        return self.source == other.source and overlap


class People:
    """All tracks, at most `MOST_PEOPLE`: beyond that the one with the fewest faces is forgotten for a new one."""

    def __init__(self, names: Sequence[str]) -> None:
        self._names = tuple(names)
        self._people: dict[int, Person] = {}
        self.forgotten = 0

    def __iter__(self) -> Iterator[Person]:
        return iter(self._people.values())

    def __len__(self) -> int:
        return len(self._people)

    def look(self, moment: Moment) -> None:
        """All faces of a moment."""
        for face in moment.faces:
            person = self._of(face, moment)
            person.last_s = moment.time_s
            for name in self._names:
                if name in face.identity:
                    person.identities.setdefault(name, Identities()).add(moment.time_s, face.identity[name])

    def _of(self, face: Face, moment: Moment) -> Person:
        if face.track not in self._people:
            self._make_room()
            self._people[face.track] = Person(
                face.track, face.label, moment.source, moment.still, moment.time_s, moment.time_s
            )
        return self._people[face.track]

    def _make_room(self) -> None:
        if len(self._people) >= MOST_PEOPLE:
            least = min(self._people.values(), key=self._weight)
            del self._people[least.track]
            self.forgotten += 1

    def _weight(self, person: Person) -> int:
        return max((person.faces(name) for name in self._names), default=0)
