"""One training picture at a time: a labelled photo turned and scaled, or faces pasted at known places; then harm."""

from __future__ import annotations

import json
from dataclasses import dataclass, replace
from functools import lru_cache
from pathlib import Path

import cv2
import numpy as np
from numpy.random import Generator

from streamfilter.metrics.boxes import inside
from streamfilter.structures import Doubles, Image
from training.detector import augment
from training.detector.boxes import turned_ellipse
from training.detector.negatives import texture

# A face with less than this in the picture is no target, one with a little more is neither target nor background.
VISIBLE, IGNORED = 0.4, 0.1
SMALLEST_PX = 8.0
SMALLEST_FACE_PX = 11.0
FILL = 114
_NO_BOXES = np.zeros((0, 4))


@dataclass(frozen=True, kw_only=True)
class Scene:
    """A picture (S, S, 3), its faces (xyxy, clipped) and points, and what to ignore. `clean`: before harm was done."""

    image: Image
    clean: Image
    boxes: Doubles
    points: Doubles
    ignore: Doubles
    upright: bool = True


@dataclass(frozen=True, kw_only=True)
class Picture:
    """A labelled picture on disk."""

    path: Path
    kind: str
    group: str
    boxes: Doubles
    points: Doubles
    ignore: Doubles

    def read(self) -> Image:
        """RGB pixels."""
        return _read(self.path)


@lru_cache(maxsize=64)
def _read(path: Path) -> Image:
    return np.ascontiguousarray(cv2.imread(str(path), cv2.IMREAD_COLOR)[..., ::-1])


def load_pictures(folder: Path, *, evaluation: bool) -> list[Picture]:
    """The pictures of one half, as `training.detector.label` wrote them."""
    entries = json.loads((folder / "labels.json").read_text())
    return [
        Picture(
            path=folder / e["file"], kind=e["kind"], group=e["group"],
            boxes=np.array(e["boxes"], np.float64).reshape(-1, 4),
            points=np.array(e["points"], np.float64).reshape(-1, 5, 2),
            ignore=np.array(e["ignore"], np.float64).reshape(-1, 4),
        )
        for e in entries if e["evaluation"] == evaluation
    ]  # fmt: skip


