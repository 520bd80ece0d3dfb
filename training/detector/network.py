"""YuNet-n in PyTorch, names as in libfacedetection.train, so that its published weights load unchanged.

Architecture and weights to start from: YuNet, Wei Wu, Hanyang Peng, Shiqi Yu, "YuNet: A Tiny Millisecond-level Face
Detector", 2023, Apache-2.0. Input: BGR, 0..255, height and width divisible by 32. Output per stride 8, 16, 32: a map
of 16 channels: class and objectness logits, box (dx, dy, log w, log h), five landmarks (x, y), in units of the stride
and relative to the cell's corner.
"""

from __future__ import annotations

import copy
from dataclasses import dataclass, replace
from pathlib import Path

import torch
from torch import Tensor, nn
from torch.nn.utils.fusion import fuse_conv_bn_eval

STRIDES = (8, 16, 32)
CHANNELS = {"cls": 1, "obj": 1, "bbox": 4, "kps": 10}
MAP_CHANNELS = sum(CHANNELS.values())


@dataclass(frozen=True, kw_only=True)
class YuNetConfig:
    """Widths of YuNet-n: the stem, and every level after it. `folded`: batch norm is part of the convolutions."""

    stem: int = 16
    width: int = 64
    folded: bool = False


def _norm(channels: int, config: YuNetConfig) -> nn.Module:
    return nn.Identity() if config.folded else nn.BatchNorm2d(channels)


class Unit(nn.Module):
    """1x1 convolution, 3x3 per channel, batch norm, ReLU."""

    def __init__(self, c_in: int, c_out: int, config: YuNetConfig) -> None:
        super().__init__()
        self.conv1 = nn.Conv2d(c_in, c_out, 1)
        self.conv2 = nn.Conv2d(c_out, c_out, 3, padding=1, groups=c_out)
        self.bn = _norm(c_out, config)

    def forward(self, x: Tensor) -> Tensor:
        """Same height and width, `c_out` channels."""
        return torch.relu_(self.bn(self.conv2(self.conv1(x))))


class Branch(nn.Module):
    """1x1 convolution, 3x3 per channel: the last layers."""

    def __init__(self, c_in: int, c_out: int) -> None:
        super().__init__()
        self.conv1 = nn.Conv2d(c_in, c_out, 1)
        self.conv2 = nn.Conv2d(c_out, c_out, 3, padding=1, groups=c_out)

    def forward(self, x: Tensor) -> Tensor:
        """Same height and width, `c_out` channels."""
        out: Tensor = self.conv2(self.conv1(x))
        return out


class Stem(nn.Module):
    """The first level: a 3x3 convolution of stride 2, and one unit."""

    def __init__(self, config: YuNetConfig) -> None:
        super().__init__()
        self.conv1 = nn.Conv2d(3, config.stem, 3, stride=2, padding=1)
        self.bn1 = _norm(config.stem, config)
        self.conv2 = Unit(config.stem, config.stem, config)

    def forward(self, x: Tensor) -> Tensor:
        """Half the height and width."""
        out: Tensor = self.conv2(torch.relu_(self.bn1(self.conv1(x))))
        return out


class Level(nn.Module):
    """Two units."""

    def __init__(self, c_in: int, config: YuNetConfig) -> None:
        super().__init__()
        self.conv1 = Unit(c_in, c_in, config)
        self.conv2 = Unit(c_in, config.width, config)

    def forward(self, x: Tensor) -> Tensor:
        """Same height and width."""
        out: Tensor = self.conv2(self.conv1(x))
        return out


class Backbone(nn.Module):
    """Features at strides 8, 16 and 32."""

    def __init__(self, config: YuNetConfig) -> None:
        super().__init__()
        self.model0 = Stem(config)
        self.model1 = Level(config.stem, config)
        self.model2, self.model3, self.model4, self.model5 = (Level(config.width, config) for _ in range(4))
        self.pool = nn.MaxPool2d(2)

    def forward(self, x: Tensor) -> list[Tensor]:
        """Three maps, finest first."""
        x = self.model2(self.model1(self.pool(self.model0(x))))
        c3 = self.model3(self.pool(x))
        c4 = self.model4(self.pool(c3))
        return [c3, c4, self.model5(self.pool(c4))]


class Neck(nn.Module):
    """Top-down: coarse features are added to the finer ones."""

    def __init__(self, config: YuNetConfig) -> None:
        super().__init__()
        self.lateral_convs = nn.ModuleList(Unit(config.width, config.width, config) for _ in STRIDES)

    def forward(self, maps: list[Tensor]) -> list[Tensor]:
        """Three maps of the same sizes."""
        out = list(maps)
        for i in (2, 1, 0):
            out[i] = self.lateral_convs[i](out[i])
            if i:
                out[i - 1] = out[i - 1] + nn.functional.interpolate(out[i], scale_factor=2.0, mode="nearest")
        return out


