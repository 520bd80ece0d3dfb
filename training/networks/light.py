"""The light controller: landmarks, light and identity -> W+ latent, learnt on top of the closed-form solution.

    latent = identity + K (target - y(identity)) + spread(C f(features))

The first two terms are `training.generator.steered.Controller`; f is a small network whose last layer starts at zero,
with one output per group of W+ slots; C is a square root of the covariance of the latents, so that f's output counts
in standard deviations. The features hold no facial shape of the person: pose and expression come through the
projection P that lets shape go, the jaw line as far as the background demands it.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor, nn
from torch.nn import functional as F

from streamfilter.errors import ConfigError
from training.generator.networks import STYLES, WIDTH
from training.generator.sample import THUMB
from training.generator.steered import FIRST_SLOTS, Controller

POINTS, OPENINGS, COLOURS = 136, 3, 15
# What the inputs of f are divided by: about their spread over photos.
SPREAD_POINTS, SPREAD_OPENINGS, SPREAD_COLOURS, SPREAD_IDENTITY = 0.02, 0.02, 0.3, 0.5


@dataclass(frozen=True, kw_only=True)
class LightConfig:
    """Sizes of the learnt part; `first_slots` are the first slots of the groups that are shifted together."""

    hidden: int = 384
    light: int = 32
    first_slots: tuple[int, ...] = (0, 3, 6, 9, 12)

    def __post_init__(self) -> None:
        """Refuse groups that leave slots out.

        Raises:
            ConfigError: the groups do not begin at slot 0, or not one after the other.
        """
        if self.first_slots[:1] != (0,) or list(self.first_slots) != sorted(set(self.first_slots)):
            raise ConfigError(f"first_slots is {self.first_slots}; it must begin at 0 and rise")


@dataclass(frozen=True, eq=False)
class Steered:
    """A latent (N, 23, 512), the learnt shift in standard deviations (N, k), the landmarks asked for (N, 68, 2)."""

    latent: Tensor
    shift: Tensor
    wanted: Tensor


def slots_of(first_slots: Sequence[int], n_styles: int = STYLES) -> list[int]:
    """For each slot the group that it belongs to."""
    return [sum(slot >= first for first in first_slots) - 1 for slot in range(n_styles)]


class LightController(nn.Module):
    """`surroundings` (N, 3, S, S), `pose` (not looked at), `landmarks` (N, 68, 2), `identity` (N, 23, 512) -> latent.

    Args:
        config: Sizes.
        closed_form: What `training.generator.fit` wrote, and `metric` (512, 512): a square root of the covariance of
            the latents. Left out, all are zero, to be loaded from a checkpoint.
    """

    n_styles = STYLES

    def __init__(self, config: LightConfig, closed_form: Mapping[str, np.ndarray] | None = None) -> None:
        super().__init__()
        self.config = config
        values = dict(closed_form) if closed_form else blank()
        self.start = Controller(values)
        self.register_buffer("metric", torch.from_numpy(np.asarray(values["metric"], np.float32)))
        self.look = nn.Linear(THUMB * THUMB * 3, config.light)
        known = 2 * POINTS + 2 * OPENINGS + COLOURS + config.light
        self.enter = nn.Linear(known + WIDTH, config.hidden)
        self.middle = nn.Linear(config.hidden, config.hidden)
        self.leave = nn.Linear(config.hidden, len(config.first_slots) * WIDTH)
        nn.init.zeros_(self.leave.weight)
        nn.init.zeros_(self.leave.bias)
        self._slots = slots_of(config.first_slots)

    def forward(self, surroundings: Tensor, pose: Tensor | None, landmarks: Tensor, identity: Tensor) -> Tensor:
        """Latent (N, 23, 512)."""
        return self.steer(surroundings, landmarks, identity).latent

    def steer(self, surroundings: Tensor, landmarks: Tensor, identity: Tensor) -> Steered:
        """The latent, and what the losses want to know about it."""
        latent, own, target, seen = self.start.steer(surroundings, landmarks, identity)
        shift = self.learnt(surroundings, own, target, seen, identity)
        moved = shift.view(-1, len(self.config.first_slots), WIDTH) @ self.metric
        return Steered(latent + moved[:, self._slots], shift, target[:, :POINTS].view(-1, 68, 2))

    def learnt(self, surroundings: Tensor, own: Tensor, target: Tensor, seen: Tensor, identity: Tensor) -> Tensor:
        """The shift of each group in standard deviations, (N, groups * 512)."""
        thumb = F.avg_pool2d(surroundings, surroundings.shape[-1] // THUMB).flatten(1)
        features = torch.cat((
            (target[:, :POINTS] - own[:, :POINTS]) / SPREAD_POINTS,
            (target[:, :POINTS] - self.start.mean) / SPREAD_POINTS,
            (seen - own[:, -OPENINGS:]) / SPREAD_OPENINGS,
            seen / SPREAD_OPENINGS,
            target[:, POINTS : POINTS + COLOURS] / SPREAD_COLOURS,
            F.leaky_relu(self.look(thumb), 0.2),
            (identity[:, FIRST_SLOTS].mean(1) - self.start.average) / SPREAD_IDENTITY,
        ), 1)  # fmt: skip
        x = F.leaky_relu(self.enter(features), 0.2)
        return self.leave(F.leaky_relu(self.middle(x), 0.2))

    @torch.no_grad()
    def folded(self) -> LightController:
        """The same function with `metric` multiplied into the last layer: a third less to store."""
        groups = len(self.config.first_slots)
        weight = self.leave.weight.view(groups, WIDTH, -1)
        self.leave.weight.copy_(torch.einsum("gik,io->gok", weight, self.metric).reshape(groups * WIDTH, -1))
        self.leave.bias.copy_((self.leave.bias.view(groups, WIDTH) @ self.metric).flatten())
        self.metric.copy_(torch.eye(WIDTH))
        return self


def blank() -> dict[str, np.ndarray]:
    """Zeros in the shapes of a closed form."""
    shapes = {
        "mean": (POINTS,), "keep": (POINTS, POINTS), "predict": (3 * WIDTH, 154), "offset": (154,),
        "gain": (3 * WIDTH, 154), "openings": (POINTS, OPENINGS), "calibration": (3, OPENINGS),
        "light": (THUMB * THUMB * 3, COLOURS), "light_offset": (COLOURS,), "average": (WIDTH,),
        "metric": (WIDTH, WIDTH),
    }  # fmt: skip
    return {name: np.zeros(shape, np.float32) for name, shape in shapes.items()}


def root(covariance: np.ndarray) -> np.ndarray:
    """The symmetric square root of a covariance matrix."""
    values, vectors = np.linalg.eigh(covariance)
    return (vectors * np.sqrt(np.maximum(values, 0))) @ vectors.T
