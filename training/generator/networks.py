"""The public StyleGAN in PyTorch: mapping network and decoder (MobileStyleGAN, arXiv 2104.04767, FFHQ 1024 px).

The decoder is fed with a W+ latent (N, 23, 512). Besides the full 1024 px picture it has a ladder of rungs at 64, 128
and 256 px, cut where the features already hold the picture.
"""

from __future__ import annotations

import math

import numpy as np
import torch
from torch import Tensor, nn
from torch.nn import functional as F

STYLES = 23
WIDTH = 512
CHANNELS = (512, 512, 512, 512, 256, 128, 64)  # of the features after block 0..6
RUNGS = {64: 2, 128: 3, 256: 4}  # output side -> last block that it needs
# Rows and columns of the 32 px features that can hold the protected region (forehead and background lie outside).
WINDOW_GRID, WINDOW_ROWS, WINDOW_COLUMNS = 32, slice(7, 32), slice(2, 30)
HIDDEN = {2: 128, 3: 128, 4: 96}  # last block -> channels of its narrowed second half


class Mapping(nn.Module):
    """z (N, 512) -> w (N, 512): eight fully connected layers after normalising z (StyleGAN2)."""

    def __init__(self) -> None:
        super().__init__()
        self.layers = nn.ModuleList(nn.Linear(WIDTH, WIDTH) for _ in range(8))
        self.register_buffer("gain", torch.ones(8))

    def forward(self, z: Tensor) -> Tensor:
        """Map random normal vectors to the intermediate latent space W."""
        w = z * torch.rsqrt(z.square().mean(1, keepdim=True) + 1e-8)
        for gain, layer in zip(self.gain, self.layers, strict=True):
            w = F.leaky_relu(layer(w), 0.2) * gain
        return w


class StyledConv(nn.Module):
    """x *= scale * Linear(style); convolution; + noise constant; + bias; LeakyReLU(0.2). Demodulation is folded in."""

    def __init__(self, c_in: int, c_out: int, size: int, separable: bool = True) -> None:
        super().__init__()
        self.modulation = nn.Linear(WIDTH, c_in)
        self.depthwise = nn.Conv2d(c_in, c_in, 3, padding=1, groups=c_in, bias=False) if separable else None
        self.conv = nn.Conv2d(c_in, c_out, 1 if separable else 3, padding=0 if separable else 1)
        self.noise: nn.Parameter | None = nn.Parameter(torch.zeros(1, 1, size, size))

    def forward(self, x: Tensor, style: Tensor) -> Tensor:
        """Features (N, c_in, H, W) and style (N, 512) -> features (N, c_out, H, W)."""
        x = x * self.modulation(style)[:, :, None, None]
        if self.depthwise is not None:
            x = self.depthwise(x)
        x = self.conv(x)
        return F.leaky_relu(x if self.noise is None else x + self.noise, 0.2)


def inverse_haar(x: Tensor) -> Tensor:
    """(N, 4C, H, W) -> (N, C, 2H, 2W): C channels LL, then LH, HL, HH interleaved per channel."""
    n, channels, h, w = x.shape
    c = channels // 4
    low = x[:, :c]
    high = x[:, c:].reshape(n, c, 3, h, w)
    vertical, horizontal, diagonal = high[:, :, 0], high[:, :, 1], high[:, :, 2]
    top, bottom = low + vertical, low - vertical
    d_top, d_bottom = horizontal + diagonal, horizontal - diagonal
    four = torch.stack((top + d_top, top - d_top, bottom + d_bottom, bottom - d_bottom), 2)
    return F.pixel_shuffle(four.reshape(n, channels, h, w) * 0.5, 2)


