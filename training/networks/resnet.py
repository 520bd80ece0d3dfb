"""A residual network with squeeze-excitation whose last three stages are handed on: the encoder's trunk.

The bottlenecks follow IR-SE (Deng et al., ArcFace, arXiv 1801.07698, and pSp, arXiv 2008.00951): normalise, two 3x3
convolutions, squeeze-excitation, around a shortcut. Three things differ. Batch statistics of four pictures are noise,
so groups of channels of each picture are normalised instead; that also keeps no running averages which training, bf16
and export could disagree about. Only the branch is normalised, never the shortcut: how bright the surroundings are is
just what the face must follow, and a normalised stream would lose it. And the first of the two convolutions halves the
picture, not the second one, which saves a third of the work.
"""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor, nn
from torch.nn import functional as F

SLOPE = 0.2
GROUP = 8


def conv(i: int, o: int, *, kernel: int = 3, stride: int = 1, groups: int = 1) -> nn.Conv2d:
    """A convolution that keeps the variance of what a LeakyReLU gives it."""
    layer = nn.Conv2d(i, o, kernel, stride, kernel // 2, groups=groups)
    nn.init.kaiming_normal_(layer.weight, SLOPE)
    nn.init.zeros_(layer.bias)
    return layer


def norm(width: int) -> nn.GroupNorm:
    """Normalise groups of eight channels within each picture."""
    return nn.GroupNorm(max(1, width // GROUP), width)


class SqueezeExcitation(nn.Module):
    """Scale each channel by a gate that is read from all channels' means (Hu et al., arXiv 1709.01507)."""

    def __init__(self, width: int, ratio: int = 16) -> None:
        super().__init__()
        middle = max(8, width // ratio)
        self.squeeze, self.excite = nn.Linear(width, middle), nn.Linear(middle, width)

    def forward(self, x: Tensor) -> Tensor:
        """Same shape out as in."""
        gate = self.excite(F.leaky_relu(self.squeeze(x.mean((2, 3))), SLOPE))
        return x * torch.sigmoid(gate)[:, :, None, None]


class Bottleneck(nn.Module):
    """Shortcut + SE(conv(act(conv(norm(x))))); the first convolution may widen and halve the picture."""

    def __init__(self, i: int, o: int, stride: int) -> None:
        super().__init__()
        self.stride = stride
        self.norm, self.first, self.second = norm(i), conv(i, o, stride=stride), conv(o, o)
        self.gate = SqueezeExcitation(o)
        self.shortcut = conv(i, o, kernel=1) if i != o else nn.Identity()

    def forward(self, x: Tensor) -> Tensor:
        """(N, i, H, W) -> (N, o, H / stride, W / stride)."""
        branch = self.second(F.leaky_relu(self.first(self.norm(x)), SLOPE))
        short = F.avg_pool2d(x, 2) if self.stride == 2 else x
        return self.shortcut(short) + self.gate(branch)


class ResNet(nn.Module):
    """(N, channels, S, S) -> the features of the last three stages, fine to coarse.

    Every stage halves the picture in its first block and has `depths[k]` blocks of `widths[k]` channels.
    """

    def __init__(
        self, channels: int, *, stem: int, stem_stride: int, widths: Sequence[int], depths: Sequence[int]
    ) -> None:
        super().__init__()
        self.stem = conv(channels, stem, stride=stem_stride)
        self.stages, i = nn.ModuleList(), stem
        for o, depth in zip(widths, depths, strict=True):
            self.stages.append(nn.Sequential(Bottleneck(i, o, 2), *(Bottleneck(o, o, 1) for _ in range(depth - 1))))
            i = o

    def forward(self, x: Tensor) -> list[Tensor]:
        """Run all stages, keep the last three."""
        x, features = F.leaky_relu(self.stem(x), SLOPE), []
        for stage in self.stages:
            x = stage(x)
            features.append(x)
        return features[-3:]
