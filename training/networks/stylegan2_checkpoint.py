"""Reads StyleGAN2 checkpoints in the common PyTorch layout, rosinality's, on its own or inside a pSp checkpoint.

    rosinality   {"g_ema": {"style.1.weight", "input.input", "conv1.conv.weight", "convs.0...", ...}, "latent_avg"}
    pSp          {"state_dict": {"decoder.style.1.weight", ...}, "latent_avg"}

The side, the number of mapping layers and the channels are told by the names and shapes.
"""

from __future__ import annotations

import argparse
import pickle
from collections.abc import Mapping as Table
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import click
import torch
from torch import Tensor

from training.generator.networks import seeded_z
from training.networks.stylegan2 import Mapping, Modulated, Styled, Synthesis, ToRGB, blur_kernel

SIDES = (256, 512, 1024)
MODULATED = ("conv.weight", "conv.modulation.weight", "conv.modulation.bias")
STYLED = (*MODULATED, "activate.bias", "noise.weight")
TO_RGB = (*MODULATED, "bias")
NAMED = 6  # so many missing keys are named in full


@dataclass(frozen=True, kw_only=True, eq=False)
class StyleGAN2:
    """The networks of a checkpoint and its average latent (512,)."""

    synthesis: Synthesis
    mapping: Mapping
    latent_avg: Tensor


def read_checkpoint(path: Path) -> dict[str, Any]:
    """A checkpoint of tensors and plain values, without running any code that it may hold.

    Raises:
        click.ClickException: it is none.
    """
    try:
        with torch.serialization.safe_globals([argparse.Namespace]):  # rosinality's training keeps its options
            state = torch.load(path, map_location="cpu", weights_only=True)
    except (pickle.UnpicklingError, RuntimeError, EOFError) as error:
        reason = (str(error) or "it is empty").splitlines()[0]
        raise click.ClickException(
            f"{path} is no checkpoint of plain weights ({reason}): save its g_ema and latent_avg anew with torch.save"
        ) from error
    if not isinstance(state, dict):
        raise click.ClickException(f"{path} holds a {type(state).__name__}, expected a dict with g_ema or state_dict")
    return state


def generator_weights(state: Table[str, Any]) -> dict[str, Tensor]:
    """The generator's own table of weights, whatever it is wrapped in.

    Raises:
        click.ClickException: the layout is unknown.
    """
    if isinstance(state.get("g_ema"), dict):
        return state["g_ema"]
    inner = state.get("state_dict")
    if isinstance(inner, dict) and any(name.startswith("decoder.") for name in inner):
        return {name.removeprefix("decoder."): value for name, value in inner.items() if name.startswith("decoder.")}
    found = ", ".join(map(str, list(state)[:NAMED])) or "nothing"
    raise click.ClickException(
        "no generator in this checkpoint: missing is g_ema (rosinality), state_dict with decoder.* (pSp), or"
        f" decoder and mapping (MobileStyleGAN); found {found}"
    )


def count(weights: Table[str, Tensor], prefix: str) -> int:
    """One more than the largest index after `prefix`."""
    indices = [name[len(prefix) :].partition(".")[0] for name in weights if name.startswith(prefix)]
    return 1 + max((int(index) for index in indices if index.isdigit()), default=-1)


def expected(doublings: int, layers: int) -> list[str]:
    """Every key that a generator with so many doublings and mapping layers needs."""
    style = [f"style.{index}.{name}" for index in range(1, layers + 1) for name in ("weight", "bias")]
    convs = [f"convs.{index}.{name}" for index in range(2 * doublings) for name in STYLED]
    to_rgbs = [f"to_rgbs.{index}.{name}" for index in range(doublings) for name in TO_RGB]
    first = ["input.input", *(f"conv1.{name}" for name in STYLED), *(f"to_rgb1.{name}" for name in TO_RGB)]
    return [*style, *first, *convs, *to_rgbs]


