"""One track's samples over a window of time: gathered from the frames, and its gaps bridged."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

from streamfilter.structures import Floats, Track

BRIDGE_S = 0.3  # landmarks are interpolated over no more than this: a head may turn in the meantime
BRIDGED = 0.8  # part of the neighbours' confidence that interpolated landmarks have
MARGIN = 0.06  # an interpolated box is grown by this part of its size
ENVELOPE_S = 0.1  # a steady cover holds all boxes of this long before and after
FIT_S = 0.25  # how much of a track's beginning shows how it moved before

Times = NDArray[np.float64]
Flags = NDArray[np.bool_]


@dataclass(frozen=True, eq=False, slots=True, kw_only=True)
class Series:
    """What is known of one track in t successive frames; `index` is the frame that is due.

    `landmarks` (t, 68, 2) and `points` (t, 5, 2) are NaN where unknown, `missed_s` > 0 where the face was not detected.
    `ends`: the last sample is the last there will be, because the person left, the scene was cut or the source ended.
    """

    times: Times
    boxes: Floats
    points: Floats
    landmarks: Floats
    confidence: Floats
    score: Floats
    missed_s: Floats
    index: int
    ends: bool

    @classmethod
    def gather(cls, times: Sequence[float], tracks: Sequence[Track], *, index: int, ends: bool) -> Series:
        """From one track's appearances at `times`."""
        return cls(
            times=np.asarray(times, np.float64),
            boxes=np.stack([track.xyxy for track in tracks]),
            points=np.stack([_or_unknown(track.points, 5) for track in tracks]),
            landmarks=np.stack([_or_unknown(track.landmarks, 68) for track in tracks]),
            confidence=np.array([track.confidence for track in tracks], np.float32),
            score=np.array([track.score for track in tracks], np.float32),
            missed_s=np.array([track.missed_s for track in tracks], np.float32),
            index=index,
            ends=ends,
        )

    @property
    def located(self) -> Flags:
        """Where landmarks are known (t,)."""
        return np.asarray(np.isfinite(self.landmarks).all(axis=(1, 2)), np.bool_)


def _or_unknown(points: Floats | None, n: int) -> Floats:
    return np.full((n, 2), np.nan, np.float32) if points is None else points


def bridge(series: Series, min_confidence: float) -> Series:
    """The same samples with boxes and landmarks interpolated where a face was lost for a moment.

    A box between two detections is interpolated; one from before the first detection is moved back along the track's
    motion. Landmarks that are missing or doubtful for less than `BRIDGE_S` between two good ones are interpolated
    relative to the box; their confidence is lowered, yet high enough to go on with.
    """
    good = series.located & (series.confidence >= min_confidence)
    seen = series.missed_s == 0
    if seen.all() and good.all():
        return series
    bridged = _bridge_landmarks(_bridge_boxes(series, seen, good), good)
    boxes = bridged.boxes.copy()
    for k in np.flatnonzero(~seen & (bridged.missed_s == 0)):
        boxes[k] = _grow(boxes[k], MARGIN)
    return replace(bridged, boxes=boxes)


def _bridge_boxes(series: Series, seen: Flags, good: Flags) -> Series:
    if seen.all() or not seen.any():
        return series
    boxes, points, missed_s = series.boxes.copy(), series.points.copy(), series.missed_s.copy()
    first = int(np.argmax(seen))
    for k in np.flatnonzero(~seen):
        before, after = _neighbours(seen, int(k))
        if before is not None and after is not None:
            part = _part(series.times, before, int(k), after)
            boxes[k] = _mix(series.boxes, before, after, part)
            points[k] = _mix(series.points, before, after, part)
            missed_s[k] = 0
        elif k < first and not good[k]:
            boxes[k] = _before(series, seen, first, int(k))
    return replace(series, boxes=boxes, points=points, missed_s=missed_s)


def _bridge_landmarks(series: Series, good: Flags) -> Series:
    if good.all() or not good.any():
        return series
    centre = (series.boxes[:, :2] + series.boxes[:, 2:]) / 2
    size = np.maximum(series.boxes[:, 2:] - series.boxes[:, :2], 1)
    relative = (series.landmarks - centre[:, None]) / size[:, None]
    landmarks, confidence = series.landmarks.copy(), series.confidence.copy()
    for k in np.flatnonzero(~good):
        before, after = _neighbours(good, int(k))
        if before is None or after is None or series.times[after] - series.times[before] > BRIDGE_S:
            continue
        part = _part(series.times, before, int(k), after)
        landmarks[k] = _mix(relative, before, after, part) * size[k] + centre[k]
        confidence[k] = BRIDGED * min(confidence[before], confidence[after])
    return replace(series, landmarks=landmarks, confidence=confidence)


def _neighbours(flags: Flags, k: int) -> tuple[int | None, int | None]:
    """The nearest flagged sample on either side."""
    before, after = np.flatnonzero(flags[:k]), np.flatnonzero(flags[k + 1 :])
    return (int(before[-1]) if len(before) else None), (k + 1 + int(after[0]) if len(after) else None)


def _part(times: Times, before: int, k: int, after: int) -> float:
    return float((times[k] - times[before]) / max(times[after] - times[before], 1e-9))


def _mix(values: Floats, before: int, after: int, part: float) -> Floats:
    return np.asarray(values[before] * (1 - part) + values[after] * part, np.float32)


def _grow(box: Floats, part: float) -> Floats:
    margin = (box[2:] - box[:2]) * part / 2
    return np.concatenate([box[:2] - margin, box[2:] + margin]).astype(np.float32)


def _before(series: Series, seen: Flags, first: int, k: int) -> Floats:
    """The box of a sample from before the first detection: carried back by the motion, keeping its own, larger size."""
    start = series.times[first]
    fit = np.flatnonzero(seen & (series.times <= start + FIT_S))
    if len(fit) < 3:
        return np.asarray(series.boxes[k], np.float32)
    times = series.times[fit] - start
    centres = (series.boxes[fit, :2] + series.boxes[fit, 2:]) / 2
    times_centred = times - times.mean()
    speed = times_centred @ (centres - centres.mean(0)) / max(float(times_centred @ times_centred), 1e-9)
    shift = speed * (series.times[k] - start)
    return np.asarray(series.boxes[k] + np.tile(shift, 2), np.float32)


def envelope(series: Series) -> Floats:
    """A box around the due sample that moves smoothly, for a cover that does not tremble.

    Each side is the mean of nearby extremes, all of which reach at least as far as the due box does.
    """
    near = np.abs(series.times[:, None] - series.times[None]) <= ENVELOPE_S
    low, high = series.boxes[:, None, :2], series.boxes[:, None, 2:]
    lowest = np.where(near[..., None], low, np.inf).min(axis=0)
    highest = np.where(near[..., None], high, -np.inf).max(axis=0)
    due = near[series.index]
    box = np.concatenate([lowest[due].mean(axis=0), highest[due].mean(axis=0)])
    own = series.boxes[series.index]  # rounding may cost a part of a pixel
    steady = np.concatenate([np.minimum(box[:2], own[:2]), np.maximum(box[2:], own[2:])])
    return np.asarray(steady, np.float32)
