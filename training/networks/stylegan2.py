"""StyleGAN2 (Karras et al., arXiv 1912.04958) in nothing but standard operators, frozen: mapping and synthesis.

Every module is made from the tensors of a checkpoint (`stylegan2_checkpoint`) and keeps no others. The equalised
learning rate is multiplied into the weights once. A modulated convolution scales its input by the style and its output
by the demodulation: the same sums as with one weight per face, but one convolution for the whole batch, which runs and
exports anywhere. Resampling with [1, 3, 3, 1] is a grouped (transposed) convolution.
"""

from __future__ import annotations

import math
from collections.abc import Sequence

import torch
from torch import Tensor, nn
from torch.nn import functional as F

SLOPE, GAIN = 0.2, math.sqrt(2)  # of every LeakyReLU
TAPS = (1.0, 3.0, 3.0, 1.0)
LEAST = 1e-8
MAPPING_RATE = 0.01  # the mapping network's learning rate, relative to the others'


def blur_kernel() -> Tensor:
    """(4, 4): [1, 3, 3, 1] in both directions, four in sum, since three of four positions are empty when upsampling."""
    taps = torch.tensor(TAPS)
    return torch.outer(taps, taps) / taps.sum() ** 2 * 4


def activate(x: Tensor) -> Tensor:
    """LeakyReLU that keeps the variance."""
    return F.leaky_relu(x, SLOPE) * GAIN


class Mapping(nn.Module):
    """z (N, 512) -> w (N, 512): normalise, then fully connected layers with a hundredth of the learning rate."""

    def __init__(self, weights: Sequence[Tensor], biases: Sequence[Tensor]) -> None:
        super().__init__()
        self.depth = len(weights)
        for index, (weight, bias) in enumerate(zip(weights, biases, strict=True)):
            self.register_buffer(f"weight_{index}", weight * (MAPPING_RATE / math.sqrt(weight.shape[1])))
            self.register_buffer(f"bias_{index}", bias * MAPPING_RATE)

    def forward(self, z: Tensor) -> Tensor:
        """Map random normal vectors to W."""
        w = z * torch.rsqrt(z.square().mean(1, keepdim=True) + LEAST)
        for index in range(self.depth):
            w = activate(F.linear(w, getattr(self, f"weight_{index}"), getattr(self, f"bias_{index}")))
        return w


class Modulated(nn.Module):
    """A convolution with its input scaled per channel by an affine map of the style.

    Args:
        weight: (o, i, k, k) as in the checkpoint, not scaled yet.
        style_weight: (i, 512), likewise.
        style_bias: (i,).
        up: Double the side.
        demodulate: Bring every output channel back to unit variance.
    """

    def __init__(
        self, weight: Tensor, style_weight: Tensor, style_bias: Tensor, *, up: bool = False, demodulate: bool = True
    ) -> None:
        super().__init__()
        weight = weight / math.sqrt(weight[0].numel())
        self.up, self.padding = up, weight.shape[-1] // 2
        self.register_buffer("weight", weight.transpose(0, 1).contiguous() if up else weight)
        self.register_buffer("style_weight", style_weight / math.sqrt(style_weight.shape[1]))
        self.register_buffer("style_bias", style_bias)
        self.register_buffer("squares", weight.square().sum((2, 3)).T.contiguous() if demodulate else None)
        self.register_buffer("blur", blur_kernel().expand(len(weight), 1, 4, 4).contiguous() if up else None)

    def forward(self, x: Tensor, style: Tensor) -> Tensor:
        """Features (N or 1, i, H, W), style (N, 512) -> (N, o, H, W), or twice the side."""
        scale = F.linear(style, self.style_weight, self.style_bias)
        x = self._convolve(x * scale[:, :, None, None])
        if self.squares is None:
            return x
        return x * torch.rsqrt(scale.square() @ self.squares + LEAST)[:, :, None, None]

    def _convolve(self, x: Tensor) -> Tensor:
        if not self.up:
            return F.conv2d(x, self.weight, padding=self.padding)
        x = F.conv_transpose2d(x, self.weight, stride=2)
        return F.conv2d(x, self.blur, padding=1, groups=len(self.blur))


class Styled(nn.Module):
    """Modulated convolution, fixed noise (or none), bias, activation."""

    def __init__(self, conv: Modulated, bias: Tensor, noise: Tensor | None = None) -> None:
        super().__init__()
        self.conv = conv
        self.register_buffer("bias", bias[None, :, None, None])
        self.register_buffer("noise", noise)

    def forward(self, x: Tensor, style: Tensor) -> Tensor:
        """(N or 1, i, H, W) -> (N, o, H', W')."""
        x = self.conv(x, style) + self.bias
        return activate(x if self.noise is None else x + self.noise)


class ToRGB(nn.Module):
    """Features -> colours, added to the picture so far at twice its side."""

    def __init__(self, conv: Modulated, bias: Tensor) -> None:
        super().__init__()
        self.conv = conv
        self.register_buffer("bias", bias.reshape(1, 3, 1, 1))
        self.register_buffer("blur", blur_kernel().expand(3, 1, 4, 4).contiguous())

    def forward(self, x: Tensor, style: Tensor, picture: Tensor | None = None) -> Tensor:
        """Features (N, i, H, W) and picture (N, 3, H/2, W/2) -> picture (N, 3, H, W)."""
        colours = self.conv(x, style) + self.bias
        if picture is None:
            return colours
        return colours + F.conv_transpose2d(picture, self.blur, stride=2, padding=1, groups=3)


class Synthesis(nn.Module):
    """W+ latent (N, 2 log2(side) - 2, 512) -> RGB (N, 3, side, side) in about [-1, 1].

    `convs` holds the first convolution and then two per doubling, `to_rgbs` one per side from 4 px on.
    """

    def __init__(self, const: Tensor, convs: Sequence[Styled], to_rgbs: Sequence[ToRGB]) -> None:
        super().__init__()
        self.register_buffer("const", const)
        self.convs, self.to_rgbs = nn.ModuleList(convs), nn.ModuleList(to_rgbs)

    @property
    def side(self) -> int:
        """Side of the picture, px."""
        return 2 ** (len(self.to_rgbs) + 1)

    @property
    def n_styles(self) -> int:
        """Slots of the latent."""
        return 2 * len(self.to_rgbs)

    def forward(self, latent: Tensor) -> Tensor:
        """Paint. Slot 2k - 1 enlarges, slot 2k refines, and the colours share the slot of the next enlargement."""
        x = self.convs[0](self.const, latent[:, 0])
        picture = self.to_rgbs[0](x, latent[:, 1])
        for k, to_rgb in enumerate(self.to_rgbs[1:], 1):
            enlarge, refine = self.convs[2 * k - 1], self.convs[2 * k]
            x = refine(enlarge(x, latent[:, 2 * k - 1]), latent[:, 2 * k])
            picture = to_rgb(x, latent[:, 2 * k + 1], picture)
        return picture
