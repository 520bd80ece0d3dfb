"""Labels by agreement: a face is what two of four detectors see in the clean picture; what only one sees is ignored.

    python -m training.detector.label --data DATA --teachers WEIGHTS --out WORK

DATA holds `videos/`, `faces/` and `wild/`. WORK receives `images/` (pictures and sampled frames, at most 1280 px) and
`labels.json`. Every person, clip and photo belongs wholly to training or to evaluation: the CRC of its name decides.
"""

from __future__ import annotations

import argparse
import json
import time
import zlib
from collections.abc import Iterator
from dataclasses import asdict, dataclass, field
from pathlib import Path

import av
import cv2
import numpy as np
import torch

from streamfilter.config import DetectConfig
from streamfilter.metrics.boxes import iou
from streamfilter.structures import Doubles, Image
from training.detector import teachers
from training.detector.network import load_published
from training.detector.runtime import detector

MAX_PX = 1280
CROWDS_PX, PORTRAITS_PX, OTHERS_PX = (1120, 480), (300,), (800, 400)
PORTRAITS = {"lfw", "london", "celebahq", "reid_tv"}
SMALL_PX = 400
MAX_ENLARGE = 1.5
AGREE_IOU = 0.4
FRAMES_PER_CLIP = 10
PERSONS = 500
# Too few for chance to split them.
FACELESS = {"none/bottles.mp4": False, "none/cartoon.avi": True}
PICTURES = {".jpg", ".jpeg", ".png", ".webp"}


@dataclass(frozen=True, kw_only=True)
class Labelled:
    """One picture: its file, what it belongs to, its faces (xyxy and five points, NaN unknown), and what to ignore."""

    file: str
    group: str
    kind: str
    evaluation: bool
    boxes: list[list[float]] = field(default_factory=list)
    points: list[list[list[float]]] = field(default_factory=list)
    ignore: list[list[float]] = field(default_factory=list)


def is_evaluation(group: str) -> bool:
    """Which half a person, clip or photo belongs to, for good."""
    if group in FACELESS:
        return FACELESS[group]
    return zlib.crc32(group.encode()) % 2 == 0


def sources(data: Path) -> Iterator[tuple[str, str, Image]]:
    """Every picture as (kind, group, RGB); the group is the person, clip or photo."""
    yield from _photos(data)
    yield from _persons(data)
    for clip in sorted((data / "videos").glob("*/*")):
        for image in _frames(clip, FRAMES_PER_CLIP):
            yield clip.parent.name, f"{clip.parent.name}/{clip.name}", image


def _photos(data: Path) -> Iterator[tuple[str, str, Image]]:
    for folder in ("wild/crowd", "wild/groups", "wild/poses", "wild/masks", "wild/dlib_boxes", "wild/landmark_sets"):
        for path in sorted((data / folder).iterdir()):
            if path.suffix.lower() in PICTURES:
                yield Path(folder).name, f"{folder}/{path.name}", read(path)


