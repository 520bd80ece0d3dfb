"""How a box moves: a constant-velocity Kalman filter, and the measures by which two boxes are compared."""

from __future__ import annotations

import math

import numpy as np
from numpy.typing import NDArray

from streamfilter.structures import Floats

MAX_GROWTH = 1.15  # between two frames, in length
ACCELERATION = 4.0  # face sizes per s^2: what a head that starts or stops may do
MEASUREMENT = 0.04  # face sizes: how far a detector's box jitters
START_SPEED = 1.5  # face sizes per s: what a face may do when it is first seen
DECAY_S = 0.35  # the speed of a lost face is trusted for about this long ...
MAX_TRAVEL = 0.8  # ... and carries it no farther than this many sizes


class Motion:
    """Centre and size of one box, and their speeds.

    The four numbers share one 2x2 covariance: all noise is relative to the size of the face, so they only differ
    in what was measured.
    """

    def __init__(self, box: Floats) -> None:
        self._state = _centre_size(box)
        self._speed = np.zeros(4)
        self._remember(box)
        self._p = (MEASUREMENT**2, 0.0, START_SPEED**2)

    @property
    def box(self) -> Floats:
        """Where the face is expected now, xyxy."""
        return _xyxy(self._state)

    def advance(self, step_s: float, *, coasting: bool) -> None:
        """Predict `step_s` ahead; a coasting face keeps its size, slows down, and does not go far."""
        if coasting:
            self._speed *= math.exp(-step_s / DECAY_S)
            self._speed[2:] = 0.0
        self._state = self._state + self._speed * step_s
        self._state[2:] = np.clip(self._state[2:], self._size / MAX_GROWTH, self._size * MAX_GROWTH)
        reach = MAX_TRAVEL * self._size.max()
        self._state[:2] = np.clip(self._state[:2], self._centre - reach, self._centre + reach)
        p00, p01, p11 = self._p
        noise = ACCELERATION**2
        self._p = (
            p00 + 2 * step_s * p01 + step_s**2 * p11 + noise * step_s**4 / 4,
            p01 + step_s * p11 + noise * step_s**3 / 2,
            p11 + noise * step_s**2,
        )

    def correct(self, box: Floats) -> None:
        """Take in where the face was detected."""
        p00, p01, p11 = self._p
        spread = p00 + MEASUREMENT**2
        gain, gain_speed = p00 / spread, p01 / spread
        error = _centre_size(box) - self._state
        self._state = self._state + gain * error
        self._speed = self._speed + gain_speed * error
        self._p = ((1 - gain) * p00, (1 - gain) * p01, p11 - gain_speed * p01)
        self._remember(box)

    def _remember(self, box: Floats) -> None:
        self._seen = box.astype(np.float64)
        self._centre, self._size = np.split(_centre_size(box), 2)
        self._size = np.maximum(self._size, 1.0)

    def uncertain_box(self, missed_s: float, growth_per_s: float) -> Floats:
        """Where a face lost for `missed_s` may be: all from where it was seen to where it was heading, grown."""
        expected = _xyxy(self._state).astype(np.float64)
        low = np.minimum(self._seen[:2], expected[:2])
        high = np.maximum(self._seen[2:], expected[2:])
        margin = float(np.sqrt(self._size.prod())) * growth_per_s * missed_s / 2
        return np.concatenate([low - margin, high + margin]).astype(np.float32)


def _centre_size(box: Floats) -> NDArray[np.float64]:
    x0, y0, x1, y1 = box.astype(np.float64)
    return np.array([(x0 + x1) / 2, (y0 + y1) / 2, x1 - x0, y1 - y0])


def _xyxy(state: NDArray[np.float64]) -> Floats:
    half = state[2:] / 2
    return np.concatenate([state[:2] - half, state[:2] + half]).astype(np.float32)


def area(boxes: Floats) -> Floats:
    """Areas of boxes (..., 4)."""
    return np.asarray(np.prod(np.maximum(boxes[..., 2:] - boxes[..., :2], 0), axis=-1), np.float32)


def intersection(a: Floats, b: Floats) -> Floats:
    """Shared area of each box of `a` (n, 4) with each of `b` (m, 4): (n, m)."""
    low = np.maximum(a[:, None, :2], b[None, :, :2])
    high = np.minimum(a[:, None, 2:], b[None, :, 2:])
    return np.asarray(np.prod(np.maximum(high - low, 0), axis=-1), np.float32)


def iou(a: Floats, b: Floats) -> Floats:
    """Intersection over union of each box of `a` (n, 4) with each of `b` (m, 4): (n, m)."""
    shared = intersection(a, b)
    return np.asarray(shared / np.maximum(area(a)[:, None] + area(b)[None] - shared, 1e-6), np.float32)


def inside(a: Floats, b: Floats) -> Floats:
    """Which part of each box of `a` (n, 4) lies inside each of `b` (m, 4): (n, m) in [0, 1]."""
    return np.asarray(intersection(a, b) / np.maximum(area(a)[:, None], 1e-6), np.float32)


def centre_distance(a: Floats, b: Floats) -> Floats:
    """Distance of the centres of each box of `a` (n, 4) to each of `b` (m, 4), in units of the mean face size."""
    between = (a[:, None, :2] + a[:, None, 2:] - b[None, :, :2] - b[None, :, 2:]) / 2
    size = (np.sqrt(area(a))[:, None] + np.sqrt(area(b))[None]) / 2
    return np.asarray(np.hypot(between[..., 0], between[..., 1]) / np.maximum(size, 1e-3), np.float32)


def size_ratio(a: Floats, b: Floats) -> Floats:
    """How much larger the larger of each two boxes is, in length: (n, m), at least 1."""
    sizes_a, sizes_b = np.sqrt(np.maximum(area(a), 1e-6)), np.sqrt(np.maximum(area(b), 1e-6))
    ratio = sizes_a[:, None] / sizes_b[None]
    return np.asarray(np.maximum(ratio, 1 / ratio), np.float32)
