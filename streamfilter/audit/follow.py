"""Follows the faces of an original: a detector looks at a few frames a second, and every frame gets its faces."""

from __future__ import annotations

from collections import deque
from collections.abc import Generator, Iterator
from contextlib import closing
from dataclasses import dataclass, field, replace

import numpy as np

from streamfilter.audit.footage import Footage, footage_of
from streamfilter.audit.in_step import frame_pairs
from streamfilter.audit.moment import Face, Moment
from streamfilter.audit.pairs import Pair
from streamfilter.audit.paths import BRIDGE_S, Path, Spot, linked, visible
from streamfilter.audit.scout import Detect, Glance, Sighting, glances
from streamfilter.errors import InputError
from streamfilter.media import open_source
from streamfilter.structures import Floats

__all__ = ["Detect", "Follower", "Sighting", "moments"]

INTERVAL_S = 0.2


def moments(pair: Pair, detect: Detect, *, interval_s: float = INTERVAL_S, first_track: int = 0) -> Iterator[Moment]:
    """All moments of one pair; `Follower` does the same for several, and keeps track numbers apart.

    Raises:
        InputError: the two cannot be compared.
    """
    return Follower(detect, interval_s=interval_s, first_track=first_track).moments(footage_of(pair))


class Follower:
    """Gives every frame of one pair of files after another its faces.

    A face is linked from sample to sample, and put between them linearly in time. One that a detector loses is still a
    face: where it comes back within 1 s, the gap is filled, but for frames in which a larger face would hide it. Where
    it does not, it is carried on for half an interval. Nothing is followed across a cut.

    The original is decoded twice: once about a second ahead, by what detects, and once beside the result. So no
    picture has to be held until it is known what became of a face: memory does not grow with length, rate or gaps.

    Args:
        detect: Finds faces in an RGB picture.
        interval_s: How often it is asked.
        first_track: The first number given to a track.
    """

    def __init__(self, detect: Detect, *, interval_s: float = INTERVAL_S, first_track: int = 0) -> None:
        self._detect = detect
        self._interval_s = interval_s
        self.next_track = first_track
        """One more than the last number given."""

    def moments(self, footage: Footage) -> Iterator[Moment]:
        """One for each picture of the original that has a counterpart in the result, in order."""
        return self._photo(footage) if footage.still else self._film(footage)

    def _photo(self, footage: Footage) -> Iterator[Moment]:
        for index, time_s, original, result in frame_pairs(footage):
            faces = [self._face(sighting) for sighting in self._detect(original)]
            yield Moment(
                source=footage.pair.name,
                index=index,
                time_s=time_s,
                original=original,
                result=result,
                faces=_labelled(faces, footage),
                cut=True,
                still=True,
            )

    def _face(self, sighting: Sighting) -> Face:
        return Face(track=self._number(), xyxy=sighting.xyxy, points=sighting.points, score=float(sighting.score))

    def _film(self, footage: Footage) -> Iterator[Moment]:
        with closing(self._faces(footage)) as ahead:
            for index, time_s, original, result in frame_pairs(footage):
                glance, faces = _at(ahead, time_s, footage)
                yield Moment(
                    source=footage.pair.name,
                    index=index,
                    time_s=time_s,
                    original=original,
                    result=result,
                    faces=faces,
                    sampled=glance.sightings is not None,
                    cut=glance.cut,
                )

    def _faces(self, footage: Footage) -> Generator[tuple[Glance, tuple[Face, ...]]]:
        with open_source(footage.pair.original) as source:
            scene = self._scene()
            for glance in glances(source, self._detect, self._interval_s):
                if glance.cut:
                    yield from scene.rest()
                    scene = self._scene()
                yield from scene.add(glance)
            yield from scene.rest()

    def _scene(self) -> _Scene:
        return _Scene(follower=self, carry_s=self._interval_s / 2)

    def _number(self) -> int:
        self.next_track += 1
        return self.next_track - 1


@dataclass(eq=False)
class _Scene:
    """What is known since the last cut: frames that wait for what comes, and the paths of the faces."""

    follower: Follower
    carry_s: float
    waiting: deque[Glance] = field(default_factory=deque)
    paths: list[Path] = field(default_factory=list)
    sampled_s: float = -float("inf")
    samples: int = 0

    def add(self, glance: Glance) -> Iterator[tuple[Glance, tuple[Face, ...]]]:
        """One more frame; gives those of which nothing can change any more."""
        self.waiting.append(glance)
        if glance.sightings is not None:
            self._link([Spot(glance.time_s, sighting, self.samples) for sighting in glance.sightings], glance.time_s)
            self.samples += 1
            while self.waiting and self.sampled_s - self.waiting[0].time_s > BRIDGE_S:
                yield self._pop()
            self._forget()

    def rest(self) -> Iterator[tuple[Glance, tuple[Face, ...]]]:
        """All that wait: the scene is over."""
        while self.waiting:
            yield self._pop()

    def _link(self, spots: list[Spot], time_s: float) -> None:
        open_ = [path for path in self.paths if self._is_open(path, time_s)]
        partners = linked(open_, spots)
        for i, j in partners.items():
            open_[i].spots.append(spots[j])
        new = (spot for j, spot in enumerate(spots) if j not in partners.values())
        self.paths += [Path(self.follower._number(), [spot]) for spot in new]
        self.sampled_s = time_s

    def _is_open(self, path: Path, time_s: float) -> bool:
        """Seen in the sample before, however long ago, or within the last second."""
        return path.last.time_s == self.sampled_s or time_s - path.last.time_s <= BRIDGE_S

    def _pop(self) -> tuple[Glance, tuple[Face, ...]]:
        glance = self.waiting.popleft()
        found = [(path, path.face(glance.time_s, self.carry_s)) for path in self.paths]
        faces = [face for _, face in found if face is not None]
        bridged = [face for path, face in found if face is not None and path.bridges(glance.time_s)]
        return glance, tuple(face for face in faces if face not in bridged or visible(face, faces))

    def _forget(self) -> None:
        first_s = self.waiting[0].time_s
        for path in self.paths:
            path.forget(first_s)
        self.paths = [
            path
            for path in self.paths
            if self._is_open(path, self.sampled_s) or path.last.time_s + self.carry_s >= first_s
        ]


def _at(
    ahead: Iterator[tuple[Glance, tuple[Face, ...]]], time_s: float, footage: Footage
) -> tuple[Glance, tuple[Face, ...]]:
    found = next(((glance, faces) for glance, faces in ahead if glance.time_s >= time_s), None)
    if found is None:
        raise InputError(
            f"{footage.pair.original} was not decoded alike twice; it is damaged, or it was changed meanwhile"
        )
    return found


def _labelled(faces: list[Face], footage: Footage) -> tuple[Face, ...]:
    """The label goes to one face of a photo: the largest that covers its middle, or else the largest."""
    if not footage.pair.label or not faces:
        return tuple(faces)
    middle = np.asarray(np.array(footage.size) / 2, np.float32)
    main = max(faces, key=lambda face: (_covers(face, middle), face.width * (face.xyxy[3] - face.xyxy[1])))
    return tuple(replace(face, label=footage.pair.label) if face is main else face for face in faces)


def _covers(face: Face, spot: Floats) -> bool:
    return bool((face.xyxy[:2] <= spot).all() and (spot <= face.xyxy[2:]).all())
