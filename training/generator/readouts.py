"""Trains the ladder of rungs (64, 128, 256 px) against the full decoder's picture, averaged down.

    python -m training.generator.readouts IR_FOLDER OUT.pt [--samples 420] [--for 10m]

The start keeps the channels that a least-squares readout needs most; gradient steps then refine the whole rung.
Targets are cached beside OUT, and a second run goes on from the checkpoint.
"""

from __future__ import annotations

import time
from collections.abc import Sequence
from pathlib import Path

import click
import numpy as np
import torch
from torch import Tensor, nn
from torch.nn import functional as F

from training.generator.networks import HIDDEN, RUNGS, STYLES, Decoder, psnr, seeded_z
from training.generator.public import load_decoder, load_mapping
from training.limits import parse_duration

PSI = 0.85
HELD_OUT = 10
RATE = 3e-4
EMA = 0.98


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
def cache_features(decoder: Decoder, latents: Tensor) -> dict[int, Tensor]:
    """Features of block `last - 1` of every rung, float16: the frozen trunk is run only once per sample."""
    levels = {last: [] for last in RUNGS.values()}
    for i in range(len(latents)):
        pyramid = decoder.pyramid(latents[i : i + 1], max(levels) - 1)
        for last, found in levels.items():
            found.append(pyramid[last - 1].half())
    return {last: torch.cat(found) for last, found in levels.items()}


def styles(latents: Tensor, last: int) -> tuple[Tensor, Tensor, Tensor]:
    """The three styles that a rung takes."""
    return latents[:, 3 * last + 1], latents[:, 3 * last + 2], latents[:, 3 * last + 3]


@torch.no_grad()
def start_rungs(decoder: Decoder, latents: Tensor, features: dict[int, Tensor], pictures: np.ndarray) -> None:
    """Keep the channels of the block's second half that a least-squares readout needs most; fit their readout."""
    for side, last in RUNGS.items():
        rung, full = decoder.rungs[str(side)], decoder.blocks[last].conv2.conv
        wide, scale = _solve(decoder, side, latents, features[last], pictures, full.weight, full.bias)
        keep = wide[:-1].square().sum(1).topk(HIDDEN[last]).indices
        # LeakyReLU commutes with positive factors, so the scale that gives unit variance goes into the convolution.
        weight, bias = full.weight[keep] / scale[keep, None, None, None], full.bias[keep] / scale[keep]
        rung.conv2.conv.weight.copy_(weight)
        rung.conv2.conv.bias.copy_(bias)
        narrow, scale = _solve(decoder, side, latents, features[last], pictures, weight, bias)
        rung.linear.weight.copy_((narrow[:-1] / scale[:, None]).T[:, :, None, None])
        rung.linear.bias.copy_(narrow[-1])


def _solve(
    decoder: Decoder, side: int, latents: Tensor, features: Tensor, pictures: np.ndarray, weight: Tensor, bias: Tensor
) -> tuple[Tensor, Tensor]:
    """Least squares (C + 1, 12) from the second half's features to the Haar bands, and the features' scale (C,)."""
    rung, last = decoder.rungs[str(side)], RUNGS[side]
    gram, cross, scale = 0.0, 0.0, None
    for i in range(len(latents)):
        style1, style2, _ = styles(latents[i : i + 1], last)
        x = rung.before(features[i : i + 1].float(), style1)
        x = rung.conv2.depthwise(x * rung.conv2.modulation(style2)[:, :, None, None])
        x = F.leaky_relu(F.conv2d(x, weight, bias), 0.2)[0].flatten(1)
        scale = x.std(1).clamp_min(1e-3) if scale is None else scale
        x = torch.cat((x / scale[:, None], torch.ones(1, x.shape[1])))
        y = forward_haar(target_at(pictures, i, side))[0].flatten(1)
        gram, cross = gram + (x @ x.T).double(), cross + (x @ y.T).double()
    gram += 1e-3 * gram.diagonal().mean() * torch.eye(len(gram), dtype=torch.float64)
    return torch.linalg.solve(gram, cross).float(), scale


def picture_loss(out: Tensor, target: Tensor) -> Tensor:
    """L1 of the picture and of its fine detail: what is left after averaging 2x2, which L1 alone would blur away."""
    detail = forward_haar(out)[:, 3:] - forward_haar(target)[:, 3:]
    return F.l1_loss(out, target) + 2 * detail.abs().mean()


def refine(
    decoder: Decoder,
    latents: Tensor,
    features: dict[int, Tensor],
    pictures: np.ndarray,
    *,
    seconds: float,
    seed: int,
    most_steps: int | None = None,
    sides: Sequence[int] = tuple(RUNGS),
) -> None:
    """Gradient steps on the rungs until time or steps are used up, averaged (EMA); the trunk below stays frozen."""
    rungs = nn.ModuleList(decoder.rungs[str(side)] for side in sides)
    parameters = list(rungs.requires_grad_(True).parameters())
    optimizer = torch.optim.Adam(parameters, betas=(0.9, 0.99))
    average = [parameter.detach().clone() for parameter in parameters]
    rng, step, start, recent = np.random.default_rng(seed), 0, time.monotonic(), dict.fromkeys(sides, 0.0)
    while (done := step / most_steps if most_steps else (time.monotonic() - start) / seconds) < 1:
        for group in optimizer.param_groups:
            group["lr"] = RATE * min(1.0, (step + 1) / 50) * max(0.02, 1 - done)
        i = int(rng.integers(len(latents)))
        optimizer.zero_grad()
        for side in sides:
            last = RUNGS[side]
            x = features[last][i : i + 1].float()
            out = decoder.rungs[str(side)](x, *styles(latents[i : i + 1], last))
            loss = picture_loss(out, target_at(pictures, i, side))
            loss.backward()
            recent[side] += (loss.item() - recent[side]) * max(0.01, 1 / (step + 1))
        optimizer.step()
        step += 1
        torch._foreach_lerp_(average, parameters, 1 - min(EMA, step / (step + 10)))
        if step % 50 == 0:
            values = " ".join(f"{side}: {loss:.4f}" for side, loss in recent.items())
            click.echo(f"step {step}  loss {values}  {100 * done:.0f} % done")
    decoder.requires_grad_(False)
    for parameter, value in zip(parameters, average, strict=True):
        parameter.copy_(value)


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
    noisy = load_decoder(ir)
    decoder.drop_noise()
    average = mapping(seeded_z(20000, 1)).mean(0)
    w = average + PSI * (mapping(seeded_z(4000, 7))[:samples] - average)
    latents = w[:, None].expand(-1, STYLES, -1)
    pictures = targets(noisy, latents, out.with_suffix(".targets.npy"))[:samples]
    train, test = slice(HELD_OUT, None), slice(0, HELD_OUT)
    measured = {}
    if out.exists():
        state = torch.load(out, weights_only=True)
        decoder.load_state_dict(state["decoder"])
        measured = state["psnr"]
    features = cache_features(decoder, latents[train])
    if not out.exists():
        start_rungs(decoder, latents[train][:60], features, pictures[train])
        measured["least squares"] = measure(decoder, latents[test], pictures[test])
        save(out, decoder, ir, average, measured)
    click.echo(f"held-out PSNR in dB: {measured}")
    seconds = parse_duration(duration)
    refine(decoder, latents[train], features, pictures[train], seconds=seconds, seed=len(measured))
    measured[f"run {len(measured)}, {duration}"] = measure(decoder, latents[test], pictures[test])
    click.echo(f"held-out PSNR in dB: {measured}")
    save(out, decoder, ir, average, measured)


if __name__ == "__main__":
    main()
