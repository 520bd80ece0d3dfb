"""What is exported: a latent model and a decoder as one painter per rung, read from their checkpoints."""

from __future__ import annotations

import copy
import hashlib
import json
from dataclasses import dataclass
from pathlib import Path

import click
import torch
from torch import Tensor, nn

from training.generator.networks import STYLES
from training.generator.steered import Controller, load_controller
from training.networks.decoders import PaintingDecoder, load_decoder
from training.networks.light import LightController
from training.train.checkpoint import load_snapshot, snapshot_path

INPUTS = ("surroundings", "pose", "landmarks", "identity")
CLOSED_FORM = ".npz"
LARGEST_RUNG = 256  # of the rungs that are exported unless others are asked for


class ClosedForm(nn.Module):
    """The closed-form controller with the inputs of a trained model."""

    n_styles = STYLES

    def __init__(self, controller: Controller) -> None:
        super().__init__()
        self.controller = controller

    def forward(self, surroundings: Tensor, pose: Tensor, landmarks: Tensor, identity: Tensor) -> Tensor:
        """Latent (N, 23, 512)."""
        return self.controller(surroundings, landmarks, identity)


class _AtSide(nn.Module):
    """A decoder at one rung, with a `forward` of its own so that the tracer knows its weights."""

    def __init__(self, decoder: PaintingDecoder, side: int) -> None:
        super().__init__()
        self.decoder, self.side = decoder, side

    def forward(self, latent: Tensor) -> Tensor:
        """RGB (N, 3, side, side) in about [-1, 1]."""
        return self.decoder.paint(latent, self.side)


class Painter(nn.Module):
    """What the runtime calls `anonymizer`: surroundings, pose, landmarks and identity -> face (N, 3, S, S)."""

    def __init__(self, latent: nn.Module, decoder: PaintingDecoder, side: int) -> None:
        super().__init__()
        self.latent, self.decoder, self.side = latent, _AtSide(decoder, side), side

    def forward(self, surroundings: Tensor, pose: Tensor, landmarks: Tensor, identity: Tensor) -> Tensor:
        """Face in [-1, 1]."""
        return self.decoder(self.latent(surroundings, pose, landmarks, identity)).clamp(-1, 1)

    def folded(self) -> Painter:
        """The same function with fewer weights: products of two matrices that can be made now are made now."""
        twin = Painter(copy.deepcopy(self.latent), self.decoder.decoder, self.side)
        for module in twin.modules():
            if isinstance(module, LightController):
                module.folded()
        return frozen(twin)


@dataclass(frozen=True, kw_only=True, eq=False)
class Source:
    """The checkpoints that a set of models is made from."""

    kind: str
    run: str
    latent: nn.Module
    decoder: PaintingDecoder
    identities: nn.Module

    def painter(self, side: int) -> Painter:
        """The model of one rung.

        Raises:
            click.ClickException: the decoder has no such rung.
        """
        if side not in self.decoder.sides:
            known = ", ".join(map(str, self.decoder.sides))
            raise click.ClickException(f"the decoder does not paint at {side} px; it does at {known}")
        return frozen(Painter(self.latent, self.decoder, side))

    def sides(self) -> tuple[int, ...]:
        """The rungs that are exported if none are named: those that a face in a video needs."""
        usual = tuple(side for side in self.decoder.sides if side <= LARGEST_RUNG)
        return usual or (min(self.decoder.sides),)


def load_source(checkpoint: Path, decoder: Path) -> Source:
    """Read a training snapshot (or the closed form, `.npz`) and the decoder that it steers.

    Raises:
        click.ClickException: one cannot be read, or the two do not belong together.
        ConfigError: there is no snapshot.
    """
    painting = load_decoder(decoder)
    if checkpoint.suffix == CLOSED_FORM:
        latent, kind, progress = ClosedForm(load_controller(checkpoint)), "closed_form", {}
    else:
        checkpoint = snapshot_path(checkpoint)
        latent, info = load_snapshot(checkpoint)
        kind = info["kind"]
        progress = {name: info[name] for name in ("step", "kimg") if name in info}
    if latent.n_styles != painting.n_styles:
        raise click.ClickException(
            f"{checkpoint.name} steers {latent.n_styles} styles, but {decoder.name} has {painting.n_styles}"
        )
    run = {"kind": kind, **progress, "checkpoint": digest(checkpoint), "decoder": digest(decoder)}
    identities = frozen(painting.identities())
    return Source(kind=kind, run=json.dumps(run), latent=frozen(latent), decoder=painting, identities=identities)


def frozen(module: nn.Module) -> nn.Module:
    """Itself, for use only."""
    return module.eval().requires_grad_(False)


def digest(path: Path) -> str:
    """The first 12 digits of a file's SHA-256: enough to tell checkpoints apart, and no path of any machine."""
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()[:12]


def paint(painter: Painter, inputs: dict[str, Tensor]) -> Tensor:
    """What PyTorch gives."""
    with torch.no_grad():
        return painter(*(inputs[name] for name in INPUTS))
