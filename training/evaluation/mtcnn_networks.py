"""The three networks of MTCNN (Zhang et al., 2016), with the parameter names that the published weights carry."""

from __future__ import annotations

from pathlib import Path

import torch
from torch import Tensor, nn

Layers = dict[str, nn.Module]


class Stage(nn.Module):
    """Trunk and heads: a batch (n, 3, H, W) in [-1, 1] -> probability of a face, and corrections of its box."""

    def __init__(self, trunk: Layers, heads: Layers) -> None:
        super().__init__()
        for name, module in {**trunk, **heads}.items():
            self.add_module(name, module)
        self._trunk, self._heads = tuple(trunk), tuple(heads)[:2]

    def forward(self, x: Tensor) -> tuple[Tensor, Tensor]:
        """Probabilities (n, ...) and corrections (n, 4, ...), as parts of the box's sides."""
        for name in self._trunk:
            x = self.get_submodule(name)(x)
        logits, corrections = (self.get_submodule(name)(x) for name in self._heads)
        return logits.softmax(1)[:, 1], corrections


class ColumnsFirst(nn.Module):
    """Flattens as the framework did in which the weights were trained: columns, rows, channels."""

    def forward(self, x: Tensor) -> Tensor:
        """(n, C, H, W) -> (n, W * H * C)."""
        return x.permute(0, 3, 2, 1).flatten(1)


def _pool(size: int) -> nn.MaxPool2d:
    return nn.MaxPool2d(size, 2, ceil_mode=True)


def proposal() -> Stage:
    """P-Net: fully convolutional; one answer per 12 px window, every 2 px."""
    trunk: Layers = {
        "conv1": nn.Conv2d(3, 10, 3), "prelu1": nn.PReLU(10), "pool1": _pool(2),
        "conv2": nn.Conv2d(10, 16, 3), "prelu2": nn.PReLU(16),
        "conv3": nn.Conv2d(16, 32, 3), "prelu3": nn.PReLU(32),
    }  # fmt: skip
    return Stage(trunk, {"conv4_1": nn.Conv2d(32, 2, 1), "conv4_2": nn.Conv2d(32, 4, 1)})


def refinement() -> Stage:
    """R-Net: 24 px crops."""
    trunk: Layers = {
        "conv1": nn.Conv2d(3, 28, 3), "prelu1": nn.PReLU(28), "pool1": _pool(3),
        "conv2": nn.Conv2d(28, 48, 3), "prelu2": nn.PReLU(48), "pool2": _pool(3),
        "conv3": nn.Conv2d(48, 64, 2), "prelu3": nn.PReLU(64), "flat": ColumnsFirst(),
        "dense4": nn.Linear(576, 128), "prelu4": nn.PReLU(128),
    }  # fmt: skip
    return Stage(trunk, {"dense5_1": nn.Linear(128, 2), "dense5_2": nn.Linear(128, 4)})


def output() -> Stage:
    """O-Net: 48 px crops. Its third head, five points, is loaded and not used."""
    trunk: Layers = {
        "conv1": nn.Conv2d(3, 32, 3), "prelu1": nn.PReLU(32), "pool1": _pool(3),
        "conv2": nn.Conv2d(32, 64, 3), "prelu2": nn.PReLU(64), "pool2": _pool(3),
        "conv3": nn.Conv2d(64, 64, 3), "prelu3": nn.PReLU(64), "pool3": _pool(2),
        "conv4": nn.Conv2d(64, 128, 2), "prelu4": nn.PReLU(128), "flat": ColumnsFirst(),
        "dense5": nn.Linear(1152, 256), "prelu5": nn.PReLU(256),
    }  # fmt: skip
    heads: Layers = {
        "dense6_1": nn.Linear(256, 2), "dense6_2": nn.Linear(256, 4), "dense6_3": nn.Linear(256, 10),
    }  # fmt: skip
    return Stage(trunk, heads)


def load(stage: Stage, path: Path) -> Stage:
    """`stage` with the weights at `path`, ready to answer."""
    stage.load_state_dict(torch.load(path, map_location="cpu", weights_only=True))
    return stage.eval().requires_grad_(False)
