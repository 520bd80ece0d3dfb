"""MTCNN's windows (Zhang et al., 2016): where they lie, how answers correct them, and their pixels."""

from __future__ import annotations

import cv2
import numpy as np

from streamfilter.structures import Doubles, Floats, Image

WINDOW, STRIDE = 12, 2  # what one answer of the first network sees, and how far apart the answers are


def pyramid_scales(short_side: int, min_face: int, step: float) -> list[float]:
    """Factors at which a face of `min_face` px, and each larger one, fills the window of the first network."""
    scales = []
    scale = WINDOW / min_face
    while short_side * scale >= WINDOW:
        scales.append(scale)
        scale *= step
    return scales


def windows(faces: Floats, corrections: Floats, scale: float, threshold: float) -> Doubles:
    """Boxes (n, 5) in picture pixels of the cells of `faces` (h, w) that reach the threshold, corrected (4, h, w)."""
    rows, columns = np.nonzero(faces >= threshold)
    corner = np.stack([columns, rows], -1) * STRIDE
    boxes = np.concatenate([corner, corner + WINDOW], -1) / scale
    moved = corrected(boxes, corrections[:, rows, columns].T)
    return np.concatenate([moved, faces[rows, columns][:, None]], -1)


def corrected(boxes: Doubles, corrections: Floats) -> Doubles:
    """Boxes (n, 4) with each edge moved by its part of the box's side."""
    sides = boxes[:, 2:4] - boxes[:, :2]
    return np.asarray(boxes[:, :4] + corrections * np.concatenate([sides, sides], -1), np.float64)


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


def as_batch(images: list[Image]) -> Floats:
    """Pictures of one size -> (n, H, W, 3) in [-1, 1]."""
    return np.asarray((np.stack(images).astype(np.float32) - 127.5) / 128, np.float32)
