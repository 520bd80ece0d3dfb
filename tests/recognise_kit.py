"""Made-up recognisers, photos and detections for tests of calibration."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import cv2
import numpy as np
import onnx
from onnx import TensorProto, helper, numpy_helper

from streamfilter.audit.recognise.calibration import Preparation
from streamfilter.audit.recognise.photos import Photo, photos_in
from streamfilter.audit.recognise.recogniser import ARCFACE_POINTS
from streamfilter.structures import Floats, Image
from tests.audit_kit import texture

SHAPES: tuple[tuple[int | str, ...], ...] = ((1, 3, 112, 112), ("n", 3, 112, 112), ("n", 112, 112, 3))


def small_network(path: Path, *, shape: tuple[int | str, ...], wants: Preparation, seed: int = 0) -> Path:
    """A recogniser that sees only what is fed as it wants: random projections of the red channel.

    Numbers that are too large saturate; too small ones drown in a constant.
    """
    rng = np.random.default_rng(seed)
    last = shape[-1] == 3
    scale = 2.0 if wants.divisor > 2 else 2.0 / 127.5
    nodes = [
        *([helper.make_node("Transpose", ["x"], ["c"], perm=[0, 3, 1, 2])] if last else []),
        helper.make_node("AveragePool", ["c" if last else "x"], ["p"], kernel_shape=[8, 8], strides=[8, 8]),
        helper.make_node("Sub", ["p", "middle"], ["m"]),
        helper.make_node("Mul", ["m", "scale"], ["s"]),
        helper.make_node("Tanh", ["s"], ["t"]),
        helper.make_node("Flatten", ["t"], ["f"]),
        helper.make_node("MatMul", ["f", "w"], ["g"]),
        helper.make_node("Add", ["g", "bias"], ["y"]),
    ]
    middle = 0.0 if wants.offset else 127.5
    weights = rng.normal(size=(3, 14, 14, 16)) / 20
    weights[0 if wants.order == "bgr" else 2] = weights[1] = 0  # it looks at red only, where it wants red to be
    values = {"middle": middle, "scale": scale, "w": weights.reshape(-1, 16), "bias": np.full(16, 0.5)}
    constants = [numpy_helper.from_array(np.asarray(value, np.float32), name) for name, value in values.items()]
    inputs = [helper.make_tensor_value_info("x", TensorProto.FLOAT, shape)]
    outputs = [helper.make_tensor_value_info("y", TensorProto.FLOAT, (shape[0], 16))]
    graph = helper.make_graph(nodes, "net", inputs, outputs, constants)
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 13)], ir_version=8)
    onnx.save(model, str(path))
    return path


@dataclass(frozen=True)
class Found:
    """What a detector would give."""

    xyxy: Floats
    points: Floats


def whole(image: Image) -> list[Found]:
    """Pretends that the whole picture is one aligned face."""
    side = len(image)
    return [Found(np.array([0, 0, side, side], np.float32), ARCFACE_POINTS * np.float32(side / 112))]


def portraits(folder: Path, people: int, each: int) -> tuple[Photo, ...]:
    """Photos whose red channel tells people apart; the others do so wrongly."""
    for person in range(people):
        (folder / f"p{person:02}").mkdir(parents=True)
        for number in range(1, each + 1):
            same, other = texture(person, 112, 112, grain=12), texture(1000 + 50 * person + number, 112, 112, grain=12)
            image = np.dstack([cv2.addWeighted(same, 0.9, other, 0.1, 0)[..., 0], other[..., 1], other[..., 2]])
            cv2.imwrite(str(folder / f"p{person:02}" / f"p{person:02}_{number:04}.png"), image[..., ::-1])
    return photos_in(folder)
