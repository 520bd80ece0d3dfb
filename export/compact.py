"""Makes ONNX files small and self-describing: fp16 weights computed with in fp32, shared between files; metadata."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping

import numpy as np
import onnx
from onnx import TensorProto, helper, numpy_helper

SMALLEST = 1024


def halve_weights(model: onnx.ModelProto) -> onnx.ModelProto:
    """Store every large fp32 weight as fp16, with a Cast to fp32 behind it; the runtime folds the Cast when it loads.

    Raises:
        ValueError: a weight does not fit the range of fp16.
    """
    casts, kept = [], []
    for tensor in model.graph.initializer:
        value = numpy_helper.to_array(tensor)
        if value.dtype != np.float32 or value.size < SMALLEST:
            kept.append(tensor)
            continue
        half = value.astype(np.float16)
        if not np.isfinite(half).all():
            raise ValueError(f"weight {tensor.name} does not fit the range of fp16")
        kept.append(numpy_helper.from_array(half, f"{tensor.name}.fp16"))
        casts.append(helper.make_node("Cast", [f"{tensor.name}.fp16"], [tensor.name], to=TensorProto.FLOAT))
    nodes = [*casts, *model.graph.node]
    del model.graph.initializer[:], model.graph.node[:]
    model.graph.initializer.extend(kept)
    model.graph.node.extend(nodes)
    return model


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


class SharedWeights:
    """One file of weights that several models refer to, each weight stored once (ONNX external data)."""

    def __init__(self, name: str) -> None:
        self.name = name
        self.blob = bytearray()
        self._at: dict[bytes, int] = {}

    def move_out(self, model: onnx.ModelProto) -> onnx.ModelProto:
        """Move the model's large weights into the shared file."""
        for tensor in model.graph.initializer:
            if len(tensor.raw_data) < SMALLEST:
                continue
            offset, length = self._store(tensor.raw_data), len(tensor.raw_data)
            tensor.ClearField("raw_data")
            tensor.data_location = TensorProto.EXTERNAL
            for key, value in (("location", self.name), ("offset", str(offset)), ("length", str(length))):
                entry = tensor.external_data.add()
                entry.key, entry.value = key, value
        return model

    def _store(self, data: bytes) -> int:
        digest = hashlib.sha256(data).digest()
        if digest not in self._at:
            self.blob.extend(bytes(-len(self.blob) % 64))
            self._at[digest] = len(self.blob)
            self.blob.extend(data)
        return self._at[digest]
