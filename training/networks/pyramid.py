"""The feature pyramid between trunk and styles (Lin et al., arXiv 1612.03144; pSp, arXiv 2008.00951)."""

from __future__ import annotations

from collections.abc import Sequence

from torch import Tensor, nn
from torch.nn.functional import interpolate

from training.networks.resnet import conv


class Pyramid(nn.Module):
    """Three levels of features, fine to coarse -> three levels of one width, coarse to fine.

    Each level is a 1x1 convolution of the trunk's own features plus the coarser level, enlarged: so the fine level
    too knows what only the coarse one can see.
    """

    def __init__(self, widths: Sequence[int], width: int) -> None:
        super().__init__()
        self.lateral = nn.ModuleList(conv(i, width, kernel=1) for i in reversed(widths))

    def forward(self, features: Sequence[Tensor]) -> list[Tensor]:
        """Top down: (N, width, H, W), then twice and four times that size."""
        coarse, *finer = reversed(features)
        levels = [self.lateral[0](coarse)]
        for lateral, x in zip(self.lateral[1:], finer, strict=True):
            levels.append(lateral(x) + interpolate(levels[-1], scale_factor=2.0, mode="nearest"))
        return levels
