"""In what precision a model's weights are stored, and in what precision it computes.

`fp16-weights` stores halves and computes in fp32: the runtime unfolds them when it loads. `fp16` computes in halves
too, between inputs and outputs that stay fp32. `int8` stores large matrices as one byte a weight, per output channel.
"""

from __future__ import annotations

from collections.abc import Collection
from enum import StrEnum

import numpy as np
import onnx
from numpy.typing import NDArray
from onnx import TensorProto, helper, numpy_helper
from onnxruntime.transformers.float16 import convert_float_to_float16

SMALLEST = 1024  # values; smaller weights stay as they are
SMALLEST_INT8 = 16384
LEVELS = 127


class Precision(StrEnum):
    """How a model stores its weights and computes."""

    FP32 = "fp32"
    FP16_WEIGHTS = "fp16-weights"
    FP16 = "fp16"


def convert(model: onnx.ModelProto, precision: Precision, int8: Collection[str] = ()) -> onnx.ModelProto:
    """The model in another precision; the large matrices among the weights named `int8` are stored as bytes.

    Raises:
        ValueError: a weight does not fit the range of fp16.
    """
    channels = output_axes(model)
    stored = {
        tensor.name: numpy_helper.to_array(tensor)
        for tensor in model.graph.initializer
        if tensor.name in int8 and len(tensor.dims) > 1 and np.prod(tensor.dims) >= SMALLEST_INT8
    }
    if precision is Precision.FP16:
        model = compute_in_halves(model)
    if precision is Precision.FP16_WEIGHTS:
        halve_weights(model, but=stored)
    for name, value in stored.items():
        store_as_bytes(model, name, value, channels.get(name, 0))
    return model


def to_halves(name: str, value: NDArray[np.float32]) -> NDArray[np.float16]:
    """The nearest halves.

    Raises:
        ValueError: `value` does not fit.
    """
    with np.errstate(over="ignore"):
        half = value.astype(np.float16)
    if not np.isfinite(half).all():
        raise ValueError(f"weight {name} does not fit the range of fp16")
    return half


def halve_weights(model: onnx.ModelProto, but: Collection[str] = ()) -> None:
    """Store large fp32 weights, but for some, as fp16 with a Cast to fp32 behind; the runtime folds it when it loads.

    Raises:
        ValueError: a weight does not fit the range of fp16.
    """
    casts, kept = [], []
    for tensor in model.graph.initializer:
        value = numpy_helper.to_array(tensor)
        if value.dtype != np.float32 or value.size < SMALLEST or tensor.name in but:
            kept.append(tensor)
            continue
        kept.append(numpy_helper.from_array(to_halves(tensor.name, value), f"{tensor.name}.fp16"))
        casts.append(helper.make_node("Cast", [f"{tensor.name}.fp16"], [tensor.name], to=TensorProto.FLOAT))
    _replace(model, casts, kept)


def compute_in_halves(model: onnx.ModelProto) -> onnx.ModelProto:
    """Every operator in fp16; inputs and outputs stay fp32.

    Raises:
        ValueError: a weight does not fit the range of fp16.
    """
    exact = {tensor.name: numpy_helper.to_array(tensor) for tensor in model.graph.initializer}
    model = convert_float_to_float16(model, keep_io_types=True)
    for tensor in model.graph.initializer:
        value = exact.get(tensor.name)
        if tensor.data_type == TensorProto.FLOAT16 and value is not None and value.size >= SMALLEST:
            # The converter lifts the smallest numbers; rounded plainly, the weights are those that other files hold.
            tensor.CopyFrom(numpy_helper.from_array(to_halves(tensor.name, value), tensor.name))
    return model


def output_axes(model: onnx.ModelProto) -> dict[str, int]:
    """For each weight the axis of its output channels, told by the operator that reads it."""
    axes = {}
    for node in model.graph.node:
        if node.op_type in ("MatMul", "Gemm", "Conv", "ConvTranspose"):
            turned = any(attribute.name == "transB" and attribute.i for attribute in node.attribute)
            axes[node.input[1]] = 0 if node.op_type == "Conv" or turned else 1
    return axes


def store_as_bytes(model: onnx.ModelProto, name: str, value: NDArray[np.float32], axis: int) -> None:
    """Store the weight `name` as int8 with one scale per channel along `axis`.

    A Cast and a product unfold it: constants that every provider folds when it loads. `DequantizeLinear` would do the
    same, but tells TensorRT that the network is meant to compute in int8.
    """
    others = tuple(i for i in range(value.ndim) if i != axis)
    scale = np.maximum(np.abs(value).max(others, keepdims=True) / LEVELS, 1e-12).astype(np.float32)
    code = np.round(value / scale).astype(np.int8)
    halves = next(t for t in model.graph.initializer if t.name == name).data_type == TensorProto.FLOAT16
    exact = f"{name}.fp32" if halves else name
    nodes = [
        helper.make_node("Cast", [f"{name}.int8"], [f"{name}.code"], to=TensorProto.FLOAT),
        helper.make_node("Mul", [f"{name}.code", f"{name}.scale"], [exact]),
    ]
    if halves:
        nodes.append(helper.make_node("Cast", [exact], [name], to=TensorProto.FLOAT16))
    kept = [tensor for tensor in model.graph.initializer if tensor.name != name]
    kept += [numpy_helper.from_array(code, f"{name}.int8"), numpy_helper.from_array(scale, f"{name}.scale")]
    _replace(model, nodes, kept)


def _replace(model: onnx.ModelProto, first: list[onnx.NodeProto], weights: list[onnx.TensorProto]) -> None:
    """`weights` instead of the model's own, and the nodes `first` before all others."""
    nodes = [*first, *model.graph.node]
    del model.graph.initializer[:], model.graph.node[:]
    model.graph.initializer.extend(weights)
    model.graph.node.extend(nodes)
