"""What a face does, from 68 landmarks alone: five plain measures, free of where the head is and how it is turned.

No classifier: whether an expression is a happy one is not asked, only whether brows, eyes and mouth do the same.
The outer corners of the eyes (36, 45) and the base of the nose (33) do not move with an expression. The affine map that
puts them to (-.5, 0), (.5, 0) and (0, 1) takes out place, size and roll, and, near the plane of these points, what yaw
and pitch shorten.
"""

from __future__ import annotations

import numpy as np

from streamfilter.metrics.pose import LIDS, openings
from streamfilter.structures import Doubles, Floats

MEASURES = ("brow raise", "eye opening", "mouth opening", "mouth width", "mouth corner lift")
EYE_CORNERS, NOSE_BASE = (36, 45), 33
BROWS, MOUTH_CORNERS, LIP_MIDDLES = slice(17, 27), (48, 54), (62, 66)
FLATTEST = 1e-3  # of the eye's distance: a head seen from above or from the side, whose axes fall together


def in_face(landmarks: Floats) -> Doubles:
    """Landmarks (n, 68, 2) in the axes of their own face; NaN where these fall together."""
    points = np.asarray(landmarks, np.float64)
    left, right = points[:, EYE_CORNERS[0]], points[:, EYE_CORNERS[1]]
    middle = (left + right) / 2
    across, down = right - left, points[:, NOSE_BASE] - middle
    area = across[:, 0] * down[:, 1] - across[:, 1] * down[:, 0]
    flat = np.abs(area) < FLATTEST * np.maximum((across**2).sum(1) + (down**2).sum(1), 1e-9)
    area = np.where(flat, np.nan, area)[:, None]
    away = points - middle[:, None]
    u = (away[..., 0] * down[:, None, 1] - away[..., 1] * down[:, None, 0]) / area
    v = (away[..., 1] * across[:, None, 0] - away[..., 0] * across[:, None, 1]) / area
    return np.stack([u, v], -1)


def measures(landmarks: Floats) -> Doubles:
    """The five `MEASURES` of landmarks (n, 68, 2): (n, 5).

    Heights are in units of the nose's length (eye line to its base), the width in those of the outer eye corners.
    """
    u, v = np.moveaxis(in_face(landmarks), -1, 0)
    gaps = [v[:, list(low)].mean(1) - v[:, list(high)].mean(1) for low, high in LIDS]
    corners, lips = v[:, list(MOUTH_CORNERS)].mean(1), v[:, list(LIP_MIDDLES)].mean(1)
    width = u[:, MOUTH_CORNERS[1]] - u[:, MOUTH_CORNERS[0]]
    return np.stack([-v[:, BROWS].mean(1), (gaps[0] + gaps[1]) / 2, gaps[2], width, lips - corners], -1)


def openings_of_width(landmarks: Floats, widths: Doubles) -> Doubles:
    """How far eyes (mean of both) and mouth are open, in widths of the face's box: (n, 68, 2), (n,) -> (n, 2)."""
    return np.asarray(openings(landmarks, 1.0) / np.maximum(widths, 1.0)[:, None])


def sign_agreement(before: Doubles, after: Doubles, clear: float) -> tuple[int, int]:
    """Of changes (n,) of the original larger than `clear`, how many the result goes along with, and how many there are.

    Chance would make one half agree; a result that does not move agrees with none.
    """
    large = np.abs(before) > clear
    return int((np.sign(before[large]) == np.sign(after[large])).sum()), int(large.sum())
