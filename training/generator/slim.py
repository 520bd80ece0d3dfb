"""Makes the 256 px rung slim: half the channels, trained against the full decoder's pictures.

    python -m training.generator.slim DECODER.pt --for 20m

Channels are left out by how much they carry (weight times spread), the others' weights are refitted by least squares to
give what all gave before, and gradient steps do the rest. Adds `slim` to the checkpoint; a second run goes on.
"""

from __future__ import annotations

import time
from pathlib import Path

import click
import numpy as np
import torch
from torch import Tensor, nn
from torch.nn import functional as F

from training.generator.networks import (
    STYLES,
    WINDOW_COLUMNS,
    WINDOW_GRID,
    WINDOW_ROWS,
    Decoder,
    Mapping,
    SlimRung,
    StyledConv,
    inverse_haar,
    psnr,
    seeded_z,
)
from training.generator.readouts import EMA, HELD_OUT, PSI, RATE, picture_loss
from training.limits import parse_duration

SOME = 40


@torch.no_grad()
def cache(decoder: Decoder, latents: Tensor) -> Tensor:
    """Features of block 3's first half within the window, float16."""
    found = []
    for i in range(len(latents)):
        x = decoder.features(latents[i : i + 1], 2)[:, :, WINDOW_ROWS, WINDOW_COLUMNS]
        found.append(decoder.half(x, latents[i : i + 1]).half())
    return torch.cat(found)


def window_of(pictures: np.ndarray, index: int) -> Tensor:
    """One target (1, 3, H, W) within the window."""
    scale = pictures.shape[-1] // WINDOW_GRID
    rows = slice(WINDOW_ROWS.start * scale, WINDOW_ROWS.stop * scale)
    columns = slice(WINDOW_COLUMNS.start * scale, WINDOW_COLUMNS.stop * scale)
    return torch.from_numpy(pictures[index : index + 1, :, rows, columns].astype(np.float32))


def before_pointwise(conv: StyledConv, x: Tensor, style: Tensor) -> Tensor:
    """What the 1x1 convolution of a styled convolution takes."""
    return conv.depthwise(x * conv.modulation(style)[:, :, None, None])


class Sums:
    """Second moments of a layer's inputs x (C, n) and outputs y (D, n), for importance and least squares."""

    def __init__(self) -> None:
        self.xx: Tensor | float = 0.0
        self.yx: Tensor | float = 0.0

    def add(self, x: Tensor, y: Tensor) -> None:
        """Count one sample, both (1, C, H, W)."""
        x = torch.cat((x[0].flatten(1), torch.ones(1, x[0, 0].numel()))).double()
        self.xx, self.yx = self.xx + x @ x.T, self.yx + y[0].flatten(1).double() @ x.T

    def importance(self, weight: Tensor) -> Tensor:
        """Of each input: norm of its weights times its root mean square."""
        return weight[:, :, 0, 0].norm(dim=0) * self.xx.diagonal()[:-1].sqrt().float()

    def refit(self, inputs: Tensor, outputs: Tensor) -> tuple[Tensor, Tensor]:
        """Weight and bias that give the kept outputs from the kept inputs alone, by least squares."""
        kept = torch.cat((inputs, torch.tensor([len(self.xx) - 1])))
        gram = self.xx[kept][:, kept]
        gram += 1e-4 * gram.diagonal().mean() * torch.eye(len(gram), dtype=gram.dtype)
        solution = torch.linalg.solve(gram, self.yx[outputs][:, kept].T).T.float()
        return solution[:, :-1, None, None], solution[:, -1]


@torch.no_grad()
def prune(decoder: Decoder, latents: Tensor, features: Tensor) -> None:
    """Start the slim rung from the wide one."""
    wide, second, slim = decoder.rungs["256"], decoder.blocks[3].conv2, decoder.slim
    first, last = Sums(), Sums()
    for i in range(SOME):
        latent = latents[i : i + 1]
        x = second(features[i : i + 1].float(), latent[:, 11]) * wide.up(latent[:, 13])[:, :, None, None]
        x = before_pointwise(wide.conv1, inverse_haar(x), latent[:, 13])
        y = wide.conv1.conv(x)
        first.add(x, y)
        x = before_pointwise(wide.conv2, F.leaky_relu(y, 0.2), latent[:, 14])
        last.add(x, wide.conv2.conv(x))
    groups = first.importance(wide.conv1.conv.weight).topk(slim.GROUPS).indices.sort().values
    middle = last.importance(wide.conv2.conv.weight).topk(slim.MIDDLE).indices.sort().values
    total = len(wide.conv1.conv.weight[0])
    bands = torch.cat((groups, (total + groups[:, None] * 3 + torch.arange(3)).flatten()))
    keep_styled(slim.enter, second, torch.arange(second.conv.in_channels))
    slim.enter.conv.weight.copy_(second.conv.weight[bands])
    slim.enter.conv.bias.copy_(second.conv.bias[bands])
    slim.up.weight.copy_(wide.up.weight[bands])
    slim.up.bias.copy_(wide.up.bias[bands])
    keep_styled(slim.conv1, wide.conv1, groups)
    keep_styled(slim.conv2, wide.conv2, middle)
    for conv, weight_and_bias in (
        (slim.conv1, first.refit(groups, middle)),
        (slim.conv2, last.refit(middle, torch.arange(wide.conv2.conv.out_channels))),
    ):
        conv.conv.weight.copy_(weight_and_bias[0])
        conv.conv.bias.copy_(weight_and_bias[1])
    slim.modulation.load_state_dict(wide.modulation.state_dict())
    slim.linear.load_state_dict(wide.linear.state_dict())


