"""Decoders behind one face: a latent in W+ in, a picture out, frozen but differentiable.

Two kinds of checkpoint are told apart: our MobileStyleGAN with its rungs, and a StyleGAN2 in rosinality's layout.
"""

from __future__ import annotations

from pathlib import Path

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from training.generator.networks import RUNGS, STYLES, Decoder
from training.generator.sample import load_decoder_checkpoint
from training.generator.vet import PSI, IdentityModel
from training.networks.stylegan2 import Synthesis
from training.networks.stylegan2_checkpoint import read_checkpoint, stylegan2_of

LEAST_SIDE = 64


class Identities(nn.Module):
    """Random z (N, 512) -> identity (N, n_styles, 512): w, drawn `psi` of its way from the average."""

    def __init__(self, mapping: nn.Module, average: Tensor, n_styles: int, psi: float = PSI) -> None:
        super().__init__()
        self.mapping, self.n_styles, self.psi = mapping, n_styles, psi
        self.register_buffer("average", average)

    def forward(self, z: Tensor) -> Tensor:
        """Draw identities."""
        w = self.average + self.psi * (self.mapping(z) - self.average)
        return w[:, None].expand(-1, self.n_styles, -1)


class PaintingDecoder(nn.Module):
    """What every decoder offers.

    Attributes:
        n_styles: Slots of its latents.
        sides: Sides at which it can paint, px, rising.
        mapping: The module z (N, 512) -> w (N, 512).
        latent_avg: The average latent (512,).
    """

    latent_avg: Tensor

    def __init__(self, n_styles: int, sides: tuple[int, ...], mapping: nn.Module, latent_avg: Tensor) -> None:
        super().__init__()
        self.n_styles, self.sides, self.mapping = n_styles, sides, mapping
        self.register_buffer("latent_avg", latent_avg)

    @torch.no_grad()
    def identities(self) -> nn.Module:
        """A module z (N, 512) -> identity (N, n_styles, 512) of an invented person; make it once."""
        return Identities(self.mapping, self.latent_avg, self.n_styles).eval()

    def paint(self, latent: Tensor, side: int) -> Tensor:
        """Latent (N, n_styles, 512) -> RGB (N, 3, side, side) in about [-1, 1].

        Raises:
            ValueError: it cannot paint at this side.
        """
        if side not in self.sides:
            raise ValueError(f"this decoder paints at {', '.join(map(str, self.sides))} px, asked was {side}")
        return self(latent, side)

    def frozen(self) -> PaintingDecoder:
        """Itself, never to be trained."""
        return self.eval().requires_grad_(False)


class MobileDecoder(PaintingDecoder):
    """Our MobileStyleGAN: each side has a rung of its own that paints the window which a face can fill."""

    def __init__(self, decoder: Decoder, mapping: nn.Module, latent_avg: Tensor) -> None:
        super().__init__(STYLES, tuple(sorted(RUNGS)), mapping, latent_avg)
        self.decoder = decoder

    @torch.no_grad()
    def identities(self) -> nn.Module:
        """The vetted identities: adults whose faces nothing covers. Takes seconds, as it measures the latents."""
        return IdentityModel(self.mapping, self.latent_avg).eval().requires_grad_(False)

    def forward(self, latent: Tensor, side: int) -> Tensor:
        """Paint on the rung of `side`."""
        return self.decoder.face_only(latent, side)


class StyleGAN2Decoder(PaintingDecoder):
    """A StyleGAN2. Below its own side the whole picture is painted and averaged down.

    The picture that its skip connections hold at a smaller side would be cheaper, but lacks what the later
    layers add to it, which is not only detail.
    """

    def __init__(self, synthesis: Synthesis, mapping: nn.Module, latent_avg: Tensor) -> None:
        sides = tuple(2**k for k in range(LEAST_SIDE.bit_length() - 1, synthesis.side.bit_length()))
        super().__init__(synthesis.n_styles, sides, mapping, latent_avg)
        self.synthesis = synthesis

    def forward(self, latent: Tensor, side: int) -> Tensor:
        """Paint at its own side, average down to `side`."""
        picture, factor = self.synthesis(latent), self.synthesis.side // side
        return picture if factor == 1 else F.avg_pool2d(picture, factor)


def load_decoder(path: Path, *, noise: bool = False) -> PaintingDecoder:
    """The decoder of a checkpoint; `noise` adds a StyleGAN2's fixed noise.

    Raises:
        click.ClickException: the file is no checkpoint of plain weights, of an unknown layout, or lacks weights.
    """
    state = read_checkpoint(path)
    if {"decoder", "mapping", "latent_avg"} <= set(state):
        return MobileDecoder(*load_decoder_checkpoint(path)).frozen()
    parts = stylegan2_of(state, noise=noise)
    return StyleGAN2Decoder(parts.synthesis, parts.mapping, parts.latent_avg).frozen()
