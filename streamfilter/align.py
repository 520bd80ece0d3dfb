"""The one definition of alignment, face region and pose image; training and runtime share it.

A crop follows FFHQ (Karras et al., 2019): eyes and mouth decide centre, size and rotation. Landmarks are dlib's 68.
"""

from __future__ import annotations

import cv2
import numpy as np

from streamfilter.structures import Floats, Image

JAW, BROWS = slice(0, 17), slice(17, 27)
LEFT_EYE, RIGHT_EYE = slice(36, 42), slice(42, 48)
# The polylines of the pose image: (first, last + 1, closed). Contour, brows, nose ridge, nostrils, eyes, mouth.
STROKES = (
    (0, 17, False), (17, 22, False), (22, 27, False), (27, 31, False), (31, 36, False),
    (36, 42, True), (42, 48, True), (48, 60, True), (60, 68, True),
)  # fmt: skip
# Index of each point's mirror image in dlib's scheme.
MIRROR = np.array(
    [*range(16, -1, -1), *range(26, 16, -1), *range(27, 31), *range(35, 30, -1),
     45, 44, 43, 42, 47, 46, 39, 38, 37, 36, 41, 40,
     *range(54, 47, -1), *range(59, 54, -1), *range(64, 59, -1), *range(67, 64, -1)]
)  # fmt: skip
REMOVED = 127
_SUBPIXEL_BITS = 4


def ffhq_matrix(landmarks: Floats, size: int) -> Floats:
    """Similarity (2, 3) that maps frame pixels to an FFHQ-aligned crop of `size` px, from (68, 2) landmarks."""
    left, right = landmarks[LEFT_EYE].mean(0), landmarks[RIGHT_EYE].mean(0)
    mouth = (landmarks[48] + landmarks[54]) / 2
    eyes, between = (left + right) / 2, right - left
    down = mouth - eyes
    axis = between - np.array([-down[1], down[0]])
    axis = axis / max(float(np.hypot(*axis)), 1e-6)
    half = max(float(np.hypot(*between)) * 2.0, float(np.hypot(*down)) * 1.8, 1e-3)
    centre = eyes + down * 0.1
    scale = size / (2 * half)
    rotation = scale * np.array([[axis[0], axis[1]], [-axis[1], axis[0]]])
    # Pixel centres: the middle of the crop is (size - 1) / 2.
    shift = (size - 1) / 2 - rotation @ centre
    return np.column_stack([rotation, shift]).astype(np.float32)


def transform(points: Floats, matrix: Floats) -> Floats:
    """Points (n, 2) through a (2, 3) matrix."""
    return (points @ matrix[:, :2].T + matrix[:, 2]).astype(np.float32)


def invert(matrix: Floats) -> Floats:
    """The (2, 3) matrix of the opposite direction."""
    return np.asarray(cv2.invertAffineTransform(matrix), np.float32)


def crop(image: Image, matrix: Floats, size: int) -> Image:
    """The aligned crop (size, size, 3); beyond the frame's edge the edge is repeated."""
    scale = float(np.hypot(matrix[0, 0], matrix[1, 0]))
    if scale < 0.5:
        image, matrix = _shrink(*_window(image, matrix, size), scale)
    out = cv2.warpAffine(image, matrix, (size, size), flags=cv2.INTER_LINEAR, borderMode=cv2.BORDER_REPLICATE)
    return np.asarray(out, np.uint8)


def _window(image: Image, matrix: Floats, size: int) -> tuple[Image, Floats]:
    """The part of a frame that a crop shows, with a margin for what is averaged, and the matrix from there."""
    ends = transform(np.array([(x, y) for x in (-2, size + 1) for y in (-2, size + 1)], np.float32), invert(matrix))
    limit = np.array(image.shape[1::-1])
    low = np.clip(np.floor(ends.min(0)), 0, limit - 1).astype(int)
    high = np.clip(np.ceil(ends.max(0)) + 1, low + 1, limit).astype(int)
    onto = np.column_stack([matrix[:, :2], matrix[:, 2] + matrix[:, :2] @ low.astype(np.float32)])
    return image[low[1] : high[1], low[0] : high[0]], onto.astype(np.float32)


def _shrink(image: Image, matrix: Floats, scale: float) -> tuple[Image, Floats]:
    """Average neighbouring pixels first, so that a strong reduction does not alias."""
    factor = 1 / (scale * 2)
    height, width = image.shape[:2]
    small = cv2.resize(
        image, (max(1, round(width / factor)), max(1, round(height / factor))), interpolation=cv2.INTER_AREA
    )
    stretch = np.array([width / small.shape[1], height / small.shape[0]], np.float32)
    return np.asarray(small, np.uint8), np.column_stack([matrix[:, :2] * stretch, matrix[:, 2]]).astype(np.float32)


def face_outline(landmarks: Floats, size: int) -> Floats:
    """Outline (n, 2) of the protected region in a crop: jaw line and raised brows, drawn a little wider.

    The forehead stays outside, as in the paper: it carries the skin colour and the hairline.
    """
    chin = landmarks[8]
    bridge = landmarks[27]
    up = bridge - chin
    brows = landmarks[BROWS] + up * 0.12
    hull = cv2.convexHull(np.concatenate([landmarks, brows]).astype(np.float32)).reshape(-1, 2)
    centre = hull.mean(0)
    outward = hull - centre
    length = np.maximum(np.hypot(outward[:, 0], outward[:, 1]), 1e-6)[:, None]
    return np.asarray(hull + outward / length * (0.012 * size), np.float32)


def face_mask(landmarks: Floats, size: int, feather: float = 0.045) -> Floats:
    """Blend mask (size, size): 1 over the whole protected region, falling to 0 outside it over `feather * size` px."""
    core = np.zeros((size, size), np.uint8)
    fill(core, face_outline(landmarks, size), 255)
    distance = cv2.distanceTransform(255 - core, cv2.DIST_L2, 5)
    ramp = np.clip(1 - distance / max(feather * size, 1.0), 0, 1)
    return np.asarray(ramp * ramp * (3 - 2 * ramp), np.float32)


def fill(image: Image, outline: Floats, value: int) -> None:
    """Fill a convex outline (n, 2) in place, with sub-pixel corners."""
    points = np.round(outline * (1 << _SUBPIXEL_BITS)).astype(np.int32)
    cv2.fillConvexPoly(image, points, value, lineType=cv2.LINE_8, shift=_SUBPIXEL_BITS)


def remove_face(image: Image, landmarks: Floats) -> Image:
    """The crop with the face removed except the forehead: a copy whose protected region is grey."""
    size = image.shape[0]
    region = np.zeros((size, size), np.uint8)
    fill(region, face_outline(landmarks, size), 255)
    surroundings = image.copy()
    surroundings[region > 0] = REMOVED
    return surroundings


def pose_image(landmarks: Floats, size: int) -> Floats:
    """Binary pose image (size, size) in {0, 1}: contour, brows, eyes, nose and mouth as lines."""
    canvas = np.zeros((size, size), np.uint8)
    thickness = max(1, size // 128)
    for first, last, closed in STROKES:
        points = np.round(landmarks[first:last] * (1 << _SUBPIXEL_BITS)).astype(np.int32)
        cv2.polylines(canvas, [points], closed, 1, thickness, cv2.LINE_8, _SUBPIXEL_BITS)
    return canvas.astype(np.float32)
