"""Reads the constants of an OpenVINO IR v10 model (XML + bin), which is how the public StyleGAN is published."""

from __future__ import annotations

import xml.etree.ElementTree as ET
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

DTYPES = {"f32": np.float32, "i64": np.int64, "i32": np.int32}


@dataclass(frozen=True)
class Layer:
    """One operation: its type, its name, the ids of its inputs in port order and, for a constant, its value."""

    op: str
    name: str
    inputs: tuple[str, ...]
    value: NDArray[np.generic] | None


def read_ir(xml: Path) -> dict[str, Layer]:
    """All layers of the model by id, in the file's (topological) order."""
    root = ET.parse(xml).getroot()
    blob = xml.with_suffix(".bin").read_bytes()
    inputs: dict[str, dict[int, str]] = {}
    for edge in root.findall("edges/edge"):
        inputs.setdefault(edge.attrib["to-layer"], {})[int(edge.attrib["to-port"])] = edge.attrib["from-layer"]
    layers = {}
    for layer in root.findall("layers/layer"):
        ports = inputs.get(layer.attrib["id"], {})
        layers[layer.attrib["id"]] = Layer(
            op=layer.attrib["type"],
            name=layer.attrib["name"],
            inputs=tuple(ports[port] for port in sorted(ports)),
            value=_constant(layer, blob),
        )
    return layers


def _constant(layer: ET.Element, blob: bytes) -> NDArray[np.generic] | None:
    if layer.attrib["type"] != "Const":
        return None
    data = layer.find("data")
    assert data is not None, f"constant {layer.attrib['name']} has no data"
    shape = [int(size) for size in data.attrib["shape"].split(",") if size.strip()]
    dtype = np.dtype(DTYPES[data.attrib["element_type"]])
    count = int(data.attrib["size"]) // dtype.itemsize
    return np.frombuffer(blob, dtype, count, int(data.attrib["offset"])).reshape(shape).copy()
