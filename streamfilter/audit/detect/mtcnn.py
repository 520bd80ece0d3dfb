"""MTCNN (Zhang et al., 2016) as a judge: proposals over a pyramid, then two networks that look closer."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Final

import numpy as np

from streamfilter.audit.detect import looking
from streamfilter.audit.detect.windows import as_batch, corrected, cut, pyramid_scales, resized, squared, windows
from streamfilter.metrics.matching import suppress
from streamfilter.model_store.store import Store
from streamfilter.onnx_model import ForeignModel
from streamfilter.structures import Doubles, Floats, Image

FILES: Final = ("mtcnn_pnet.onnx", "mtcnn_rnet.onnx", "mtcnn_onet.onnx")
CLOSER, CLOSEST = 24, 48  # input sizes of the second and the third network
NEAR_FACE_PX: Final = 40  # of `near`, whose crop shows the face 100 px wide

# A batch (n, H, W, 3) of RGB in [-1, 1] -> probability of a face (n, ...) and corrections of the box's edges, in parts
# of its sides (n, 4, ...).
Stage = Callable[[Floats], tuple[Floats, Floats]]


@dataclass(frozen=True, kw_only=True)
class MtcnnConfig:
    """The published thresholds; a picture is first reduced to `long_side_px`."""

    long_side_px: int = 640
    min_face_px: int = 24
    pyramid: float = 0.709
    thresholds: tuple[float, float, float] = (0.6, 0.7, 0.7)
    overlap: float = 0.7
    batch: int = 256


class Mtcnn:
    """Finds faces in RGB pictures.

    Args:
        stages: The three networks: proposal, refinement, output.
        config: Thresholds and sizes.
    """

    def __init__(self, stages: tuple[Stage, Stage, Stage], config: MtcnnConfig | None = None) -> None:
        self.config = config or MtcnnConfig()
        self._propose, self._refine, self._judge = stages

    @classmethod
    def load(cls, store: Store, *, threads: int = 1, config: MtcnnConfig | None = None) -> Mtcnn:
        """From the pulled models; raises ModelError where a file is missing or damaged."""
        first, second, third = (ForeignModel(store.path(name), name=name, threads=threads) for name in FILES)
        return cls((_columns_first(first), _columns_first(second), _columns_first(third)), config)

    def __call__(self, image: Image) -> Doubles:
        """Boxes (n, 5: xyxy and probability) in pixels of the picture, best first."""
        factor = min(1.0, self.config.long_side_px / max(image.shape[:2]))
        small = resized(image, factor)
        boxes = self._look_closer(self._proposals(small, self.config.min_face_px), small)
        boxes[:, :4] /= factor
        return boxes

    def near(self, image: Image, box: Doubles) -> bool:
        """Whether there is a face at this box (4,): all three networks, on its surroundings only."""
        crop, place = looking.surroundings(image, box)
        return looking.is_there(self._look_closer(self._proposals(crop, NEAR_FACE_PX), crop), place)

    def confirmed(self, image: Image, boxes: Doubles) -> Doubles:
        """How probable a face is at each of these boxes (n, 4), by the second and third network alone: (n,).

        A box counts with the best of three sizes, since detectors differ in how much of a head they take in.
        """
        tries = squared(np.concatenate([_grown(boxes[:, :4], factor) for factor in (0.85, 1.0, 1.2)]))
        seen = self._answers(self._refine, image, tries, CLOSER)
        likely = np.flatnonzero(seen[:, 4] >= self.config.thresholds[1])
        probability = np.zeros(len(tries))
        probability[likely] = self._answers(self._judge, image, squared(seen[likely]), CLOSEST)[:, 4]
        return np.asarray(probability.reshape(3, -1).max(0))

    def _look_closer(self, boxes: Doubles, image: Image) -> Doubles:
        config = self.config
        boxes = self._again(self._refine, image, boxes, CLOSER, config.thresholds[1])
        boxes = squared(boxes[suppress(boxes, config.overlap)])
        boxes = self._again(self._judge, image, boxes, CLOSEST, config.thresholds[2])
        return boxes[suppress(boxes, config.overlap, by_smaller=True)]

    def _proposals(self, image: Image, min_face_px: int) -> Doubles:
        """Squares where there may be a face, from every step of the pyramid."""
        found = [np.zeros((0, 5))]
        for scale in pyramid_scales(min(image.shape[:2]), min_face_px, self.config.pyramid):
            faces, corrections = self._propose(as_batch([resized(image, scale)]))
            boxes = windows(faces[0], corrections[0], scale, self.config.thresholds[0])
            found.append(boxes[suppress(boxes, 0.5)])
        boxes = np.concatenate(found)
        return squared(boxes[suppress(boxes, self.config.overlap)])

    def _again(self, stage: Stage, image: Image, boxes: Doubles, size: int, threshold: float) -> Doubles:
        """The boxes that a closer look confirms, with its probabilities and corrections."""
        checked = self._answers(stage, image, boxes, size)
        return checked[checked[:, 4] >= threshold]

    def _answers(self, stage: Stage, image: Image, boxes: Doubles, size: int) -> Doubles:
        """All boxes (n, 5) with the probabilities and corrections of a closer look."""
        answers = [np.zeros((0, 5))]
        for start in range(0, len(boxes), self.config.batch):
            some = boxes[start : start + self.config.batch]
            faces, corrections = stage(as_batch([cut(image, box, size) for box in some]))
            answers.append(np.c_[corrected(some[:, :4], corrections), faces])
        return np.concatenate(answers)


def _grown(boxes: Doubles, factor: float) -> Doubles:
    """Boxes (n, 5) around the same middles, their sides times `factor`; without a score yet."""
    middle, half = (boxes[:, :2] + boxes[:, 2:]) / 2, (boxes[:, 2:] - boxes[:, :2]) * (factor / 2)
    return np.concatenate([middle - half, middle + half, np.zeros((len(boxes), 1))], -1)


def _columns_first(model: ForeignModel) -> Stage:
    """One of the published files as a stage: they take (n, W, H, 3), as in the framework they come from.

    Their first output are the corrections (n, ..., 4), their last the probabilities (n, ..., 2) of no face and a face.
    """

    def run(batch: Floats) -> tuple[Floats, Floats]:
        outputs = model(np.ascontiguousarray(batch.swapaxes(1, 2)))
        corrections, faces = np.asarray(outputs[0], np.float32), np.asarray(outputs[-1], np.float32)
        # Reversing all axes sets the first network's maps upright; the others give one number, or four, per picture.
        return np.moveaxis(faces[..., 1].T, -1, 0), np.moveaxis(corrections.T, (-1, 0), (0, 1))

    return run
