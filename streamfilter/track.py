"""One person over time: detections in, tracks out; no detection is lost on the way, and a lost face stays covered.

Every detection that comes in lies inside a track that goes out, in the same call: there is no trial period and no
second threshold. A track that found no detection coasts along its motion, enlarged, until its hold has passed.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence

import numpy as np

from streamfilter.config import TrackConfig
from streamfilter.errors import ProtectionError
from streamfilter.motion import Motion, centre_distance, inside, iou, size_ratio
from streamfilter.structures import Detections, Floats, Track

MAX_STEP_S = 0.5  # a longer gap between two frames says nothing about how far a face moved
NOMINAL_STEP_S = 1 / 30  # where time stands still or runs backwards
ROUNDING_S = 1e-6  # of sums of frame times
GATE = 0.6  # a face may be this many sizes away from where it was expected ...
GATE_PER_S = 1.5  # ... and this many more for each second that it was lost
MAX_SIZE_RATIO = 1.8  # between two sightings of one face
SCORE_WEIGHT = 0.3  # sure detections choose first, so that a faint double takes nobody's place
SAME_FACE = 0.75  # this part of a weaker box inside a stronger one: both show one face ...
SAME_FACE_SIZE_RATIO = 1.7  # ... unless they differ more than this in size


class _Person:
    """One track: its motion, and what was last seen of it."""

    def __init__(self, track_id: int, box: Floats) -> None:
        self.track_id = track_id
        self.motion = Motion(box)
        self.missed_s = 0.0
        self.score = self.best = 0.0

    def move(self, step_s: float) -> None:
        self.motion.advance(step_s, coasting=self.missed_s > 0)

    def see(self, box: Floats, score: float, points: Floats) -> Track:
        self.motion.correct(box)
        self.missed_s, self.score, self.best = 0.0, score, max(score, self.best)
        return Track(self.track_id, box, score=score, points=points)

    def coast(self, step_s: float, growth_per_s: float) -> Track:
        self.missed_s += step_s
        box = self.motion.uncertain_box(self.missed_s, growth_per_s)
        return Track(self.track_id, box, score=self.score, missed_s=self.missed_s)


class Tracker:
    """Turns the detections of successive frames into tracks with lasting ids.

    Ids count up from 1 for each tracker and are never used twice, not after `reset` either. A track's `score` is
    that of its last detection, so a doubtful flash can be told from a face in the report; both are protected.
    """

    def __init__(self, config: TrackConfig) -> None:
        self._config = config
        self._next_id = 1
        self.reset()

    def reset(self) -> None:
        """Forget everyone: a scene was cut, or the source came back after a loss."""
        self._people: list[_Person] = []
        self._time_s: float | None = None

    def update(self, detections: Detections | None, time_s: float) -> list[Track]:
        """Move to `time_s` and take in what the detector found there; None: it did not run, all tracks move on.

        Returns one track for each person: those seen now with their box as detected, the others coasting.

        Raises:
            ProtectionError: A box or a score is not a number, or a box is inside out: the faces are nobody knows where.
        """
        found = Detections.empty() if detections is None else _merge_doubles(_sane(detections))
        step_s = self._step(time_s)
        for person in self._people:
            person.move(step_s)
        return self._see(found, step_s)

    def _step(self, time_s: float) -> float:
        before, self._time_s = self._time_s, time_s
        if before is None:
            return 0.0
        return min(time_s - before, MAX_STEP_S) if time_s > before else NOMINAL_STEP_S

    def _see(self, found: Detections, step_s: float) -> list[Track]:
        match = self._match(found)
        tracks, kept = [], []
        for person in self._people:
            if person.track_id in match:
                tracks.append(_sight(person, found, match[person.track_id]))
                kept.append(person)
            elif person.missed_s + step_s <= self._config.hold_of(person.best) + ROUNDING_S:
                tracks.append(person.coast(step_s, self._config.coast_growth_per_s))
                kept.append(person)
        for column in sorted(set(range(len(found))) - set(match.values())):
            kept.append(_Person(self._next_id, found.xyxy[column]))
            tracks.append(_sight(kept[-1], found, column))
            self._next_id += 1
        self._people = kept
        return tracks

    def _match(self, found: Detections) -> dict[int, int]:
        """The detection that shows each track, by track id."""
        if not self._people or not len(found):
            return {}
        likeness = _likeness(self._people, found.xyxy, self._config.match_iou)
        likeness = np.where(np.isfinite(likeness), likeness + SCORE_WEIGHT * found.score, likeness)
        return {self._people[row].track_id: column for row, column in _best_pairs(likeness)}


def _sight(person: _Person, found: Detections, column: int) -> Track:
    return person.see(found.xyxy[column], float(found.score[column]), found.landmarks[column])


def _likeness(people: Sequence[_Person], boxes: Floats, match_iou: float) -> Floats:
    """How well each box fits each person; -inf where it cannot be the same face.

    Overlap alone would lose a small face that jumps by its own width, so nearness counts as well.
    """
    expected = np.stack([person.motion.box for person in people])
    missed_s = np.array([person.missed_s for person in people])[:, None]
    overlap, distance = iou(expected, boxes), centre_distance(expected, boxes)
    near = (distance < GATE + GATE_PER_S * missed_s) & (size_ratio(expected, boxes) < MAX_SIZE_RATIO)
    return np.where(near | (overlap > match_iou), overlap - 0.5 * distance, -np.inf).astype(np.float32)


def _best_pairs(likeness: Floats) -> Iterator[tuple[int, int]]:
    """Rows and columns, the best pair first, none used twice."""
    rows, columns = np.nonzero(np.isfinite(likeness))
    free_rows, free_columns = set(rows.tolist()), set(columns.tolist())
    for index in np.argsort(-likeness[rows, columns], kind="stable"):
        row, column = int(rows[index]), int(columns[index])
        if row in free_rows and column in free_columns:
            free_rows.remove(row)
            free_columns.remove(column)
            yield row, column


def _sane(found: Detections) -> Detections:
    if not (np.isfinite(found.xyxy).all() and np.isfinite(found.score).all()):
        raise ProtectionError("the detector gave a box or a score that is not a number")
    if (found.xyxy[:, 2:] < found.xyxy[:, :2]).any():
        raise ProtectionError("the detector gave a box that is inside out")
    return found


def _merge_doubles(found: Detections) -> Detections:
    """Take a weaker detection of the same face into the stronger one, whose box then holds both."""
    if len(found) < 2:
        return found
    order = np.argsort(-found.score, kind="stable")
    boxes = found.xyxy[order]
    double = (inside(boxes, boxes) > SAME_FACE) & (size_ratio(boxes, boxes) < SAME_FACE_SIZE_RATIO)
    kept: dict[int, Floats] = {}
    for index, box in enumerate(boxes):
        host = next((k for k in kept if double[index, k]), None)
        if host is None:
            kept[index] = box
        else:
            union = np.concatenate([np.minimum(kept[host][:2], box[:2]), np.maximum(kept[host][2:], box[2:])])
            kept[host] = union.astype(np.float32)
    chosen = order[list(kept)]
    return Detections(np.stack(list(kept.values())), found.score[chosen], found.landmarks[chosen])
