"""What landmarks say: where features are, how heads are turned, what eyes, mouth and brows do. Kept as numbers only."""

from __future__ import annotations

import numpy as np

from streamfilter.audit.moment import Face, Moment
from streamfilter.audit.sampling import Reservoir, Rows
from streamfilter.metrics.expression import measures, openings_of_width
from streamfilter.metrics.head_pose import rotations
from streamfilter.metrics.landmark_error import inner_errors, normalised_errors, part_errors
from streamfilter.metrics.pose import angle_differences, angles, degrees_between
from streamfilter.structures import Doubles

NEXT_WITHIN_S = 1.5  # landmarks of a track further apart are not one change
PHOTOS = -1  # all photos together are one course

_TWO, _FIVE = ("f8", (2,)), ("f8", (5,))
ROW = np.dtype(
    [
        ("track", "i8"),
        ("course", "i8"),
        ("time_s", "f8"),
        ("all", "f8"),
        ("inner", "f8"),
        ("parts", *_FIVE),
        ("angles", "f8", (3,)),
        ("head_before", "f8", (3,)),
        ("head_after", "f8", (3,)),
        ("turn", "f8"),
        ("open_before", *_TWO),
        ("open_after", *_TWO),
        ("before", *_FIVE),
        ("after", *_FIVE),
        ("change_before", *_FIVE),
        ("change_after", *_FIVE),
    ]
)


class Likeness:
    """Measures each pair of landmarks at once, and forgets it."""

    def __init__(self) -> None:
        self._rows = Reservoir(ROW)
        self._last: dict[int, tuple[float, Doubles]] = {}
        self.illegible = 0

    @property
    def rows(self) -> Rows:
        """What was measured."""
        return self._rows.rows

    @property
    def faces(self) -> int:
        """How many were measured."""
        return self._rows.seen

    def next_file(self) -> None:
        """Tracks of the file before do not come again."""
        self._last.clear()

    def look(self, moment: Moment, face: Face, *, legible: bool) -> None:
        """One face with landmarks; where it is not legible it is only counted."""
        if face.landmarks is None:
            return
        if not legible:
            self.illegible += 1
            return
        before, after = (np.asarray(points, np.float32)[None] for points in face.landmarks)
        errors = normalised_errors(before, after)
        both = np.concatenate([before, after])
        heads, faces = rotations(both), measures(both)
        open_ = openings_of_width(both, np.full(2, face.width))
        self._rows.add(
            face.track,
            PHOTOS if moment.still else face.track,
            moment.time_s,
            errors.mean(),
            inner_errors(errors)[0],
            part_errors(errors)[0],
            angle_differences(heads[0], heads[1]),
            *angles(heads),
            degrees_between(heads[0], heads[1]),
            *open_,
            *faces,
            *self._change(moment, face.track, faces),
        )

    def _change(self, moment: Moment, track: int, faces: Doubles) -> Doubles:
        """What changed since the last look at a track, (2, 5); NaN where there was none, or long ago."""
        last = self._last.get(track)
        self._last[track] = moment.time_s, faces
        if last is None or moment.time_s - last[0] > NEXT_WITHIN_S:
            return np.full_like(faces, np.nan)
        return faces - last[1]


def longest(rows: Rows) -> Rows:
    """The rows of the track of which most are kept, in order of time; photos have none."""
    rows = rows[rows["course"] != PHOTOS]
    if not len(rows):
        return rows
    tracks, counts = np.unique(rows["track"], return_counts=True)
    own: Rows = rows[rows["track"] == tracks[counts.argmax()]]
    order = np.argsort(own["time_s"], kind="stable")
    return own[order]
