"""The vetted part of the latent space: no glasses, hats, children, fringes or beards among the invented people.

`vetting.json` lists which of several hundred seeded faces show each of them (labelled by eye, in rounds). Each becomes
a linear score on w, and an identity whose score is too high is moved back by the shift that is smallest in the metric
of the latents themselves.
"""

from __future__ import annotations

import json
from pathlib import Path

import torch
from torch import Tensor, nn

from training.generator.networks import STYLES, Mapping, seeded_z

LABELS = Path(__file__).with_name("vetting.json")
ATTRIBUTES = ("glasses", "hat", "child", "fringe", "beard")
PSI = 0.9
SHRINK = 5.0
LIMIT = 0.0


def covariance(mapping: Mapping, average: Tensor, count: int = 20000) -> Tensor:
    """Covariance (512, 512) of the latents w."""
    w = mapping(seeded_z(count, 2)) - average
    return w.T @ w / count


def fit(values: Tensor, has: dict[str, Tensor], sigma: Tensor) -> tuple[Tensor, Tensor]:
    """Scores (512, 5) and limits (5,): w shows attribute k where `(w - average) @ scores[:, k] > limits[k]`.

    Linear discriminant with the covariance of the latents; the limit is `LIMIT` of the way between the means of the
    faces without the attribute and those with it.
    """
    inverse = torch.linalg.inv(sigma + SHRINK * sigma.diagonal().mean() * torch.eye(len(sigma)))
    scores, limits = [], []
    for name in ATTRIBUTES:
        with_it, without = values[has[name]].mean(0), values[~has[name]].mean(0)
        score = inverse @ (with_it - without)
        score /= (score @ sigma @ score).sqrt()
        scores.append(score)
        limits.append(without @ score + LIMIT * ((with_it - without) @ score))
    return torch.stack(scores, 1), torch.stack(limits)


def way_back(scores: Tensor, sigma: Tensor) -> Tensor:
    """The smallest shifts, in the metric of the latents, that lower each score by one: (512, 5)."""
    return sigma @ scores @ torch.linalg.inv(scores.T @ sigma @ scores)


def move_back(values: Tensor, scores: Tensor, limits: Tensor, back: Tensor) -> Tensor:
    """Latents (N, 512), relative to the average, moved until no score is above its limit."""
    for _ in range(3):  # moving back from one attribute may move towards another
        values = values - torch.relu(values @ scores - limits) @ back.T
    return values


def learn(mapping: Mapping, average: Tensor, sigma: Tensor) -> tuple[Tensor, Tensor]:
    """Fit on all rounds of labels; the faces of each round were drawn with what the rounds before had taught."""
    labels = json.loads(LABELS.read_text())
    values, has = torch.zeros(0, len(sigma)), {name: torch.zeros(0, dtype=torch.bool) for name in ATTRIBUTES}
    scores, limits = torch.zeros(len(sigma), 0), torch.zeros(0)
    for labelled in labels["rounds"]:
        drawn = labels["psi"] * (mapping(seeded_z(labelled["count"], labelled["seed"])) - average)
        values = torch.cat((values, move_back(drawn, scores, limits, way_back(scores, sigma))))
        for name in ATTRIBUTES:
            mask = torch.zeros(labelled["count"], dtype=torch.bool)
            mask[labelled[name]] = True
            has[name] = torch.cat((has[name], mask))
        scores, limits = fit(values, has, sigma)
    return scores, limits


class IdentityModel(nn.Module):
    """Random z (N, 512) -> identity latent (N, 23, 512) of an invented adult with an uncovered face."""

    def __init__(self, mapping: Mapping, average: Tensor, psi: float = PSI) -> None:
        super().__init__()
        sigma = covariance(mapping, average)
        scores, limits = learn(mapping, average, sigma)
        self.mapping, self.psi = mapping, psi
        self.register_buffer("average", average)
        self.register_buffer("scores", scores)
        self.register_buffer("limits", limits)
        self.register_buffer("back", way_back(scores, sigma))

    def forward(self, z: Tensor) -> Tensor:
        """Draw identities."""
        w = move_back(self.psi * (self.mapping(z) - self.average), self.scores, self.limits, self.back)
        return (w + self.average)[:, None].expand(-1, STYLES, -1)
