"""The 68-point network: a small residual pyramid, heatmaps read by soft-argmax, a shape correction, and a doubt."""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor, nn
from torch.nn.functional import interpolate, relu

POINTS = 68


@dataclass(frozen=True, kw_only=True)
class NetworkConfig:
    """Size of the network; `grid` follows: a quarter of `size`."""

    size: int = 112
    stem: int = 16
    widths: tuple[int, int, int] = (32, 64, 96)
    lateral: int = 48
    head: int = 64

    @property
    def grid(self) -> int:
        """Side of the heatmaps."""
        return self.size // 4


@dataclass(frozen=True, eq=False, slots=True)
class Output:
    """`points` (n, 68, 2) in crop units, `usable` (n,) logits, `log_heat` (n, 68, grid * grid)."""

    points: Tensor
    usable: Tensor
    log_heat: Tensor


def conv(i: int, o: int, *, kernel: int = 3, stride: int = 1, groups: int = 1) -> nn.Sequential:
    """Convolution and batch normalisation."""
    layer = nn.Conv2d(i, o, kernel, stride, kernel // 2, groups=groups, bias=False)
    return nn.Sequential(layer, nn.BatchNorm2d(o))


class Block(nn.Module):
    """Two 3x3 convolutions around a shortcut."""

    def __init__(self, width: int) -> None:
        super().__init__()
        self.first, self.second = conv(width, width), conv(width, width)

    def forward(self, x: Tensor) -> Tensor:
        """Same shape out as in."""
        return relu(x + self.second(relu(self.first(x))))


class Stage(nn.Module):
    """Halve the picture, then one block."""

    def __init__(self, i: int, o: int) -> None:
        super().__init__()
        self.down, self.block = conv(i, o, stride=2), Block(o)

    def forward(self, x: Tensor) -> Tensor:
        """(n, i, h, w) -> (n, o, h/2, w/2)."""
        return self.block(relu(self.down(x)))


class Merge(nn.Module):
    """Coarse features, enlarged, plus finer ones: then a depthwise and a pointwise convolution."""

    def __init__(self, fine: int, lateral: int, o: int) -> None:
        super().__init__()
        self.side = nn.Conv2d(fine, lateral, 1)
        self.depth, self.point = conv(lateral, lateral, groups=lateral), conv(lateral, o, kernel=1)

    def forward(self, coarse: Tensor, fine: Tensor) -> Tensor:
        """Merge at the finer resolution."""
        x = self.side(fine) + interpolate(coarse, scale_factor=2.0, mode="nearest")
        return relu(self.point(relu(self.depth(x))))


class Network(nn.Module):
    """(n, 3, size, size) RGB in 0..255 -> points, confidence."""

    def __init__(self, config: NetworkConfig | None = None) -> None:
        super().__init__()
        self.config = c = config or NetworkConfig()
        a, b, d = c.widths
        self.stem = conv(3, c.stem, stride=2)
        self.stages = nn.ModuleList([Stage(c.stem, a), Stage(a, b), Stage(b, d)])
        self.top = nn.Conv2d(d, c.lateral, 1)
        self.merge_mid, self.merge_fine = Merge(b, c.lateral, c.lateral), Merge(a, c.lateral, c.head)
        self.heat = nn.Conv2d(c.head, POINTS, 1)
        self.correct = nn.Sequential(nn.Linear(d + 2 * POINTS, 128), nn.ReLU(), nn.Linear(128, 2 * POINTS))
        self.usable = nn.Sequential(nn.Linear(d + POINTS, 64), nn.ReLU(), nn.Linear(64, 1))
        nn.init.zeros_(self.correct[2].weight)
        nn.init.zeros_(self.correct[2].bias)
        centres = (torch.arange(c.grid) + 0.5) / c.grid
        self.register_buffer("grid", torch.stack([centres.repeat(c.grid), centres.repeat_interleave(c.grid)], 1))

    def forward(self, image: Tensor) -> Output:
        """Run on a batch."""
        return self.read(*self.look(image))

    def look(self, image: Tensor) -> tuple[Tensor, Tensor]:
        """Fine features (n, head, grid, grid) and a summary (n, d): the part that may run in half precision."""
        fine = relu(self.stem(image / 127.5 - 1))
        features = []
        for stage in self.stages:
            fine = stage(fine)
            features.append(fine)
        merged = self.merge_fine(self.merge_mid(self.top(features[2]), features[1]), features[0])
        return merged, features[2].mean((2, 3))

    def read(self, merged: Tensor, pooled: Tensor) -> Output:
        """Features -> points; in full precision, since a point is a weighted mean over the whole grid."""
        log_heat = self.heat(merged).flatten(2).log_softmax(2)
        heat = log_heat.exp()
        places = heat @ self.grid
        shift = self.correct(torch.cat([pooled, (places - 0.5).flatten(1)], 1))
        usable = self.usable(torch.cat([pooled, heat.amax(2)], 1))[:, 0]
        return Output(places + 0.1 * shift.view(-1, POINTS, 2), usable, log_heat)


class Runtime(nn.Module):
    """What is exported: the two outputs that the runtime reads."""

    def __init__(self, network: Network) -> None:
        super().__init__()
        self.network = network

    def forward(self, image: Tensor) -> tuple[Tensor, Tensor]:
        """Give points in crop units and confidence in [0, 1]."""
        output = self.network(image)
        return output.points, output.usable.sigmoid()
