"""What the judges see in one frame before and after."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import numpy as np

from streamfilter.align import ffhq_matrix, transform
from streamfilter.metrics.matching import NOBODY, Seen, match
from streamfilter.structures import Doubles, Floats, Image
from training.evaluation.dlib_faces import DlibFaces
from training.evaluation.frames import Pair
from training.evaluation.mtcnn import Mtcnn
from training.generator.measure import Embedder

CROP_PX = 256
SURE = 0.95  # MTCNN also takes hair and leaves for faces, but seldom with this probability


@dataclass(frozen=True, eq=False)
class Look:
    """A face as it looks in one picture: landmarks (68, 2) in the original's aligned crop, identity of unit length."""

    landmarks: Floats
    identity: Floats


@dataclass(frozen=True, eq=False)
class Face:
    """A face that dlib found in the original; `after` is None where it finds none at that place in the result."""

    seen: Seen
    before: Look
    after: Look | None


@dataclass(frozen=True)
class Count:
    """MTCNN's faces of a frame: how many in the original, how many of these still in the result; all, and the sure."""

    frame: int
    before: int
    kept: int
    sure: int
    sure_kept: int


@dataclass(frozen=True, eq=False)
class Observation:
    """One frame; `mtcnn` is None where it did not look."""

    faces: list[Face]
    mtcnn: Count | None


@dataclass(frozen=True, eq=False)
class Judges:
    """All that look at the pictures."""

    dlib: DlibFaces
    mtcnn: Mtcnn
    recognise: Embedder

    @classmethod
    def load(cls, weights: Path, predictor: Path) -> Judges:
        """From a folder with `detector/mtcnn` and `identity/mfn_insightface_y1.onnx`, and dlib's predictor."""
        # This recogniser takes 0..255 as it is.
        recognise = Embedder(weights / "identity" / "mfn_insightface_y1.onnx", 0.0, 1.0)
        return cls(DlibFaces(predictor), Mtcnn(weights / "detector" / "mtcnn"), recognise)


def observe(judges: Judges, pair: Pair, *, with_mtcnn: bool) -> Observation:
    """Let every judge look at one frame."""
    before, after = judges.dlib.boxes(pair.before), judges.dlib.boxes(pair.after)
    faces = [
        _face(judges, pair, box, None if partner == NOBODY else after[partner])
        for box, partner in zip(before, match(before, after), strict=True)
    ]
    return Observation(faces, _count(judges.mtcnn, pair) if with_mtcnn else None)


def _face(judges: Judges, pair: Pair, box: Doubles, partner: Doubles | None) -> Face:
    points = judges.dlib.landmarks(pair.before, box)
    to_crop = ffhq_matrix(points, CROP_PX)
    before = _look(judges.recognise, pair.before, points, to_crop)
    after = None
    if partner is not None:
        after = _look(judges.recognise, pair.after, judges.dlib.landmarks(pair.after, partner), to_crop)
    return Face(Seen(pair.frame, pair.shot, box), before, after)


def _look(recognise: Embedder, image: Image, points: Floats, to_crop: Floats) -> Look:
    return Look(transform(points, to_crop), recognise(image, points))


def _count(mtcnn: Mtcnn, pair: Pair) -> Count:
    return count(pair.frame, mtcnn(pair.before), mtcnn(pair.after))


def count(frame: int, before: Doubles, after: Doubles) -> Count:
    """Compare boxes with probability, (n, 5), of the original and of the result."""
    kept = np.array(match(before[:, :4], after[:, :4]), int) != NOBODY
    sure = before[:, 4] >= SURE
    return Count(frame, len(before), int(kept.sum()), int(sure.sum()), int((kept & sure).sum()))