def keep_styled(target: StyledConv, source: StyledConv, channels: Tensor) -> None:
    """Copy modulation and depthwise weights of the kept input channels."""
    target.modulation.weight.copy_(source.modulation.weight[channels])
    target.modulation.bias.copy_(source.modulation.bias[channels])
    target.depthwise.weight.copy_(source.depthwise.weight[channels])


def train(slim: SlimRung, latents: Tensor, features: Tensor, pictures: np.ndarray, seconds: float, seed: int) -> None:
    """Gradient steps until the time is up; the weights left behind are their running average."""
    parameters = list(slim.requires_grad_(True).parameters())
    average = [parameter.detach().clone() for parameter in parameters]
    optimizer = torch.optim.Adam(parameters, betas=(0.9, 0.99))
    rng, start, step, recent = np.random.default_rng(seed), time.monotonic(), 0, 0.0
    while (spent := time.monotonic() - start) < seconds:
        optimizer.param_groups[0]["lr"] = RATE * min(1.0, (step + 1) / 100) * max(0.02, 1 - spent / seconds)
        i = int(rng.integers(len(latents)))
        optimizer.zero_grad()
        loss = picture_loss(slim(features[i : i + 1].float(), latents[i : i + 1]), window_of(pictures, i))
        loss.backward()
        nn.utils.clip_grad_norm_(parameters, 1.0)
        optimizer.step()
        step += 1
        recent += (loss.item() - recent) * max(0.01, 1 / step)
        torch._foreach_lerp_(average, parameters, 1 - min(EMA, step / (step + 10)))
        if step % 100 == 0:
            click.echo(f"step {step}  loss {recent:.4f}  {seconds - spent:.0f} s left")
    slim.requires_grad_(False)
    for parameter, value in zip(parameters, average, strict=True):
        parameter.copy_(value)


@torch.no_grad()
def measure(slim: SlimRung, latents: Tensor, features: Tensor, pictures: np.ndarray) -> float:
    """Mean PSNR in dB within the window."""
    values = [
        psnr(slim(features[i : i + 1].float(), latents[i : i + 1]), window_of(pictures, i)) for i in range(len(latents))
    ]
    return round(float(np.mean(values)), 2)


@click.command()
@click.argument("checkpoint", type=click.Path(exists=True, dir_okay=False, path_type=Path))
@click.option("--for", "duration", default="20m", show_default=True, help="Time for the gradient steps.")
def main(checkpoint: Path, duration: str) -> None:
    """Prune, refit and train the 256 px rung of CHECKPOINT; the targets that `readouts` left beside it are used."""
    state = torch.load(checkpoint, weights_only=True)
    decoder, mapping = Decoder().drop_noise(), Mapping()
    decoder.load_state_dict(state["decoder"] | state.get("slim", {}), strict=False)
    decoder.eval().requires_grad_(False)
    mapping.load_state_dict(state["mapping"])
    pictures = np.load(checkpoint.with_suffix(".targets.npy"), mmap_mode="r")
    with torch.no_grad():
        w = state["latent_avg"] + PSI * (mapping(seeded_z(4000, 7))[: len(pictures)] - state["latent_avg"])
    latents = w[:, None].expand(-1, STYLES, -1)
    features = cache(decoder, latents)
    if "slim" not in state:
        prune(decoder, latents[HELD_OUT:], features[HELD_OUT:])
    held_out = (latents[:HELD_OUT], features[:HELD_OUT], pictures[:HELD_OUT])
    click.echo(f"held-out PSNR in the window before: {measure(decoder.slim, *held_out)} dB")
    seconds = parse_duration(duration)
    train(decoder.slim, latents[HELD_OUT:], features[HELD_OUT:], pictures[HELD_OUT:], seconds, len(state["psnr"]))
    state["psnr"][f"slim, {duration}"] = {256: measure(decoder.slim, *held_out)}
    click.echo(f"held-out PSNR in dB: {state['psnr']}")
    slim = {f"slim.{name}": value for name, value in decoder.slim.state_dict().items()}
    torch.save({**state, "slim": slim}, checkpoint)


if __name__ == "__main__":
    main()
