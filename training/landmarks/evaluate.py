"""Measure a landmark model against dlib's predictor, on people and clips that training never saw, beside PFLD.

    python -m training.landmarks.evaluate MODEL.onnx --pack PACK_A --pack PACK_B --clips DATA/videos --weights DIR
        --predictor FILE.dat --out results

Writes `results.md` and `results.json`. Errors are NME: mean distance over the distance of the eyes' outer corners.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from itertools import pairwise
from pathlib import Path
from typing import Any

import click
import cv2
import numpy as np

from streamfilter.config import Device
from streamfilter.landmarks import Landmarker, cut, to_unit
from streamfilter.smooth import CausalSmoother
from streamfilter.structures import Floats, Image, Track
from training.landmarks.augment import occlude
from training.landmarks.data import CLIPS, HELD_OUT_CLIPS, Finder, Second, frames
from training.landmarks.losses import LIDS, LIPS, USABLE_ERROR
from training.landmarks.teacher import MARGIN, Teacher, error, eye_distance, quad_of_landmarks, to_store
from training.landmarks.train import opening

Random = np.random.Generator
Degrade = Callable[[Image, Floats, Random], Image]
EYES, MOUTH = [*range(36, 48)], [*range(48, 68)]


def blurred(image: Image, points: Floats, random: Random) -> Image:
    """Out of focus."""
    return np.asarray(cv2.GaussianBlur(image, (0, 0), 2.5), np.uint8)


def dark(image: Image, points: Floats, random: Random) -> Image:
    """A fifth of the light, and the noise that comes with it."""
    return np.clip(image * 0.2 + random.normal(size=image.shape) * 4, 0, 255).astype(np.uint8)


def small(image: Image, points: Floats, random: Random) -> Image:
    """A crop of 28 px: a face of about 20 px."""
    tiny = cv2.resize(image, (42, 42), interpolation=cv2.INTER_AREA)
    return np.asarray(cv2.resize(tiny, image.shape[:2], interpolation=cv2.INTER_LINEAR), np.uint8)


def occluded(image: Image, points: Floats, random: Random) -> Image:
    """A mask, a stick, a blob or a border over part of the face."""
    return occlude(image, (points + (MARGIN - 1) / 2) / MARGIN, random)


def as_is(image: Image, points: Floats, random: Random) -> Image:
    """No change."""
    return image


CONDITIONS: dict[str, tuple[Degrade, float]] = {
    "clean": (as_is, 0.0),
    "blurred": (blurred, 0.0),
    "dark": (dark, 0.0),
    "occluded": (occluded, 0.0),
    "small": (small, 0.0),
    "rotated 30": (as_is, 30.0),
}


@dataclass(frozen=True, eq=False, slots=True)
class Held:
    """The held-out part of the packs."""

    crops: list[Image]
    points: Floats
    is_face: np.ndarray[tuple[int, ...], np.dtype[np.bool_]]

    @classmethod
    def read(cls, folders: Sequence[Path], most: int) -> Held:
        """Read up to `most` samples, evenly spread."""
        crops, points, faces = [], [], []
        for folder in folders:
            rows = np.flatnonzero(np.load(folder / "held_out.npy"))
            stored = np.load(folder / "crops.npy", mmap_mode="r")
            crops += [np.array(stored[row]) for row in rows]
            points.append(np.load(folder / "points.npy")[rows])
            faces.append(np.load(folder / "is_face.npy")[rows])
        keep = np.arange(len(crops))[:: max(len(crops) // most, 1)]
        return cls([crops[i] for i in keep], np.concatenate(points)[keep], np.concatenate(faces)[keep])


def jittered(points: Floats, degrees: float, random: Random) -> Floats:
    """The crop that a detector's points would give: a little off, and turned."""
    quad = quad_of_landmarks(points)
    angle = np.deg2rad(degrees * random.choice([-1, 1]) + random.normal() * 3)
    scale = np.exp(random.normal() * 0.05)
    turn = np.array([[np.cos(angle), np.sin(angle)], [-np.sin(angle), np.cos(angle)]]) * scale
    axes = quad[1:] @ turn
    middle = quad[0] + quad[1:].sum(0) / 2 + random.normal(size=2) * 0.02 * np.hypot(*quad[1])
    return np.concatenate([(middle - axes.sum(0) / 2)[None], axes]).astype(np.float32)


