"""The discriminator of the optional adversarial loss: tells fused faces from photos (residual, after StyleGAN2)."""

from __future__ import annotations

import math
from itertools import pairwise

import torch
from torch import Tensor, nn
from torch.nn import functional as F

FIRST, WIDEST, SMALLEST = 32, 256, 4


class Halve(nn.Module):
    """Residual block to half the side."""

    def __init__(self, i: int, o: int) -> None:
        super().__init__()
        self.first, self.second = nn.Conv2d(i, i, 3, padding=1), nn.Conv2d(i, o, 3, padding=1)
        self.skip = nn.Conv2d(i, o, 1, bias=False)

    def forward(self, x: Tensor) -> Tensor:
        """(N, i, h, w) -> (N, o, h / 2, w / 2)."""
        y = F.leaky_relu(self.second(F.leaky_relu(self.first(x), 0.2)), 0.2)
        return (F.avg_pool2d(y, 2) + self.skip(F.avg_pool2d(x, 2))) * math.sqrt(0.5)


class Adversary(nn.Module):
    """Pictures (N, 3, S, S) in [-1, 1] -> logits (N,): high for photos. S is a power of two."""

    def __init__(self, side: int) -> None:
        super().__init__()
        halvings = int(math.log2(side // SMALLEST))
        widths = [min(FIRST * 2**level, WIDEST) for level in range(halvings + 1)]
        self.enter = nn.Conv2d(3, widths[0], 1)
        self.blocks = nn.Sequential(*(Halve(i, o) for i, o in pairwise(widths)))
        self.last = nn.Conv2d(widths[-1] + 1, widths[-1], 3, padding=1)
        self.leave = nn.Sequential(
            nn.Linear(widths[-1] * SMALLEST**2, widths[-1]), nn.LeakyReLU(0.2), nn.Linear(widths[-1], 1)
        )

    def forward(self, picture: Tensor) -> Tensor:
        """Judge."""
        x = self.blocks(F.leaky_relu(self.enter(picture), 0.2))
        # How much the batch varies: a generator that paints one face for all is found out (Karras et al., 2018).
        spread = (x.float().var(0, unbiased=False) + 1e-8).sqrt().mean().expand(len(x), 1, *x.shape[2:]).to(x.dtype)
        x = F.leaky_relu(self.last(torch.cat((x, spread), 1)), 0.2)
        return self.leave(x.flatten(1))[:, 0].float()
