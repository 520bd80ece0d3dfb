"""Measures what no loss has seen: another recogniser, other detectors, another side of the picture."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch
from torch import Tensor

from streamfilter.metrics import over_time, pose
from streamfilter.structures import Doubles, Floats, Image
from training.ablation.shifts import Bench, Scene
from training.evaluation.dlib_faces import DlibFaces
from training.evaluation.mtcnn import Mtcnn, MtcnnConfig
from training.evaluation.portrait import LEAST_FACE_PX, RECOGNISER_FILE, at_place, extent, find
from training.generator.measure import Embedder
from training.objective import fuse

Seen = dict[str, Doubles]


@dataclass(frozen=True, kw_only=True, eq=False)
class Witnesses:
    """Networks that take part in no loss.

    Attributes:
        recognise: Picture (S, S, 3) RGB and landmarks (68, 2) in its pixels -> identity (d,) of unit length.
        detect: Picture -> boxes with probability (n, 5), or None.
        dlib: Or None.
    """

    recognise: Callable[[Image, Floats], Floats]
    detect: Callable[[Image], Doubles] | None = None
    dlib: DlibFaces | None = None

    @classmethod
    def load(cls, weights: Path, predictor: Path | None) -> Witnesses:
        """The recogniser y1 and MTCNN from the folder of weights; dlib where its predictor is given."""
        mtcnn = weights / "detector" / "mtcnn"
        return cls(
            recognise=Embedder(weights / RECOGNISER_FILE, 0.0, 1.0),  # takes 0..255 as it is
            detect=Mtcnn(mtcnn, MtcnnConfig(min_face_px=LEAST_FACE_PX)) if mtcnn.is_dir() else None,
            dlib=DlibFaces(predictor) if predictor else None,
        )


class Measurer:
    """Looks at shifted faces at `side` px, fused into their pictures.

    Args:
        bench: Paints them.
        witnesses: Who looks.
        near: (68, 2) in [0, 1], about where the landmarks of an aligned face are.
        side: Rung of the decoder.
    """

    def __init__(self, bench: Bench, witnesses: Witnesses, near: Tensor, side: int) -> None:
        self._bench, self._witnesses, self._near, self._side = bench, witnesses, near, side
        self._references: dict[int, tuple[Floats, Floats]] = {}

    @torch.no_grad()
    def __call__(self, scene: Scene, shift: Tensor) -> tuple[Seen, list[Image]]:
        """Per face what the witnesses say of it; and the faces as painted, RGB."""
        face = self._paint(self._bench.move(scene.steered, shift).latent)
        pictures = images(fuse(face, scene.sharp))
        found = self._find(fuse(face, scene.sharp), scene.steered.wanted)
        own, filmed = self._known(scene)
        wanted, original = (self._pixels(points) for points in (scene.steered.wanted, scene.sharp.landmarks))
        return {
            "who": self._who(pictures, found), "own": own, "filmed": filmed,
            "person": np.array(scene.people), "follows": scene.batch.follows.cpu().numpy(),
            "found": found, "wanted": wanted, "original": original, **self._others(pictures, original),
        }, images(face)  # fmt: skip

    def _known(self, scene: Scene) -> tuple[Floats, Floats]:
        """Identities (N, d) of the unsteered people and of those filmed: the same for every variant."""
        if id(scene) not in self._references:
            face = self._paint(scene.batch.identity)
            near = self._near.expand(len(face), -1, -1)
            first = torch.from_numpy(self._find(face, near) + 0.5).to(near) / self._side
            own = self._who(images(face), self._find(face, first))
            filmed = self._who(images(scene.sharp.original), self._pixels(scene.sharp.landmarks))
            self._references[id(scene)] = own, filmed
        return self._references[id(scene)]

    def _paint(self, latent: Tensor) -> Tensor:
        with self._bench.trainer.autocast():
            return self._bench.trainer.frozen.decoder.paint(latent, self._side).float()

    def _find(self, pictures: Tensor, near: Tensor) -> Floats:
        return self._pixels(self._bench.trainer.frozen.judges.landmarks(pictures, near))

    def _pixels(self, points: Tensor) -> Floats:
        return np.asarray(points.float().cpu().numpy() * self._side - 0.5, np.float32)

    def _who(self, pictures: list[Image], landmarks: Floats) -> Floats:
        return np.stack([self._witnesses.recognise(*pair) for pair in zip(pictures, landmarks, strict=True)])

    def _others(self, pictures: list[Image], places: Floats) -> Seen:
        """MTCNN's probability of the face, and dlib's landmarks (NaN where it finds none)."""
        seen: Seen = {}
        if self._witnesses.detect:
            boxes = [at_place(self._witnesses.detect(p), extent(at)) for p, at in zip(pictures, places, strict=True)]
            seen["mtcnn"] = np.array([0.0 if box is None else box[4] for box in boxes])
        if self._witnesses.dlib:
            seen["dlib"] = np.stack([self._dlib(p, at) for p, at in zip(pictures, places, strict=True)])
        return seen

    def _dlib(self, picture: Image, place: Floats) -> Floats:
        box = find(self._witnesses.dlib, picture, extent(place))
        return np.full((68, 2), np.nan, np.float32) if box is None else self._witnesses.dlib.landmarks(picture, box)


def images(pictures: Tensor) -> list[Image]:
    """Pictures (N, 3, S, S) in [-1, 1] -> N of (S, S, 3) uint8."""
    levels = ((pictures.float().clamp(-1, 1) + 1) * 127.5).round().byte().permute(0, 2, 3, 1).cpu().numpy()
    return [np.ascontiguousarray(level) for level in levels]


def joined(parts: list[Seen]) -> Seen:
    """What was seen in several scenes, one after the other."""
    return {name: np.concatenate([part[name] for part in parts]) for name in parts[0]}


def per_face(seen: Seen, side: int) -> dict[str, Doubles]:
    """Numbers that can be averaged, one per face, per pair, or per pair of faces' person.

    `poses`: cosine of two results of one person that are not neighbouring frames; `others`: mean cosine to the results
    of other people. Lengths in pixels of 256.
    """
    who, scale = seen["who"].astype(np.float64), 256 / side
    alike, different = who @ who.T, seen["person"][:, None] != seen["person"][None]
    numbers = {
        "own": (who * seen["own"]).sum(1),
        "poses": alike[::2, 1::2].diagonal()[~seen["follows"][1::2]],
        "others": (alike * different).sum(1) / np.maximum(different.sum(1), 1),
        "filmed": (who * seen["filmed"]).sum(1),
        "px": pose.distances(seen["wanted"], seen["found"]).mean(1) * scale,
    }
    if "mtcnn" in seen:
        numbers["mtcnn"] = seen["mtcnn"].astype(np.float64)
    if "dlib" in seen:
        numbers["dlib_px"] = pose.distances(seen["original"], seen["dlib"]).mean(1) * scale
    return numbers


def correlations(seen: Seen, side: int) -> dict[str, float | None]:
    """Of how far eyes and mouth are open, over the faces: as wanted and as our network, or dlib, finds them."""
    found = {"": seen["found"]} | ({"dlib_": seen["dlib"]} if "dlib" in seen else {})
    numbers: dict[str, float | None] = {}
    for prefix, landmarks in found.items():
        known = np.isfinite(landmarks).all((1, 2))
        series = [pose.openings(points[known], side) for points in (seen["original"], landmarks)]
        a, b = (one - one.mean(0) if len(one) else one for one in series)
        numbers |= {
            f"{prefix}{name}": over_time.correlation(a[:, k], b[:, k]) for k, name in enumerate(("eyes", "mouth"))
        }
    return numbers
