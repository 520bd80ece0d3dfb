"""The cosine of every looked-at face to its own original: plain numbers, kept for the whole audit."""

from __future__ import annotations

from array import array
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from streamfilter.audit.moment import Face, Moment
from streamfilter.metrics.reidentification import Indices, by_number
from streamfilter.structures import Doubles


class Series:
    """About 40 bytes for each face: an hour of one face, looked at twice a second, is 300 KB."""

    def __init__(self, recognisers: Sequence[str]) -> None:
        self._recognisers = tuple(recognisers)
        self._sources: dict[str, int] = {}
        self._people: dict[str, int] = {}
        self._stills: set[int] = set()
        self._source, self._person, self._track, self._time = array("q"), array("q"), array("q"), array("d")
        self._cosines = {name: array("f") for name in recognisers}

    def add(self, moment: Moment, face: Face) -> None:
        """A face that has an identity of every recogniser."""
        source = self._sources.setdefault(moment.source, len(self._sources))
        if moment.still:
            self._stills.add(source)
        self._source.append(source)
        self._person.append(self._people.setdefault(face.person, len(self._people)))
        self._track.append(face.track)
        self._time.append(moment.time_s)
        for name in self._recognisers:
            original, result = face.identity[name]
            self._cosines[name].append(float(original @ result))

    def course(self) -> Course:
        """All of it as arrays."""
        return Course(
            sources=tuple(self._sources),
            source=np.array(self._source, np.intp),
            person=np.array(self._person, np.intp),
            track=np.array(self._track, np.intp),
            time_s=np.array(self._time, np.float64),
            cosines={name: np.array(values, np.float64) for name, values in self._cosines.items()},
            stills=frozenset(self._stills),
        )


@dataclass(frozen=True, eq=False, kw_only=True)
class Course:
    """Every face's source (a number of `sources`), person (a number), track, time and cosine to its own original."""

    sources: tuple[str, ...]
    source: Indices
    person: Indices
    track: Indices
    time_s: Doubles
    cosines: Mapping[str, Doubles]
    stills: frozenset[int]

    def __len__(self) -> int:
        return len(self.track)

    def per_track(self, recogniser: str) -> tuple[Doubles, Indices]:
        """Each track's largest cosine, and its person."""
        groups = by_number(self.track)
        values = self.cosines[recogniser]
        largest = np.array([values[group].max() for group in groups], np.float64)
        return largest, np.array([self.person[group[0]] for group in groups], np.intp)

    def per_frame(self, recogniser: str, source: int) -> tuple[Doubles, Doubles]:
        """Times of one source and the largest cosine of all faces at each."""
        here = self.source == source
        times, frame = np.unique(self.time_s[here], return_inverse=True)
        largest = np.full(len(times), -np.inf)
        np.maximum.at(largest, frame, self.cosines[recogniser][here])
        return times, largest
