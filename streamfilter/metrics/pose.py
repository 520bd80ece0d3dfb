"""What a face does: its landmarks, how far eyes and mouth are open, how the head is turned. Pure functions."""

from __future__ import annotations

import numpy as np

from streamfilter.structures import Doubles, Floats

LANDMARKS = 68
INNER = slice(17, LANDMARKS)  # all but the jaw line
# Lower and upper points of the left eye, the right eye and the inner lips in dlib's scheme.
LIDS = (((41, 40), (37, 38)), ((47, 46), (43, 44)), ((66,), (62,)))


def distances(before: Floats, after: Floats) -> Doubles:
    """Distance of each landmark: (n, 68, 2) twice -> (n, 68)."""
    return np.asarray(np.linalg.norm(np.asarray(after - before, np.float64), axis=-1))


def opening_matrix() -> Doubles:
    """(136, 3): flattened landmarks -> how far each eye and the mouth are open, in crop sides."""
    matrix = np.zeros((2 * LANDMARKS, len(LIDS)))
    for column, (lower, upper) in enumerate(LIDS):
        matrix[[2 * point + 1 for point in lower], column] = 1 / len(lower)
        matrix[[2 * point + 1 for point in upper], column] = -1 / len(upper)
    return matrix


def openings(landmarks: Floats, side: float) -> Doubles:
    """How far eyes (mean of both) and mouth are open, in pixels: (n, 68, 2) in a crop of `side` px -> (n, 2)."""
    flat = np.asarray(landmarks, np.float64).reshape(len(landmarks), -1) / side
    left, right, mouth = (flat @ opening_matrix() * side).T
    return np.stack([(left + right) / 2, mouth], -1)


def angles(turn: Doubles) -> Doubles:
    """Yaw, pitch and roll in degrees (..., 3) of rotations (..., 3, 3), as 3DDFA takes them apart."""
    yaw = np.arcsin(np.clip(turn[..., 2, 0], -1, 1))
    pitch = np.arctan2(turn[..., 2, 1], turn[..., 2, 2])
    roll = np.arctan2(turn[..., 1, 0], turn[..., 0, 0])
    return np.asarray(np.degrees(np.stack([yaw, pitch, roll], -1)))


def degrees_between(a: Doubles, b: Doubles) -> Doubles:
    """The angle (...) of the one rotation that leads from `a` to `b`, (..., 3, 3) each."""
    # From the chord, not from the trace: the arc cosine would lose half of the digits of a small angle.
    chord = np.linalg.norm(a - b, axis=(-2, -1)) / np.sqrt(8)
    return np.asarray(np.degrees(2 * np.arcsin(np.clip(chord, 0, 1))))


def angle_differences(a: Doubles, b: Doubles) -> Doubles:
    """|yaw|, |pitch|, |roll| of the differences, in degrees, (..., 3)."""
    apart = angles(a) - angles(b)
    return np.asarray(np.abs((apart + 180) % 360 - 180))
