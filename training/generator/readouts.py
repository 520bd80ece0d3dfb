"""Trains the ladder of readouts (64, 128, 256 px) against the full decoder's picture, averaged down.

    python -m training.generator.readouts IR_FOLDER OUT.pt [--samples 420] [--for 10m]

The start is the closed-form least-squares readout; gradient steps on all three rungs at once refine it.
"""

from __future__ import annotations

import time
from pathlib import Path

import click
import numpy as np
import torch
from torch import Tensor
from torch.nn import functional as F

from training.generator.networks import RUNGS, STYLES, Decoder, load_decoder, load_mapping, psnr, seeded_z
from training.limits import parse_duration

PSI = 0.85
HELD_OUT = 20


def forward_haar(image: Tensor) -> Tensor:
    """The inverse of `inverse_haar`: (N, 3, 2H, 2W) -> (N, 12, H, W)."""
    a, b = image[:, :, ::2, ::2], image[:, :, ::2, 1::2]
    c, d = image[:, :, 1::2, ::2], image[:, :, 1::2, 1::2]
    low = (a + b + c + d) / 2
    bands = torch.stack(((a + b - c - d) / 2, (a - b + c - d) / 2, (a - b - c + d) / 2), 2)
    return torch.cat((low, bands.flatten(1, 2)), 1)


@torch.no_grad()
def targets(decoder: Decoder, latents: Tensor, cache: Path) -> np.ndarray:
    """Full pictures averaged down to 256 px, (N, 3, 256, 256) float16; kept in `cache`, resumed from there."""
    done = 0
    if cache.exists():
        pictures = np.lib.format.open_memmap(cache, "r+")
        done = int(np.abs(pictures[:, 0, 128, 128]).astype(bool).sum())
    else:
        pictures = np.lib.format.open_memmap(cache, "w+", np.float16, (len(latents), 3, 256, 256))
    for i in range(done, len(latents)):
        pictures[i] = F.avg_pool2d(decoder(latents[i : i + 1], 1024), 4)[0].numpy().clip(-1.2, 1.2)
        if i % 25 == 0:
            click.echo(f"target {i}/{len(latents)}")
    return pictures


def target_at(picture: Tensor, side: int) -> Tensor:
    """A 256 px target averaged down to `side`."""
    return F.avg_pool2d(picture, 256 // side) if side < 256 else picture


@torch.no_grad()
def fit_linear(decoder: Decoder, latents: Tensor, pictures: np.ndarray, ridge: float = 1e-3) -> None:
    """Least squares of each readout's 1x1 convolution on all pixels of the samples."""
    for side, last in RUNGS.items():
        gram, cross = 0.0, 0.0
        for i in range(len(latents)):
            x = decoder.features(latents[i : i + 1], last)[0].flatten(1)
            x = torch.cat((x, torch.ones(1, x.shape[1])))
            y = forward_haar(target_at(torch.from_numpy(pictures[i : i + 1]).float(), side))[0].flatten(1)
            gram, cross = gram + (x @ x.T).double(), cross + (x @ y.T).double()
        gram += ridge * gram.diagonal().mean() * torch.eye(len(gram), dtype=torch.float64)
        solution = torch.linalg.solve(gram, cross).float()
        linear = decoder.readouts[str(side)].linear
        linear.weight.copy_(solution[:-1].T[:, :, None, None])
        linear.bias.copy_(solution[-1])


def refine(decoder: Decoder, latents: Tensor, pictures: np.ndarray, deadline: float) -> None:
    """Gradient steps on the readouts' own weights until the deadline; the trunk stays frozen."""
    optimizer = torch.optim.Adam(decoder.readouts.requires_grad_(True).parameters(), lr=1e-3)
    rng, step, start = np.random.default_rng(0), 0, time.monotonic()
    while (left := deadline - time.monotonic()) > 0:
        for group in optimizer.param_groups:
            group["lr"] = 1e-3 * min(1.0, max(0.02, left / (deadline - start)))
        i = int(rng.integers(len(latents)))
        picture, losses = torch.from_numpy(pictures[i : i + 1]).float(), []
        for side, last in RUNGS.items():
            with torch.no_grad():
                x = decoder.features(latents[i : i + 1], last)
            out = decoder.readouts[str(side)](x, latents[i : i + 1, 3 * last + 3])
            losses.append(F.l1_loss(out, target_at(picture, side)))
        optimizer.zero_grad()
        sum(losses).backward()
        optimizer.step()
        step += 1
        if step % 50 == 0:
            values = " ".join(f"{side}: {loss.item():.4f}" for side, loss in zip(RUNGS, losses, strict=True))
            click.echo(f"step {step}  L1 {values}  {left:.0f} s left")
    decoder.requires_grad_(False)


@torch.no_grad()
def measure(decoder: Decoder, latents: Tensor, pictures: np.ndarray) -> dict[int, float]:
    """Mean PSNR in dB per rung on the given samples."""
    result = {}
    for side in RUNGS:
        values = [
            psnr(decoder(latents[i : i + 1], side), target_at(torch.from_numpy(pictures[i : i + 1]).float(), side))
            for i in range(len(latents))
        ]
        result[side] = round(float(np.mean(values)), 2)
    return result


@click.command()
@click.argument("ir", type=click.Path(exists=True, file_okay=False, path_type=Path))
@click.argument("out", type=click.Path(dir_okay=False, path_type=Path))
@click.option("--samples", default=420, show_default=True, help="Pictures to learn from.")
@click.option("--for", "duration", default="8m", show_default=True, help="Time for the gradient steps.")
def main(ir: Path, out: Path, samples: int, duration: str) -> None:
    """Write a decoder checkpoint with trained readouts."""
    mapping, decoder = load_mapping(ir), load_decoder(ir)
    average = mapping(seeded_z(20000, 1)).mean(0)
    w = average + PSI * (mapping(seeded_z(4000, 7))[:samples] - average)
    latents = w[:, None].expand(-1, STYLES, -1)
    pictures = targets(decoder, latents, out.with_suffix(".targets.npy"))
    train, test = slice(HELD_OUT, None), slice(0, HELD_OUT)
    fit_linear(decoder, latents[train][:60], pictures[train])
    linear = measure(decoder, latents[test], pictures[test])
    click.echo(f"held-out PSNR, least squares: {linear}")
    refine(decoder, latents[train], pictures[train], time.monotonic() + parse_duration(duration))
    refined = measure(decoder, latents[test], pictures[test])
    click.echo(f"held-out PSNR, refined: {refined}")
    torch.save(
        {"decoder": decoder.state_dict(), "mapping": mapping.state_dict(), "latent_avg": average,
         "psnr": {"linear": linear, "refined": refined}},
        out,
    )  # fmt: skip


if __name__ == "__main__":
    main()