class SceneMaker:
    """Draws scenes from pictures; the same generator state gives the same scene."""

    def __init__(self, pictures: list[Picture]) -> None:
        self.empty = [p for p in pictures if p.kind == "none" and not len(p.boxes)]
        rest = [p for p in pictures if p.kind != "none" and len(p.boxes)]
        self.portraits = [p for p in rest if len(p.boxes) == 1 and p.kind in {"lfw", "london", "celebahq", "reid_tv"}]
        self.photos = [p for p in rest if p.kind not in {"lfw", "london"}]

    def __call__(self, rng: Generator, size: int) -> Scene:
        """Draw one scene of `size` x `size`."""
        draw = rng.random()
        if draw < 0.12 or not self.photos:
            scene = self.nothing(rng, size)
        elif draw < 0.42 and self.portraits:
            scene = self.pasted(rng, size)
        else:
            scene = self.moved(rng, size)
        return harm(scene, rng)

    def background(self, rng: Generator, size: int) -> Image:
        """A picture without a face: a texture, or a piece of footage."""
        if not self.empty or rng.random() < 0.5:
            return texture(rng, size)
        image = self.empty[rng.integers(len(self.empty))].read()
        side = int(rng.uniform(0.3, 1.0) * min(image.shape[:2]))
        y, x = (int(rng.integers(n - side + 1)) for n in image.shape[:2])
        return np.asarray(cv2.resize(image[y : y + side, x : x + side], (size, size), interpolation=cv2.INTER_AREA))

    def nothing(self, rng: Generator, size: int) -> Scene:
        """No face."""
        image = self.background(rng, size)
        return Scene(image=image, clean=image, boxes=_NO_BOXES, points=np.zeros((0, 5, 2)), ignore=_NO_BOXES)

    def moved(self, rng: Generator, size: int) -> Scene:
        """A photo around one of its faces, drawn at a random size, place and angle."""
        picture = self.photos[rng.integers(len(self.photos))]
        box = picture.boxes[rng.integers(len(picture.boxes))]
        matrix = placement(box, rng, size, angle=_angle(rng), flip=bool(rng.random() < 0.5))
        image, covered = warp(picture.read(), matrix, size)
        canvas = np.where(covered[..., None], image, self.background(rng, size))
        boxes, points = carry(picture.boxes, picture.points, matrix)
        ignore, _ = carry(picture.ignore, np.full((len(picture.ignore), 5, 2), np.nan), matrix)
        turned = abs(np.arctan2(matrix[1, 0], matrix[1, 1])) > np.pi / 9
        return clipped(canvas, boxes, points, ignore, upright=not turned)

    def pasted(self, rng: Generator, size: int) -> Scene:
        """Heads cut out of portraits, on a background without faces."""
        canvas = self.background(rng, size).astype(np.float32)
        boxes, points = [], []
        for _ in range(rng.integers(1, 6)):
            picture = self.portraits[rng.integers(len(self.portraits))]
            angle = _angle(rng)
            matrix = placement(picture.boxes[0], rng, size, angle=angle, flip=bool(rng.random() < 0.5))
            box, where = carry(picture.boxes, picture.points, matrix)
            if boxes and inside(np.concatenate(boxes), box).max() + inside(box, np.concatenate(boxes)).max() > 0.1:
                continue
            canvas = paste(canvas, picture.read(), picture.boxes[0], matrix)
            boxes.append(box)
            points.append(where)
        image = np.rint(canvas).astype(np.uint8)
        return clipped(image, np.concatenate(boxes), np.concatenate(points), _NO_BOXES, upright=False)


def _angle(rng: Generator) -> float:
    """Radians: half the time nearly upright, else anything."""
    return float(rng.normal(0, np.pi / 18) if rng.random() < 0.5 else rng.uniform(-np.pi, np.pi))


def placement(box: Doubles, rng: Generator, size: int, *, angle: float, flip: bool) -> Doubles:
    """The map (2, 3) that brings the face in `box` somewhere into a square of `size`, at a size drawn at random."""
    long_side = max(box[2] - box[0], box[3] - box[1])
    target = float(np.exp(rng.uniform(np.log(SMALLEST_FACE_PX), np.log(0.85 * size))))
    scale = min(target / long_side, 2.5)
    turn = np.array([[np.cos(angle), -np.sin(angle)], [np.sin(angle), np.cos(angle)]]) * scale
    if flip:
        turn[:, 0] *= -1
    # One in four comes so near to the border that it may be cut.
    reach = 0.45 * long_side * scale
    low, high = (0.0, float(size)) if rng.random() < 0.25 else (min(reach, size / 2), max(size - reach, size / 2))
    goal = rng.uniform(low, high, 2)
    centre = (box[:2] + box[2:4]) / 2
    return np.c_[turn, goal - turn @ centre]


def warp(image: Image, matrix: Doubles, size: int) -> tuple[Image, np.ndarray]:
    """The picture under `matrix`, without aliasing, and where it lies in the square."""
    step = max(1, int(1 / np.sqrt(abs(np.linalg.det(matrix[:, :2])))))
    small = cv2.resize(image, None, fx=1 / step, fy=1 / step, interpolation=cv2.INTER_AREA) if step > 1 else image
    ratio = np.array([image.shape[1] / small.shape[1], image.shape[0] / small.shape[0]])
    inner = matrix.copy()
    inner[:, :2] = matrix[:, :2] * ratio
    out = cv2.warpAffine(small, inner, (size, size), flags=cv2.INTER_LINEAR)
    covered = cv2.warpAffine(np.full(small.shape[:2], 255, np.uint8), inner, (size, size), flags=cv2.INTER_NEAREST)
    return np.asarray(out), covered > 0


