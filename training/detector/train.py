"""Fine-tunes YuNet-n for what a privacy filter meets; resumable, one thread.

    python -m training.detector.train --work WORK --start yunet_n.pth --run RUN --for 40m

WORK is what `training.detector.label` wrote. RUN receives `latest.pt` (continue by giving the same command again) and
`final.pt`, whose weights are the moving average.
"""

from __future__ import annotations

import argparse
import copy
import json
import math
import time
from dataclasses import asdict, dataclass
from pathlib import Path

import cv2
import numpy as np
import torch
from torch import Tensor

from training.detector import checkpoint
from training.detector.losses import Target, Weights, loss
from training.detector.network import YuNet, fold
from training.detector.scenes import Scene, SceneMaker, load_pictures
from training.limits import parse_duration

PRINT_EVERY = 20
SAVE_EVERY = 100
STATE = "latest.pt"


@dataclass(frozen=True, kw_only=True)
class TrainConfig:
    """Everything that decides the result, besides the pictures."""

    steps: int = 400
    batch: int = 6
    # Every fourth batch is larger in size and smaller in number: faces that fill a frame are met too.
    size_px: int = 320
    large_px: int = 512
    # Gentle: at 6e-4 a few hundred steps cost the clean faces more than the hard ones gained.
    rate: float = 8e-5
    final_rate: float = 4e-6
    warm_up_steps: int = 20
    decay: float = 1e-4
    average: float = 0.985
    clip: float = 10.0
    seed: int = 1


class Trainer:
    """The network, its moving average, the optimiser and the step count.

    Batch norm is folded first: its statistics stay the original's, since these batches are small and mostly harmed.
    """

    def __init__(self, network: YuNet, config: TrainConfig, scenes: SceneMaker) -> None:
        self.config, self.scenes = config, scenes
        # Channels last is a third faster on the CPU, most of the layers being 1x1 or one filter a channel.
        network = fold(network).to(memory_format=torch.channels_last)  # type: ignore[call-overload]
        self.original = copy.deepcopy(network).eval()
        self.network = copy.deepcopy(network)
        self.average = copy.deepcopy(network).eval()
        self.optimizer = torch.optim.AdamW(self.network.parameters(), lr=config.rate, weight_decay=config.decay)
        self.step = 0

    def rate(self) -> float:
        """Learning rate at this step: warm-up, then half a cosine."""
        c = self.config
        if self.step < c.warm_up_steps:
            return c.rate * (self.step + 1) / c.warm_up_steps
        part = (self.step - c.warm_up_steps) / max(1, c.steps - c.warm_up_steps)
        return c.final_rate + (c.rate - c.final_rate) * (1 + math.cos(math.pi * min(1.0, part))) / 2

    def batch(self) -> list[Scene]:
        """The scenes of this step; they depend on the seed and the step only, so a resume sees the same."""
        rng = np.random.default_rng((self.config.seed, self.step))
        large = self.step % 4 == 3
        size = self.config.large_px if large else self.config.size_px
        number = max(1, round(self.config.batch * (self.config.size_px / size) ** 2))
        return [self.scenes(rng, size) for _ in range(number)]

    def update(self) -> dict[str, float]:
        """One step; the parts of the loss."""
        for group in self.optimizer.param_groups:
            group["lr"] = self.rate()
        scenes = self.batch()
        with torch.no_grad():
            reference = self.original(stack([s.clean for s in scenes]))
        maps = self.network(stack([s.image for s in scenes]))
        pull = torch.tensor([float(s.upright) for s in scenes])
        parts = loss(maps, [target(s) for s in scenes], Weights(), reference, pull)
        self.optimizer.zero_grad()
        torch.stack(list(parts.values())).sum().backward()
        torch.nn.utils.clip_grad_norm_(self.network.parameters(), self.config.clip)
        self.optimizer.step()
        self.step += 1
        self._follow()
        return {name: float(value.detach()) for name, value in parts.items()}

    @torch.no_grad()
    def _follow(self) -> None:
        keep = min(self.config.average, self.step / (self.step + 9))
        for mean, value in zip(self.average.parameters(), self.network.parameters(), strict=True):
            mean.lerp_(value, 1 - keep)

    def save(self, path: Path, run: dict[str, object]) -> None:
        """What a resume needs; the network in it is the moving average."""
        state = {"network": self.network.state_dict(), "optimizer": self.optimizer.state_dict(), "step": self.step}
        checkpoint.save(path, self.average, run=run, state=state)

    def resume(self, path: Path) -> None:
        """Go on where `save` left."""
        self.average, _ = checkpoint.load_network(path)
        state = checkpoint.load_state(path)
        self.network.load_state_dict(state["network"])
        self.optimizer.load_state_dict(state["optimizer"])
        self.step = state["step"]


