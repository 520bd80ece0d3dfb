"""What a painted face is judged by: every term of the loss, each with its weight."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import asdict, dataclass, fields
from pathlib import Path

import torch
from torch import Tensor, nn

from training.judges.identity import IdentityJudge
from training.judges.landmarks import LandmarkJudge
from training.judges.perceptual import PerceptualJudge
from training.losses import beyond, paper
from training.structures import Batch

# Lids and lips move little and say much.
POINT_WEIGHT = torch.cat((torch.ones(36), torch.full((12,), 4.0), torch.full((20,), 2.0)))


@dataclass(frozen=True, kw_only=True)
class Weights:
    """The factor of each term; a term of factor 0 is not computed. The defaults are the paper's."""

    landmark: float = 1.0
    identity: float = 0.1
    perceptual: float = 0.1
    landmark_emphasised: float = 0.0
    away: float = 0.0
    same: float = 0.0
    distinct: float = 0.0
    openings: float = 0.0
    colours: float = 0.0
    seam: float = 0.0
    gaze: float = 0.0
    flicker: float = 0.0
    pull: float = 0.0
    adversarial: float = 0.0


class Judges(nn.Module):
    """The frozen networks behind the terms."""

    def __init__(self, landmarks: LandmarkJudge, identity: IdentityJudge, perceptual: PerceptualJudge) -> None:
        super().__init__()
        self.landmarks, self.identity, self.perceptual = landmarks, identity, perceptual

    @classmethod
    def load(cls, weights: Path, landmark_run: Path) -> Judges:
        """From a folder with `identity` and `perceptual`, and the run folder of our landmark network."""
        perceptual = PerceptualJudge.load(weights / "perceptual" / "squeezenet1_0_deepcomp.pth")
        return cls(LandmarkJudge.load(landmark_run), IdentityJudge.load(weights / "identity"), perceptual)

    @torch.no_grad()
    def embed(self, face: Tensor, near: Tensor) -> Tensor:
        """Embeddings (N, d) of faces as they are, found in two looks from about where they are."""
        found = self.landmarks(face, self.landmarks(face, near))
        return self.identity(face, found)


@dataclass(frozen=True, kw_only=True, eq=False)
class Painted:
    """A painted batch and what is known about it.

    Attributes:
        face: (N, 3, S, S), X' as the decoder painted it.
        fused: (N, 3, S, S), the face blended into the original's surroundings.
        wanted: (N, 68, 2), the landmarks that it was to have.
        found: (N, 68, 2), those it has.
        embedding: (N, d), who it is: R(X') of the fused picture, since hair and forehead stay and are seen too.
        own: (N, d), who it was to be: R(G(Z)).
        was: (N, d), who was filmed: R(X).
        shift: (N, k), the learnt shift in standard deviations of the latents.
        others: (K, d), the own faces of other invented people.
    """

    face: Tensor
    fused: Tensor
    wanted: Tensor
    found: Tensor
    embedding: Tensor
    own: Tensor
    was: Tensor
    shift: Tensor
    others: Tensor


def fuse(face: Tensor, batch: Batch) -> Tensor:
    """The face over the original: X' inside the blend mask, X outside, in the light of the original.

    Mean and spread of each colour are matched inside the mask, as the runtime's compositor does from a few colours.
    """
    return _in_light_of(batch.original, face, batch.mask) * batch.mask + batch.original * (1 - batch.mask)


def _in_light_of(original: Tensor, face: Tensor, mask: Tensor) -> Tensor:
    """`face` (N, 3, S, S) with the mean and spread that `original` has inside the mask (N, 1, S, S)."""
    with torch.no_grad():
        weight = mask / mask.sum((2, 3), keepdim=True).clamp_min(1e-6)
        means = [(picture * weight).sum((2, 3), keepdim=True) for picture in (face, original)]
        pairs = zip((face, original), means, strict=True)
        spreads = [((picture - mean).square() * weight).sum((2, 3), keepdim=True).sqrt() for picture, mean in pairs]
        gain = (spreads[1] / spreads[0].clamp_min(1e-3)).clamp(0.6, 1.6)
    return (face - means[0]) * gain + means[1]


def look(
    judges: Judges, face: Tensor, batch: Batch, *, wanted: Tensor, own: Tensor, was: Tensor, shift: Tensor,
    others: Tensor | None = None, only: int | None = None,
) -> Painted:  # fmt: skip
    """Let landmark network and recognisers (all, or `only` one of them) look at painted faces.

    `own`, `was` and `others` are embeddings by all recognisers; see `Painted`. Without `others`, those are the other
    people of the batch.
    """
    found, part, fused = judges.landmarks(face, wanted), judges.identity.part, fuse(face, batch)
    return Painted(
        face=face, fused=fused, wanted=wanted, found=found, embedding=judges.identity(fused, found, only),
        own=part(own, only), was=part(was, only), shift=shift, others=part(own if others is None else others, only),
    )  # fmt: skip


def _perceptual(p: Painted, b: Batch, judges: Judges) -> Tensor:
    keep = b.authentic
    if not keep.any():
        return p.face.new_zeros(())
    with torch.no_grad():
        truth = judges.perceptual(b.original[keep])
    return paper.perceptual(judges.perceptual(p.fused[keep]), truth, b.mask[keep])


TERMS: Mapping[str, Callable[[Painted, Batch, Judges], Tensor]] = {
    "landmark": lambda p, b, _: paper.landmark_l2(p.found, p.wanted),
    "landmark_emphasised": lambda p, b, _: paper.landmark_l2(p.found, p.wanted, POINT_WEIGHT.to(p.found)),
    "identity": lambda p, b, _: paper.identity(p.embedding, p.own),
    "perceptual": _perceptual,
    "away": lambda p, b, _: beyond.away(p.embedding, p.was),
    "same": lambda p, b, _: beyond.same(p.embedding),
    "distinct": lambda p, b, _: beyond.distinct(p.embedding, p.own, p.others),
    "openings": lambda p, b, _: beyond.openings(p.found, b.landmarks),
    "colours": lambda p, b, _: beyond.colours(p.face, b.original, p.found, b.landmarks),
    "seam": lambda p, b, _: beyond.seam(p.face, b.original, b.mask),
    "gaze": lambda p, b, _: beyond.gaze(p.face, b.original, p.found, b.landmarks),
    "flicker": lambda p, b, _: beyond.flicker(p.fused, b.original, b.follows),
    "pull": lambda p, b, _: beyond.pull(p.shift),
}


def objective(painted: Painted, batch: Batch, judges: Judges, weights: Weights) -> dict[str, Tensor]:
    """Each term whose weight is not 0, unweighted; `adversarial` needs a discriminator and is the training loop's."""
    return {name: term(painted, batch, judges) for name, term in TERMS.items() if getattr(weights, name)}


def total(terms: Mapping[str, Tensor], weights: Weights) -> Tensor:
    """The weighted sum."""
    return torch.stack([terms[name] * getattr(weights, name) for name in terms]).sum()


def named(weights: Weights) -> dict[str, float]:
    """The terms that count, for logs."""
    return {field.name: asdict(weights)[field.name] for field in fields(weights) if asdict(weights)[field.name]}
