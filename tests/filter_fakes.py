"""A small world for tests of the filter: walls in grey, faces in a colour that no protected picture may still show."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from fractions import Fraction

import cv2
import numpy as np

from streamfilter import align, probe
from streamfilter.composite import Compositor
from streamfilter.config import FilterConfig
from streamfilter.cover import cover
from streamfilter.face_filter import FaceFilter
from streamfilter.structures import Detections, FaceCrop, Floats, Frame, Image, Patch, Track

RATE = Fraction(1, 25)
WALL = (96, 104, 112)
SKIN = (190, 150, 130)
RAW = np.array([(255, 0, 255), (0, 255, 0)], np.int16)
WIDTH, HEIGHT, SIDE = 320, 240, 180


@dataclass(frozen=True)
class Face:
    """A face of `side` px whose crop begins at (x, y)."""

    x: float = 60.0
    y: float = 20.0
    side: float = SIDE

    @property
    def landmarks(self) -> Floats:
        return probe.landmarks(self.side) + np.array([self.x, self.y], np.float32)

    @property
    def xyxy(self) -> Floats:
        points = self.landmarks
        low, high = points.min(0), points.max(0)
        return np.array([low[0], low[1] - 0.1 * self.side, high[0], high[1]], np.float32)

    @property
    def points(self) -> Floats:
        p = self.landmarks
        return np.stack([p[36:42].mean(0), p[42:48].mean(0), p[30], p[48], p[54]]).astype(np.float32)


def picture(faces: Sequence[Face], width: int = WIDTH, height: int = HEIGHT) -> Image:
    """The raw picture: each face is a loud checkerboard within the hull of its landmarks."""
    image = np.full((height, width, 3), WALL, np.uint8)
    rows, columns = np.mgrid[:height, :width]
    loud = RAW[(rows // 4 + columns // 4) % 2].astype(np.uint8)
    for face in faces:
        hull = np.zeros((height, width), np.uint8)
        align.fill(hull, cv2.convexHull(face.landmarks).reshape(-1, 2), 1)
        image[hull > 0] = loud[hull > 0]
    return image


def raw_pixels(image: Image) -> int:
    """How many pixels still show a raw face."""
    distance = np.abs(image[:, :, None].astype(np.int16) - RAW).max(axis=-1).min(axis=-1)
    return int((distance < 70).sum())


def frame(image: Image, index: int) -> Frame:
    return Frame(image, index, index, RATE)


@dataclass
class World:
    """Who is where, frame by frame; its detector and landmarker know the truth."""

    scenes: list[list[Face]]
    seen: list[bool] = field(default_factory=list)
    confidence: float = 0.95

    def __post_init__(self) -> None:
        self.images = [picture(faces) for faces in self.scenes]
        self.index_of = {image.tobytes(): index for index, image in enumerate(self.images)}

    def frames(self) -> list[Frame]:
        return [frame(image, index) for index, image in enumerate(self.images)]

    def faces(self, image: Image) -> list[Face]:
        return self.scenes[self.index_of[image.tobytes()]]

    def detect(self, image: Image) -> Detections:
        index = self.index_of[image.tobytes()]
        faces = self.scenes[index]
        if not faces or (self.seen and not self.seen[index]):
            return Detections.empty()
        score = np.full(len(faces), 0.9, np.float32)
        return Detections(np.stack([f.xyxy for f in faces]), score, np.stack([f.points for f in faces]))

    def landmark(self, image: Image, tracks: Sequence[Track]) -> list[Track]:
        faces = self.faces(image)
        return [self._located(track, faces) for track in tracks]

    def _located(self, track: Track, faces: list[Face]) -> Track:
        centre = (track.xyxy[:2] + track.xyxy[2:]) / 2
        for face in faces:
            if np.abs((face.xyxy[:2] + face.xyxy[2:]) / 2 - centre).max() < 0.3 * face.side:
                return replace(track, landmarks=face.landmarks, confidence=self.confidence)
        return replace(track, landmarks=None, confidence=0.0)


class Skin:
    """An anonymizer whose faces are plain skin; counts its calls, remembers whom it forgot."""

    def __init__(self) -> None:
        self.batches: list[int] = []
        self.forgotten: list[int] = []

    def crop(self, image: Image, track: Track) -> FaceCrop | None:
        assert track.landmarks is not None
        matrix = align.ffhq_matrix(track.landmarks, 128)
        landmarks = align.transform(track.landmarks, matrix)
        return FaceCrop(track.track_id, align.crop(image, matrix, 128), landmarks, matrix)

    def __call__(self, crops: list[FaceCrop]) -> list[Patch]:
        self.batches.append(len(crops))
        return [self.patch(crop) for crop in crops]

    def patch(self, crop: FaceCrop) -> Patch:
        face = np.full_like(crop.image, SKIN)
        return Patch(crop.track_id, face, crop.matrix, align.face_mask(crop.landmarks, crop.size))

    def forget(self, track_id: int) -> None:
        self.forgotten.append(track_id)

    def reset(self) -> None:
        pass


def middle(times: Floats, landmarks: Floats, confidence: Floats, index: int) -> Floats:
    """No smoothing."""
    return landmarks[index]


def make_filter(world: World, config: FilterConfig | None = None, **steps: object) -> FaceFilter:
    """A filter over the world's truth; keyword arguments replace single steps."""
    parts: dict[str, object] = {
        "detect": world.detect,
        "landmark": world.landmark,
        "anonymizer": Skin(),
        "compositor": Compositor(),
        "cover": cover,
        "smooth": middle,
        "config": config or FilterConfig(),
    }
    return FaceFilter(**(parts | steps))  # type: ignore[arg-type]
