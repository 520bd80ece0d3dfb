"""Checkpoint of the detector -> `detector.onnx`: batch norm folded, heads merged, any size, parity checked.

    python -m export.detector_to_onnx CHECKPOINT OUTPUT.onnx

The file takes `image` (N, 3, H, W) float32 RGB 0..255, height and width divisible by 32, and gives `map_8`, `map_16`
and `map_32` (N, 16, h, w); see `training.detector.network` for their channels.
"""

from __future__ import annotations

import argparse
import tempfile
import warnings
from collections.abc import Mapping
from pathlib import Path

import numpy as np
import onnx
import onnxruntime
import torch
from torch import Tensor, nn

from training.detector.checkpoint import load_network
from training.detector.network import CHANNELS, STRIDES, YuNet, fold

TOLERANCE = 1e-4
OPSET = 17
OUTPUTS = [f"map_{s}" for s in STRIDES]
LICENCE = (
    "Apache-2.0. Derived from YuNet (libfacedetection.train), Copyright Wei Wu, Hanyang Peng, Shiqi Yu and"
    " contributors, licensed under Apache-2.0; fine-tuned, heads merged and exported by the streamfilter project."
)


class Deployed(nn.Module):
    """The same function as `network` on RGB input, in fewer operators."""

    def __init__(self, network: YuNet) -> None:
        super().__init__()
        self.network = for_rgb(network.eval())
        head = self.network.bbox_head
        self.heads = nn.ModuleList(merge([head.branch(n)[i] for n in CHANNELS]) for i in range(len(STRIDES)))

    def forward(self, image: Tensor) -> list[Tensor]:
        """Maps at strides 8, 16 and 32."""
        maps = self.network.neck(self.network.backbone(image))
        shared = self.network.bbox_head.multi_level_share_convs
        return [head(unit(x)) for head, unit, x in zip(self.heads, shared, maps, strict=True)]


def for_rgb(network: YuNet) -> YuNet:
    """Batch norm folded, and the first convolution takes RGB instead of BGR."""
    folded = fold(network)
    first = folded.backbone.model0.conv1
    first.weight = nn.Parameter(first.weight.flip(1).contiguous())
    return folded


def merge(units: list[nn.Module]) -> nn.Sequential:
    """Several heads on the same features as one: their 1x1 convolutions stacked, then all 3x3 ones at once."""
    pairs = [[unit.get_submodule(name) for unit in units] for name in ("conv1", "conv2")]
    total = sum(CHANNELS.values())
    width = units[0].get_submodule("conv1").weight.shape[1]
    merged = nn.Sequential(nn.Conv2d(width, total, 1), nn.Conv2d(total, total, 3, padding=1, groups=total))
    for target, sources in zip(merged, pairs, strict=True):
        target.weight = nn.Parameter(torch.cat([s.weight for s in sources]))
        target.bias = nn.Parameter(torch.cat([s.bias for s in sources]))
    return merged


def export(network: YuNet, target: Path, metadata: Mapping[str, str]) -> float:
    """Write `target`; returns the largest difference to PyTorch.

    Raises:
        ValueError: The difference is above `TOLERANCE`; nothing is written.
    """
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "detector.onnx"
        axes = {"image": {0: "batch", 2: "height", 3: "width"}}
        axes |= {f"map_{s}": {0: "batch", 2: f"height_{s}", 3: f"width_{s}"} for s in STRIDES}
        # The newer exporter needs onnxscript, which nothing else here does.
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", DeprecationWarning)
            torch.onnx.export(
                Deployed(network), (torch.zeros(1, 3, 64, 96),), str(path), dynamo=False, opset_version=OPSET,
                input_names=["image"], output_names=OUTPUTS, dynamic_axes=axes,
            )  # fmt: skip
        model = onnx.load(path)
        onnx.helper.set_model_props(model, {"kind": "detector", "licence": LICENCE, **metadata})
        content = model.SerializeToString()
    difference = parity(network, content)
    if difference > TOLERANCE:
        raise ValueError(f"the exported detector differs from PyTorch by {difference:.2e}, allowed is {TOLERANCE:.0e}")
    target.write_bytes(content)
    return difference


def parity(
    network: YuNet, model: bytes, sizes: tuple[tuple[int, int], ...] = ((320, 320), (96, 224), (384, 640))
) -> float:
    """Largest absolute difference of any output, ONNX Runtime on the CPU against PyTorch."""
    session = onnxruntime.InferenceSession(model, providers=["CPUExecutionProvider"])
    worst = 0.0
    for seed, (height, width) in enumerate(sizes):
        image = np.random.default_rng(seed).uniform(0, 255, (2, 3, height, width)).astype(np.float32)
        with torch.no_grad():
            want = network.eval()(torch.from_numpy(image[:, ::-1].copy()))
        have = session.run(OUTPUTS, {"image": image})
        worst = max(worst, *(float(np.abs(w.numpy() - h).max()) for w, h in zip(want, have, strict=True)))
    return worst


def main() -> None:
    """Command line."""
    parser = argparse.ArgumentParser(description="Export a detector checkpoint to ONNX.")
    parser.add_argument("checkpoint", type=Path)
    parser.add_argument("output", type=Path)
    arguments = parser.parse_args()
    network, run = load_network(arguments.checkpoint)
    difference = export(network, arguments.output, {"version": "1", "training_run": run})
    print(f"{arguments.output}: {arguments.output.stat().st_size / 1024:.0f} KiB, differs by {difference:.1e} at most")


if __name__ == "__main__":
    main()