def _persons(data: Path) -> Iterator[tuple[str, str, Image]]:
    people = sorted(p for p in (data / "faces/lfw").iterdir() if p.is_dir())
    for person in people[:: max(1, len(people) // PERSONS)]:
        yield "lfw", f"lfw/{person.name}", read(min(person.iterdir()))
    for folder in ("london", "celebahq", "reid_tv"):
        for path in sorted((data / "faces" / folder).rglob("*")):
            if path.suffix.lower() in PICTURES:
                yield folder, f"{folder}/{path.stem.split('_')[0]}", read(path)


def read(path: Path) -> Image:
    """A picture as RGB, at most `MAX_PX` long."""
    raw = cv2.imdecode(np.fromfile(path, np.uint8), cv2.IMREAD_COLOR)
    return _fit(np.ascontiguousarray(raw[..., ::-1]), MAX_PX)


def _fit(image: Image, long_side_px: int) -> Image:
    scale = long_side_px / max(image.shape[:2])
    return (
        image if scale >= 1 else np.asarray(cv2.resize(image, None, fx=scale, fy=scale, interpolation=cv2.INTER_AREA))
    )


def _frames(clip: Path, count: int) -> list[Image]:
    """`count` frames, evenly spread over the clip."""
    with av.open(str(clip)) as container:
        total = sum(1 for _ in container.decode(video=0))
    wanted = set(np.linspace(0, total - 1, min(count, total)).round().astype(int).tolist())
    with av.open(str(clip)) as container:
        frames = enumerate(container.decode(video=0))
        return [_fit(f.to_ndarray(format="rgb24"), MAX_PX) for i, f in frames if i in wanted]


def scales_px(kind: str) -> tuple[int, ...]:
    """At which sizes the teachers look at a picture of this kind."""
    if kind in PORTRAITS:
        return PORTRAITS_PX
    return CROWDS_PX if kind in {"crowd", "groups"} else OTHERS_PX


def look(teacher: teachers.Teacher, image: Image, kind: str) -> teachers.Found:
    """What a teacher finds at several scales, in pixels of `image`. Close-up crops get a grey margin first."""
    margin = max(image.shape[:2]) // 2 if kind == "masks" and max(image.shape[:2]) < SMALL_PX else 0
    wide = np.pad(image, ((margin, margin), (margin, margin), (0, 0)), constant_values=114)
    boxes, points = [np.zeros((0, 5))], [np.zeros((0, 5, 2))]
    for size in scales_px(kind):
        scale = min(size / max(wide.shape[:2]), 1.0 if margin else MAX_ENLARGE)
        if size < max(scales_px(kind)) and scale >= 1:
            continue
        small = np.asarray(cv2.resize(wide, None, fx=scale, fy=scale, interpolation=cv2.INTER_AREA))
        found, where = teacher(small)
        boxes.append(np.c_[found[:, :4] / scale - margin, found[:, 4]])
        points.append(where / scale - margin)
    return teachers.best(np.concatenate(boxes), np.concatenate(points), AGREE_IOU)


def agree(found: list[teachers.Found], votes: int) -> tuple[Doubles, Doubles, Doubles]:
    """Boxes and points on which at least `votes` teachers agree (their mean), and the boxes on which fewer do."""
    faces: list[tuple[Doubles, Doubles]] = []
    ignore: list[Doubles] = []
    taken = [np.zeros(len(boxes), bool) for boxes, _ in found]
    for i, (boxes, _) in enumerate(found):
        for j in range(len(boxes)):
            if taken[i][j]:
                continue
            members = _members(found, taken, boxes[j])
            for k, index in members:
                taken[k][index] = True
            if len(members) >= votes:
                box = np.mean([found[k][0][index, :4] for k, index in members], 0)
                faces.append((box, _mean_points([found[k][1][index] for k, index in members])))
            else:
                ignore.append(boxes[j, :4])
    return (
        np.array([b for b, _ in faces]).reshape(-1, 4),
        np.array([p for _, p in faces]).reshape(-1, 5, 2),
        np.array(ignore).reshape(-1, 4),
    )


def _members(found: list[teachers.Found], taken: list[np.ndarray], box: Doubles) -> list[tuple[int, int]]:
    """For each teacher the detection that overlaps `box` most, where enough."""
    members = []
    for k, (others, _) in enumerate(found):
        overlap = np.where(taken[k], 0.0, iou(box[None, :4], others[:, :4])[0])
        if overlap.size and overlap.max() > AGREE_IOU:
            members.append((k, int(overlap.argmax())))
    return members


def _mean_points(points: list[Doubles]) -> Doubles:
    known = [p for p in points if not np.isnan(p).any()]
    return np.asarray(np.mean(known, 0)) if known else np.full((5, 2), np.nan)


def main() -> None:
    """Command line."""
    parser = argparse.ArgumentParser(description="Label pictures and frames by agreement of four detectors.")
    parser.add_argument("--data", type=Path, required=True)
    parser.add_argument("--teachers", type=Path, required=True)
    parser.add_argument("--out", type=Path, required=True)
    arguments = parser.parse_args()
    (arguments.out / "images").mkdir(parents=True, exist_ok=True)
    torch.set_num_threads(1)
    yunet = detector(load_published(arguments.teachers / teachers.FILES[-1]), DetectConfig(long_side_px=MAX_PX))
    all_teachers = [*teachers.load(arguments.teachers).values(), teachers.of_detector(yunet)]
    labels: list[Labelled] = []
    start = time.monotonic()
    for kind, group, image in sources(arguments.data):
        # A crop of the set with masks shows one face for certain: there, one voice is enough.
        votes = 1 if kind == "masks" else 2
        boxes, points, ignore = agree([look(t, image, kind) for t in all_teachers], votes)
        file = f"images/{len(labels):05d}.jpg"
        cv2.imwrite(str(arguments.out / file), image[..., ::-1], [cv2.IMWRITE_JPEG_QUALITY, 95])
        labels.append(
            Labelled(
                file=file, group=group, kind=kind, evaluation=is_evaluation(group),
                boxes=boxes.round(2).tolist(), points=points.round(2).tolist(), ignore=ignore.round(2).tolist(),
            )
        )  # fmt: skip
        if len(labels) % 100 == 0:
            print(f"{len(labels)} pictures, {time.monotonic() - start:.0f} s, now {group}", flush=True)
    (arguments.out / "labels.json").write_text(json.dumps([asdict(label) for label in labels]))
    print(f"{len(labels)} pictures, {sum(len(label.boxes) for label in labels)} faces: {arguments.out / 'labels.json'}")


if __name__ == "__main__":
    main()
