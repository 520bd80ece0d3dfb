"""The values that training passes around; all pictures are RGB in [-1, 1]."""

from __future__ import annotations

from dataclasses import dataclass

from torch import Tensor


@dataclass(frozen=True, kw_only=True, eq=False)
class Batch:
    """N aligned faces to be replaced; rows 2k and 2k + 1 are two targets of one invented person.

    Attributes:
        surroundings: (N, 3, S, S), the crop with the face removed except the forehead.
        pose: (N, 1, S, S) in {0, 1}, the landmarks drawn.
        landmarks: (N, 68, 2) in [0, 1] of the crop: pixel p of S is at (p + 0.5) / S.
        original: (N, 3, S, S), the whole crop. For losses only: never an input of a model.
        mask: (N, 1, S, S) blend mask, 1 over the protected region.
        identity: (N, n_styles, 512), equal in rows 2k and 2k + 1.
        authentic: (N,) bool; False where the landmarks were changed (a blink drawn), so that `original` is no truth.
        follows: (N,) bool; True where the row is the frame after the one before it, in the same clip.
    """

    surroundings: Tensor
    pose: Tensor
    landmarks: Tensor
    original: Tensor
    mask: Tensor
    identity: Tensor
    authentic: Tensor
    follows: Tensor

    def __len__(self) -> int:
        return len(self.landmarks)