def check(weights: Table[str, Tensor]) -> tuple[int, int]:
    """Doublings and mapping layers, once nothing is missing and the blur is the one that we have.

    Raises:
        click.ClickException: keys are missing, or the side or the blur is another.
    """
    doublings, layers = max(count(weights, "to_rgbs."), -(-count(weights, "convs.") // 2)), count(weights, "style.") - 1
    missing = [name for name in expected(max(doublings, 1), max(layers, 1)) if name not in weights]
    if missing:
        more = f" and {len(missing) - NAMED} more" if len(missing) > NAMED else ""
        raise click.ClickException(f"not a StyleGAN2 generator: missing {', '.join(missing[:NAMED])}{more}")
    side = 4 * 2**doublings
    if side not in SIDES:
        raise click.ClickException(f"a StyleGAN2 of {side} px; usable are {', '.join(map(str, SIDES))} px")
    kernel = weights.get("convs.0.conv.blur.kernel")
    if kernel is not None and not torch.allclose(kernel.float(), blur_kernel(), atol=1e-4):
        raise click.ClickException("convs.0.conv.blur.kernel is not [1, 3, 3, 1]: this generator resamples otherwise")
    return doublings, layers


def modulated(weights: Table[str, Tensor], name: str, *, up: bool = False, demodulate: bool = True) -> Modulated:
    """One modulated convolution."""
    weight, style_weight, style_bias = (weights[f"{name}.{key}"].float() for key in MODULATED)
    return Modulated(weight[0], style_weight, style_bias, up=up, demodulate=demodulate)


def styled(weights: Table[str, Tensor], name: str, index: int, *, noise: bool) -> Styled:
    """Convolution number `index` of the synthesis; every second one after the first doubles the side."""
    fixed = weights[f"{name}.noise.weight"].float() * weights[f"noises.noise_{index}"].float() if noise else None
    return Styled(modulated(weights, name, up=index % 2 == 1), weights[f"{name}.activate.bias"].float(), fixed)


def to_rgb(weights: Table[str, Tensor], name: str) -> ToRGB:
    """One of the outputs."""
    return ToRGB(modulated(weights, name, demodulate=False), weights[f"{name}.bias"].float())


def mapping_of(weights: Table[str, Tensor], layers: int) -> Mapping:
    """The mapping network; `style.0` is the normalisation, which has no weights."""
    indices = range(1, layers + 1)
    return Mapping(
        [weights[f"style.{k}.weight"].float() for k in indices], [weights[f"style.{k}.bias"].float() for k in indices]
    )


def average_of(state: Table[str, Any], mapping: Mapping) -> Tensor:
    """The average latent (512,): the checkpoint's own, one row of pSp's (n, 512), or else the mean of many."""
    average = state.get("latent_avg")
    if not isinstance(average, Tensor):
        return mapping(seeded_z(10_000, 2)).mean(0)
    return average.float().reshape(-1, average.shape[-1]).mean(0)


@torch.no_grad()
def stylegan2_of(state: Table[str, Any], *, noise: bool = False) -> StyleGAN2:
    """The networks of a checkpoint; `noise` adds its fixed noise, which sticks to the picture while the face moves.

    Raises:
        click.ClickException: the layout is unknown, or keys are missing.
    """
    weights = generator_weights(state)
    doublings, layers = check(weights)
    lost = [f"noises.noise_{index}" for index in range(2 * doublings + 1)] if noise else []
    if lost := [name for name in lost if name not in weights]:
        raise click.ClickException(f"the fixed noise was asked for, but {lost[0]} is missing")
    convs = ["conv1", *(f"convs.{index}" for index in range(2 * doublings))]
    to_rgbs = ["to_rgb1", *(f"to_rgbs.{index}" for index in range(doublings))]
    synthesis = Synthesis(
        weights["input.input"].float(),
        [styled(weights, name, index, noise=noise) for index, name in enumerate(convs)],
        [to_rgb(weights, name) for name in to_rgbs],
    )
    mapping = mapping_of(weights, layers)
    return StyleGAN2(synthesis=synthesis.eval(), mapping=mapping.eval(), latent_avg=average_of(state, mapping))
