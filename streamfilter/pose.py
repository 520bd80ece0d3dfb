"""What 68 landmarks say of a face: how far it is turned, and whether they agree with what the detector saw."""

from __future__ import annotations

import numpy as np

from streamfilter.motion import area
from streamfilter.structures import Floats

_JAW_LEFT, _JAW_RIGHT = slice(0, 3), slice(14, 17)
_BRIDGE, _NOSE_TIP = slice(27, 29), 30
_EYES = (slice(36, 42), slice(42, 48))
_MOUTH_CORNERS = (48, 54)


def turn(landmarks: Floats) -> Floats:
    """How far heads are turned sideways, from landmarks (t, 68, 2): 0 towards the camera, 1 and more in profile.

    The root of the nose, seen along the line of the eyes, lies midway between both ends of the jaw in a frontal face.
    """
    along = landmarks[:, _EYES[1]].mean(1) - landmarks[:, _EYES[0]].mean(1)
    along = along / np.maximum(np.linalg.norm(along, axis=1, keepdims=True), 1e-6)
    nose = landmarks[:, _BRIDGE].mean(1)
    left = ((nose - landmarks[:, _JAW_LEFT].mean(1)) * along).sum(1)
    right = ((landmarks[:, _JAW_RIGHT].mean(1) - nose) * along).sum(1)
    return np.asarray(np.abs(left - right) / np.maximum(np.abs(left + right), 1e-6), np.float32)


def apart(landmarks: Floats, points: Floats, boxes: Floats) -> Floats:
    """Mean distance of eyes, nose and mouth corners, located and detected (t, 5, 2), in units of the box's size."""
    eyes = [landmarks[:, eye].mean(1) for eye in _EYES]
    located = np.stack([*eyes, landmarks[:, _NOSE_TIP], *(landmarks[:, corner] for corner in _MOUTH_CORNERS)], axis=1)
    distance = np.linalg.norm(located - points, axis=2).mean(1)
    return np.asarray(distance / np.sqrt(np.maximum(area(boxes), 1.0)), np.float32)


def filled(landmarks: Floats, boxes: Floats) -> Floats:
    """Which part of each box (t, 4) the extent of its landmarks (t, 68, 2) fills."""
    low = np.maximum(landmarks.min(axis=1), boxes[:, :2])
    high = np.minimum(landmarks.max(axis=1), boxes[:, 2:])
    return np.asarray(np.prod(np.maximum(high - low, 0), axis=1) / np.maximum(area(boxes), 1e-6), np.float32)
