"""Landmarks over time: steadier, without lag in motion and without flattening a blink.

Head and face move differently, so they are smoothed apart: a similarity (place, size, angle) carries the head, and what
is left is the face's shape, in units of the eyes' distance. Points are complex numbers here: x + iy.
"""

from __future__ import annotations

from collections.abc import Hashable
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from streamfilter.errors import ShapeError
from streamfilter.structures import Floats

Complex = NDArray[np.complex128]
Reals = NDArray[np.float64]

_GROUPS = tuple(
    np.array(group) for group in ([*range(17)], [*range(17, 27)], [*range(27, 36)], [*range(36, 42)],
                                  [*range(42, 48)], [*range(48, 68)])
)  # fmt: skip
"""Jaw, brows, nose, each eye, mouth: points that move as one."""

_STEADY = np.array([*range(0, 17, 2), 27, 28, 29, 30, 31, 33, 35, 36, 39, 42, 45])
"""Points that neither blink nor speak: these say where the head is. The chin speaks, so its weight is low."""

_WEIGHT = np.where(_STEADY < 17, 0.15, 1.0)
_SHARE = _WEIGHT / _WEIGHT.sum()


@dataclass(frozen=True, kw_only=True)
class SmoothConfig:
    """How much is smoothed. Shape changes below `still` (of the eyes' distance) are noise, above `moving` are real."""

    shape_cutoff_hz: float = 1.6
    still: float = 0.010
    moving: float = 0.035
    pose_gain: float = 0.55
    pose_still: float = 0.012
    pose_moving: float = 0.06
    forget_after_s: float = 0.5
    window_pose_s: float = 0.04
    window_shape_s: float = 0.07
    window_jump: float = 0.3
    window_tolerance: float = 0.02


DEFAULT = SmoothConfig()


@dataclass
class _Memory:
    """What is known of one track: `shape` (68,), `pose` (place, log of size and angle), its `speed` per second."""

    shape: Complex
    pose: Complex
    speed: Complex
    time_s: float


class CausalSmoother:
    """One filter per track for live use: each result depends on the past only."""

    def __init__(self, config: SmoothConfig = DEFAULT) -> None:
        self._config = config
        self._memory: dict[Hashable, _Memory] = {}

    def update(self, track_id: Hashable, landmarks: Floats, time_s: float) -> Floats:
        """Take the landmarks (68, 2) of a moment, give the smoothed ones.

        The first of a track, and the first after a pause or a step back in time, come back as they are.
        """
        points = _complex(landmarks)
        memory = self._memory.get(track_id)
        if memory is None or not 0 < time_s - memory.time_s <= self._config.forget_after_s:
            return self._begin(track_id, points, time_s)
        if not _usable(points):
            return np.array(landmarks, np.float32)
        step_s = time_s - memory.time_s
        self._move(memory, _pose(points, memory.shape, memory.pose), step_s)
        # The shape is read with the pose of this very moment, else the head's noise would enter it.
        self._reshape(memory, _normal(points, _pose(points, memory.shape, memory.pose)), step_s)
        memory.time_s = time_s
        return _real(_posed(memory.shape, memory.pose))

    def forget(self, track_id: Hashable) -> None:
        """Drop a track that ended; unknown tracks are none of its business."""
        self._memory.pop(track_id, None)

    def reset(self) -> None:
        """Drop all tracks, as after a scene cut."""
        self._memory.clear()

    def _begin(self, track_id: Hashable, points: Complex, time_s: float) -> Floats:
        self.forget(track_id)
        if _usable(points):
            pose = _own_pose(points)
            self._memory[track_id] = _Memory(_normal(points, pose), pose, np.zeros(2, np.complex128), time_s)
        return _real(points)

    def _move(self, memory: _Memory, pose: Complex, step_s: float) -> None:
        """Constant velocity, corrected: no lag once a motion is steady; a surprise is believed at once."""
        config = self._config
        expected = memory.pose + memory.speed * step_s
        surprise = pose - expected
        size = float(np.exp(expected[1].real))
        trust = _ramp(max(abs(surprise[0]) / size, abs(surprise[1])), config.pose_still, config.pose_moving)
        gain = config.pose_gain + (1 - config.pose_gain) * trust
        memory.pose = expected + gain * surprise
        memory.speed = memory.speed + (gain**2 / (2 - gain)) * surprise / step_s * 0.6

    def _reshape(self, memory: _Memory, shape: Complex, step_s: float) -> None:
        """One-euro in spirit: the faster a group of points moves, the less it is held back."""
        config = self._config
        least = 1 - np.exp(-2 * np.pi * config.shape_cutoff_hz * step_s)
        for group in _GROUPS:
            change = shape[group] - memory.shape[group]
            trust = _ramp(_extent(change), config.still, config.moving)
            memory.shape[group] += (least + (1 - least) * trust) * change


def smooth_window(
    times: Reals, landmarks: Floats, confidence: Floats, index: int, config: SmoothConfig = DEFAULT
) -> Floats:
    """Smooth one moment with what came before and after it (file mode): no delay in phase.

    Args:
        times: (t,) seconds, rising.
        landmarks: (t, 68, 2).
        confidence: (t,) in [0, 1]; what is 0 is not used.
        index: The moment wanted.
        config: How much is smoothed.

    Returns:
        (68, 2) landmarks of moment `index`.

    Raises:
        ShapeError: The three arrays do not belong together.
    """
    if landmarks.shape != (len(times), 68, 2) or len(confidence) != len(times) or not -len(times) <= index < len(times):
        raise ShapeError(f"smooth_window: {len(times)} times, landmarks {landmarks.shape}, index {index}")
    points = landmarks[..., 0].astype(np.float64) + 1j * landmarks[..., 1]
    away = np.asarray(times, np.float64) - times[index]
    used = (np.abs(away) < 3 * config.window_shape_s) & _usables(points) & (confidence > 0)
    if not used[index]:
        return np.array(landmarks[index], np.float32)
    here = int(np.flatnonzero(used).searchsorted(index % len(times)))
    return _real(_smooth(away[used], points[used], confidence[used].astype(np.float64), here, config))