def on_photos(landmarker: Landmarker, second: Second, held: Held) -> tuple[dict[str, Any], Floats, Floats]:
    """Error per condition, ours and PFLD's; and confidence with truth for the calibration."""
    table, confidences, errors = {}, [], []
    for name, (degrade, degrees) in CONDITIONS.items():
        random = np.random.default_rng(5)
        ours, theirs, eyes, mouth = [], [], [], []
        for crop, points, is_face in zip(held.crops, held.points, held.is_face, strict=True):
            quad = jittered(points, degrees, random) if is_face else np.array([[0, 0], [1, 0], [0, 1]], np.float32)
            image, stored = degrade(crop, points, random), to_store(quad, crop.shape[0])
            got, confidence = predict(landmarker, cut(image, stored, landmarker.size))
            truth = to_unit(points, quad)
            confidences.append(confidence)
            errors.append(float(error(got, truth)) if is_face else np.inf)
            if is_face:
                ours.append(errors[-1])
                theirs.append(float(error(second(image, stored), truth)))
                eyes.append(part_error(got, truth, EYES))
                mouth.append(part_error(got, truth, MOUTH))
        table[name] = {
            "ours": percent(ours), "ours median": percent(ours, np.median), "PFLD": percent(theirs),
            "ours eyes": percent(eyes), "ours mouth": percent(mouth), "faces": len(ours),
        }  # fmt: skip
    return table, np.array(confidences, np.float32), np.array(errors, np.float32)


def predict(landmarker: Landmarker, crop: Image) -> tuple[Floats, float]:
    """Run one crop; points in units of the crop."""
    outputs = landmarker.model(image=np.ascontiguousarray(crop.transpose(2, 0, 1)[None], np.float32))
    return np.asarray(outputs["landmarks"][0], np.float32), float(outputs["confidence"][0])


def part_error(points: Floats, truth: Floats, part: list[int]) -> float:
    """Error of some points over the inter-ocular distance."""
    return float(np.hypot(*(points[part] - truth[part]).T).mean() / eye_distance(truth))


def percent(values: Sequence[float], how: Callable[[Sequence[float]], Any] = np.mean) -> float:
    """A share as a rounded percentage."""
    return round(100 * float(how(values)), 2)


def calibration(confidence: Floats, errors: Floats) -> dict[str, Any]:
    """Whether `confidence` is the probability of an error under 8 %, and whether it tells good from bad."""
    good = errors < USABLE_ERROR
    edges = np.linspace(0, 1, 11)
    bins = [(confidence >= low) & (confidence < high + (high == 1)) for low, high in pairwise(edges)]
    rows = [
        {"from": round(float(low), 1), "n": int(chosen.sum()), "said": round(float(confidence[chosen].mean()), 3),
         "true": round(float(good[chosen].mean()), 3)}
        for low, chosen in zip(edges, bins, strict=False) if chosen.any()
    ]  # fmt: skip
    gap = sum(row["n"] * abs(row["said"] - row["true"]) for row in rows) / len(confidence)
    order = confidence.argsort().argsort() + 1.0
    n_good, n_bad = int(good.sum()), int((~good).sum())
    area = (order[good].sum() - n_good * (n_good + 1) / 2) / max(n_good * n_bad, 1)
    nothing = np.isinf(errors)
    return {
        "bins": rows, "mean gap": round(float(gap), 4), "area under ROC": round(float(area), 4),
        "faces at confidence >= .5": round(float((confidence[~nothing] >= 0.5).mean()), 4),
        "non-faces at confidence >= .5": round(float((confidence[nothing] >= 0.5).mean()), 4),
        "error where confidence >= .5, %": percent(errors[(confidence >= 0.5) & ~nothing]),
    }  # fmt: skip


def on_clip(path: Path, most: int, *, landmarker: Landmarker, finder: Finder, teacher: Teacher, second: Second) -> Any:
    """Follow the largest face of a clip; None if it has too few that the teacher knows."""
    smoother, rows = CausalSmoother(), []
    for index, frame in enumerate(first_frames(path, most)):
        tracks = finder(frame)
        if not tracks:
            continue
        track = max(tracks, key=lambda t: float(t.xyxy[3] - t.xyxy[1]))
        row = follow(frame, track, landmarker, teacher, second)
        if row is not None:
            rows.append((*row, smoother.update(0, row[1], index / 30)))
    if len(rows) < 20:
        return None
    truth, ours, pfld, smooth = (np.stack(column) for column in zip(*rows, strict=True))
    return {
        "frames": len(rows), "ours": percent(error(ours, truth)), "PFLD": percent(error(pfld, truth)),
        "eye r": correlation(truth, ours, LIDS), "mouth r": correlation(truth, ours, LIPS),
        "eye r PFLD": correlation(truth, pfld, LIDS), "mouth r PFLD": correlation(truth, pfld, LIPS),
        "jitter ours": jitter(ours), "jitter smoothed": jitter(smooth), "jitter PFLD": jitter(pfld),
        "jitter dlib": jitter(truth), "eye spread": round(float(opening(truth, LIDS).std()), 4),
    }  # fmt: skip


