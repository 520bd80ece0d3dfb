"""The picture of a snapshot, row by row: original, face removed, pose, result fused, the invented person unsteered."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import torch
from torch import Tensor

from streamfilter.structures import Image
from training.objective import fuse
from training.train.batches import Sample, to_device
from training.train.curves import write_picture
from training.train.steering import steer
from training.train.trainer import Trainer


@torch.no_grad()
def paint(trainer: Trainer, sample: Sample) -> Image:
    """A sheet (5 S, N S, 3), RGB, by the averaged weights."""
    batch = to_device(sample.batch, trainer.device)
    trainer.average.eval()
    with trainer.autocast():
        result = trainer.paint(steer(trainer.average, batch).latent, max(trainer.rungs))
        person = trainer.paint(batch.identity, max(trainer.rungs))
    rows = (batch.original, batch.surroundings, batch.pose * 2 - 1, fuse(result, batch), person)
    return np.concatenate([_strip(row) for row in rows])


def _strip(pictures: Tensor) -> Image:
    """Pictures (N, 1 or 3, S, S) in [-1, 1] side by side."""
    bytes_ = ((pictures.float().clamp(-1, 1) + 1) * 127.5).round().byte().expand(-1, 3, -1, -1)
    return np.asarray(torch.cat(list(bytes_), 2).permute(1, 2, 0).cpu().numpy(), np.uint8)


def write(run: Path, trainer: Trainer, sample: Sample) -> None:
    """Paint and keep it as `grid_<step>.png`."""
    write_picture(run / f"grid_{trainer.step:08d}.png", paint(trainer, sample))
