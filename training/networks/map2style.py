"""From one level of the pyramid to the styles of its slots: pSp's `map2style`, conditioned on the identity.

The identity scales and shifts the features right before the last linear layer (FiLM, arXiv 1709.07871). What moves one
invented face to a pose depends on the shape of that face: to the first order it is a difference (which the shift is),
beyond it a product (which the scale is); a mere concatenation would leave products to layers that are not there. Where
the modulation sits, the picture's features have become few, so that it costs little, and the trunk stays the same for
all identities: many identities can share one look at a frame.
"""

from __future__ import annotations

import math

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from training.networks.resnet import SLOPE, conv

POINTS = 68
SPREAD = 8.0  # landmarks in [0, 1] differ from their mean by about an eighth


class SlotLinear(nn.Module):
    """A linear layer of its own for each slot: (N, slots, i) -> (N, slots, o)."""

    def __init__(self, slots: int, i: int, o: int, *, zero: bool = False) -> None:
        super().__init__()
        self.weight = nn.Parameter(torch.zeros(slots, i, o))
        self.bias = nn.Parameter(torch.zeros(slots, 1, o))
        if not zero:
            nn.init.normal_(self.weight, std=math.sqrt(2 / (1 + SLOPE**2) / i))

    def forward(self, x: Tensor) -> Tensor:
        """One product of matrices per slot."""
        return (x.transpose(0, 1) @ self.weight + self.bias).transpose(0, 1)


class GradualTrunk(nn.Module):
    """pSp's block for one slot: convolutions of stride 2 until one position is left, (N, i, H, H) -> (N, width)."""

    def __init__(self, i: int, width: int, side: int) -> None:
        super().__init__()
        steps = side.bit_length() - 1
        self.convs = nn.ModuleList(conv(i if k == 0 else width, width, stride=2) for k in range(steps))

    def forward(self, x: Tensor) -> Tensor:
        """Shrink to one position."""
        for layer in self.convs:
            x = F.leaky_relu(layer(x), SLOPE)
        return x.flatten(1)


class GradualTrunks(nn.Module):
    """The paper's way: every slot has convolutions of its own. (N, i, H, H) -> (N, slots, width)."""

    def __init__(self, i: int, slots: int, width: int, side: int) -> None:
        super().__init__()
        self.slots = nn.ModuleList(GradualTrunk(i, width, side) for _ in range(slots))

    def forward(self, x: Tensor) -> Tensor:
        """One trunk after the other."""
        return torch.stack([trunk(x) for trunk in self.slots], 1)


class SharedTrunks(nn.Module):
    """The compact way: the slots of a level share cheap separable convolutions down to 4x4 positions, and each slot
    then reads a few channels of its own at every position, so that it still knows where things are.

    (N, i, H, H) -> (N, slots, width).
    """

    GRID, CHANNELS = 4, 12

    def __init__(self, i: int, slots: int, width: int, side: int) -> None:
        super().__init__()
        steps = (side // self.GRID).bit_length() - 1
        self.depthwise = nn.ModuleList(conv(i, i, stride=2, groups=i) for _ in range(steps))
        self.pointwise = nn.ModuleList(conv(i, i, kernel=1) for _ in range(steps))
        self.read = conv(i, slots * self.CHANNELS, kernel=1)
        self.linear = SlotLinear(slots, self.CHANNELS * self.GRID**2, width)
        self.slots = slots

    def forward(self, x: Tensor) -> Tensor:
        """Shrink together, read apart."""
        for depthwise, pointwise in zip(self.depthwise, self.pointwise, strict=True):
            x = F.leaky_relu(pointwise(depthwise(x)), SLOPE)
        x = F.leaky_relu(self.read(x), SLOPE)
        return self.linear(x.reshape(-1, self.slots, self.CHANNELS * self.GRID**2))


TRUNKS = {"gradual": GradualTrunks, "shared": SharedTrunks}


class Condition(nn.Module):
    """Scale and shift, (N, slots, width) each, from the identity (N, slots, 512) and, if asked, the landmarks."""

    def __init__(self, style: int, width: int, *, landmarks: bool) -> None:
        super().__init__()
        self.norm, self.identity = nn.LayerNorm(style), nn.Linear(style, 2 * width)
        self.landmarks = nn.Linear(2 * POINTS, 2 * width) if landmarks else None

    def forward(self, identity: Tensor, landmarks: Tensor) -> tuple[Tensor, Tensor]:
        """The layer is the same for all slots of a level; the identity may differ between them."""
        code = self.identity(self.norm(identity))
        if self.landmarks is not None:
            code = code + self.landmarks((landmarks.flatten(1) - 0.5) * SPREAD)[:, None]
        scale, shift = code.chunk(2, 2)
        return scale, shift


class Map2Style(nn.Module):
    """The shifts of all slots that read one level of the pyramid; zero until trained."""

    def __init__(
        self, trunk: nn.Module, *, slots: int, width: int, style: int, conditioned: bool, landmarks: bool
    ) -> None:
        super().__init__()
        self.trunk = trunk
        self.condition = Condition(style, width, landmarks=landmarks) if conditioned else None
        self.linear = SlotLinear(slots, width, style, zero=True)

    def forward(self, level: Tensor, identity: Tensor, landmarks: Tensor) -> Tensor:
        """Level (N, i, H, H), identity (N, slots, 512), landmarks (N, 68, 2) -> shifts (N, slots, 512)."""
        x = self.trunk(level)
        if self.condition is not None:
            scale, shift = self.condition(identity, landmarks)
            x = x * (1 + scale) + shift
        return self.linear(F.leaky_relu(x, SLOPE))
