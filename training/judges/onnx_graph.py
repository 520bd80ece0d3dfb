"""A recogniser's ONNX file as a frozen PyTorch module, so that gradients flow through it.

Covers the operators of plain convolutional recognisers; another operator is an error when the file is loaded.
"""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import onnx
import torch
from onnx import helper, numpy_helper
from torch import Tensor, nn
from torch.nn import functional as F

Attributes = dict[str, object]
Operator = Callable[[list[Tensor], Attributes], Tensor]


def _conv(x: list[Tensor], a: Attributes) -> Tensor:
    pads = list(a.get("pads", (0, 0, 0, 0)))
    picture = F.pad(x[0], (pads[1], pads[3], pads[0], pads[2]))
    bias = x[2] if len(x) > 2 else None
    return F.conv2d(picture, x[1], bias, a.get("strides", 1), 0, a.get("dilations", 1), a.get("group", 1))


def _batch_normalization(x: list[Tensor], a: Attributes) -> Tensor:
    return F.batch_norm(x[0], x[3], x[4], x[1], x[2], training=False, eps=a.get("epsilon", 1e-5))


def _clip(x: list[Tensor], a: Attributes) -> Tensor:
    low, high = (x[1], x[2]) if len(x) == 3 else (a.get("min"), a.get("max"))
    return F.hardtanh(x[0], float(low), float(high))  # much faster than a clamp between tensors


def _gemm(x: list[Tensor], a: Attributes) -> Tensor:
    weight = x[1] if a.get("transB") else x[1].T
    return F.linear(x[0], weight, x[2] if len(x) > 2 else None)


def _prelu(x: list[Tensor], _: Attributes) -> Tensor:
    return F.prelu(x[0], x[1].flatten())


OPERATORS: dict[str, Operator] = {
    "Add": lambda x, _: x[0] + x[1],
    "BatchNormalization": _batch_normalization,
    "Clip": _clip,
    "Conv": _conv,
    # The batch was fixed to one when these files were written: what follows the first axis is flattened.
    "Flatten": lambda x, _: x[0].flatten(1),
    "Reshape": lambda x, _: x[0].flatten(1),
    "Gemm": _gemm,
    "Identity": lambda x, _: x[0],
    "Mul": lambda x, _: x[0] * x[1],
    "PRelu": _prelu,
    "Relu": lambda x, _: F.relu(x[0]),
    "Sub": lambda x, _: x[0] - x[1],
}


class OnnxGraph(nn.Module):
    """One picture input (N, 3, H, W) -> one vector (N, d).

    Raises:
        ValueError: the file holds an operator that is not covered.
    """

    def __init__(self, path: Path) -> None:
        super().__init__()
        model = onnx.load(str(path))
        nodes = [node for node in model.graph.node if node.op_type != "Constant"]
        unknown = sorted({node.op_type for node in nodes} - OPERATORS.keys())
        if unknown:
            raise ValueError(f"{path.name} uses {', '.join(unknown)}; known are {', '.join(OPERATORS)}")
        self._constants: dict[str, str] = {}
        for name, tensor in _constants(model):
            self._constants[name] = f"constant_{len(self._constants)}"
            self.register_buffer(self._constants[name], tensor)
        self._input = next(item.name for item in model.graph.input if item.name not in self._constants)
        self._output = model.graph.output[0].name
        self._steps = [(node.op_type, list(node.input), node.output[0], _attributes(node)) for node in nodes]

    def forward(self, picture: Tensor) -> Tensor:
        """Run the graph."""
        values = {name: getattr(self, held) for name, held in self._constants.items()}
        values[self._input] = picture
        for kind, inputs, output, attributes in self._steps:
            values[output] = OPERATORS[kind]([values[name] for name in inputs if name], attributes)
        return values[self._output]


def _attributes(node: onnx.NodeProto) -> Attributes:
    return {attribute.name: helper.get_attribute_value(attribute) for attribute in node.attribute}


def _constants(model: onnx.ModelProto) -> list[tuple[str, Tensor]]:
    held = [(tensor.name, tensor) for tensor in model.graph.initializer]
    for node in model.graph.node:
        if node.op_type == "Constant":
            held.append((node.output[0], helper.get_attribute_value(node.attribute[0])))
    return [(name, torch.from_numpy(numpy_helper.to_array(tensor).copy())) for name, tensor in held]
