"""The controller in closed form: surroundings, landmarks and identity -> W+ latent, as a PyTorch module."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import torch
from torch import Tensor, nn
from torch.nn import functional as F

from training.generator.sample import GROUPS, THUMB, spread

FIRST_SLOTS = [group.start for group in GROUPS]


class Controller(nn.Module):
    """Landmarks, light and identity -> W+ latent, in closed form.

    target = [mean + P (L - mean) + (I - P) (L_id - mean), light(surroundings), a openings(L) + b openings(L_id) + c]
    latent = identity + K (target - y(identity))

    a, b, c (`calibrate`) make up for what the linear model leaves: without them eyes and mouths move too little.
    """

    NAMES = ("mean", "keep", "predict", "offset", "gain", "openings", "calibration", "light", "light_offset", "average")

    def __init__(self, values: dict[str, np.ndarray]) -> None:
        super().__init__()
        for name in self.NAMES:
            self.register_buffer(name, torch.from_numpy(np.asarray(values[name], np.float32)))

    def colours(self, surroundings: Tensor) -> Tensor:
        """Patch colours (N, 15) that the surroundings (N, 3, S, S) suggest."""
        thumb = F.avg_pool2d(surroundings, surroundings.shape[-1] // THUMB)
        return thumb.permute(0, 2, 3, 1).flatten(1) @ self.light + self.light_offset

    def forward(self, surroundings: Tensor, landmarks: Tensor, identity: Tensor) -> Tensor:
        """Latent (N, 23, 512)."""
        return self.steer(surroundings, landmarks, identity)[0]

    def steer(self, surroundings: Tensor, landmarks: Tensor, identity: Tensor) -> tuple[Tensor, Tensor, Tensor, Tensor]:
        """Latent (N, 23, 512), observations of the identity and those asked for (N, 154), openings seen (N, 3)."""
        groups = identity[:, FIRST_SLOTS]
        own = (groups - self.average).flatten(1) @ self.predict + self.offset
        flat = landmarks.flatten(1)
        shape = self.mean + (flat - self.mean) @ self.keep.T
        shape = shape + (own[:, :136] - self.mean) - (own[:, :136] - self.mean) @ self.keep.T
        ask, keep, shift = self.calibration
        seen = flat @ self.openings
        openings = ask * seen + keep * own[:, 151:] + shift
        target = torch.cat((shape, self.colours(surroundings), openings), 1)
        moved = (target - own) @ self.gain.T
        return identity + spread(moved.reshape(-1, 3, 512)), own, target, seen


def load_controller(path: Path) -> Controller:
    """A controller from the values that `fit` wrote."""
    with np.load(path) as values:
        return Controller(dict(values))
