"""Recall of a detector against YuNet-n as it came, on the pictures that no training saw, per kind of hardship.

    python -m training.detector.evaluate --work WORK --published yunet_n.pth --tuned CHECKPOINT --out FOLDER

Several candidates, such as mixtures of both (see `training.detector.interpolate`), are compared in one go.

Each subset is a clean picture with known faces, then harmed in one way; both detectors see the same pixels. A face
counts as found where a detection overlaps it with IoU >= 0.35. False alarms are counted on footage and textures without
faces, and in the clean pictures outside everything that any teacher took for a face. Recall is given at the operating
point, and at thresholds at which both detectors raise equally many false alarms.
"""

from __future__ import annotations

import argparse
import json
from collections import Counter
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path

import cv2
import numpy as np
import torch
from numpy.random import Generator

from streamfilter.config import DetectConfig, Device
from streamfilter.detect import KIND, Detector
from streamfilter.metrics.boxes import inside, iou
from streamfilter.onnx_model import OnnxModel
from streamfilter.structures import Doubles, Image
from training.detector import augment, checkpoint
from training.detector.boxes import turned_ellipse
from training.detector.negatives import texture
from training.detector.runtime import detector
from training.detector.scenes import Picture, load_pictures

FOUND_IOU = 0.35
LONG_SIDE_PX = 640
FACE_PX = 20.0
LOWEST = 0.02
PORTRAITS = 80
# Frames of one clip are much alike; every third will do.
FRAMES = 3
TEXTURES = 60
OPERATING = DetectConfig().low_threshold
CONFIDENT = DetectConfig().threshold


@dataclass(frozen=True, kw_only=True)
class Case:
    """A picture, the faces that must be found, and what may be found besides."""

    image: Image
    boxes: Doubles
    points: Doubles
    ignore: Doubles


Harm = Callable[[Case, Generator], Case | None]


def base(picture: Picture) -> Case:
    """The clean picture at the size at which it is evaluated; faces below `FACE_PX` are ignored."""
    image = picture.read()
    scale = LONG_SIDE_PX / max(image.shape[:2])
    if scale < 1:
        image = np.asarray(cv2.resize(image, None, fx=scale, fy=scale, interpolation=cv2.INTER_AREA))
    scale = min(scale, 1.0)
    boxes = picture.boxes * scale
    return keep(image, boxes, picture.points * scale, picture.ignore * scale, sides(boxes) >= FACE_PX)


def keep(image: Image, boxes: Doubles, points: Doubles, ignore: Doubles, wanted: np.ndarray) -> Case:
    """A case in which only the `wanted` faces must be found."""
    aside = np.concatenate([ignore, boxes[~wanted]])
    return Case(image=image, boxes=boxes[wanted], points=points[wanted], ignore=aside)


def sides(boxes: Doubles) -> Doubles:
    """The longer side of each box."""
    return np.asarray((boxes[:, 2:] - boxes[:, :2]).max(-1, initial=0) if len(boxes) else np.zeros(0))


def clean(case: Case, rng: Generator) -> Case:
    """As it is."""
    return case


def rotated(case: Case, rng: Generator) -> Case:
    """Turned in the plane by 30 to 180 degrees, either way."""
    angle = np.deg2rad(rng.uniform(30, 180)) * rng.choice([-1, 1])
    height, width = case.image.shape[:2]
    turn = np.array([[np.cos(angle), -np.sin(angle)], [np.sin(angle), np.cos(angle)]])
    size = np.ceil(np.abs(turn) @ [width, height]).astype(int)
    matrix = np.c_[turn, size / 2 - turn @ [width / 2, height / 2]]
    image = cv2.warpAffine(case.image, matrix, size.tolist(), borderValue=(114, 114, 114))
    unknown = np.full((len(case.ignore), 5, 2), np.nan)
    return Case(
        image=np.asarray(image), boxes=turned_ellipse(case.boxes, case.points, matrix), points=case.points,
        ignore=turned_ellipse(case.ignore, unknown, matrix),
    )  # fmt: skip


