"""The training loop, in chapters."""

from __future__ import annotations

import math
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path

import click
from torch import Tensor

from training.train import checkpoint, grid
from training.train.batches import Sample, pin, prefetched
from training.train.presets import to_dict
from training.train.records import Means, Records, clock, peak_memory_gib
from training.train.stop import Stop
from training.train.trainer import Trainer


@dataclass(frozen=True, kw_only=True, eq=False)
class Job:
    """A run about to begin or to go on."""

    run: Path
    trainer: Trainer
    make: Callable[[int], Sample]  # the sample of any step
    shown: Sample  # what the grids show
    records: Records
    echo: Callable[[str], None] = click.echo


def train(job: Job, stop: Stop) -> str:
    """Train until the end, the time limit or a signal; gives the reason in words.

    Raises:
        DivergedError: a loss is not finite any more; the last checkpoint is from before that.
    """
    trainer, preset, means = job.trainer, job.trainer.preset, Means()
    pace = Pace(trainer)
    make = _pinned(job.make) if trainer.device.type == "cuda" else job.make
    with stop, prefetched(make, trainer.step, workers=preset.workers) as samples:
        while True:
            # Leave where the run is done, out of time or asked to stop.
            ending = trainer.kimg >= preset.kimg or bool(stop)
            # Tell how it goes.
            if pace.steps and (ending or trainer.step % preset.tick == 0):
                row = {**pace.row(), **means.read(trainer.step)}
                job.records.add(row)
                job.echo(line(row, pace.left_s(stop)))
            # Keep a checkpoint, and show what it paints.
            if pace.steps_in_all and (ending or trainer.step % (preset.tick * preset.snapshot_ticks) == 0):
                keep(job)
            if ending:
                return stop.reason or f"{trainer.kimg:g} kimg are done"
            # Take a step.
            means.add(pace.step(next(samples)))


def keep(job: Job) -> Path:
    """Write checkpoint, grid and curves of where the trainer is."""
    trainer = job.trainer
    saved = checkpoint.save(
        job.run,
        model=trainer.average,
        step=trainer.step,
        kimg=trainer.kimg,
        preset=to_dict(trainer.preset),
        state=trainer.state(),
    )
    grid.write(job.run, trainer, job.shown)
    job.records.draw()
    return saved


class Pace:
    """Steps the trainer and keeps count of time, since the last tick and in all."""

    def __init__(self, trainer: Trainer) -> None:
        self._trainer = trainer
        self._began = self._ticked = time.monotonic()
        self._first_images = self._tick_images = trainer.images
        self.steps = self.steps_in_all = 0

    def step(self, sample: Sample) -> dict[str, Tensor]:
        """Take one step."""
        self.steps, self.steps_in_all = self.steps + 1, self.steps_in_all + 1
        return self._trainer.advance(sample)

    def row(self) -> dict[str, float]:
        """Numbers of the tick that ends now."""
        now, trainer = time.monotonic(), self._trainer
        passed, images = now - self._ticked, trainer.images - self._tick_images
        self._ticked, self._tick_images = now, trainer.images
        steps, self.steps = self.steps, 0
        return {
            "step": trainer.step,
            "kimg": trainer.kimg,
            "rate": trainer.preset.rate_at(trainer.kimg),
            "images_per_s": images / max(passed, 1e-9),
            "s_per_step": passed / max(steps, 1),
            "memory_gib": peak_memory_gib(trainer.device),
        }

    def left_s(self, stop: Stop) -> float:
        """Seconds to the end of the run or to the time limit, whichever is nearer."""
        trainer = self._trainer
        done = trainer.images - self._first_images
        each = (time.monotonic() - self._began) / done if done else math.inf
        return min((trainer.preset.kimg * 1000 - trainer.images) * each, stop.left_s)


def line(row: Mapping[str, float], left_s: float) -> str:
    """One tick in words."""
    told = {"step", "kimg", "images_per_s", "s_per_step", "memory_gib"}
    terms = "  ".join(f"{name} {value:.4g}" for name, value in row.items() if name not in told)
    return (
        f"step {row['step']:g}  {row['kimg']:.2f} kimg  {terms}  {row['images_per_s']:.1f} images/s"
        f"  {row['memory_gib']:.1f} GiB  {clock(left_s)} left"
    )


def _pinned(make: Callable[[int], Sample]) -> Callable[[int], Sample]:
    """In the workers: page-locked memory, from which a GPU copies while it computes."""

    def pinned(step: int) -> Sample:
        sample = make(step)
        return Sample(pin(sample.batch), sample.people)

    return pinned
