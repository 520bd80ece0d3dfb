"""What one recogniser saw of all tracks: who is long enough to be judged, who is who."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from streamfilter.audit.consistency.people import Person
from streamfilter.metrics.over_time import FEWEST_FOR_IDENTITY
from streamfilter.metrics.track_identity import Comparison, compare
from streamfilter.structures import Doubles

FALSE_ACCEPTS = 1e-3


@dataclass(frozen=True, eq=False, kw_only=True)
class Judge:
    """What one recogniser saw of the tracks that have enough faces, and of the photos.

    Attributes:
        name: The recogniser's.
        thresholds: Cosines at a false accept rate of 1e-3, of all recognisers that were calibrated.
        long: Tracks over time with at least five faces.
        photos: Tracks that are one photo.
        photos_only: There is no other track at all.
    """

    name: str
    thresholds: Mapping[str, float]
    long: tuple[Person, ...]
    photos: tuple[Person, ...]
    photos_only: bool

    @classmethod
    def of(cls, name: str, thresholds: Mapping[str, float], people: Sequence[Person]) -> Judge:
        """Sorts the tracks."""
        return cls(
            name=name,
            thresholds=thresholds,
            long=tuple(p for p in people if not p.still and p.faces(name) >= FEWEST_FOR_IDENTITY),
            photos=tuple(p for p in people if p.still and p.faces(name)),
            photos_only=bool(people) and all(person.still for person in people),
        )

    @property
    def threshold(self) -> float | None:
        """Its own; None where it was not calibrated."""
        return self.thresholds.get(self.name)

    def comparison(self, *, original: bool = False) -> Comparison:
        """Pairs of faces within the tracks and between tracks of different people."""
        courses = [person.identities[self.name].course(original=original) for person in self.long]
        return compare(courses, self.different(self.long))

    def alike(self, people: Sequence[Person], *, original: bool = False) -> Doubles:
        """(n, n): the mean cosine of all faces of one track to all of another, comparable with a threshold."""
        means = _stacked([person.identities[self.name].mean_vector(original=original) for person in people])
        return np.asarray(means @ means.T)

    def different(self, people: Sequence[Person]) -> NDArray[np.bool_]:
        """(n, n): tracks that show two real people.

        They have not one label, and no calibrated recogniser takes them for one: the directions of the means of their
        original faces, the surest sign there is of one person, stay below its threshold.
        """
        labels = np.array([person.label or str(person.track) for person in people])
        apart = np.asarray(labels[:, None] != labels[None])
        for name, threshold in self.thresholds.items():
            means = _stacked([person.direction(name) for person in people])
            apart &= means @ means.T < threshold
        return apart


def _stacked(vectors: Sequence[Doubles]) -> Doubles:
    """(n, d); what a recogniser did not see is like nothing."""
    dims = max((len(vector) for vector in vectors), default=1)
    return np.array([vector if len(vector) == dims else np.zeros(dims) for vector in vectors]).reshape(-1, dims)