class Block(nn.Module):
    """Modulate, inverse Haar (twice the size), two styled separable convolutions."""

    def __init__(self, c_in: int, c_out: int, size: int) -> None:
        super().__init__()
        self.up = nn.Linear(WIDTH, c_in)
        self.conv1 = StyledConv(c_in // 4, c_out, size)
        self.conv2 = StyledConv(c_out, c_out, size)

    def forward(self, x: Tensor, style1: Tensor, style2: Tensor) -> Tensor:
        """(N, c_in, H, W) -> (N, c_out, 2H, 2W)."""
        x = inverse_haar(x * self.up(style1)[:, :, None, None])
        return self.conv2(self.conv1(x, style1), style2)


class Rung(nn.Module):
    """The tail of a cut decoder: features of block `last - 1` -> picture of the rung's side.

    The last block's first half starts as a copy of the decoder's own; its second half keeps only `HIDDEN` channels,
    since 12 numbers per position are all that is read from it: one modulated 1x1 convolution and an inverse Haar step.
    """

    def __init__(self, last: int) -> None:
        super().__init__()
        c_in, c_out, side = (WIDTH, *CHANNELS)[last], CHANNELS[last], 2 ** (last + 3)
        self.up = nn.Linear(WIDTH, c_in)
        self.conv1 = StyledConv(c_in // 4, c_out, side)
        self.conv2 = StyledConv(c_out, HIDDEN[last], side)
        self.modulation = nn.Linear(WIDTH, HIDDEN[last])
        self.linear = nn.Conv2d(HIDDEN[last], 12, 1)
        nn.init.zeros_(self.modulation.weight)
        nn.init.ones_(self.modulation.bias)

    def forward(self, x: Tensor, style1: Tensor, style2: Tensor, style3: Tensor) -> Tensor:
        """Features (N, c_in, H, W) and three styles (N, 512) -> RGB (N, 3, 4H, 4W) in about [-1, 1]."""
        return self.read(self.conv2(self.before(x, style1), style2), style3)

    def before(self, x: Tensor, style: Tensor) -> Tensor:
        """Features (N, c_in, H, W) -> features (N, c_out, 2H, 2W) that the second half takes."""
        return self.conv1(inverse_haar(x * self.up(style)[:, :, None, None]), style)

    def read(self, x: Tensor, style: Tensor) -> Tensor:
        """Features of the second half -> RGB."""
        return inverse_haar(self.linear(x * self.modulation(style)[:, :, None, None]))


class SlimRung(nn.Module):
    """The 256 px rung with half the channels, for the runtime: features within block 3 -> picture.

    It starts from the wide rung and from block 3's own second half, whose least important channels were left out, and
    is trained against the same pictures (`slim`). Less than half the work of the wide rung.
    """

    GROUPS, MIDDLE = 64, 128

    def __init__(self) -> None:
        super().__init__()
        self.enter = StyledConv(CHANNELS[3], 4 * self.GROUPS, 64)
        self.up = nn.Linear(WIDTH, 4 * self.GROUPS)
        self.conv1 = StyledConv(self.GROUPS, self.MIDDLE, 128)
        self.conv2 = StyledConv(self.MIDDLE, HIDDEN[4], 128)
        self.modulation = nn.Linear(WIDTH, HIDDEN[4])
        self.linear = nn.Conv2d(HIDDEN[4], 12, 1)

    def forward(self, x: Tensor, latent: Tensor) -> Tensor:
        """Features (N, 512, H, W) of block 3's first half and latent (N, 23, 512) -> RGB (N, 3, 4H, 4W)."""
        x = self.enter(x, latent[:, 11]) * self.up(latent[:, 13])[:, :, None, None]
        x = self.conv2(self.conv1(inverse_haar(x), latent[:, 13]), latent[:, 14])
        return inverse_haar(self.linear(x * self.modulation(latent[:, 15])[:, :, None, None]))


class Decoder(nn.Module):
    """W+ latent (N, 23, 512) -> RGB in [-1, 1] at 64, 128, 256 (readouts) or 1024 px (the full decoder)."""

    def __init__(self, blocks: int = 7) -> None:
        super().__init__()
        self.const = nn.Parameter(torch.zeros(1, WIDTH, 4, 4))
        self.conv = StyledConv(WIDTH, WIDTH, 4, separable=False)
        widths = (WIDTH, *CHANNELS)
        self.blocks = nn.ModuleList(Block(widths[i], widths[i + 1], 2 ** (i + 3)) for i in range(blocks))
        self.rungs = nn.ModuleDict({str(side): Rung(last) for side, last in RUNGS.items()})
        self.slim = SlimRung()
        self.to_img = nn.Conv2d(CHANNELS[-1], 12, 1)
        self.to_img_modulation = nn.Linear(WIDTH, CHANNELS[-1])

    def drop_noise(self) -> Decoder:
        """Leave the noise constants out: they would stick to the picture while the face moves, and cost time."""
        for module in self.modules():
            if isinstance(module, StyledConv):
                module.noise = None
        return self

    def features(self, latent: Tensor, last: int) -> Tensor:
        """Features after block `last`."""
        return self.pyramid(latent, last)[-1]

    def pyramid(self, latent: Tensor, last: int) -> list[Tensor]:
        """Features after every block up to `last`."""
        x = self.conv(self.const, latent[:, 0])  # broadcasts over the batch; an expand would freeze it in the export
        levels = []
        for i, block in enumerate(self.blocks[: last + 1]):
            x = block(x, latent[:, 3 * i + 1], latent[:, 3 * i + 2])
            levels.append(x)
        return levels

    def forward(self, latent: Tensor, side: int = 256) -> Tensor:
        """Paint at `side` px: 64, 128, 256 or 1024."""
        if side == 1024:
            x = self.features(latent, 6) * self.to_img_modulation(latent[:, 21])[:, :, None, None]
            return inverse_haar(self.to_img(x))
        return self.rung(self.features(latent, RUNGS[side] - 1), latent, side)

    def face_only(self, latent: Tensor, side: int) -> Tensor:
        """As `forward`, but painted only in the window that a face can fill; beyond it the edge is repeated.

        A third less work at 128 and 256 px; inside the window the picture is the same but for two pixels at its edge.
        At 256 px it is the slim rung that paints.
        """
        if side < 128:
            return self(latent, side)
        x = self.features(latent, 2)[:, :, WINDOW_ROWS, WINDOW_COLUMNS]
        out = self.rung(x, latent, side) if side == 128 else self.slim(self.half(x, latent), latent)
        rows = (WINDOW_ROWS.start, WINDOW_GRID - WINDOW_ROWS.stop)
        columns = (WINDOW_COLUMNS.start, WINDOW_GRID - WINDOW_COLUMNS.stop)
        return F.pad(out, [side // WINDOW_GRID * margin for margin in (*columns, *rows)], mode="replicate")

    def half(self, x: Tensor, latent: Tensor) -> Tensor:
        """Features of block 2 -> features of block 3's first half."""
        block, style = self.blocks[3], latent[:, 10]
        return block.conv1(inverse_haar(x * block.up(style)[:, :, None, None]), style)

    def rung(self, x: Tensor, latent: Tensor, side: int) -> Tensor:
        """The tail of one rung on the features `x` of the block before its own."""
        slot = 3 * RUNGS[side] + 1
        return self.rungs[str(side)](x, *(latent[:, slot + k] for k in range(3)))


def seeded_z(count: int, seed: int) -> Tensor:
    """Random normal z (count, 512), the same on every machine for the same seed."""
    return torch.from_numpy(np.random.default_rng(seed).standard_normal((count, WIDTH)).astype(np.float32))


def psnr(a: Tensor, b: Tensor) -> float:
    """Peak signal-to-noise ratio in dB of pictures in [-1, 1]."""
    return float(-10 * math.log10(float((a - b).square().mean()) / 4 + 1e-12))
