"""The teacher: dlib's 68-point predictor on an upright crop, averaged over jittered boxes and the mirror image."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import cv2
import dlib
import numpy as np

from streamfilter.landmarks import CropTemplate, cut, five_points
from streamfilter.structures import Floats, Image

TEMPLATE = CropTemplate(eye_distance=0.315, eyes_y=0.27, mouth_y=0.606, box_side=1.06, box_down=0.13)
"""Where a face lies in the network's crop; it travels with the exported model."""

MARGIN = 1.5
"""Teacher and store see this much more than the network's crop, so that shifted and turned crops can be cut from it."""

MIRROR = np.array([
    *range(16, -1, -1), *range(26, 16, -1), 27, 28, 29, 30, 35, 34, 33, 32, 31, 45, 44, 43, 42, 47, 46,
    39, 38, 37, 36, 41, 40, 54, 53, 52, 51, 50, 49, 48, 59, 58, 57, 56, 55, 64, 63, 62, 61, 60, 67, 66, 65,
])  # fmt: skip
"""Index of each landmark's counterpart in a mirrored face."""

_SIZE = 384
_JITTER = ((0.0, 0.0, 1.0), (0.03, 0.02, 0.94), (-0.03, -0.02, 1.06))
_USUAL_BOX = (0.49, 0.42, 0.375)


@dataclass(frozen=True, eq=False, slots=True)
class Label:
    """What the teacher says: `points` (68, 2) in crop units, how far its starts disagree, whether HOG saw a face."""

    points: Floats
    spread: float
    found: bool


def widened(quad: Floats, by: float = MARGIN) -> Floats:
    """The same crop with a margin on all sides."""
    axes = quad[1:] * by
    origin = quad[0] + (quad[1:].sum(axis=0) - axes.sum(axis=0)) / 2
    return np.concatenate([origin[None], axes]).astype(np.float32)


def mirrored(points: Floats) -> Floats:
    """Landmarks of the mirror image, in crop units."""
    flipped = points[..., MIRROR, :].copy()
    flipped[..., 0] = 1 - flipped[..., 0]
    return flipped


def eye_distance(points: Floats) -> Floats:
    """Distance between the outer corners of the eyes, (...): what errors are divided by."""
    return np.asarray(np.hypot(*np.moveaxis(points[..., 36, :] - points[..., 45, :], -1, 0)), np.float32)


def error(points: Floats, truth: Floats) -> Floats:
    """Mean distance over the inter-ocular distance (NME), (...)."""
    distance = np.hypot(*np.moveaxis(points - truth, -1, 0)).mean(axis=-1)
    return np.asarray(distance / np.maximum(eye_distance(truth), 1e-6), np.float32)


class Teacher:
    """dlib on an upright crop; the box comes from its HOG detector, or where that is blind from the template."""

    def __init__(self, predictor_path: Path) -> None:
        self._predictor = dlib.shape_predictor(str(predictor_path))
        self._detector = dlib.get_frontal_face_detector()

    def __call__(self, image: Image, quad: Floats) -> Label:
        """Label the face of `quad`; the points are in units of `quad`, whose side is 1."""
        crop = cut(image, widened(quad), _SIZE)
        mirror = np.ascontiguousarray(crop[:, ::-1])
        box, found = self._box(crop)
        turned = (_SIZE - 1 - box[0], box[1], box[2])
        shapes = [self._shape(crop, box, jitter) for jitter in _JITTER]
        shapes += [mirrored(self._shape(mirror, turned, jitter)) for jitter in _JITTER[:1]]
        mean = np.mean(shapes, axis=0, dtype=np.float32)
        spread = float(np.mean([error(shape, mean) for shape in shapes]))
        return Label(mean, spread, found)

    def _box(self, crop: Image) -> tuple[tuple[float, float, float], bool]:
        middle = np.array([0.5, 0.45]) * _SIZE
        found = [r for r in self._detector(cv2.resize(crop, (_SIZE // 2, _SIZE // 2)), 0)]
        boxes = [(r.left() + r.right(), r.top() + r.bottom(), float(r.width())) for r in found]
        boxes = [b for b in boxes if np.hypot(b[0] - middle[0], b[1] - middle[1]) < 0.15 * _SIZE]
        if boxes:
            return min(boxes, key=lambda b: np.hypot(b[0] - middle[0], b[1] - middle[1])), True
        x, y, half = _USUAL_BOX
        return (_to_pixels(x), _to_pixels(y), half * _SIZE / MARGIN), False

    def _shape(self, crop: Image, box: tuple[float, float, float], jitter: tuple[float, float, float]) -> Floats:
        x, y, half = box[0] + jitter[0] * box[2], box[1] + jitter[1] * box[2], box[2] * jitter[2]
        shape = self._predictor(crop, dlib.rectangle(*(round(v) for v in (x - half, y - half, x + half, y + half))))
        points = np.array([(p.x, p.y) for p in shape.parts()], np.float32)
        return ((points + 0.5) / _SIZE * MARGIN - (MARGIN - 1) / 2).astype(np.float32)


def _to_pixels(unit: float) -> float:
    return (unit + (MARGIN - 1) / 2) / MARGIN * _SIZE


def quad_of_landmarks(points: Floats) -> Floats:
    """The network's crop around known landmarks."""
    return TEMPLATE.quad_of_points(five_points(points))


def to_store(quad: Floats, store_px: int) -> Floats:
    """A crop in units of the network's crop -> pixels of a stored one, which shows a margin around it."""
    pixels = quad.copy()
    pixels[0] += (MARGIN - 1) / 2
    pixels = pixels * (store_px / MARGIN)
    pixels[0] -= 0.5
    return np.asarray(pixels, np.float32)
