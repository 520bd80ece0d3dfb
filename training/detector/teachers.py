"""The detectors whose agreement makes the labels: SCRFD-2.5g, CenterFace, RetinaFace-0.25 and YuNet-n as published.

Each takes an RGB picture and gives boxes (n, 5: xyxy and score) and five points (n, 5, 2; NaN where it has none).
Their weights are not part of this project; `load` names the files.
"""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import ClassVar

import cv2
import numpy as np
import onnx
import onnxruntime

from streamfilter.detect import Detector, suppress
from streamfilter.structures import Doubles, Image

Found = tuple[Doubles, Doubles]
Teacher = Callable[[Image], Found]
FILES = ("scrfd_2.5g_kps.onnx", "centerface.onnx", "retina_mnet025_640x384.onnx", "yunet_n.pth")


def load(folder: Path) -> dict[str, Teacher]:
    """The three teachers that are not YuNet, by name."""
    scrfd, centerface, retina, _ = (folder / name for name in FILES)
    return {"scrfd": Scrfd(scrfd), "centerface": CenterFace(centerface), "retina": RetinaFace(retina)}


def of_detector(detector: Detector) -> Teacher:
    """Our own detector (YuNet as published, or tuned) as a teacher; it looks at the picture as it is."""

    def find(image: Image) -> Found:
        found = detector(image, long_side_px=max(32, *image.shape[:2]))
        return np.c_[found.xyxy, found.score].astype(np.float64), found.landmarks.astype(np.float64)

    return find


def _session(path: Path, free: tuple[int, ...]) -> onnxruntime.InferenceSession:
    """A session whose input is free along the axes `free`, and whose outputs may have any size."""
    model = onnx.load(path)
    weights = {w.name for w in model.graph.initializer}
    inputs = [i for i in model.graph.input if i.name not in weights]
    for value, axes in [*((i, free) for i in inputs), *((o, range(4)) for o in model.graph.output)]:
        for axis, size in enumerate(value.type.tensor_type.shape.dim):
            if axis in axes:
                size.dim_param = f"{value.name}_{axis}"
    del model.graph.input[:]
    model.graph.input.extend(inputs)
    del model.graph.value_info[:]
    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = 1
    options.log_severity_level = 3
    return onnxruntime.InferenceSession(model.SerializeToString(), options, providers=["CPUExecutionProvider"])


def _pad(image: Image) -> Image:
    height, width = image.shape[:2]
    return np.pad(image, ((0, -height % 32), (0, -width % 32), (0, 0)))


def best(boxes: Doubles, points: Doubles, overlap: float) -> Found:
    """What is left of overlapping detections, best first."""
    keep = suppress(boxes[:, :4].astype(np.float32), boxes[:, 4].astype(np.float32), overlap)
    return boxes[keep], points[keep]


class Scrfd:
    """SCRFD-2.5g: two anchors a cell, distances to the four sides in strides."""

    def __init__(self, path: Path) -> None:
        self.session = _session(path, (2, 3))

    def __call__(self, image: Image, threshold: float = 0.3) -> Found:
        """Find faces."""
        x = _pad(image).astype(np.float32)
        height, width = x.shape[:2]
        outputs = self.session.run(None, {"images": ((x - 127.5) / 128).transpose(2, 0, 1)[None]})
        flat = [o.reshape(-1, o.shape[-1]) for o in outputs]
        found = [
            self._level(
                flat[i], flat[i + 3] * stride, flat[i + 6] * stride, (height // stride, width // stride), stride
            )
            for i, stride in enumerate((8, 16, 32))
        ]
        boxes, points = (np.concatenate(part) for part in zip(*found, strict=True))
        keep = boxes[:, 4] > threshold
        return best(boxes[keep], points[keep], 0.4)

    @staticmethod
    def _level(score: Doubles, sides: Doubles, points: Doubles, shape: tuple[int, int], stride: int) -> Found:
        rows, columns = np.mgrid[: shape[0], : shape[1]]
        cell = np.repeat(np.stack([columns, rows], -1).reshape(-1, 2) * float(stride), 2, 0)
        boxes = np.c_[cell - sides[:, :2], cell + sides[:, 2:], score]
        return boxes, points.reshape(-1, 5, 2) + cell[:, None]


class CenterFace:
    """CenterFace: a heat map of centres at stride 4; its points are not used."""

    def __init__(self, path: Path) -> None:
        self.session = _session(path, (0, 2, 3))

    def __call__(self, image: Image, threshold: float = 0.25) -> Found:
        """Find faces."""
        x = _pad(image).astype(np.float32).transpose(2, 0, 1)[None]
        heat, size, offset, _ = self.session.run(None, {"input.1": np.ascontiguousarray(x)})
        rows, columns = np.nonzero(heat[0, 0] > threshold)
        sides = np.exp(size[0][:, rows, columns]) * 4
        centre = (np.stack([rows, columns]) + offset[0][:, rows, columns] + 0.5) * 4
        low, high = centre - sides / 2, centre + sides / 2
        boxes = np.c_[low[1], low[0], high[1], high[0], heat[0, 0, rows, columns]].astype(np.float64)
        return best(boxes, np.full((len(boxes), 5, 2), np.nan), 0.3)


class RetinaFace:
    """RetinaFace with MobileNet-0.25 for pictures of 640 x 384: two priors a cell."""

    size = (384, 640)
    sides: ClassVar = {8: (16, 32), 16: (64, 128), 32: (256, 512)}

    def __init__(self, path: Path) -> None:
        self.session = _session(path, ())
        self.priors = np.concatenate([self._priors(s, a) for s, a in self.sides.items()])

    def _priors(self, stride: int, sides: tuple[int, int]) -> Doubles:
        rows, columns = np.mgrid[: self.size[0] // stride, : self.size[1] // stride]
        centre = (np.stack([columns, rows], -1).reshape(-1, 1, 2) + 0.5) * stride
        side = np.array(sides, np.float64).reshape(1, 2, 1)
        both = np.broadcast_arrays(np.concatenate([centre, centre], 1), np.concatenate([side, side], -1))
        return np.concatenate(both, -1).reshape(-1, 4)

    def __call__(self, image: Image, threshold: float = 0.4) -> Found:
        """Find faces."""
        scale = min(self.size[0] / image.shape[0], self.size[1] / image.shape[1])
        small = cv2.resize(image, None, fx=scale, fy=scale, interpolation=cv2.INTER_AREA)[
            : self.size[0], : self.size[1]
        ]
        x = np.zeros((*self.size, 3), np.float32)
        x[: small.shape[0], : small.shape[1]] = small[..., ::-1] - np.array([104, 117, 123], np.float32)
        sides, score, points = (o[0] for o in self.session.run(None, {"input.1": x.transpose(2, 0, 1)[None].copy()}))
        keep = score[:, 1] > threshold
        middle, side = self.priors[keep, :2], self.priors[keep, 2:]
        centre = middle + sides[keep, :2] * 0.1 * side
        half = side * np.exp(sides[keep, 2:] * 0.2) / 2
        where = middle[:, None] + points[keep].reshape(-1, 5, 2) * 0.1 * side[:, None]
        boxes = np.c_[np.c_[centre - half, centre + half] / scale, score[keep, 1]]
        return best(boxes, where / scale, 0.4)
