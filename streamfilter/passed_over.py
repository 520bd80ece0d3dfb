"""A frame in which nobody looked for faces to save work: what hid the people in it, and whether that was enough."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from streamfilter.motion import area, inside
from streamfilter.structures import Detections, Floats, Frame, Track

HELD = 0.9  # of a face that is found late, by area: this much within what coasted in its place, and it was hidden


@dataclass(frozen=True, eq=False, slots=True)
class PassedOver:
    """The frame, and the boxes (n, 4) of the tracks that coasted through it."""

    frame: Frame
    time_s: float
    boxes: Floats

    @classmethod
    def of(cls, frame: Frame, time_s: float, tracks: Sequence[Track]) -> PassedOver:
        """With `tracks` coasting."""
        boxes = [track.xyxy for track in tracks]
        return cls(frame, time_s, np.stack(boxes) if boxes else np.zeros((0, 4), np.float32))

    def hid(self, found: Detections | None) -> bool:
        """Whether every face that was found in it lies in a region that is protected all the same."""
        if found is None or not np.isfinite(found.xyxy).all():
            return False
        boxes = found.xyxy[area(found.xyxy) > 1]
        return bool((inside(boxes, self.boxes).max(axis=1, initial=0.0) > HELD).all())
