"""Asks any controller for a latent and for what the losses want to know about it."""

from __future__ import annotations

from collections.abc import Callable

import torch
from torch import Tensor, nn

from training.networks.encoder import Encoder
from training.networks.light import SPREAD_IDENTITY, LightController, Steered
from training.structures import Batch


def steer(model: nn.Module, batch: Batch, shift: Callable[..., Tensor] | None = None) -> Steered:
    """Latent, learnt shift and landmarks asked for.

    Args:
        model: A light controller, or an encoder on top of one or of nothing.
        batch: What to paint.
        shift: The encoder's own `shift`, where it was compiled.
    """
    if isinstance(model, LightController):
        # It solves a linear system in closed form: half precision would show.
        with torch.autocast(batch.identity.device.type, enabled=False):
            return model.steer(batch.surroundings, batch.landmarks, batch.identity)
    if not isinstance(model, Encoder):
        raise TypeError(f"a {type(model).__name__} cannot be trained; a LightController or an Encoder can")
    with torch.no_grad():
        latent, wanted = _begin(model, batch)
    moved = (shift or model.shift)(batch.surroundings, batch.pose, batch.landmarks, batch.identity).float()
    return Steered(latent + moved, moved.flatten(1) / SPREAD_IDENTITY, wanted)


def _begin(model: Encoder, batch: Batch) -> tuple[Tensor, Tensor]:
    """Where the encoder's shift starts from, and the landmarks that the person shall have."""
    if model.start is not None:
        start = steer(model.start, batch)
        return start.latent, start.wanted
    return model.begin(batch.surroundings, batch.pose, batch.landmarks, batch.identity), batch.landmarks
