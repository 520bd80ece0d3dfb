"""A PyTorch module as an ONNX graph: dynamic batch, only the inputs that matter, each weight's owner known."""

from __future__ import annotations

import tempfile
import warnings
from collections.abc import Mapping
from pathlib import Path

import numpy as np
import onnx
import torch
from onnx import numpy_helper
from torch import Tensor, nn

OPSET = 17


def trace(module: nn.Module, inputs: Mapping[str, Tensor], output: str) -> onnx.ModelProto:
    """A traced ONNX graph with a dynamic first axis on every input and on the output.

    Inputs that the module does not look at are left out, and so are products with the unit matrix.
    """
    with tempfile.TemporaryDirectory() as folder, warnings.catch_warnings():
        warnings.simplefilter("ignore")  # the exporter's own deprecation notes
        path = Path(folder) / "model.onnx"
        torch.onnx.export(
            module.eval(), tuple(inputs.values()), str(path), opset_version=OPSET, dynamo=False,
            input_names=list(inputs), output_names=[output],
            dynamic_axes={name: {0: "n"} for name in (*inputs, output)},
        )  # fmt: skip
        model = onnx.load(path)
    drop_unit_products(model)
    drop_unused_inputs(model)
    return model


def drop_unused_inputs(model: onnx.ModelProto) -> None:
    """Leave out the inputs that no node reads; the runtime then does not make them."""
    read = {name for node in model.graph.node for name in node.input}
    used = [value for value in model.graph.input if value.name in read]
    del model.graph.input[:]
    model.graph.input.extend(used)


def drop_unit_products(model: onnx.ModelProto) -> None:
    """Leave out every `MatMul` with a constant unit matrix: folding one matrix into another leaves one behind."""
    units = {tensor.name for tensor in model.graph.initializer if _is_unit(tensor)}
    outputs = {value.name for value in model.graph.output}
    instead: dict[str, str] = {}
    kept = []
    for node in model.graph.node:
        node.input[:] = [instead.get(name, name) for name in node.input]
        if node.op_type == "MatMul" and node.input[1] in units and node.output[0] not in outputs:
            instead[node.output[0]] = node.input[0]
        else:
            kept.append(node)
    del model.graph.node[:]
    model.graph.node.extend(kept)
    drop_unused_weights(model)


def drop_unused_weights(model: onnx.ModelProto) -> None:
    """Leave out the weights that no node reads."""
    read = {name for node in model.graph.node for name in node.input}
    used = [tensor for tensor in model.graph.initializer if tensor.name in read]
    del model.graph.initializer[:]
    model.graph.initializer.extend(used)


def _is_unit(tensor: onnx.TensorProto) -> bool:
    if len(tensor.dims) != 2 or tensor.dims[0] != tensor.dims[1]:
        return False
    return bool(np.array_equal(numpy_helper.to_array(tensor), np.eye(tensor.dims[0])))


def input_names(model: onnx.ModelProto) -> list[str]:
    """Names of the inputs, in order."""
    return [value.name for value in model.graph.input]


def weights_of(model: onnx.ModelProto, part: str) -> set[str]:
    """Names of the weights that only the submodule `part` reads.

    The tracer names every node after the module that it comes from, but constants that it has folded after nothing;
    so it is the readers that tell whose a weight is.
    """
    inside, outside = set(), set()
    for node in model.graph.node:
        (inside if node.name.startswith(f"/{part}/") else outside).update(node.input)
    return {tensor.name for tensor in model.graph.initializer} & (inside - outside)


def describe(model: onnx.ModelProto, metadata: Mapping[str, str]) -> onnx.ModelProto:
    """Write the metadata that the runtime reads; nothing about the machine that made the file stays in it."""
    del model.metadata_props[:]
    for key, value in metadata.items():
        entry = model.metadata_props.add()
        entry.key, entry.value = key, value
    for node in model.graph.node:
        node.doc_string = ""
        del node.metadata_props[:]
    return model