def profile(case: Case, rng: Generator) -> Case | None:
    """Faces turned away: the nose lies beside the eyes' middle by more than a third of their distance, or further."""
    eyes = case.points[:, 1] - case.points[:, 0]
    nose = case.points[:, 2] - case.points[:, 0]
    along = (eyes * nose).sum(-1) / ((eyes**2).sum(-1) + 1e-6)
    narrow = np.linalg.norm(eyes, axis=-1) < 0.28 * (case.boxes[:, 2] - case.boxes[:, 0])
    away = (np.abs(along - 0.5) > 0.37) | narrow
    return keep(case.image, case.boxes, case.points, case.ignore, away) if away.any() else None


def blurred(case: Case, rng: Generator) -> Case:
    """Moved by a quarter to half of a face while the shutter was open."""
    image = augment.motion_blur(case.image, rng, np.clip(sides(case.boxes).mean() * rng.uniform(0.25, 0.5), 3, 61))
    return Case(image=image, boxes=case.boxes, points=case.points, ignore=case.ignore)


def masked(case: Case, rng: Generator) -> Case | None:
    """A cloth drawn over each face's mouth and nose."""
    known = ~np.isnan(case.points).any((1, 2))
    if not known.any():
        return None
    image = case.image
    for points in case.points[known]:
        image = augment.surgical_mask(image, points, rng)
    return keep(image, case.boxes, case.points, case.ignore, known)


def hands(case: Case, rng: Generator) -> Case:
    """A hand over part of each face."""
    image = case.image
    for box in case.boxes:
        image = augment.hand(image, box, rng)
    return Case(image=image, boxes=case.boxes, points=case.points, ignore=case.ignore)


def dark(case: Case, rng: Generator) -> Case:
    """A tenth to a quarter of the light, noise, compression."""
    image = augment.jpeg(augment.dim(case.image, rng, rng.uniform(0.08, 0.25)), 60)
    return Case(image=image, boxes=case.boxes, points=case.points, ignore=case.ignore)


