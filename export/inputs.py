"""What models are compared on: drawn inputs, and real ones made as the runtime makes them."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from pathlib import Path

import click
import cv2
import numpy as np
import torch
from torch import Tensor

from streamfilter import align
from streamfilter.config import Device
from streamfilter.detect import Detector
from streamfilter.landmarks import Landmarker
from streamfilter.probe import landmarks as frontal
from streamfilter.structures import Floats, Image, Track
from training.generator.networks import seeded_z
from training.prepare.pack import Pack

Inputs = dict[str, Tensor]
Identify = Callable[[Tensor], Tensor]
SUFFIXES = (".jpg", ".jpeg", ".png", ".webp", ".bmp")
SAMPLE = Path(__file__).parents[1] / "samples" / "two_people.mp4"
SIDE = 256  # of the crops that real inputs are made from


def drawn_inputs(identify: Identify, side: int, count: int) -> Inputs:
    """Noise around a drawn face that is moved and stretched at random; the same for the same `count`."""
    rng = np.random.default_rng(count)
    moved = frontal(1.0) + rng.normal(0, 0.02, (count, 1, 2)) + rng.normal(0, 0.008, (count, 68, 2))
    noise = rng.uniform(-1, 1, (count, 3, 8, 8)).astype(np.float32)
    surroundings = torch.nn.functional.interpolate(torch.from_numpy(noise), size=(side, side), mode="bilinear")
    return {
        "surroundings": surroundings.clamp(-1, 1),
        "pose": poses(moved.astype(np.float32), side),
        "landmarks": torch.from_numpy(moved.astype(np.float32)),
        "identity": identities(identify, count),
    }


def real_inputs(faces: Sequence[tuple[Image, Floats]], identify: Identify, side: int) -> Inputs:
    """Inputs from aligned crops and their landmarks in [0, 1], as the runtime makes them."""
    landmarks = np.stack([points for _, points in faces])
    crops = [cv2.resize(image, (side, side), interpolation=cv2.INTER_AREA) for image, _ in faces]
    removed = [align.remove_face(crop, points * side - 0.5) for crop, points in zip(crops, landmarks, strict=True)]
    pictures = np.ascontiguousarray(np.stack(removed).transpose(0, 3, 1, 2), np.float32) / 127.5 - 1
    return {
        "surroundings": torch.from_numpy(pictures),
        "pose": poses(landmarks, side),
        "landmarks": torch.from_numpy(landmarks),
        "identity": identities(identify, len(faces)),
    }


def poses(landmarks: Floats, side: int) -> Tensor:
    """Pose images (N, 1, side, side) of landmarks in [0, 1]."""
    return torch.from_numpy(np.stack([align.pose_image(p * side - 0.5, side) for p in landmarks])[:, None])


def identities(identify: Identify, count: int) -> Tensor:
    """Identity latents (N, n_styles, 512)."""
    with torch.no_grad():
        return identify(seeded_z(count, 3)).contiguous()


def faces_of_clip(path: Path, most: int) -> list[tuple[Image, Floats]]:
    """Aligned crops (256 px) and their landmarks in [0, 1], from frames of a clip, evenly over it."""
    clip, look, faces = cv2.VideoCapture(str(path)), _Looker(), []
    for index in np.linspace(0, clip.get(cv2.CAP_PROP_FRAME_COUNT) - 1, most).astype(int):
        clip.set(cv2.CAP_PROP_POS_FRAMES, int(index))
        there, picture = clip.read()
        if there and (face := look(cv2.cvtColor(picture, cv2.COLOR_BGR2RGB))):
            faces.append(face)
    clip.release()
    return faces


def faces_in(folder: Path | None, most: int) -> list[tuple[Image, Floats]]:
    """Aligned crops (256 px) and their landmarks in [0, 1], from a pack or from a folder of photos.

    Without a folder, from the sample clip of the project.

    Raises:
        click.ClickException: there is no face to be found.
    """
    if folder is None:
        return faces_of_clip(SAMPLE, most)
    found = _from_pack(folder, most) if any(folder.glob("part_*.npz")) else _from_photos(folder, most)
    if not found:
        raise click.ClickException(f"{folder}: no face found; it must be a pack or hold photos ({' '.join(SUFFIXES)})")
    return found


def _from_pack(folder: Path, most: int) -> list[tuple[Image, Floats]]:
    pack = Pack([folder])
    chosen = np.linspace(0, len(pack) - 1, min(most, len(pack))).astype(int)
    return [(pack.image(int(i), SIDE), pack.landmarks[i]) for i in chosen]


def _from_photos(folder: Path, most: int) -> list[tuple[Image, Floats]]:
    look = _Looker()
    faces = []
    for path in sorted(p for p in folder.rglob("*") if p.suffix.lower() in SUFFIXES):
        picture = cv2.imread(str(path), cv2.IMREAD_COLOR)
        if picture is not None and (face := look(cv2.cvtColor(picture, cv2.COLOR_BGR2RGB))):
            faces.append(face)
        if len(faces) == most:
            break
    return faces


class _Looker:
    """The shipped detector and landmark network on one picture: the aligned face of the best detection, or None."""

    def __init__(self) -> None:
        self._detect = Detector.load(device=Device.CPU, threads=1)
        self._landmarks = Landmarker.load(device=Device.CPU, threads=1)

    def __call__(self, image: Image) -> tuple[Image, Floats] | None:
        found = self._detect(image)
        if not len(found):
            return None
        [track] = self._landmarks(image, [Track(1, found.xyxy[0], points=found.landmarks[0])])
        if track.landmarks is None or track.confidence < 0.5:
            return None
        matrix = align.ffhq_matrix(track.landmarks, SIDE)
        points = (align.transform(track.landmarks, matrix) + 0.5) / SIDE
        return align.crop(image, matrix, SIDE), points.astype(np.float32)
