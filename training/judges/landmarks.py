"""Our 68-point network as a differentiable judge: picture -> landmarks."""

from __future__ import annotations

from pathlib import Path

import torch
from torch import Tensor, nn

from training.judges.crops import cut, landmark_quad
from training.landmarks.train import load_average


class LandmarkJudge(nn.Module):
    """Landmarks of aligned faces; `network` is one that `training.landmarks.train` made."""

    def __init__(self, network: nn.Module) -> None:
        super().__init__()
        self.network = network.eval().requires_grad_(False)

    @classmethod
    def load(cls, run: Path) -> LandmarkJudge:
        """From the folder of a run."""
        return cls(load_average(run))

    def forward(self, face: Tensor, near: Tensor) -> Tensor:
        """Landmarks (N, 68, 2) in [0, 1] of faces (N, 3, S, S); `near` says where to look for them."""
        quad = landmark_quad(near.float().detach())
        crops = (cut(face.float(), quad, self.network.config.size) + 1) * 127.5
        merged, pooled = self.network.look(crops)
        with torch.autocast(face.device.type, enabled=False):  # a point is a mean over a grid: it needs the digits
            points = self.network.read(merged.float(), pooled.float()).points
        return quad[:, None, 0] + points @ quad[:, 1:]