def carry(boxes: Doubles, points: Doubles, matrix: Doubles) -> tuple[Doubles, Doubles]:
    """Boxes and points under `matrix`; a mirrored face swaps its left and right points."""
    moved = points @ matrix[:, :2].T + matrix[:, 2]
    if np.linalg.det(matrix[:, :2]) < 0:
        moved = moved[:, [1, 0, 2, 4, 3]]
    return turned_ellipse(boxes, points, matrix), moved


def paste(canvas: np.ndarray, image: Image, box: Doubles, matrix: Doubles) -> np.ndarray:
    """The head around `box`, softly cut out, over the canvas."""
    size = canvas.shape[0]
    layer = np.zeros(image.shape[:2], np.float32)
    centre, half = (box[:2] + box[2:4]) / 2, (box[2:4] - box[:2]) / 2
    cv2.ellipse(layer, (centre.tolist(), (half * [2.7, 2.6]).tolist(), 0.0), 1.0, -1)
    layer = cv2.GaussianBlur(layer, (0, 0), float(half.mean()) * 0.08 + 0.5)
    head, _ = warp(image, matrix, size)
    weight = warp((layer * 255).astype(np.uint8), matrix, size)[0][..., None].astype(np.float32) / 255
    return np.asarray(canvas * (1 - weight) + head * weight)


def clipped(image: Image, boxes: Doubles, points: Doubles, ignore: Doubles, *, upright: bool) -> Scene:
    """A scene: boxes cut at the border; what is hardly visible, or tiny, is ignored."""
    size = image.shape[0]
    frame = np.array([[0.0, 0.0, size, size]])
    seen = inside(boxes, frame)[:, 0]
    cut = np.clip(boxes, 0, size)
    large = (cut[:, 2:] - cut[:, :2]).min(-1, initial=np.inf) >= SMALLEST_PX if len(cut) else np.zeros(0, bool)
    keep = (seen >= VISIBLE) & large
    aside = ~keep & (seen >= IGNORED)
    ignored = np.concatenate([cut[aside], np.clip(ignore, 0, size)])
    return Scene(image=image, clean=image, boxes=cut[keep], points=points[keep], ignore=ignored, upright=upright)


def harm(scene: Scene, rng: Generator) -> Scene:
    """What the camera and the world do to the picture; the faces stay where they are."""
    image = scene.image
    for box, points in zip(scene.boxes, scene.points, strict=True):
        image = cover_part(image, box, points, rng)
    size = float((scene.boxes[:, 2:] - scene.boxes[:, :2]).mean()) if len(scene.boxes) else 60.0
    if rng.random() < 0.35:
        image = augment.colour(image, rng)
    if rng.random() < 0.28:
        image = augment.motion_blur(image, rng, np.clip(size * rng.uniform(0.1, 0.5), 3, 45))
    elif rng.random() < 0.12:
        image = augment.defocus(image, np.clip(size * rng.uniform(0.02, 0.1), 0.5, 8))
    elif rng.random() < 0.18 and size > 24:
        image = augment.coarse(image, rng.uniform(1.5, min(4.0, size / 10)))
    if rng.random() < 0.28:
        image = augment.dim(image, rng, float(np.exp(rng.uniform(np.log(0.08), np.log(0.5)))))
    if rng.random() < 0.3:
        image = augment.jpeg(image, int(rng.integers(15, 80)))
    return replace(scene, image=image)


def cover_part(image: Image, box: Doubles, points: Doubles, rng: Generator) -> Image:
    """Now and then a mask, a hand, dark glasses or an object over part of a face."""
    draw = rng.random()
    known = not np.isnan(points).any()
    if draw < 0.16 and known:
        return augment.surgical_mask(image, points, rng)
    if draw < 0.23:
        return augment.hand(image, box, rng)
    if draw < 0.28 and known:
        return augment.dark_glasses(image, points, rng)
    if draw < 0.33:
        return augment.bar(image, box, rng)
    return image