class Head(nn.Module):
    """One shared unit a level, then class, box, objectness and landmarks."""

    def __init__(self, config: YuNetConfig) -> None:
        super().__init__()
        width = config.width
        self.multi_level_share_convs = nn.ModuleList(nn.Sequential(Unit(width, width, config)) for _ in STRIDES)
        for name, channels in CHANNELS.items():
            self.add_module(f"multi_level_{name}", nn.ModuleList(Branch(width, channels) for _ in STRIDES))

    def forward(self, maps: list[Tensor]) -> list[Tensor]:
        """A (N, 16, h, w) map for each stride."""
        shared = [unit(x) for unit, x in zip(self.multi_level_share_convs, maps, strict=True)]
        return [torch.cat([self.branch(n)[i](x) for n in CHANNELS], 1) for i, x in enumerate(shared)]

    def branch(self, name: str) -> nn.ModuleList:
        """The layers, one a stride, of `cls`, `obj`, `bbox` or `kps`."""
        layers = self.get_submodule(f"multi_level_{name}")
        assert isinstance(layers, nn.ModuleList)
        return layers


class YuNet(nn.Module):
    """The whole detector: (N, 3, H, W) BGR 0..255 -> three (N, 16, h, w) maps at strides 8, 16, 32."""

    def __init__(self, config: YuNetConfig | None = None) -> None:
        super().__init__()
        self.config = config or YuNetConfig()
        self.backbone = Backbone(self.config)
        self.neck = Neck(self.config)
        self.bbox_head = Head(self.config)

    def forward(self, x: Tensor) -> list[Tensor]:
        """Logits and offsets; `decode` makes boxes of them."""
        out: list[Tensor] = self.bbox_head(self.neck(self.backbone(x)))
        return out


def load_published(path: Path) -> YuNet:
    """YuNet-n with the weights of a libfacedetection.train checkpoint."""
    network = YuNet()
    network.load_state_dict(torch.load(path, map_location="cpu", weights_only=True)["state_dict"])
    return network.eval()


def fold(network: YuNet) -> YuNet:
    """The same function, each batch norm made part of the convolution before it: a third faster to train."""
    if network.config.folded:
        return copy.deepcopy(network)
    folded = copy.deepcopy(network).eval()
    for module in folded.modules():
        if isinstance(module, Unit):
            module.conv2, module.bn = _fused(module.conv2, module.bn), nn.Identity()
        elif isinstance(module, Stem):
            module.conv1, module.bn1 = _fused(module.conv1, module.bn1), nn.Identity()
    folded.config = replace(network.config, folded=True)
    return folded


def _fused(convolution: nn.Conv2d, norm: nn.Module) -> nn.Conv2d:
    assert isinstance(norm, nn.BatchNorm2d)
    return fuse_conv_bn_eval(convolution, norm)


def grid(height: int, width: int, stride: int) -> Tensor:
    """Corners of the cells in pixels, (height * width, 2) as x, y, row by row."""
    y, x = torch.meshgrid(torch.arange(height), torch.arange(width), indexing="ij")
    return torch.stack([x, y], -1).reshape(-1, 2).float() * stride


def flatten(maps: list[Tensor]) -> tuple[Tensor, Tensor, Tensor]:
    """All cells of all levels: raw (N, A, 16), corners (A, 2) and strides (A,)."""
    raw = torch.cat([m.flatten(2).transpose(1, 2) for m in maps], 1)
    corners = torch.cat([grid(*m.shape[2:], s) for m, s in zip(maps, STRIDES, strict=True)])
    strides = torch.cat([torch.full((m.shape[2] * m.shape[3],), float(s)) for m, s in zip(maps, STRIDES, strict=True)])
    return raw, corners, strides


def decode(raw: Tensor, corners: Tensor, strides: Tensor) -> tuple[Tensor, Tensor]:
    """Boxes (N, A, 4) xyxy and landmarks (N, A, 5, 2), in pixels."""
    s = strides[:, None]
    centre = raw[..., 2:4] * s + corners
    half = raw[..., 4:6].clamp(max=8.0).exp() * s / 2
    points = raw[..., 6:].unflatten(-1, (5, 2)) * s[..., None] + corners[:, None]
    return torch.cat([centre - half, centre + half], -1), points
