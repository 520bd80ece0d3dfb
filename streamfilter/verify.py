"""Whether an invented face really hides the face that it is meant to hide: geometry, checked before it is shown."""

from __future__ import annotations

import cv2
import numpy as np

from streamfilter.align import transform
from streamfilter.pose import apart
from streamfilter.structures import FaceCrop, Floats, Image, Patch, Track

SOLID = 0.99  # a mask this high hides: compositing rounds it to 1
MIN_BOX_SHARE = 0.25  # of the detected box, that brows to chin must fill
POINT_MASK = 0.5  # the detector's own eyes, nose and mouth must lie this far within the mask
MAX_APART = 0.165  # see `pose.apart`
MIN_CHANGE = 2.0  # grey levels, mean, between the raw and the invented face
_EDGE_PX = 2


def doubt_about_landmarks(track: Track, image: Image) -> str | None:
    """Why the landmarks of a track cannot say where its face is; None where they can."""
    if track.landmarks is None or not np.isfinite(track.landmarks).all():
        return "no landmarks"
    hull = cv2.convexHull(track.landmarks)
    height, width = image.shape[:2]
    low = np.maximum(track.xyxy[:2], 0)
    high = np.minimum(track.xyxy[2:], (width, height))
    if (high - low < 1).any():
        return "outside the frame"
    box = np.array([low, (high[0], low[1]), high, (low[0], high[1])], np.float32)
    shared, _ = cv2.intersectConvexConvex(hull, box)
    if not shared >= MIN_BOX_SHARE * float(np.prod(high - low)):
        return "landmarks do not fill the detected box"
    return "landmarks contradict the detector" if _apart(track) > MAX_APART else None


def _apart(track: Track) -> float:
    if track.landmarks is None or track.points is None or track.missed_s > 0 or not np.isfinite(track.points).all():
        return 0.0
    return float(apart(track.landmarks[None], track.points[None], track.xyxy[None])[0])


def doubt_about_patch(patch: Patch, crop: FaceCrop, track: Track) -> str | None:
    """Why a patch does not hide the face of its track; None where it does."""
    if track.landmarks is None or patch.track_id != track.track_id:
        return "patch of another face"
    if not np.isfinite(patch.matrix).all() or abs(np.linalg.det(patch.matrix[:, :2].astype(np.float64))) < 1e-9:
        return "patch without a place"
    landmarks = transform(track.landmarks, patch.matrix)
    if not ((landmarks > -_EDGE_PX) & (landmarks < len(patch.mask) - 1 + _EDGE_PX)).all():
        return "face larger than its patch"
    if not patch.mask[_inner_hull(landmarks, len(patch.mask))].min(initial=1.0) >= SOLID:
        return "mask does not hide the face"
    if not _points_hidden(patch, track):
        return "mask misses the detected eyes, nose or mouth"
    return None if _changed(patch, crop, landmarks) else "patch shows the face itself"


def _inner_hull(landmarks: Floats, size: int) -> np.ndarray[tuple[int, ...], np.dtype[np.bool_]]:
    """Pixels of a crop that lie wholly inside the hull of the landmarks."""
    region = np.zeros((size + 2, size + 2), np.uint8)
    cv2.fillConvexPoly(region, np.round(cv2.convexHull(landmarks) + 1).astype(np.int32), 1)
    return np.asarray(cv2.erode(region, np.ones((3, 3), np.uint8))[1:-1, 1:-1] > 0)


def _points_hidden(patch: Patch, track: Track) -> bool:
    if track.points is None or track.missed_s > 0 or not np.isfinite(track.points).all():
        return True
    size = len(patch.mask)
    column, row = np.clip(np.round(transform(track.points, patch.matrix)), 0, size - 1).astype(int).T
    return bool((patch.mask[row, column] >= POINT_MASK).all())


def _changed(patch: Patch, crop: FaceCrop, landmarks: Floats) -> bool:
    if patch.image.shape != crop.image.shape or not np.allclose(patch.matrix, crop.matrix, atol=1e-3):
        return True
    region = _inner_hull(landmarks, len(patch.mask))[::2, ::2]
    difference = np.abs(patch.image[::2, ::2][region].astype(np.int16) - crop.image[::2, ::2][region])
    return not difference.size or float(difference.mean()) >= MIN_CHANGE
