"""Tracks -> the same tracks with 68 landmarks: an upright crop per face, one batch through the network."""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Protocol, Self

import cv2
import dlib
import numpy as np

from streamfilter.config import Device
from streamfilter.errors import ConfigError, ModelError
from streamfilter.model_files import shipped
from streamfilter.onnx_model import OnnxModel
from streamfilter.structures import Floats, Image, Track

MAX_BATCH = 32
"""Faces per run: bounds the memory that a crowd can take."""

_MIN_SIDE_PX = 4.0
_MIN_SIDE, _MAX_SIDE = 0.6, 4.0
_EYES = (slice(36, 42), slice(42, 48))
_NOSE_TIP, _MOUTH_CORNERS = 30, (48, 54)


class AnyLandmarker(Protocol):
    """What fills in landmarks: our network, or dlib's predictor."""

    def __call__(self, image: Image, tracks: Sequence[Track]) -> list[Track]:
        """Return the same tracks, in the same order, with landmarks and confidence."""
        ...


@dataclass(frozen=True, kw_only=True)
class CropTemplate:
    """Where a face lies in the network's crop, whose side is 1.

    `eyes_y` and `mouth_y` are the heights of the middle of the eyes and of the mouth, `eye_distance` is between the
    eyes' centres. Where only a box is known, `box_side` is the crop's side and `box_down` how far its middle lies
    below the box's, both in units of the box's longer side.
    """

    eye_distance: float
    eyes_y: float
    mouth_y: float
    box_side: float
    box_down: float

    @classmethod
    def from_metadata(cls, metadata: Mapping[str, str]) -> Self:
        """Read the template that travels with a model.

        Raises:
            ModelError: The metadata lacks it.
        """
        try:
            values = json.loads(metadata["template"])
            return cls(**{name: float(values[name]) for name in cls.__dataclass_fields__})
        except (KeyError, TypeError, ValueError) as error:
            raise ModelError(f"the landmark model's metadata hold no usable crop template: {error!r}") from error

    def quad(self, track: Track) -> Floats | None:
        """Crop of a track as (origin, x axis, y axis) (3, 2) in frame pixels; None if the track has no usable extent.

        The five points give centre, size and rotation. A coasting track has none of this moment, so the landmarks
        it carries serve. Points that contradict the box are not believed.
        """
        long_side = float(max(track.xyxy[2:] - track.xyxy[:2]))
        if not np.isfinite(track.xyxy).all() or long_side < _MIN_SIDE_PX:
            return None
        carried = five_points(track.landmarks) if track.landmarks is not None else None
        order = (carried, track.points) if track.missed_s > 0 else (track.points, carried)
        for points in order:
            if points is not None and np.isfinite(points).all():
                quad = self.quad_of_points(points)
                if _agrees(quad, track.xyxy, long_side):
                    return quad
        return self.quad_of_box(track.xyxy)

    def quad_of_points(self, points: Floats) -> Floats:
        """Upright crop around five points; turned heads keep their size, since the longer of two extents counts."""
        eyes, mouth = points[:2].mean(axis=0), points[3:].mean(axis=0)
        across, down = points[1] - points[0], mouth - eyes
        heading = across + np.array([down[1], -down[0]], np.float32)
        x_axis = heading / max(float(np.hypot(*heading)), 1e-6)
        y_axis = np.array([-x_axis[1], x_axis[0]], np.float32)
        extents = (np.hypot(*across) / self.eye_distance, np.hypot(*down) / (self.mouth_y - self.eyes_y))
        side = max(float(max(extents)), 1e-3)
        middle_y = (self.eyes_y + self.mouth_y) / 2
        origin = (eyes + mouth) / 2 - side * (0.5 * x_axis + middle_y * y_axis)
        return np.stack([origin, side * x_axis, side * y_axis]).astype(np.float32)

    def quad_of_box(self, xyxy: Floats) -> Floats:
        """Upright crop around a box."""
        long_side = float(max(xyxy[2:] - xyxy[:2]))
        side = long_side * self.box_side
        origin = (xyxy[:2] + xyxy[2:]) / 2 - side / 2 + [0, long_side * self.box_down]
        return np.stack([origin, [side, 0], [0, side]]).astype(np.float32)


