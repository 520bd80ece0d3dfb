"""The known input that every model answers before work begins: a drawn face, its landmarks in closed form."""

from __future__ import annotations

import cv2
import numpy as np
from numpy.typing import NDArray

from streamfilter.structures import Floats, Image, Track

SIDE_PX = 256
TRACK_ID = 1
SKIN, DARK, LIPS, WALL = (205, 165, 140), (60, 40, 35), (170, 80, 80), (120, 140, 160)


def landmarks(side_px: float) -> Floats:
    """dlib's 68 points of a frontal face in a picture of `side_px`, (68, 2)."""
    parts = (
        _arc((0.5, 0.45), (0.24, 0.34), 180, 0, 17),
        _arc((0.39, 0.42), (0.09, 0.05), 200, 340, 5),
        _arc((0.61, 0.42), (0.09, 0.05), 200, 340, 5),
        np.column_stack([np.full(4, 0.5), np.linspace(0.45, 0.57, 4)]),
        _arc((0.5, 0.59), (0.05, 0.02), 180, 0, 5),
        _arc((0.4, 0.46), (0.045, 0.018), 180, 480, 6),
        _arc((0.6, 0.46), (0.045, 0.018), 180, 480, 6),
        _arc((0.5, 0.69), (0.09, 0.035), 180, 510, 12),
        _arc((0.5, 0.69), (0.07, 0.012), 180, 495, 8),
    )
    return np.asarray(np.concatenate(parts) * side_px, np.float32)


def _arc(
    centre: tuple[float, float], radii: tuple[float, float], start: float, end: float, n: int
) -> NDArray[np.float64]:
    """Points on an ellipse; angles in degrees, from the right, clockwise as seen (y runs down)."""
    angle = np.radians(np.linspace(start, end, n))
    return np.column_stack([centre[0] + radii[0] * np.cos(angle), centre[1] + radii[1] * np.sin(angle)])


def picture(side_px: int = SIDE_PX) -> Image:
    """The drawn face, (side_px, side_px, 3) RGB."""
    image = np.full((side_px, side_px, 3), WALL, np.uint8)
    centre, axes = (side_px // 2, round(side_px * 0.48)), (round(side_px * 0.25), round(side_px * 0.32))
    cv2.ellipse(image, centre, axes, 0, 0, 360, SKIN, -1)
    points = np.round(landmarks(side_px)).astype(np.int32)
    cv2.polylines(image, [points[17:22], points[22:27], points[27:36]], False, DARK, max(1, side_px // 64))
    for part, colour in ((slice(36, 42), DARK), (slice(42, 48), DARK), (slice(48, 60), LIPS)):
        cv2.fillPoly(image, [points[part]], colour)
    return image


def track(side_px: int = SIDE_PX) -> Track:
    """The drawn face as a track whose landmarks are known."""
    points = landmarks(side_px)
    five = np.stack([points[36:42].mean(0), points[42:48].mean(0), points[33], points[48], points[54]])
    box = np.array([*points.min(0), *points.max(0)], np.float32)
    return Track(TRACK_ID, box, points=five.astype(np.float32), landmarks=points, confidence=1.0)
