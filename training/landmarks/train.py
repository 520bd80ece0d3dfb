"""Train the 68-point network on packed crops; resumable at any step.

    python -m training.landmarks.train RUN --pack PACK_A --pack PACK_B --steps 6000 --for 45m

The learning rate warms up, stays, and falls to zero over the last `--cooldown` steps. A run that was stopped goes on
where it was, also towards another number of steps. Every batch is drawn from the seed and the step alone, so a run in
two parts gives the same weights as one.
"""

from __future__ import annotations

import copy
import json
import time
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from pathlib import Path

import click
import cv2
import numpy as np
import torch
from torch import Tensor

from streamfilter.structures import Floats
from training.landmarks.augment import AugmentConfig, sample
from training.landmarks.losses import LIDS, LIPS, total
from training.landmarks.network import Network, NetworkConfig, Output
from training.landmarks.teacher import eye_distance

CHECKPOINT = "checkpoint.pt"


@dataclass(frozen=True, kw_only=True)
class TrainConfig:
    """Everything that decides the weights, apart from data and network."""

    steps: int = 6000
    cooldown: int = 1500
    warmup: int = 100
    batch: int = 16
    rate: float = 2e-3
    decay: float = 1e-4
    average: float = 0.998
    non_faces: float = 0.06
    seed: int = 1

    def rate_at(self, step: int) -> float:
        """Learning rate of a step: up, level, down."""
        up = min((step + 1) / self.warmup, 1.0)
        down = min((self.steps - step) / max(self.cooldown, 1), 1.0)
        return self.rate * min(up, max(down, 0.0))


class Packs:
    """The training part of several packs, with the odds of each sample."""

    def __init__(self, folders: Sequence[Path], non_faces: float) -> None:
        read = [[np.load(f / f"{name}.npy", mmap_mode="r") for name in ("crops", "points")] for f in folders]
        flags = [[np.load(f / f"{name}.npy") for name in ("is_face", "held_out")] for f in folders]
        rows = [(pack, row) for pack, (_, held) in enumerate(flags) for row in np.flatnonzero(~held)]
        self._rows = np.array(rows, np.int64)
        self._crops = [crops for crops, _ in read]
        self.points = np.stack([read[pack][1][row] for pack, row in rows])
        self.is_face = np.array([flags[pack][0][row] for pack, row in rows])
        self.odds = _odds(self.points, self.is_face, non_faces)

    def __len__(self) -> int:
        return len(self._rows)

    def batch(self, size: int, augment: AugmentConfig, seed: Sequence[int]) -> tuple[Tensor, Tensor, Tensor]:
        """Draw images (n, 3, size, size), points (n, 68, 2), is_face (n,)."""
        random = np.random.default_rng(seed)
        chosen = random.choice(len(self), size, p=self.odds)
        samples = [sample(self._crop(i), self.points[i], bool(self.is_face[i]), augment, random) for i in chosen]
        images, points, faces = zip(*samples, strict=True)
        stacked = torch.from_numpy(np.stack(images)).permute(0, 3, 1, 2).float()
        return stacked, torch.from_numpy(np.stack(points)), torch.tensor(faces)

    def _crop(self, index: int) -> np.ndarray[tuple[int, ...], np.dtype[np.uint8]]:
        pack, row = self._rows[index]
        return np.array(self._crops[pack][row])


def opening(points: Floats, pairs: Sequence[tuple[int, int]]) -> Floats:
    """Mean distance of upper and lower points over the inter-ocular distance, (...)."""
    upper, lower = (list(index) for index in zip(*pairs, strict=True))
    gap = np.hypot(*np.moveaxis(points[..., upper, :] - points[..., lower, :], -1, 0)).mean(axis=-1)
    return np.asarray(gap / np.maximum(eye_distance(points), 1e-6), np.float32)


def _odds(points: Floats, is_face: np.ndarray[tuple[int, ...], np.dtype[np.bool_]], non_faces: float) -> Floats:
    """Closed eyes, open mouths and turned heads are rare in photos, so they are drawn more often."""
    eyes, mouth = opening(points, LIDS), opening(points, LIPS)
    turned = np.abs(points[:, 30, 0] - points[:, [36, 45], 0].mean(axis=1)) / np.maximum(eye_distance(points), 1e-6)
    faces = is_face.astype(np.float64)
    if faces.sum() > 0:
        faces *= (
            1 + 1.5 * _beyond(-eyes, is_face, 85) + 1.0 * _beyond(mouth, is_face, 80) + _beyond(turned, is_face, 80)
        )
    others = (~is_face).astype(np.float64)
    share = non_faces if others.any() else 0.0
    odds = (1 - share) * faces / max(faces.sum(), 1) + share * others / max(others.sum(), 1)
    return np.asarray(odds / odds.sum())


def _beyond(value: Floats, is_face: np.ndarray[tuple[int, ...], np.dtype[np.bool_]], percentile: float) -> Floats:
    return np.asarray(value > np.percentile(value[is_face], percentile), np.float32)


