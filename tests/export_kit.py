"""Models with random weights for the tests of the export: a decoder cut to its smallest rung, and what steers it."""

from __future__ import annotations

from functools import cache
from pathlib import Path

import numpy as np
import torch
from torch import nn

from export.painters import ClosedForm, Source
from training.generator.networks import STYLES, WIDTH, Decoder, Mapping
from training.generator.steered import Controller
from training.networks.decoders import Identities, MobileDecoder
from training.networks.light import LightConfig, LightController, blank

SIDE = 64
SMALL = LightConfig(hidden=64, light=8, first_slots=(0, 6, 12))


@cache
def decoder() -> Decoder:
    """As many blocks as the 64 px rung needs; every style matters."""
    torch.manual_seed(0)
    net = Decoder(blocks=2).drop_noise().eval().requires_grad_(False)
    net.const.data = torch.randn_like(net.const)
    for module in net.modules():
        if isinstance(module, nn.Linear):
            nn.init.normal_(module.weight, std=1 / WIDTH**0.5)
    return net


@cache
def mapping() -> Mapping:
    """Its w differ from each other as much as their z."""
    torch.manual_seed(1)
    net = Mapping().eval().requires_grad_(False)
    for layer in net.layers:
        nn.init.normal_(layer.weight, std=(2 / WIDTH) ** 0.5)
    return net


def closed_form() -> dict[str, np.ndarray]:
    rng = np.random.default_rng(0)
    values = {name: rng.normal(size=value.shape) * 0.01 for name, value in blank().items()}
    return {**values, "metric": np.eye(WIDTH) + values["metric"]}


def light(seed: int = 2) -> LightController:
    """A light controller that has learnt something."""
    torch.manual_seed(seed)
    model = LightController(SMALL, closed_form())
    nn.init.normal_(model.leave.weight, std=0.05)
    return model.eval().requires_grad_(False)


def write_decoder(path: Path) -> None:
    """A decoder's checkpoint as `training.generator.readouts` writes it."""
    state = {"decoder": decoder().state_dict(), "mapping": mapping().state_dict(), "latent_avg": torch.zeros(WIDTH)}
    torch.save(state, path)


def source(latent: nn.Module | None = None, kind: str = "light") -> Source:
    """What `load_source` gives, without files and without the seconds that vetting takes."""
    painting = MobileDecoder(decoder(), mapping(), torch.zeros(WIDTH)).frozen()
    identities = Identities(mapping(), torch.zeros(WIDTH), STYLES).eval()
    return Source(kind=kind, run="{}", latent=latent or light(), decoder=painting, identities=identities)


def closed_form_model() -> ClosedForm:
    return ClosedForm(Controller(closed_form())).eval()
