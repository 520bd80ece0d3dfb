"""Recognisers as differentiable judges: the R of the paper's identity loss, as an ensemble."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from training.judges.crops import ARCFACE_SIDE, arcface_quad, cut
from training.judges.mobile_face_net import MobileFaceNet
from training.judges.onnx_graph import OnnxGraph


class IdentityJudge(nn.Module):
    """Faces and landmarks -> embeddings, one block of unit length per recogniser, over all of length 1.

    The dot product of two results is the mean of the recognisers' cosines. All recognisers must give vectors of one
    length.
    """

    def __init__(self, recognisers: Sequence[nn.Module]) -> None:
        super().__init__()
        self.recognisers = nn.ModuleList(recognisers).eval().requires_grad_(False)

    @classmethod
    def load(cls, folder: Path) -> IdentityJudge:
        """Both recognisers that are for losses; `mfn_insightface_y1` is the metric and stays out."""
        return cls([OnnxGraph(folder / "mfn_diandianti.onnx"), MobileFaceNet.load(folder / "mfn_xiaoccer_068.ckpt")])

    def forward(self, face: Tensor, landmarks: Tensor, only: int | None = None) -> Tensor:
        """Embeddings (N, d) of faces (N, 3, S, S) in [-1, 1]; landmarks (N, 68, 2) in [0, 1] say where they are.

        With `only`, those of a single recogniser: asking one at a time, in turn, halves the cost of a step.
        """
        crops = cut(face.float(), arcface_quad(landmarks.float().detach()), ARCFACE_SIDE) * (127.5 / 128)
        chosen = self.recognisers if only is None else [self.recognisers[only]]
        vectors = [F.normalize(recogniser(crops).float(), dim=1) for recogniser in chosen]
        return torch.cat(vectors, 1) / len(vectors) ** 0.5

    def part(self, embedding: Tensor, only: int | None) -> Tensor:
        """What `forward` with `only` would have given, of embeddings by all recognisers."""
        if only is None:
            return embedding
        return F.normalize(embedding.chunk(len(self.recognisers), 1)[only], dim=1)
