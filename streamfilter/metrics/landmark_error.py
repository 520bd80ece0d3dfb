"""How far landmarks moved: the normalised mean error (NME) of the literature on face alignment.

The distance of each of dlib's 68 points, divided by the distance of the outer corners of the eyes (points 36 and 45) in
the original. In a face seen from the side that distance is short, and the same displacement counts for more.
"""

from __future__ import annotations

import numpy as np

from streamfilter.metrics.pose import INNER, distances
from streamfilter.structures import Doubles, Floats

OUTER_EYE_CORNERS = (36, 45)
PARTS = {
    "jaw": slice(0, 17),
    "brows": slice(17, 27),
    "nose": slice(27, 36),
    "eyes": slice(36, 48),
    "mouth": slice(48, 68),
}
SHORTEST_PX = 1.0


def between_eye_corners(landmarks: Floats) -> Doubles:
    """Distance of the outer corners of the eyes in pixels, (n, 68, 2) -> (n,); at least one pixel."""
    left, right = OUTER_EYE_CORNERS
    apart = np.linalg.norm(np.asarray(landmarks[:, right] - landmarks[:, left], np.float64), axis=-1)
    return np.asarray(np.maximum(apart, SHORTEST_PX))


def normalised_errors(before: Floats, after: Floats) -> Doubles:
    """Of each landmark, in units of the original's outer eye corners: (n, 68, 2) twice -> (n, 68)."""
    return np.asarray(distances(before, after) / between_eye_corners(before)[:, None])


def inner_errors(errors: Doubles) -> Doubles:
    """Mean of all points but the jaw line, (n, 68) -> (n,)."""
    return np.asarray(errors[:, INNER].mean(1))


def part_errors(errors: Doubles) -> Doubles:
    """Mean of each of `PARTS`, (n, 68) -> (n, 5)."""
    return np.stack([errors[:, points].mean(1) for points in PARTS.values()], -1)
