"""A plain frontal face as 68 points, for tests that need a shape and no photo."""

from __future__ import annotations

import numpy as np

from streamfilter.structures import Floats

LIDS = ((37, 41), (38, 40), (43, 47), (44, 46))


def face_shape(*, eyes: float = 1.0, mouth: float = 0.0) -> Floats:
    """(68, 2); the eyes' centres lie at (-0.5, 0) and (0.5, 0); `eyes` 0 is shut, `mouth` 1 wide open."""
    angle = np.linspace(np.pi, 0, 17)
    jaw = np.stack([1.15 * np.cos(angle), 0.15 + 1.75 * np.sin(angle)], 1)
    arc = np.linspace(0, 1, 5)
    brow = np.stack([0.28 + 0.6 * arc, -0.3 - 0.12 * np.sin(np.pi * arc)], 1)
    brows = np.concatenate([brow[::-1] * [-1, 1], brow])
    bridge = np.stack([np.zeros(4), np.linspace(0.05, 0.6, 4)], 1)
    nostrils = np.stack([np.linspace(-0.25, 0.25, 5), [0.72, 0.76, 0.8, 0.76, 0.72]], 1)
    lid = 0.09 * eyes
    eye = np.array([[-0.22, 0], [-0.08, -lid], [0.08, -lid], [0.22, 0], [0.08, lid], [-0.08, lid]])
    lips = np.array(
        [[-0.42, 0], [-0.28, -0.1], [-0.1, -0.15], [0, -0.13], [0.1, -0.15], [0.28, -0.1], [0.42, 0]]
        + [[0.28, 0.12], [0.1, 0.17], [0, 0.18], [-0.1, 0.17], [-0.28, 0.12]]
        + [[-0.36, 0], [-0.14, -0.03], [0, -0.03], [0.14, -0.03], [0.36, 0], [0.14, 0.03], [0, 0.03], [-0.14, 0.03]]
    )
    lips[[7, 8, 9, 10, 11, 17, 18, 19], 1] += 0.4 * mouth
    parts = [jaw, brows, bridge, nostrils, eye + [-0.5, 0], eye + [0.5, 0], lips + [0, 1.12]]
    return np.concatenate(parts).astype(np.float32)


def placed(shape: Floats, *, x: float = 320.0, y: float = 240.0, size: float = 60.0, degrees: float = 0.0) -> Floats:
    """The shape in frame pixels, turned clockwise about the middle of its eyes."""
    angle = np.deg2rad(degrees)
    turn = np.array([[np.cos(angle), np.sin(angle)], [-np.sin(angle), np.cos(angle)]])
    return (shape @ turn * size + [x, y]).astype(np.float32)


def opening(landmarks: Floats) -> float:
    """How far the lids are apart, in units of the eyes' distance."""
    gap = np.mean([np.hypot(*(landmarks[u] - landmarks[low])) for u, low in LIDS])
    return float(gap / np.hypot(*(landmarks[36:42].mean(0) - landmarks[42:48].mean(0))))