class Run:
    """Network, its running average and the optimiser, at one step."""

    def __init__(self, network: NetworkConfig, config: TrainConfig) -> None:
        torch.manual_seed(config.seed)
        self.config, self.step = config, 0
        self.network = Network(network).to(memory_format=torch.channels_last)
        self.average = copy.deepcopy(self.network).eval()
        self.optimizer = torch.optim.AdamW(self.network.parameters(), lr=config.rate, weight_decay=config.decay)

    def advance(self, packs: Packs, augment: AugmentConfig) -> dict[str, float]:
        """Take one step."""
        images, points, faces = packs.batch(self.config.batch, augment, (self.config.seed, self.step))
        self.network.train()
        for group in self.optimizer.param_groups:
            group["lr"] = self.config.rate_at(self.step)
        loss, parts = total(self._predict(images), points, faces, self.network.config.grid)
        self.optimizer.zero_grad()
        loss.backward()
        torch.nn.utils.clip_grad_norm_(self.network.parameters(), 5.0)
        self.optimizer.step()
        self._follow()
        self.step += 1
        return parts

    def _predict(self, images: Tensor) -> Output:
        images = images.contiguous(memory_format=torch.channels_last)
        with torch.autocast("cpu", torch.bfloat16):
            merged, pooled = self.network.look(images)
        return self.network.read(merged.float(), pooled.float())

    @torch.no_grad()
    def _follow(self) -> None:
        keep = min(self.config.average, (1 + self.step) / (10 + self.step))
        for slow, fast in zip(self.average.state_dict().values(), self.network.state_dict().values(), strict=True):
            if slow.dtype.is_floating_point:
                slow.lerp_(fast, 1 - keep)
            else:
                slow.copy_(fast)

    def save(self, folder: Path) -> None:
        """Write the checkpoint, whole or not at all."""
        state = {
            "step": self.step,
            "network_config": asdict(self.network.config),
            "network": self.network.state_dict(),
            "average": self.average.state_dict(),
            "optimizer": self.optimizer.state_dict(),
        }
        torch.save(state, folder / "checkpoint.part")
        (folder / "checkpoint.part").replace(folder / CHECKPOINT)

    def resume(self, folder: Path) -> bool:
        """Go on from the checkpoint of a folder, if it has one."""
        path = folder / CHECKPOINT
        if not path.is_file():
            return False
        state = torch.load(path, weights_only=True)
        self.step = int(state["step"])
        self.network.load_state_dict(state["network"])
        self.average.load_state_dict(state["average"])
        self.optimizer.load_state_dict(state["optimizer"])
        return True


def load_average(folder: Path) -> Network:
    """The averaged network of a run, for measuring and export."""
    state = torch.load(folder / CHECKPOINT, weights_only=True)
    config = {k: tuple(v) if isinstance(v, list) else v for k, v in state["network_config"].items()}
    network = Network(NetworkConfig(**config))
    network.load_state_dict(state["average"])
    return network.eval()


def seconds(text: str) -> float:
    """Parse 90s, 25m, 1.5h."""
    units = {"s": 1, "m": 60, "h": 3600}
    if not text or text[-1] not in units:
        raise click.BadParameter(f"{text!r}: write a number and s, m or h, for example 25m")
    return float(text[:-1]) * units[text[-1]]


def train(run: Run, packs: Packs, folder: Path, limit_s: float) -> None:
    """Step until done or out of time; tell and save on the way."""
    augment, started, first = AugmentConfig(size=run.network.config.size), time.monotonic(), run.step
    seen: dict[str, float] = {}
    with (folder / "log.jsonl").open("a") as log:
        while run.step < run.config.steps and time.monotonic() - started < limit_s:
            for name, value in run.advance(packs, augment).items():
                seen[name] = 0.98 * seen.get(name, value) + 0.02 * value
            if run.step % 50 == 0 or run.step == run.config.steps:
                pace = (run.step - first) / (time.monotonic() - started)
                line = {"step": run.step, **{k: round(v, 4) for k, v in seen.items()}}
                left = min((run.config.steps - run.step) / pace, limit_s - (time.monotonic() - started))
                click.echo(f"{json.dumps(line)}  {pace * run.config.batch:.0f} faces/s, {left / 60:.1f} min left")
                print(json.dumps(line), file=log, flush=True)
            if run.step % 200 == 0:
                run.save(folder)
    run.save(folder)


@click.command()
@click.argument("folder", type=click.Path(path_type=Path))
@click.option("--pack", "packs", type=click.Path(path_type=Path, exists=True), multiple=True, required=True)
@click.option("--steps", default=TrainConfig.steps, show_default=True)
@click.option(
    "--cooldown", default=TrainConfig.cooldown, show_default=True, help="Last steps, in which the rate falls."
)
@click.option("--for", "limit", default="24h", show_default=True, help="Stop after this time; run again to go on.")
@click.option("--seed", default=TrainConfig.seed, show_default=True)
@click.option("--dry-run", is_flag=True, help="Say what would be done.")
def main(
    *, folder: Path, packs: tuple[Path, ...], steps: int, cooldown: int, limit: str, seed: int, dry_run: bool
) -> None:
    """Train in FOLDER, or go on there."""
    torch.set_num_threads(1)
    cv2.setNumThreads(1)
    config = TrainConfig(steps=steps, cooldown=cooldown, seed=seed)
    data = Packs(packs, config.non_faces)
    run = Run(NetworkConfig(), config)
    folder.mkdir(parents=True, exist_ok=True)
    resumed = run.resume(folder)
    size = sum(p.numel() for p in run.network.parameters())
    click.echo(f"{len(data)} crops, {size} parameters, {config}, {'from step ' + str(run.step) if resumed else 'new'}")
    if dry_run:
        return
    (folder / "options.json").write_text(json.dumps({**asdict(config), "packs": [str(p.name) for p in packs]}))
    train(run, data, folder, seconds(limit))


if __name__ == "__main__":
    main()
