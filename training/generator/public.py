"""The public generator's weights: from the published OpenVINO files into our networks."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import torch
from torch import Tensor, nn

from training.generator.ir import Layer, read_ir
from training.generator.networks import RUNGS, WIDTH, Decoder, Mapping


def load_mapping(folder: Path) -> Mapping:
    """The mapping network from `MappingNetwork.xml` and `.bin` in `folder`."""
    layers = read_ir(folder / "MappingNetwork.xml")
    constants = {key: layer.value for key, layer in layers.items() if layer.value is not None}
    weights = [value for value in constants.values() if value.shape == (WIDTH, WIDTH)]
    biases = [value for value in constants.values() if value.shape == (WIDTH,)]
    mapping = Mapping()
    for layer, weight, bias in zip(mapping.layers, weights, biases, strict=True):
        layer.weight.data, layer.bias.data = torch.from_numpy(weight), torch.from_numpy(bias)
    mapping.gain.copy_(torch.tensor(_gains_after_relu(layers)))
    return mapping.eval().requires_grad_(False)


def _gains_after_relu(layers: dict[str, Layer]) -> list[float]:
    gains = []
    for layer in layers.values():
        if layer.op == "Multiply" and layers[layer.inputs[0]].op == "PReLU":
            value = layers[layer.inputs[1]].value
            assert value is not None
            gains.append(float(value.ravel()[0]))
    return gains


def load_decoder(folder: Path) -> Decoder:
    """The full decoder from `SynthesisNetwork.xml` and `.bin` in `folder`; the readouts are still untrained."""
    layers = read_ir(folder / "SynthesisNetwork.xml")
    named = {layer.name: layer.value for layer in layers.values() if layer.value is not None}
    decoder = Decoder()
    decoder.const.data = _tensor(named["m.input.input"])
    pointwise = [_tensor(layers[layer.inputs[1]].value) for layer in layers.values() if layer.op == "Convolution"]
    noises = [
        _tensor(v) for v in named.values() if v.ndim == 4 and v.shape[:2] == (1, 1) and v.shape[2] == v.shape[3] > 1
    ]
    noises.sort(key=lambda noise: noise.shape[2])
    scales = _modulation_scales(layers)
    convs = [("m.conv1", decoder.conv)]
    for i, block in enumerate(decoder.blocks):
        _fill_linear(block.up, named, f"m.layers.{i}.up.modulation", 1.0)
        convs += [(f"m.layers.{i}.conv1", block.conv1), (f"m.layers.{i}.conv2", block.conv2)]
    for (name, conv), weight, noise in zip(convs, pointwise[:-1], noises, strict=True):
        _fill_linear(conv.modulation, named, f"{name}.conv.modulation", scales[f"{name}.conv"])
        if conv.depthwise is not None:
            conv.depthwise.weight.data = _tensor(named[f"{name}.conv.weight_dw"]).reshape(conv.depthwise.weight.shape)
        assert conv.conv.weight.shape == weight.shape, (name, conv.conv.weight.shape, weight.shape)
        conv.conv.weight.data = weight
        conv.conv.bias.data = _tensor(named[f"{name}.bias"]).reshape(-1)
        conv.noise.data = noise
    decoder.to_img.weight.data = pointwise[-1]
    bias = next((v for k, v in named.items() if "to_img" in k and k.endswith("bias") and "modulation" not in k), None)
    decoder.to_img.bias.data = torch.zeros(12) if bias is None else _tensor(bias).reshape(-1)
    name = "m.layers.6.to_img.conv"
    _fill_linear(decoder.to_img_modulation, named, f"{name}.modulation", scales[name])
    for side, last in RUNGS.items():
        rung, block = decoder.rungs[str(side)], decoder.blocks[last]
        rung.up.load_state_dict(block.up.state_dict())
        rung.conv1.load_state_dict(block.conv1.state_dict())
        rung.conv2.modulation.load_state_dict(block.conv2.modulation.state_dict())
        rung.conv2.depthwise.load_state_dict(block.conv2.depthwise.state_dict())
    return decoder.eval().requires_grad_(False)


def _tensor(value: np.ndarray | None) -> Tensor:
    assert value is not None
    return torch.from_numpy(np.array(value))


def _fill_linear(linear: nn.Linear, named: dict[str, np.ndarray], name: str, scale: float) -> None:
    linear.weight.data = _tensor(named[f"{name}.weight"]) * scale
    linear.bias.data = _tensor(named[f"{name}.bias"]).reshape(-1) * scale


def _modulation_scales(layers: dict[str, Layer]) -> dict[str, float]:
    """The constant that each styled convolution multiplies its modulation with, by the convolution's name."""
    scales = {}
    for layer in layers.values():
        if layer.op != "Multiply":
            continue
        reshape = layers[layer.inputs[0]]
        value = layers[layer.inputs[1]].value
        if reshape.op != "Reshape" or value is None or value.size != 1:
            continue
        add = layers[reshape.inputs[0]]
        bias = layers[add.inputs[1]].name
        scales[bias.removesuffix(".modulation.bias")] = float(value.ravel()[0])
    return scales
