"""MobileNetV2 (arXiv 1801.04381) up to its pooled features, under the parameter names of torchvision's weights."""

from __future__ import annotations

from pathlib import Path

import torch
from torch import Tensor, nn

WIDTH = 1280
# Expansion, channels, repetitions and first stride of each group: table 2 of the paper.
GROUPS = ((1, 16, 1, 1), (6, 24, 2, 2), (6, 32, 3, 2), (6, 64, 4, 2), (6, 96, 3, 1), (6, 160, 3, 2), (6, 320, 1, 1))


def _conv(i: int, o: int, kernel: int, stride: int = 1, groups: int = 1) -> nn.Sequential:
    convolution = nn.Conv2d(i, o, kernel, stride, kernel // 2, groups=groups, bias=False)
    return nn.Sequential(convolution, nn.BatchNorm2d(o), nn.ReLU6(inplace=True))


class Bottleneck(nn.Module):
    """Widen, convolve each channel, narrow without activation; with a shortcut where the shape stays."""

    def __init__(self, i: int, o: int, stride: int, expansion: int) -> None:
        super().__init__()
        wide = i * expansion
        widen = [_conv(i, wide, 1)] if expansion > 1 else []
        narrow = [nn.Conv2d(wide, o, 1, bias=False), nn.BatchNorm2d(o)]
        self.conv = nn.Sequential(*widen, _conv(wide, wide, 3, stride, wide), *narrow)
        self._shortcut = stride == 1 and i == o

    def forward(self, x: Tensor) -> Tensor:
        """Features -> features."""
        return x + self.conv(x) if self._shortcut else self.conv(x)


class MobileNetV2(nn.Module):
    """Pictures (N, 3, H, W), RGB normalised as for ImageNet -> features (N, 1280), the mean over all places."""

    def __init__(self) -> None:
        super().__init__()
        layers: list[nn.Module] = [_conv(3, 32, 3, 2)]
        width = 32
        for expansion, channels, repetitions, stride in GROUPS:
            for k in range(repetitions):
                layers.append(Bottleneck(width, channels, stride if k == 0 else 1, expansion))
                width = channels
        self.features = nn.Sequential(*layers, _conv(width, WIDTH, 1))

    @classmethod
    def load(cls, path: Path) -> MobileNetV2:
        """With torchvision's weights, frozen; the classifier is left out."""
        network = cls()
        state = torch.load(path, map_location="cpu", weights_only=True)
        network.load_state_dict({name: value for name, value in state.items() if name.startswith("features.")})
        return network.eval().requires_grad_(False)

    def forward(self, x: Tensor) -> Tensor:
        """Pooled features."""
        return self.features(x).mean((2, 3))
