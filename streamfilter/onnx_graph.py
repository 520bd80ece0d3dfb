"""Other people's ONNX files made usable: weights that were stored as one byte become numbers again, sizes become free.

Only the graph is rewritten, in memory; the file stays as it was pulled, so that its hash can still be checked.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from streamfilter.errors import ModelError
from streamfilter.structures import Floats

if TYPE_CHECKING:
    import onnx

Array = NDArray[np.generic]


def with_free_sizes(path: Path, axes: Sequence[int]) -> bytes:
    """The model with these axes of its inputs, and all axes of its outputs, of any size.

    Raises:
        ModelError: the file is no ONNX model.
    """
    model = _load(path)
    _free_sizes(model.graph, axes)
    return bytes(model.SerializeToString())


def dequantised(path: Path, free_axes: Sequence[int] = (0,)) -> bytes:
    """The model with its block-quantised weights as float32 constants, and these axes of its inputs of any size.

    ONNX Runtime refuses some originals (they list the weights as inputs too) and is slow with the others. Names stay.

    Raises:
        ModelError: the file is no ONNX model.
    """
    from onnx import numpy_helper  # noqa: PLC0415 - see _load

    model = _load(path)
    graph = model.graph
    stored = {item.name: numpy_helper.to_array(item) for item in graph.initializer}
    weights: dict[str, Array] = {}
    kept = []
    for node in graph.node:
        if node.op_type == "DequantizeLinear" and all(name in stored for name in node.input):
            weights[node.output[0]] = _dequantised(node, stored)
        elif node.op_type == "Reshape" and node.input[0] in weights:
            shape = [int(size) for size in stored[node.input[1]]]
            weights[node.output[0]] = weights[node.input[0]].reshape(shape)
        else:
            kept.append(node)
    used = {name for node in kept for name in node.input}
    constants = {name: value for name, value in {**stored, **weights}.items() if name in used}
    _replace(graph.node, kept)
    _replace(graph.initializer, [numpy_helper.from_array(np.ascontiguousarray(v), k) for k, v in constants.items()])
    _replace(graph.input, [value for value in graph.input if value.name in used and value.name not in constants])
    _free_sizes(graph, free_axes)
    return bytes(model.SerializeToString())


def _load(path: Path) -> onnx.ModelProto:
    import onnx  # noqa: PLC0415 - takes long to load, and only an audit needs it

    try:
        return onnx.load(str(path))
    except Exception as error:  # protobuf's own exceptions share no base class with onnx's
        raise ModelError(f"{path} is no ONNX model: {error}") from error


def _free_sizes(graph: onnx.GraphProto, axes: Sequence[int]) -> None:
    """Free these axes of the inputs and all of the outputs; what was inferred from fixed sizes is forgotten."""
    for values, chosen in ((graph.input, axes), (graph.output, None)):
        for value in values:
            for axis, size in enumerate(value.type.tensor_type.shape.dim):
                if chosen is None or axis in chosen:
                    size.dim_param = f"{value.name}_{axis}"
    del graph.value_info[:]


def _dequantised(node: onnx.NodeProto, stored: Mapping[str, Array]) -> Floats:
    """(x - zero point) * scale, where each block of numbers along one axis has a scale of its own."""
    x, scale, zero = (stored[name].astype(np.float32) for name in node.input)
    settings = {item.name: item.i for item in node.attribute}
    axis, block = settings.get("axis", 1), settings.get("block_size", 0)
    if block:
        scale, zero = (np.repeat(v, block, axis).take(range(x.shape[axis]), axis) for v in (scale, zero))
    elif scale.ndim == 1 and scale.size > 1:
        along = [-1 if i == axis else 1 for i in range(x.ndim)]
        scale, zero = scale.reshape(along), zero.reshape(along)
    return np.asarray((x - zero) * scale, np.float32)


def _replace(field: object, values: Sequence[object]) -> None:
    del field[:]  # type: ignore[attr-defined]
    field.extend(values)  # type: ignore[attr-defined]