def small(case: Case, rng: Generator) -> Case:
    """Shrunk until the largest face is 11 to 18 px, in a field of the picture's mean colour."""
    scale = rng.uniform(11, 18) / sides(case.boxes).max()
    image = cv2.resize(case.image, None, fx=scale, fy=scale, interpolation=cv2.INTER_AREA)
    room = [max(0, 256 - n) // 2 for n in image.shape[:2]]
    tone = case.image.reshape(-1, 3).mean(0).round().tolist()
    image = cv2.copyMakeBorder(image, room[0], room[0], room[1], room[1], cv2.BORDER_CONSTANT, value=tone)
    offset = np.array([room[1], room[0]])
    boxes, ignore = case.boxes * scale + np.tile(offset, 2), case.ignore * scale + np.tile(offset, 2)
    return keep(np.asarray(image), boxes, case.points * scale + offset, ignore, sides(boxes) >= 9)


def cut(case: Case, rng: Generator) -> Case | None:
    """The picture's border runs through a face: a third to a half of it is outside."""
    box = case.boxes[rng.integers(len(case.boxes))]
    side, part = int(rng.integers(4)), rng.uniform(0.33, 0.5)
    height, width = case.image.shape[:2]
    window = np.array([0, 0, width, height])
    line = box[side % 2] + (box[side % 2 + 2] - box[side % 2]) * (part if side < 2 else 1 - part)
    window[side] = round(line)
    if (window[2:] - window[:2]).min() < 48:
        return None
    image = np.ascontiguousarray(case.image[window[1] : window[3], window[0] : window[2]])
    shift = np.tile(window[:2], 2)
    limits = np.tile([image.shape[1], image.shape[0]], 2)
    boxes = np.clip(case.boxes - shift, 0, limits)
    mine = (case.boxes == box).all(-1)
    return keep(image, boxes, case.points - window[:2], np.clip(case.ignore - shift, 0, limits), mine)


SUBSETS: dict[str, Harm] = {
    "clean": clean, "rotated": rotated, "profile": profile, "blurred": blurred, "masked (drawn)": masked,
    "hands": hands, "dark": dark, "small": small, "cut by the edge": cut,
}  # fmt: skip
REAL_MASKS = "masked (real)"


def cases(pictures: list[Picture]) -> Iterator[tuple[str, Case]]:
    """Every case of every subset; the harm depends on the picture and the subset only."""
    for number, picture in enumerate(chosen(pictures)):
        start = base(picture)
        if not len(start.boxes):
            continue
        if "/with_mask" in picture.group:
            yield REAL_MASKS, start
            continue
        for index, (name, harm) in enumerate(SUBSETS.items()):
            case = harm(start, np.random.default_rng((7, number, index)))
            if case is not None and len(case.boxes):
                yield name, case


def chosen(pictures: list[Picture]) -> Iterator[Picture]:
    """All but most of the portraits and of the frames, which are many and easy."""
    seen: Counter[str] = Counter()
    for picture in pictures:
        kind = "portrait" if picture.kind in {"lfw", "london"} else picture.kind
        seen[kind] += 1
        if kind == "portrait" and seen[kind] > PORTRAITS:
            continue
        if kind == "none" or (kind == "talking" and seen[kind] % FRAMES):
            continue
        yield picture


def empty(pictures: list[Picture]) -> Iterator[Image]:
    """Pictures without any face."""
    yield from (base(p).image for p in pictures if p.kind == "none" and not len(p.boxes))
    yield from (texture(np.random.default_rng((11, i)), 320) for i in range(TEXTURES))


def find(detect: Detector, image: Image) -> tuple[Doubles, Doubles]:
    """Boxes and scores at the picture's own size."""
    found = detect(image, long_side_px=max(32, *image.shape[:2]))
    return found.xyxy.astype(np.float64), found.score.astype(np.float64)


def scores(case: Case, boxes: Doubles, score: Doubles) -> Doubles:
    """The score at which each face is found; 0: never."""
    hits = iou(case.boxes, boxes) >= FOUND_IOU
    return np.asarray((hits * score[None]).max(1, initial=0))


def alarms(case: Case, boxes: Doubles, score: Doubles) -> Doubles:
    """Scores of detections that lie on nothing that any teacher took for a face."""
    known = np.concatenate([case.boxes, case.ignore])
    return score[inside(boxes, known).max(1, initial=0) < 0.2]


@dataclass(frozen=True, kw_only=True)
class Measured:
    """The score of every face by subset (0: not found), the scores of all false alarms, and on how many pictures."""

    found: dict[str, Doubles]
    false: Doubles
    pictures: int


def measure(detectors: list[Detector], pictures: list[Picture]) -> list[Measured]:
    """Every detector on the same pixels."""
    found: list[dict[str, list[Doubles]]] = [{} for _ in detectors]
    false: list[list[Doubles]] = [[] for _ in detectors]
    seen = 0
    for name, case in cases(pictures):
        seen += name == "clean"
        for detect, mine, wrong in zip(detectors, found, false, strict=True):
            boxes, score = find(detect, case.image)
            mine.setdefault(name, []).append(scores(case, boxes, score))
            if name == "clean":
                wrong.append(alarms(case, boxes, score))
    for image in empty(pictures):
        seen += 1
        for detect, wrong in zip(detectors, false, strict=True):
            wrong.append(find(detect, image)[1])
    return [
        Measured(
            found={name: np.concatenate(values) for name, values in mine.items()},
            false=np.sort(np.concatenate(wrong))[::-1],
            pictures=seen,
        )
        for mine, wrong in zip(found, false, strict=True)
    ]


def equal_threshold(alarms_here: Doubles, count: int) -> float:
    """The lowest threshold at which there are at most `count` false alarms."""
    return float(np.nextafter(alarms_here[count], 1)) if len(alarms_here) > count else LOWEST


def table(published: Measured, tuned: Measured) -> dict[str, object]:
    """Both at the operating points, and at equally many false alarms as the published one raises there."""
    result: dict[str, object] = {"pictures_for_false_alarms": published.pictures}
    for label, threshold in (("low", OPERATING), ("high", CONFIDENT)):
        count = int((published.false >= threshold).sum())
        equal = equal_threshold(tuned.false, count)
        result[label] = {
            "threshold": threshold,
            "false_alarms_a_picture": {
                "published": count / published.pictures,
                "tuned": float((tuned.false >= threshold).sum()) / tuned.pictures,
            },
            "tuned_threshold_at_equal_false_alarms": equal,
            "recall": {
                name: {
                    "faces": len(theirs),
                    "published": float((theirs >= threshold).mean()),
                    "tuned": float((tuned.found[name] >= threshold).mean()),
                    "tuned_at_equal_false_alarms": float((tuned.found[name] >= equal).mean()),
                }
                for name, theirs in published.found.items()
            },
        }
    return result


def markdown(result: dict[str, object]) -> str:
    """The result as a table to read."""
    lines = []
    for label in ("low", "high"):
        part = result[label]
        assert isinstance(part, dict)
        false = part["false_alarms_a_picture"]
        lines += [
            f"Threshold {part['threshold']}: {false['published']:.3f} false alarms a picture for YuNet-n,"
            f" {false['tuned']:.3f} for ours; equal at {part['tuned_threshold_at_equal_false_alarms']:.3f} of ours.",
            "",
            "| subset | faces | YuNet-n | ours, same threshold | ours, equal false alarms |",
            "|---|---|---|---|---|",
        ]
        for name, row in part["recall"].items():
            numbers = " | ".join(f"{row[k]:.3f}" for k in ("published", "tuned", "tuned_at_equal_false_alarms"))
            lines.append(f"| {name} | {row['faces']} | {numbers} |")
        lines.append("")
    return "\n".join(lines)


def main() -> None:
    """Command line."""
    parser = argparse.ArgumentParser(description="Compare a detector with YuNet-n as published.")
    parser.add_argument("--work", type=Path, required=True, help="folder that training.detector.label wrote")
    parser.add_argument("--published", type=Path, required=True, help="yunet_n.pth, or its export")
    parser.add_argument("--tuned", type=Path, nargs="+", required=True, help="checkpoints, or exports (.onnx: faster)")
    parser.add_argument("--every", type=int, default=1, help="only every n-th picture, for a quick look")
    parser.add_argument("--out", type=Path, required=True, help="folder for recall.json and recall.md")
    arguments = parser.parse_args()
    torch.set_num_threads(1)
    cv2.setNumThreads(1)
    pictures = load_pictures(arguments.work, evaluation=True)[:: arguments.every]
    first, *others = measure([open_detector(path) for path in (arguments.published, *arguments.tuned)], pictures)
    arguments.out.mkdir(parents=True, exist_ok=True)
    results = {path.stem: table(first, other) for path, other in zip(arguments.tuned, others, strict=True)}
    text = "\n".join(f"{name}\n\n{markdown(result)}" for name, result in results.items())
    (arguments.out / "recall.json").write_text(json.dumps(results, indent=1))
    (arguments.out / "recall.md").write_text(text)
    print(text)


def open_detector(path: Path) -> Detector:
    """A checkpoint or an export, as the runtime would run it, with every doubtful answer kept."""
    config = DetectConfig(low_threshold=LOWEST)
    if path.suffix == ".onnx":
        return Detector(OnnxModel(path, kind=KIND, device=Device.CPU, threads=1), config)
    return detector(checkpoint.load_network(path)[0], config)


if __name__ == "__main__":
    main()
