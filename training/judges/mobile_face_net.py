"""MobileFaceNet (arXiv 1804.07573) for 112 x 96 px crops, as published with ArcMargin weights in PyTorch."""

from __future__ import annotations

from itertools import pairwise
from pathlib import Path

import torch
from torch import Tensor, nn
from torch.nn.utils.fusion import fuse_conv_bn_eval

WIDTH_PX = 96
# Expansion, channels, repetitions, stride of each group of bottlenecks.
BOTTLENECKS = ((2, 64, 5, 2), (4, 128, 1, 2), (2, 128, 6, 1), (4, 128, 1, 2), (2, 128, 2, 1))


class ConvBlock(nn.Module):
    """Convolution, batch normalisation and, unless linear, PReLU."""

    def __init__(
        self, i: int, o: int, kernel: int | tuple[int, int], stride: int, padding: int, *,
        depthwise: bool = False, linear: bool = False,
    ) -> None:  # fmt: skip
        super().__init__()
        self.conv = nn.Conv2d(i, o, kernel, stride, padding, groups=i if depthwise else 1, bias=False)
        self.bn = nn.BatchNorm2d(o)
        self.prelu = nn.Identity() if linear else nn.PReLU(o)

    def forward(self, x: Tensor) -> Tensor:
        """Features -> features."""
        return self.prelu(self.bn(self.conv(x)))


class Bottleneck(nn.Module):
    """Widen, convolve each channel, narrow; with a shortcut where the shape stays."""

    def __init__(self, i: int, o: int, stride: int, expansion: int) -> None:
        super().__init__()
        self.connect = stride == 1 and i == o
        wide = i * expansion
        self.conv = nn.Sequential(
            nn.Conv2d(i, wide, 1, bias=False), nn.BatchNorm2d(wide), nn.PReLU(wide),
            nn.Conv2d(wide, wide, 3, stride, 1, groups=wide, bias=False), nn.BatchNorm2d(wide), nn.PReLU(wide),
            nn.Conv2d(wide, o, 1, bias=False), nn.BatchNorm2d(o),
        )  # fmt: skip

    def forward(self, x: Tensor) -> Tensor:
        """Features -> features."""
        return x + self.conv(x) if self.connect else self.conv(x)


def fused(module: nn.Module) -> nn.Module:
    """Multiply every normalisation into the convolution before it: the same function, in less time."""
    children = list(module.named_children())
    for (name, first), (after, second) in pairwise(children):
        if isinstance(first, nn.Conv2d) and isinstance(second, nn.BatchNorm2d):
            setattr(module, name, fuse_conv_bn_eval(first, second))
            setattr(module, after, nn.Identity())
    for _, child in module.named_children():
        fused(child)
    return module


class MobileFaceNet(nn.Module):
    """Picture (N, 3, 112, 112) RGB in about [-1, 1] -> embedding (N, 128); the middle 96 columns are looked at."""

    def __init__(self) -> None:
        super().__init__()
        self.conv1 = ConvBlock(3, 64, 3, 2, 1)
        self.dw_conv1 = ConvBlock(64, 64, 3, 1, 1, depthwise=True)
        layers, width = [], 64
        for expansion, channels, repetitions, stride in BOTTLENECKS:
            for k in range(repetitions):
                layers.append(Bottleneck(width, channels, stride if k == 0 else 1, expansion))
                width = channels
        self.blocks = nn.Sequential(*layers)
        self.conv2 = ConvBlock(128, 512, 1, 1, 0)
        self.linear7 = ConvBlock(512, 512, (7, 6), 1, 0, depthwise=True, linear=True)
        self.linear1 = ConvBlock(512, 128, 1, 1, 0, linear=True)

    @classmethod
    def load(cls, path: Path) -> MobileFaceNet:
        """From a checkpoint with `net_state_dict`."""
        network = cls()
        network.load_state_dict(torch.load(path, map_location="cpu", weights_only=True)["net_state_dict"])
        return fused(network.eval()).requires_grad_(False)

    def forward(self, picture: Tensor) -> Tensor:
        """Embed."""
        margin = (picture.shape[3] - WIDTH_PX) // 2
        x = self.dw_conv1(self.conv1(picture[..., margin : margin + WIDTH_PX]))
        return self.linear1(self.linear7(self.conv2(self.blocks(x)))).flatten(1)