def follow(
    frame: Image, track: Track, landmarker: Landmarker, teacher: Teacher, second: Second
) -> tuple[Floats, Floats, Floats] | None:
    """Landmarks of the teacher, ours and PFLD in frame pixels; None where the teacher is not sure."""
    quad = landmarker.template.quad(track)
    if quad is None:
        return None
    label = teacher(frame, quad)
    if not label.found or label.spread > 0.04:
        return None
    ours = landmarker(frame, [track])[0].landmarks
    assert ours is not None
    return quad[0] + label.points @ quad[1:], ours, quad[0] + second(frame, quad) @ quad[1:]


def first_frames(path: Path, most: int) -> list[Image]:
    """The first frames of a clip, long side at most 960 px."""
    found = []
    for frame in frames(path, 10**9):
        shrink = min(960 / max(frame.shape[:2]), 1.0)
        found.append(np.asarray(cv2.resize(frame, None, fx=shrink, fy=shrink, interpolation=cv2.INTER_AREA), np.uint8))
        if len(found) == most:
            break
    return found


def correlation(truth: Floats, points: Floats, pairs: Sequence[tuple[int, int]]) -> float:
    """How well an opening follows the teacher's over a clip."""
    return round(float(np.corrcoef(opening(truth, pairs), opening(points, pairs))[0, 1]), 3)


def jitter(points: Floats) -> float:
    """Second difference over time, % of the eyes' distance: what trembles, not what moves."""
    second = points[2:] - 2 * points[1:-1] + points[:-2]
    return percent(np.hypot(*np.moveaxis(second, -1, 0)).mean(axis=1) / eye_distance(points[1:-1]), np.median)


def markdown(results: dict[str, Any]) -> str:
    """The same as tables."""
    lines = ["## Held-out photos and frames, NME % against dlib", "", *_table(results["photos"])]
    lines += ["", "## Held-out clips", "", *_table(results["clips"]), ""]
    lines += [f"Mean over clips: {json.dumps(results['clips mean'])}", "", "## Confidence", ""]
    lines += [f"- {name}: {value}" for name, value in results["confidence"].items() if name != "bins"]
    lines += ["", *_table({f"{row['from']}": row for row in results["confidence"]["bins"]})]
    return "\n".join(lines) + "\n"


def _table(rows: dict[str, dict[str, Any]]) -> list[str]:
    columns = list(next(iter(rows.values()), {}))
    body = [f"| {name} | " + " | ".join(str(row[c]) for c in columns) + " |" for name, row in rows.items()]
    return ["| | " + " | ".join(columns) + " |", "|---" * (len(columns) + 1) + "|", *body]


def mean_over(clips: dict[str, dict[str, Any]]) -> dict[str, float]:
    """Plain mean of each column."""
    columns = next(iter(clips.values()), {})
    return {name: round(float(np.mean([clip[name] for clip in clips.values()])), 3) for name in columns}


@click.command()
@click.argument("model", type=click.Path(path_type=Path, exists=True))
@click.option("--pack", "packs", type=click.Path(path_type=Path, exists=True), multiple=True, required=True)
@click.option("--clips", type=click.Path(path_type=Path, exists=True), required=True)
@click.option("--weights", type=click.Path(path_type=Path, exists=True), required=True)
@click.option("--predictor", type=click.Path(path_type=Path, exists=True), required=True)
@click.option("--out", type=click.Path(path_type=Path), required=True, help="Folder for results.md and results.json.")
@click.option("--photos", default=400, show_default=True, help="Held-out samples per condition.")
@click.option("--frames", "most", default=120, show_default=True, help="Frames per clip.")
def main(
    *,
    model: Path,
    packs: tuple[Path, ...],
    clips: Path,
    weights: Path,
    predictor: Path,
    out: Path,
    photos: int,
    most: int,
) -> None:
    """Measure MODEL."""
    cv2.setNumThreads(1)
    landmarker = Landmarker.load(model, device=Device.CPU, threads=1)
    second = Second(weights / "landmark" / "pfld68_cunjian.onnx")
    finder, teacher = Finder(weights / "detector" / "yunet_n_dynamic.onnx"), Teacher(predictor)
    table, confidence, errors = on_photos(landmarker, second, Held.read(packs, photos))
    found = {}
    for path in sorted(p for p in clips.rglob("*") if p.suffix in CLIPS and p.stem in HELD_OUT_CLIPS):
        clip = on_clip(path, most, landmarker=landmarker, finder=finder, teacher=teacher, second=second)
        if clip is not None:
            found[path.stem] = clip
            click.echo(f"{path.stem}: {clip}")
    results = {
        "photos": table, "clips": found, "clips mean": mean_over(found), "confidence": calibration(confidence, errors),
    }  # fmt: skip
    out.mkdir(parents=True, exist_ok=True)
    (out / "results.json").write_text(json.dumps(results, indent=1))
    (out / "results.md").write_text(markdown(results))
    click.echo(markdown(results))


if __name__ == "__main__":
    main()
