"""MTCNN as a judge: proposals over a pyramid, then two networks that look closer."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import cv2
import numpy as np
import torch

from streamfilter.metrics.matching import suppress
from streamfilter.structures import Doubles, Image
from training.evaluation import mtcnn_networks
from training.evaluation.mtcnn_networks import Stage

WINDOW, STRIDE = 12, 2  # what one answer of the first network sees, and how far apart the answers are
CLOSER, CLOSEST = 24, 48  # input sizes of the second and the third network


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
        folder: Where `pnet.pt`, `rnet.pt` and `onet.pt` are (the layout of facenet-pytorch).
    """

    def __init__(self, folder: Path, config: MtcnnConfig | None = None) -> None:
        self.config = config or MtcnnConfig()
        self._propose = mtcnn_networks.load(mtcnn_networks.proposal(), folder / "pnet.pt")
        self._refine = mtcnn_networks.load(mtcnn_networks.refinement(), folder / "rnet.pt")
        self._judge = mtcnn_networks.load(mtcnn_networks.output(), folder / "onet.pt")

    def __call__(self, image: Image) -> Doubles:
        """Boxes (n, 5: xyxy and probability), best first."""
        factor = min(1.0, self.config.long_side_px / max(image.shape[:2]))
        small = resized(image, factor)
        boxes = self._look_closer(self._proposals(small), small)
        boxes[:, :4] /= factor
        return boxes

    def _look_closer(self, boxes: Doubles, image: Image) -> Doubles:
        config = self.config
        boxes = self._again(self._refine, image, boxes, CLOSER, config.thresholds[1])
        boxes = squared(boxes[suppress(boxes, config.overlap)])
        boxes = self._again(self._judge, image, boxes, CLOSEST, config.thresholds[2])
        return boxes[suppress(boxes, config.overlap, by_smaller=True)]

    def _proposals(self, image: Image) -> Doubles:
        """Squares where there may be a face, from every step of the pyramid."""
        found = [np.zeros((0, 5))]
        for scale in pyramid_scales(min(image.shape[:2]), self.config.min_face_px, self.config.pyramid):
            with torch.inference_mode():
                faces, corrections = self._propose(as_batch([resized(image, scale)]))
            boxes = windows(faces[0].numpy(), corrections[0].numpy(), scale, self.config.thresholds[0])
            found.append(boxes[suppress(boxes, 0.5)])
        boxes = np.concatenate(found)
        return squared(boxes[suppress(boxes, self.config.overlap)])

    def _again(self, stage: Stage, image: Image, boxes: Doubles, size: int, threshold: float) -> Doubles:
        """The boxes that a closer look confirms, with its probabilities and corrections."""
        answers = [np.zeros((0, 5))]
        for start in range(0, len(boxes), self.config.batch):
            some = boxes[start : start + self.config.batch]
            with torch.inference_mode():
                faces, corrections = stage(as_batch([cut(image, box, size) for box in some]))
            answers.append(np.c_[corrected(some[:, :4], corrections.numpy()), faces.numpy()])
        checked = np.concatenate(answers)
        return checked[checked[:, 4] >= threshold]


def pyramid_scales(short_side: int, min_face: int, step: float) -> list[float]:
    """Factors at which a face of `min_face` px, and each larger one, fills the window of the first network."""
    scales = []
    scale = WINDOW / min_face
    while short_side * scale >= WINDOW:
        scales.append(scale)
        scale *= step
    return scales


def windows(faces: Doubles, corrections: Doubles, scale: float, threshold: float) -> Doubles:
    """Boxes (n, 5) in picture pixels of the cells of `faces` (h, w) that reach the threshold, corrected (4, h, w)."""
    rows, columns = np.nonzero(faces >= threshold)
    corner = np.stack([columns, rows], -1) * STRIDE
    boxes = np.concatenate([corner, corner + WINDOW], -1) / scale
    moved = corrected(boxes, corrections[:, rows, columns].T)
    return np.concatenate([moved, faces[rows, columns][:, None]], -1)


def corrected(boxes: Doubles, corrections: Doubles) -> Doubles:
    """Boxes (n, 4) with each edge moved by its part of the box's side."""
    sides = boxes[:, 2:4] - boxes[:, :2]
    return boxes[:, :4] + corrections * np.concatenate([sides, sides], -1)


def squared(boxes: Doubles) -> Doubles:
    """The same boxes (n, 5) as squares around their middles."""
    middle = (boxes[:, :2] + boxes[:, 2:4]) / 2
    half = (boxes[:, 2:4] - boxes[:, :2]).max(-1, keepdims=True) / 2
    return np.concatenate([middle - half, middle + half, boxes[:, 4:]], -1)


def cut(image: Image, box: Doubles, size: int) -> Image:
    """The box as a picture of `size` px; black where it leaves the frame."""
    height, width = image.shape[:2]
    x0, y0 = np.floor(box[:2]).astype(int)
    x1, y1 = np.maximum(np.ceil(box[2:4]).astype(int), [x0 + 1, y0 + 1])
    canvas = np.zeros((y1 - y0, x1 - x0, 3), np.uint8)
    left, top, right, bottom = max(x0, 0), max(y0, 0), min(x1, width), min(y1, height)
    if left < right and top < bottom:
        canvas[top - y0 : bottom - y0, left - x0 : right - x0] = image[top:bottom, left:right]
    return np.asarray(cv2.resize(canvas, (size, size), interpolation=cv2.INTER_AREA), np.uint8)


def resized(image: Image, factor: float) -> Image:
    """The picture reduced by `factor`; itself where there is nothing to reduce."""
    if factor == 1:
        return image
    size = max(WINDOW, round(image.shape[1] * factor)), max(WINDOW, round(image.shape[0] * factor))
    return np.asarray(cv2.resize(image, size, interpolation=cv2.INTER_AREA), np.uint8)


def as_batch(images: list[Image]) -> torch.Tensor:
    """Pictures of one size -> (n, 3, H, W) in [-1, 1]."""
    stacked = np.stack(images).transpose(0, 3, 1, 2).astype(np.float32)
    return torch.from_numpy((stacked - 127.5) / 128)
