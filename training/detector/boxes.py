"""Arithmetic on boxes (xyxy) that labels and augmentation share."""

from __future__ import annotations

import numpy as np

from streamfilter.structures import Doubles as Array


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
