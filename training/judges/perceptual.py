"""SqueezeNet 1.0 features for an LPIPS-style distance (its linear weights are not used: all channels count alike)."""

from __future__ import annotations

from pathlib import Path

import torch
from torch import Tensor, nn
from torch.nn import functional as F

# Squeeze, expand 1x1, expand 3x3 of each fire module; None is a pooling layer. Places are torchvision's.
FIRES = {
    3: (96, 16, 64), 4: (128, 16, 64), 5: (128, 32, 128), 7: (256, 32, 128), 8: (256, 48, 192), 9: (384, 48, 192),
    10: (384, 64, 256), 12: (512, 64, 256),
}  # fmt: skip
POOLS = (2, 6, 11)
TAPS = (1, 4, 5, 8, 10)
MEAN, STD = (0.485, 0.456, 0.406), (0.229, 0.224, 0.225)


class Fire(nn.Module):
    """Squeeze, then two expansions side by side (SqueezeNet, arXiv 1602.07360)."""

    def __init__(self, i: int, squeeze: int, expand: int) -> None:
        super().__init__()
        self.squeeze = nn.Conv2d(i, squeeze, 1)
        self.expand1x1 = nn.Conv2d(squeeze, expand, 1)
        self.expand3x3 = nn.Conv2d(squeeze, expand, 3, padding=1)

    def forward(self, x: Tensor) -> Tensor:
        """Features -> features."""
        x = F.relu(self.squeeze(x))
        return torch.cat((F.relu(self.expand1x1(x)), F.relu(self.expand3x3(x))), 1)


class PerceptualJudge(nn.Module):
    """Pictures (N, 3, S, S) in [-1, 1] -> features of five layers."""

    def __init__(self) -> None:
        super().__init__()
        layers: dict[str, nn.Module] = {"0": nn.Conv2d(3, 96, 7, stride=2)}
        layers |= {str(place): Fire(*sizes) for place, sizes in FIRES.items()}
        self.features = nn.ModuleDict(layers)
        self.register_buffer("mean", torch.tensor(MEAN).view(1, 3, 1, 1))
        self.register_buffer("std", torch.tensor(STD).view(1, 3, 1, 1))

    @classmethod
    def load(cls, path: Path) -> PerceptualJudge:
        """From torchvision's ImageNet weights."""
        judge = cls()
        state = torch.load(path, map_location="cpu", weights_only=True)
        judge.features.load_state_dict(
            {k.removeprefix("features."): v for k, v in state.items() if k.startswith("features.")}
        )
        return judge.eval().requires_grad_(False)

    def forward(self, picture: Tensor) -> list[Tensor]:
        """Look."""
        x, taps = ((picture.float() + 1) / 2 - self.mean) / self.std, []
        for place in range(max(FIRES) + 1):
            if place in POOLS:
                x = F.max_pool2d(x, 3, 2, ceil_mode=True)
            elif place == 1:
                x = F.relu(x)
            else:
                x = self.features[str(place)](x)
            if place in TAPS:
                taps.append(x)
        return taps
