"""What the judges see in one aligned picture of one face: the arrays that every table is made of."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from streamfilter.metrics.boxes import iou
from streamfilter.metrics.matching import SAME_PLACE
from streamfilter.metrics.ssim import ssim
from streamfilter.structures import Doubles, Floats, Image
from training.evaluation.dlib_faces import DlibFaces
from training.evaluation.features import Extractor, load_extractor
from training.evaluation.headpose import HeadPose
from training.evaluation.mtcnn import Mtcnn, MtcnnConfig
from training.evaluation.photos import Photo
from training.generator.measure import Embedder

VERSION = 1
"""Goes up when a measurement changes, so that nothing measured otherwise is taken from a cache."""

LEAST_FACE_PX = 40  # of MTCNN: in an aligned crop of 256 px the face is some 130 px wide
RECOGNISER_FILE = Path("identity/mfn_insightface_y1.onnx")

Seen = dict[str, NDArray[Any]]


@dataclass(frozen=True, eq=False)
class PortraitJudges:
    """All that look at an aligned picture."""

    dlib: DlibFaces
    mtcnn: Mtcnn
    recognise: Embedder
    head_pose: HeadPose
    features: Extractor

    @classmethod
    def load(cls, weights: Path, predictor: Path, inception: Path | None = None) -> PortraitJudges:
        """From a folder with `detector/mtcnn`, `identity`, `utility` and `perceptual`, and dlib's predictor."""
        return cls(
            dlib=DlibFaces(predictor),
            mtcnn=Mtcnn(weights / "detector" / "mtcnn", MtcnnConfig(min_face_px=LEAST_FACE_PX)),
            # This recogniser takes 0..255 as it is.
            recognise=Embedder(weights / RECOGNISER_FILE, 0.0, 1.0),
            head_pose=HeadPose(weights),
            features=load_extractor(weights, inception),
        )


def look(judges: PortraitJudges, photo: Photo, image: Image) -> Seen:
    """Let every judge look at a result of a photo.

    Returns:
        `landmarks` (68, 2) by dlib in crop pixels, NaN where its detector finds no face at the photo's; `mtcnn`, the
        probability of the face there, NaN where there is none; `identity` (d,) of unit length, aligned by the result's
        own landmarks, or by the photo's where dlib finds none; `ssim` with the photo; `head` (3, 3), looked at where
        the photo's landmarks lie; `features` (d,) of the whole picture.
    """
    place = extent(photo.landmarks)
    found = find(judges.dlib, image, place)
    landmarks = np.full((68, 2), np.nan, np.float32) if found is None else judges.dlib.landmarks(image, found)
    return {
        "landmarks": landmarks,
        "mtcnn": np.array(_probability(judges.mtcnn(image), place), np.float32),
        "identity": identify(judges.recognise, photo, image, landmarks),
        "ssim": np.array(ssim(photo.image, image), np.float32),
        "head": np.array(judges.head_pose(image, photo.landmarks), np.float32),
        "features": np.array(judges.features(image), np.float32),
    }


def identify(recognise: Embedder, photo: Photo, image: Image, landmarks: Floats) -> Floats:
    """Identity of unit length; the photo's landmarks serve where the result has none."""
    return recognise(image, photo.landmarks if np.isnan(landmarks).any() else landmarks)


def find(dlib: DlibFaces, image: Image, place: Doubles) -> Doubles | None:
    """dlib's box (4,) at `place`: at the picture's own size, or else enlarged twice."""
    for doubled in (False, True):
        box = at_place(dlib.boxes(image, doubled=doubled), place)
        if box is not None:
            return box
    return None


def at_place(boxes: Doubles, place: Doubles) -> Doubles | None:
    """Of boxes (n, 4 or more) the one that overlaps `place` (4,) most, if by enough."""
    if not len(boxes):
        return None
    overlap = iou(boxes[:, :4], place[None])[:, 0]
    best = int(overlap.argmax())
    return boxes[best] if overlap[best] >= SAME_PLACE else None


def extent(landmarks: Floats) -> Doubles:
    """The box (x0, y0, x1, y1) around landmarks (68, 2)."""
    return np.concatenate([landmarks.min(0), landmarks.max(0)]).astype(np.float64)


def _probability(boxes: Doubles, place: Doubles) -> float:
    box = at_place(boxes, place)
    return float("nan") if box is None else float(box[4])
