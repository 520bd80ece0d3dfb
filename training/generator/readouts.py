"""Trains the ladder of rungs (64, 128, 256 px) against the full decoder's picture, averaged down.

    python -m training.generator.readouts IR_FOLDER OUT.pt [--samples 420] [--for 10m]

The start is a least-squares readout; gradient steps then refine each rung's readout and its own copy of the last block.
Targets are cached beside OUT, and a second run goes on from the checkpoint.
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
HELD_OUT = 10
RATE = 1e-3
BLOCK_RATE = 1e-4


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
    for i in range(done, len(pictures)):
        pictures[i] = F.avg_pool2d(decoder(latents[i : i + 1], 1024), 4)[0].numpy().clip(-1.2, 1.2)
        if i % 25 == 0:
            click.echo(f"target {i}/{len(pictures)}")
    return pictures


def target_at(pictures: np.ndarray, index: int, side: int) -> Tensor:
    """One target (1, 3, side, side), averaged down to `side`."""
    picture = torch.from_numpy(pictures[index : index + 1]).float()
    return F.avg_pool2d(picture, 256 // side) if side < 256 else picture


@torch.no_grad()
def fit_linear(decoder: Decoder, latents: Tensor, pictures: np.ndarray, ridge: float = 1e-3) -> None:
    """Least squares of each rung's 1x1 convolution on all pixels of the samples, on features of unit variance."""
    for side, last in RUNGS.items():
        rung = decoder.rungs[str(side)]
        some = decoder.features(latents[:8], last)
        rung.scale.copy_(1 / some.std((0, 2, 3), keepdim=True).clamp_min(1e-3))
        gram, cross = 0.0, 0.0
        for i in range(len(latents)):
            x = (decoder.features(latents[i : i + 1], last) * rung.scale)[0].flatten(1)
            x = torch.cat((x, torch.ones(1, x.shape[1])))
            y = forward_haar(target_at(pictures, i, side))[0].flatten(1)
            gram, cross = gram + (x @ x.T).double(), cross + (x @ y.T).double()
        gram += ridge * gram.diagonal().mean() * torch.eye(len(gram), dtype=torch.float64)
        solution = torch.linalg.solve(gram, cross).float()
        rung.linear.weight.copy_(solution[:-1].T[:, :, None, None])
        rung.linear.bias.copy_(solution[-1])


def picture_loss(out: Tensor, target: Tensor) -> Tensor:
    """L1 of the picture and of its fine detail: what is left after averaging 2x2, which L1 alone would blur away."""
    detail = forward_haar(out)[:, 3:] - forward_haar(target)[:, 3:]
    return F.l1_loss(out, target) + 2 * detail.abs().mean()


def refine(decoder: Decoder, latents: Tensor, pictures: np.ndarray, seconds: float, seed: int) -> None:
    """Gradient steps on the rungs until the time is up; the trunk below them stays frozen."""
    decoder.rungs.requires_grad_(True)
    names = [name for name, _ in decoder.rungs.named_parameters()]
    blocks = [p for name, p in zip(names, decoder.rungs.parameters(), strict=True) if ".block." in name]
    rest = [p for name, p in zip(names, decoder.rungs.parameters(), strict=True) if ".block." not in name]
    rates = (BLOCK_RATE, RATE)
    optimizer = torch.optim.Adam([{"params": blocks}, {"params": rest}], betas=(0.9, 0.99))
    rng, step, start = np.random.default_rng(seed), 0, time.monotonic()
    while (spent := time.monotonic() - start) < seconds:
        for group, rate in zip(optimizer.param_groups, rates, strict=True):
            group["lr"] = rate * min(1.0, (step + 1) / 50) * max(0.02, 1 - spent / seconds)
        i = int(rng.integers(len(latents)))
        latent = latents[i : i + 1]
        with torch.no_grad():
            levels = decoder.pyramid(latent, max(RUNGS.values()) - 1)
        losses = [
            picture_loss(decoder.rung(levels[last - 1], latent, side), target_at(pictures, i, side))
            for side, last in RUNGS.items()
        ]
        optimizer.zero_grad()
        sum(losses).backward()
        torch.nn.utils.clip_grad_norm_(decoder.rungs.parameters(), 1.0)
        optimizer.step()
        step += 1
        if step % 50 == 0:
            values = " ".join(f"{side}: {loss.item():.4f}" for side, loss in zip(RUNGS, losses, strict=True))
            click.echo(f"step {step}  loss {values}  {seconds - spent:.0f} s left")
    decoder.requires_grad_(False)


@torch.no_grad()
def measure(decoder: Decoder, latents: Tensor, pictures: np.ndarray) -> dict[int, float]:
    """Mean PSNR in dB per rung on the given samples."""
    return {
        side: round(float(np.mean([
            psnr(decoder(latents[i : i + 1], side), target_at(pictures, i, side)) for i in range(len(pictures))
        ])), 2)
        for side in RUNGS
    }  # fmt: skip


def save(path: Path, decoder: Decoder, ir: Path, average: Tensor, measured: dict[str, dict[int, float]]) -> None:
    """Write decoder, mapping network and what was measured, loadable with `weights_only`."""
    state = {"decoder": decoder.state_dict(), "mapping": load_mapping(ir).state_dict()}
    torch.save({**state, "latent_avg": average, "psnr": measured}, path)


@click.command()
@click.argument("ir", type=click.Path(exists=True, file_okay=False, path_type=Path))
@click.argument("out", type=click.Path(dir_okay=False, path_type=Path))
@click.option("--samples", default=420, show_default=True, help="Pictures to learn from.")
@click.option("--for", "duration", default="10m", show_default=True, help="Time for the gradient steps.")
def main(ir: Path, out: Path, samples: int, duration: str) -> None:
    """Write a decoder checkpoint with trained rungs."""
    mapping, decoder = load_mapping(ir), load_decoder(ir)
    average = mapping(seeded_z(20000, 1)).mean(0)
    w = average + PSI * (mapping(seeded_z(4000, 7))[:samples] - average)
    latents = w[:, None].expand(-1, STYLES, -1)
    pictures = targets(decoder, latents, out.with_suffix(".targets.npy"))[:samples]
    train, test = slice(HELD_OUT, None), slice(0, HELD_OUT)
    measured = {}
    if out.exists():
        state = torch.load(out, weights_only=True)
        decoder.load_state_dict(state["decoder"])
        measured = state["psnr"]
    else:
        fit_linear(decoder, latents[train][:50], pictures[train])
        measured["least squares"] = measure(decoder, latents[test], pictures[test])
        save(out, decoder, ir, average, measured)
    click.echo(f"held-out PSNR in dB: {measured}")
    refine(decoder, latents[train], pictures[train], parse_duration(duration), seed=len(measured))
    measured[f"run {len(measured)}, {duration}"] = measure(decoder, latents[test], pictures[test])
    click.echo(f"held-out PSNR in dB: {measured}")
    save(out, decoder, ir, average, measured)


if __name__ == "__main__":
    main()