def stack(images: list[np.ndarray]) -> Tensor:
    """RGB pictures of one size -> (N, 3, H, W) BGR 0..255."""
    batch = np.ascontiguousarray(np.stack(images)[..., ::-1], np.float32)
    return torch.from_numpy(batch).permute(0, 3, 1, 2)


def target(scene: Scene) -> Target:
    """The truth of a scene as tensors."""
    boxes, points, ignore = (torch.from_numpy(a.astype(np.float32)) for a in (scene.boxes, scene.points, scene.ignore))
    return Target(boxes=boxes, points=points, ignore=ignore)


def train(trainer: Trainer, folder: Path, limit_s: float, run: dict[str, object]) -> None:
    """Until the last step or the time limit; prints progress and saves as it goes."""
    folder.mkdir(parents=True, exist_ok=True)
    start, first, mean = time.monotonic(), trainer.step, dict[str, float]()
    while trainer.step < trainer.config.steps and time.monotonic() - start < limit_s:
        parts = trainer.update()
        mean = {k: mean.get(k, v) * 0.98 + v * 0.02 for k, v in parts.items()}
        if trainer.step % PRINT_EVERY == 0:
            each = (time.monotonic() - start) / (trainer.step - first)
            left = min((trainer.config.steps - trainer.step) * each, limit_s - (time.monotonic() - start))
            numbers = " ".join(f"{k} {v:.3f}" for k, v in mean.items())
            print(
                f"step {trainer.step}/{trainer.config.steps} {numbers} {each:.2f} s/step {left / 60:.0f} min left",
                flush=True,
            )
        if trainer.step % SAVE_EVERY == 0:
            trainer.save(folder / STATE, run)
    trainer.save(folder / STATE, run)
    checkpoint.save(folder / "final.pt", trainer.average, run={**run, "steps_done": trainer.step})


def main() -> None:
    """Command line."""
    parser = argparse.ArgumentParser(description="Fine-tune the face detector.")
    parser.add_argument("--work", type=Path, required=True, help="folder that training.detector.label wrote")
    parser.add_argument(
        "--start", type=Path, required=True, help="checkpoint to start from: yunet_n.pth, or one of ours"
    )
    parser.add_argument("--run", type=Path, required=True, help="folder for the checkpoints; resumed if it has some")
    parser.add_argument(
        "--for", dest="limit_s", type=parse_duration, default=math.inf, metavar="TIME", help="such as 25m"
    )
    parser.add_argument("--steps", type=int, default=TrainConfig.steps)
    parser.add_argument("--rate", type=float, default=TrainConfig.rate)
    parser.add_argument("--seed", type=int, default=TrainConfig.seed)
    parser.add_argument("--dry-run", action="store_true", help="say what would be done, and stop")
    arguments = parser.parse_args()
    torch.set_num_threads(1)
    cv2.setNumThreads(1)
    config = TrainConfig(steps=arguments.steps, rate=arguments.rate, seed=arguments.seed)
    pictures = load_pictures(arguments.work, evaluation=False)
    network, base = checkpoint.load_network(arguments.start)
    run: dict[str, object] = {"base": json.loads(base), "train": asdict(config), "pictures": len(pictures)}
    faces = sum(len(p.boxes) for p in pictures)
    print(f"{len(pictures)} pictures with {faces} faces; options {json.dumps(run)}", flush=True)
    if arguments.dry_run:
        return
    trainer = Trainer(network, config, SceneMaker(pictures))
    if (arguments.run / STATE).is_file():
        trainer.resume(arguments.run / STATE)
        print(f"resumed at step {trainer.step}")
    train(trainer, arguments.run, arguments.limit_s, run)
    print(f"wrote {arguments.run / 'final.pt'} after {trainer.step} steps")


if __name__ == "__main__":
    main()
