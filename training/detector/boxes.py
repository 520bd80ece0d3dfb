"""Arithmetic on boxes (xyxy) that labels, training and evaluation share."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

Array = NDArray[np.float64]


def areas(boxes: Array) -> Array:
    """(n, 4) -> (n,); empty boxes have no area."""
    return np.asarray(np.clip(boxes[:, 2:4] - boxes[:, :2], 0, None).prod(-1))


def intersections(a: Array, b: Array) -> Array:
    """Shared area of every pair, (len(a), len(b))."""
    low = np.maximum(a[:, None, :2], b[None, :, :2])
    high = np.minimum(a[:, None, 2:4], b[None, :, 2:4])
    return np.asarray(np.clip(high - low, 0, None).prod(-1))


def iou(a: Array, b: Array) -> Array:
    """Intersection over union of every pair, (len(a), len(b))."""
    shared = intersections(a, b)
    return np.asarray(shared / (areas(a)[:, None] + areas(b)[None] - shared + 1e-9))


def inside(a: Array, b: Array) -> Array:
    """Which part of each box of `a` lies in each box of `b`, (len(a), len(b))."""
    return np.asarray(intersections(a, b) / (areas(a)[:, None] + 1e-9))


def turned_ellipse(boxes: Array, points: Array, matrix: Array) -> Array:
    """Boxes after the affine map `matrix` (2, 3), each taken as its inscribed ellipse along the face's own axes.

    A face turned by 45 degrees is no larger than an upright one, but the box of its turned corners would be. The face's
    own axis is the line from between the eyes to between the mouth's corners; `points` (n, 5, 2) may hold NaN (then
    the box is taken as upright).
    """
    centre = (boxes[:, :2] + boxes[:, 2:4]) / 2
    up = points[:, 3:].mean(1) - points[:, :2].mean(1)
    # Yaw tips the line; only a clear roll counts, so faces less than 30 degrees off stay upright.
    angle = np.nan_to_num(np.arctan2(-up[:, 0], up[:, 1]))
    angle = np.where(np.abs(angle) < np.pi / 6, 0.0, angle)
    half = (boxes[:, 2:4] - boxes[:, :2]) / 2
    # The box of an upright face is taller than wide; undo that of a face lying on its side.
    lying = np.abs(np.sin(angle)) > np.sqrt(0.5)
    own = np.where(lying[:, None], half[:, ::-1], half)
    axes = np.stack([np.stack([np.cos(angle), np.sin(angle)], -1), np.stack([-np.sin(angle), np.cos(angle)], -1)], 1)
    spans = (axes * own[:, :, None]) @ matrix[:, :2].T
    reach = np.sqrt((spans**2).sum(1))
    moved = centre @ matrix[:, :2].T + matrix[:, 2]
    return np.asarray(np.concatenate([moved - reach, moved + reach], -1))