def _agrees(quad: Floats, xyxy: Floats, long_side: float) -> bool:
    centre = quad[0] + (quad[1] + quad[2]) / 2
    near = np.abs(centre - (xyxy[:2] + xyxy[2:]) / 2).max() < 0.75 * long_side
    return bool(near and _MIN_SIDE < np.hypot(*quad[1]) / long_side < _MAX_SIDE)


def five_points(landmarks: Floats) -> Floats:
    """The detector's five points, (5, 2), taken from 68 landmarks."""
    eyes = [landmarks[eye].mean(axis=0) for eye in _EYES]
    return np.stack([*eyes, landmarks[_NOSE_TIP], *landmarks[list(_MOUTH_CORNERS)]]).astype(np.float32)


def cut(image: Image, quad: Floats, size: int) -> Image:
    """Sample the crop `quad` of `image` as (size, size, 3), without aliasing; black beyond the edge."""
    quad = quad.astype(np.float64)
    corners = quad[0] + np.array([[0, 0], [1, 0], [0, 1], [1, 1]]) @ quad[1:]
    limit = np.array([image.shape[1], image.shape[0]])
    low = np.clip(np.floor(corners.min(axis=0)) - 2, 0, limit).astype(int)
    high = np.clip(np.ceil(corners.max(axis=0)) + 2, 0, limit).astype(int)
    if (high - low < 1).any():
        return np.zeros((size, size, 3), np.uint8)
    region = image[low[1] : high[1], low[0] : high[0]]
    shrink = int(np.hypot(*quad[1]) / size)
    if shrink >= 2:
        small = np.maximum((high - low) // shrink, 1)
        ratio = small / (high - low)
        region = np.asarray(cv2.resize(region, (int(small[0]), int(small[1])), interpolation=cv2.INTER_AREA), np.uint8)
    else:
        ratio = np.ones(2)
    # Whole numbers are the middles of pixels, in frame and crop alike: hence the halves.
    origin, axes = (quad[0] - low + 0.5) * ratio - 0.5, quad[1:] * ratio / size
    shift = origin + (axes[0] + axes[1]) / 2
    inverse = np.column_stack([axes[0], axes[1], shift])
    flags = cv2.INTER_LINEAR | cv2.WARP_INVERSE_MAP
    return np.asarray(cv2.warpAffine(region, inverse, (size, size), flags=flags), np.uint8)


def to_frame(unit: Floats, quad: Floats) -> Floats:
    """Points of a crop whose side is 1 -> frame pixels."""
    return np.asarray(quad[0] + unit @ quad[1:], np.float32)


def to_unit(points: Floats, quad: Floats) -> Floats:
    """Frame pixels -> points of a crop whose side is 1."""
    return np.asarray(np.linalg.solve(quad[1:].astype(np.float64).T, (points - quad[0]).T).T, np.float32)


class Landmarker:
    """Our own 68-point network; `confidence` is its own estimate that the points can be used."""

    def __init__(self, model: OnnxModel) -> None:
        self.model = model
        self.template = CropTemplate.from_metadata(model.metadata)
        self.size = int(model.metadata.get("size", "0"))
        if self.size <= 0:
            raise ModelError(f"{model.path.name}: the metadata name no input size")

    @classmethod
    def load(cls, path: Path | None = None, *, device: Device = Device.AUTO, threads: int = 0) -> Self:
        """Load the shipped network, or the one at `path`."""
        path = path or shipped("landmarks.onnx")
        return cls(OnnxModel(path, kind="landmarks", device=device, threads=threads))

    def __call__(self, image: Image, tracks: Sequence[Track]) -> list[Track]:
        """Return the same tracks, in the same order, with landmarks in frame pixels and confidence.

        A track without usable extent keeps what it had, at confidence 0.
        """
        return _fill(image, tracks, self.template.quad, self._predict)

    def _predict(self, image: Image, quads: Sequence[Floats]) -> list[tuple[Floats, float]]:
        crops = np.stack([cut(image, quad, self.size) for quad in quads])
        outputs = self.model(image=np.ascontiguousarray(crops.transpose(0, 3, 1, 2), np.float32))
        points = [to_frame(unit, quad) for unit, quad in zip(outputs["landmarks"], quads, strict=True)]
        return list(zip(points, (float(c) for c in outputs["confidence"]), strict=True))


_Predict = Callable[[Image, Sequence[Floats]], list[tuple[Floats, float]]]


def _fill(
    image: Image, tracks: Sequence[Track], quad_of: Callable[[Track], Floats | None], predict: _Predict
) -> list[Track]:
    filled = [replace(track, confidence=0.0) for track in tracks]
    quads = [(index, quad) for index, track in enumerate(tracks) if (quad := quad_of(track)) is not None]
    for batch in _batches(quads):
        results = predict(image, [quad for _, quad in batch])
        for (index, _), (points, confidence) in zip(batch, results, strict=True):
            filled[index] = replace(filled[index], landmarks=points, confidence=min(max(confidence, 0.0), 1.0))
    return filled


def _batches(quads: list[tuple[int, Floats]]) -> list[list[tuple[int, Floats]]]:
    return [quads[start : start + MAX_BATCH] for start in range(0, len(quads), MAX_BATCH)]


class DlibLandmarker:
    """dlib's 68-point predictor, for users who have its file; confidence is how well three starts agree."""

    TEMPLATE = CropTemplate(eye_distance=0.315, eyes_y=0.27, mouth_y=0.606, box_side=1.06, box_down=0.13)
    SIZE = 256
    _STARTS = ((0.0, 0.0, 1.0), (0.02, 0.015, 0.95), (-0.02, -0.015, 1.06))
    _TOLERANCE = 0.06

    def __init__(self, predictor_path: Path) -> None:
        if not Path(predictor_path).is_file():
            raise ConfigError(
                f"--landmarks dlib: no predictor at {predictor_path}; get shape_predictor_68_face_landmarks.dat from "
                "http://dlib.net/files/ or from the source archive of face-recognition-models 0.3.0 on PyPI"
            )
        try:
            self._predictor = dlib.shape_predictor(str(predictor_path))
        except RuntimeError as error:
            raise ConfigError(f"--landmarks dlib: {predictor_path} is not a dlib shape predictor: {error}") from error

    def __call__(self, image: Image, tracks: Sequence[Track]) -> list[Track]:
        """Return the same tracks, in the same order, with landmarks in frame pixels and confidence."""
        return _fill(image, tracks, self.TEMPLATE.quad, self._predict)

    def _predict(self, image: Image, quads: Sequence[Floats]) -> list[tuple[Floats, float]]:
        return [self._one(image, quad) for quad in quads]

    def _one(self, image: Image, quad: Floats) -> tuple[Floats, float]:
        crop = cut(image, quad, self.SIZE)
        shapes = np.stack([self._shape(crop, *start) for start in self._STARTS])
        mean = shapes.mean(axis=0)
        spread = float(np.hypot(*(shapes - mean).T).mean()) / self.TEMPLATE.eye_distance
        return to_frame(mean, quad), float(np.exp(-((spread / self._TOLERANCE) ** 2)))

    def _shape(self, crop: Image, dx: float, dy: float, scale: float) -> Floats:
        half = 0.375 * scale
        edges = (0.475 + dx - half, 0.42 + dy - half, 0.475 + dx + half, 0.42 + dy + half)
        shape = self._predictor(crop, dlib.rectangle(*(round(edge * self.SIZE) for edge in edges)))
        points = np.array([(p.x, p.y) for p in shape.parts()], np.float32)
        return np.asarray((points + 0.5) / self.SIZE, np.float32)