def _smooth(away: Reals, points: Complex, confidence: Reals, here: int, config: SmoothConfig) -> Complex:
    own = _own_pose(points[here])
    reference = _normal(points[here], own)
    poses = _poses(points, reference, own)
    shapes = (points - poses[:, :1]) / np.exp(poses[:, 1:])
    # A jump is no motion: what lies far off says nothing of this moment.
    far = np.abs(poses[:, 0] - own[0]) / np.exp(own[1].real) + np.abs(poses[:, 1] - poses[here, 1])
    pose = _line_at_zero(
        away, poses, confidence**2 * _bell(away, config.window_pose_s) * _bell(far, config.window_jump)
    )
    near = confidence**2 * _bell(away, config.window_shape_s)
    tolerance = config.window_tolerance * (1 + 3 * (1 - confidence[here]))
    shape = np.empty(68, np.complex128)
    for group in _GROUPS:
        # Moments that look alike are averaged; a blink finds few of its kind and keeps its depth.
        change = _extents(shapes[:, group] - shapes[here, group])
        alike = np.exp(-((1.6 * np.maximum(change / tolerance - 0.5, 0)) ** 2))
        shape[group] = _line_at_zero(away, shapes[:, group], near * alike)
    return _posed(shape, pose)


def _line_at_zero(away: Reals, values: Complex, weight: Reals) -> Complex:
    """Weighted straight line through (t, n) values, read at time 0; the slope is held where little supports it."""
    weight = weight / weight.sum()
    mean_away, mean = float(weight @ away), weight @ values
    centred = away - mean_away
    spread = float(weight @ centred**2)
    slope = ((weight * centred) @ (values - mean)) / (spread + 1e-6)
    return np.asarray(mean - slope * mean_away)


def _bell(away: Reals, width: float) -> Reals:
    return np.asarray(np.exp(-0.5 * (away / width) ** 2))


def _ramp(value: float, low: float, high: float) -> float:
    return float(np.clip((value - low) / (high - low), 0.0, 1.0))


def _extent(change: Complex) -> float:
    return float(_extents(change[None])[0])


def _extents(changes: Complex) -> Reals:
    """Root of the mean square of each row of (t, n)."""
    return np.asarray(np.sqrt((changes.real**2 + changes.imag**2).mean(axis=1)))


def _complex(landmarks: Floats) -> Complex:
    if landmarks.shape != (68, 2):
        raise ShapeError(f"landmarks: expected (68, 2), got {landmarks.shape}")
    return np.asarray(landmarks[:, 0].astype(np.float64) + 1j * landmarks[:, 1])


def _real(points: Complex) -> Floats:
    return np.stack([points.real, points.imag], axis=1).astype(np.float32)


def _usable(points: Complex) -> bool:
    return bool(_usables(points[None])[0])


def _usables(points: Complex) -> NDArray[np.bool_]:
    """For each row of (t, 68): whether it is a face at all."""
    with np.errstate(invalid="ignore"):
        wide = np.abs(points - points.mean(axis=1, keepdims=True)).max(axis=1) > 1e-3
    return np.asarray(np.isfinite(points).all(axis=1) & wide)


def _own_pose(points: Complex) -> Complex:
    """Place and log size of a face by itself; its angle is called 0."""
    steady = points[_STEADY]
    middle = steady @ _SHARE
    # Of a frontal face this is the distance of the eyes; unlike that, it does not vanish in profile.
    size = 1.6 * np.sqrt(np.abs(steady - middle) ** 2 @ _SHARE)
    return np.array([middle, np.log(max(size, 1e-6))], np.complex128)


def _pose(points: Complex, shape: Complex, near: Complex) -> Complex:
    """Place and log of (size, angle) that carry `shape` to `points`; the angle is the one nearest to `near`'s."""
    return np.asarray(_poses(points[None], shape, near)[0])


def _poses(points: Complex, shape: Complex, near: Complex) -> Complex:
    """As `_pose`, for each row of points (t, 68): (t, 2)."""
    target, source = points[:, _STEADY], shape[_STEADY]
    target_middle, source_middle = target @ _SHARE, source @ _SHARE
    centred = source - source_middle
    power = float(_SHARE @ np.abs(centred) ** 2)
    turn = (target - target_middle[:, None]) @ (_SHARE * centred.conj()) / power
    still = np.abs(turn) <= 1e-9
    log = np.where(still, near[1], np.log(np.where(still, 1, turn)))
    log = log + 2j * np.pi * np.round((near[1].imag - log.imag) / (2 * np.pi))
    return np.stack([target_middle - turn * source_middle, log], axis=1)


def _normal(points: Complex, pose: Complex) -> Complex:
    return np.asarray((points - pose[0]) / np.exp(pose[1]))


def _posed(shape: Complex, pose: Complex) -> Complex:
    return np.asarray(pose[0] + np.exp(pose[1]) * shape)
