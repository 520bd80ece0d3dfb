"""The losses of "Face Anonymity Based on Facial Pose Consistency" (Wang, Gan, Wang, Zhou, Lu), in its symbols.

X is the original, X' the result, L a landmark network, R a recogniser, G(Z) the invented person's own face.
"""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor
from torch.nn import functional as F


def landmark_l2(got: Tensor, want: Tensor, weight: Tensor | None = None) -> Tensor:
    """|| L(X') - L(X) ||_2 over the 136 coordinates in [0, 1], mean over the batch; `weight` (68,) per point."""
    apart = (got - want).square().sum(2)
    return (apart if weight is None else apart * weight).sum(1).clamp_min(1e-12).sqrt().mean()


def identity(result: Tensor, own: Tensor) -> Tensor:
    """1 - cos(R(X'), R(G(Z))) of embeddings (N, d) of unit length."""
    return 1 - (result * own).sum(1).mean()


def perceptual(result: Sequence[Tensor], original: Sequence[Tensor], mask: Tensor | None = None) -> Tensor:
    """LPIPS-style distance: squared difference of channel-normalised features, mean over places, summed over layers.

    Args:
        result: Features (N, C, h, w) of each layer.
        original: The same of the other picture.
        mask: (N, 1, H, W); where given, only its places count.
    """
    distances = []
    for a, b in zip(result, original, strict=True):
        apart = (F.normalize(a.float(), dim=1) - F.normalize(b.float(), dim=1)).square().sum(1, keepdim=True)
        if mask is None:
            distances.append(apart.mean())
        else:
            places = F.interpolate(mask, apart.shape[2:], mode="area")
            distances.append((apart * places).sum() / places.sum().clamp_min(1e-6))
    return torch.stack(distances).sum()
