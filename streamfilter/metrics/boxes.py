"""Arithmetic on boxes (xyxy) in double precision, for measuring and for training."""

from __future__ import annotations

import numpy as np

from streamfilter.structures import Doubles


def areas(boxes: Doubles) -> Doubles:
    """(n, 4) -> (n,); empty boxes have no area."""
    return np.asarray(np.clip(boxes[:, 2:4] - boxes[:, :2], 0, None).prod(-1))


def intersections(a: Doubles, b: Doubles) -> Doubles:
    """Shared area of every pair, (len(a), len(b))."""
    low = np.maximum(a[:, None, :2], b[None, :, :2])
    high = np.minimum(a[:, None, 2:4], b[None, :, 2:4])
    return np.asarray(np.clip(high - low, 0, None).prod(-1))


def iou(a: Doubles, b: Doubles) -> Doubles:
    """Intersection over union of every pair, (len(a), len(b))."""
    shared = intersections(a, b)
    return np.asarray(shared / (areas(a)[:, None] + areas(b)[None] - shared + 1e-9))


def inside(a: Doubles, b: Doubles) -> Doubles:
    """Which part of each box of `a` lies in each box of `b`, (len(a), len(b))."""
    return np.asarray(intersections(a, b) / (areas(a)[:, None] + 1e-9))
