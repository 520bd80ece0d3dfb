"""Optimisers, and the running average of the weights."""

from __future__ import annotations

import copy
from collections.abc import Iterable

import torch
from pytorch_optimizer import Ranger
from torch import Tensor, nn

ADVERSARY_BETAS = (0.0, 0.99)  # StyleGAN2's


def trainable(model: nn.Module) -> list[nn.Parameter]:
    """The parameters that are learnt."""
    return [parameter for parameter in model.parameters() if parameter.requires_grad]


def optimizer(kind: str, parameters: Iterable[nn.Parameter], rate: float) -> torch.optim.Optimizer:
    """Ranger (RAdam, Liu et al., 2019, with Lookahead, Zhang et al., 2019) or Adam."""
    if kind == "ranger":
        return Ranger(parameters, lr=rate)
    return torch.optim.Adam(parameters, lr=rate, betas=(0.9, 0.99))


def set_rate(optimizer: torch.optim.Optimizer, rate: float) -> None:
    """Use this learning rate from now on."""
    for group in optimizer.param_groups:
        group["lr"] = rate


def averaged(model: nn.Module) -> nn.Module:
    """A copy that will follow the model."""
    return copy.deepcopy(model).eval().requires_grad_(False)


@torch.no_grad()
def follow(average: nn.Module, model: nn.Module, keep: float, step: int) -> None:
    """Move the average towards the model; faster in the first steps, when the weights still run.

    Args:
        average: What `averaged` gave.
        model: The model that is trained.
        keep: Share of the average that stays, in the long run.
        step: Steps taken before this one.
    """
    keep = min(keep, (1 + step) / (10 + step))
    slow, fast = _moving(average, model)
    torch._foreach_lerp_(slow, fast, 1 - keep)
    for mean, now in zip(average.buffers(), model.buffers(), strict=True):
        mean.copy_(now)


def _moving(average: nn.Module, model: nn.Module) -> tuple[list[Tensor], list[Tensor]]:
    pairs = zip(average.parameters(), model.parameters(), strict=True)
    slow, fast = zip(*((mean, now) for mean, now in pairs if now.requires_grad), strict=True)
    return list(slow), list(fast)
