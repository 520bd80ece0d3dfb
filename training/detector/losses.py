"""YuNet's own objective (SimOTA, EIoU, BCE, smooth L1), and a pull towards the original on clean pictures."""

from __future__ import annotations

from dataclasses import dataclass
from typing import NamedTuple

import torch
from torch import Tensor
from torch.nn import functional as F

from training.detector.network import decode, flatten

CENTRE_RADIUS = 2.5
CANDIDATES = 10
IGNORE_PART = 0.5


@dataclass(frozen=True, kw_only=True)
class Weights:
    """How much each part counts; the first four as published."""

    cls: float = 1.0
    obj: float = 1.0
    bbox: float = 5.0
    kps: float = 0.1
    distill: float = 1.0


@dataclass(frozen=True, kw_only=True)
class Target:
    """The truth of one picture: boxes (n, 4), points (n, 5, 2; NaN unknown), boxes to ignore (m, 4)."""

    boxes: Tensor
    points: Tensor
    ignore: Tensor


class Cells(NamedTuple):
    """What all A cells of one picture say: raw (A, 16), boxes (A, 4), points (A, 5, 2); where they are."""

    raw: Tensor
    boxes: Tensor
    points: Tensor
    centres: Tensor
    strides: Tensor


def pairwise_iou(a: Tensor, b: Tensor) -> Tensor:
    """(n, 4), (m, 4) -> (n, m)."""
    low, high = torch.maximum(a[:, None, :2], b[None, :, :2]), torch.minimum(a[:, None, 2:], b[None, :, 2:])
    shared = (high - low).clamp(min=0).prod(-1)
    area_a, area_b = (a[:, 2:] - a[:, :2]).prod(-1), (b[:, 2:] - b[:, :2]).prod(-1)
    return shared / (area_a[:, None] + area_b[None] - shared + 1e-9)


@torch.no_grad()
def assign(cells: Cells, truth: Tensor) -> tuple[Tensor, Tensor]:
    """SimOTA: the indices of the cells that learn a face of `truth` (n, 4), and for each the index of its face."""
    inside = ((cells.centres[:, None] > truth[None, :, :2]) & (cells.centres[:, None] < truth[None, :, 2:])).all(-1)
    middle = (truth[:, :2] + truth[:, 2:]) / 2
    near = ((cells.centres[:, None] - middle[None]).abs() < CENTRE_RADIUS * cells.strides[:, None, None]).all(-1)
    allowed = (inside | near).any(1).nonzero()[:, 0]
    if not len(allowed):
        return allowed, allowed
    overlap = pairwise_iou(cells.boxes[allowed], truth)
    score = cells.raw[:, :2].sigmoid().prod(-1).sqrt()
    cost = -score[allowed].clamp(min=1e-6).log()[:, None] - 3 * (overlap + 1e-8).log()
    cost = cost + 1e5 * (~(inside & near)[allowed]).float()
    chosen = torch.zeros_like(cost, dtype=torch.bool)
    counts = overlap.topk(min(CANDIDATES, len(allowed)), 0).values.sum(0).int().clamp(min=1)
    for face, count in enumerate(counts.tolist()):
        chosen[cost[:, face].topk(min(count, len(allowed)), largest=False).indices, face] = True
    # A cell that several faces want goes to the cheapest.
    cell = chosen.any(1).nonzero()[:, 0]
    face_of = torch.where(chosen[cell], cost[cell], torch.inf).argmin(1)
    return allowed[cell], face_of


def eiou(a: Tensor, b: Tensor) -> Tensor:
    """1 - EIoU of matching rows, (n,)."""
    low, high = torch.maximum(a[:, :2], b[:, :2]), torch.minimum(a[:, 2:], b[:, 2:])
    shared = (high - low).clamp(min=0).prod(-1)
    size_a, size_b = a[:, 2:] - a[:, :2], b[:, 2:] - b[:, :2]
    iou = shared / (size_a.prod(-1) + size_b.prod(-1) - shared + 1e-7)
    hull = torch.maximum(a[:, 2:], b[:, 2:]) - torch.minimum(a[:, :2], b[:, :2]) + 1e-7
    offset = (a[:, :2] + a[:, 2:] - b[:, :2] - b[:, 2:]) / 2
    distance = (offset**2).sum(-1) / (hull**2).sum(-1)
    return 1 - iou + distance + ((size_a - size_b) ** 2 / hull**2).sum(-1)


def loss(
    maps: list[Tensor], targets: list[Target], weights: Weights, reference: list[Tensor], pull: Tensor
) -> dict[str, Tensor]:
    """The parts of the objective, weighted; their sum is what to minimise.

    Args:
        maps: What the network says.
        targets: The truth of each picture.
        weights: Of the parts.
        reference: What the original network says about the same pictures before they were harmed.
        pull: (N,) how much each picture is pulled towards the reference (0: turned faces, which it cannot see).
    """
    raw, corners, strides = flatten(maps)
    boxes, points = decode(raw, corners, strides)
    centres = corners + strides[:, None] / 2
    cells = [Cells(raw[i], boxes[i], points[i], centres, strides) for i in range(len(raw))]
    parts = [_picture(c, target) for c, target in zip(cells, targets, strict=True)]
    positives = torch.cat([p["count"] for p in parts]).sum().clamp(min=1)
    total = {name: torch.stack([p[name] for p in parts]).sum() / positives for name in ("cls", "obj", "bbox", "kps")}
    total = {name: value * getattr(weights, name) for name, value in total.items()}
    free = torch.stack([p["free"] for p in parts])
    total["distill"] = weights.distill * distill(raw, flatten(reference)[0], free * pull[:, None], positives)
    return total


def _picture(cells: Cells, target: Target) -> dict[str, Tensor]:
    """Sums over one picture; `free` marks the cells that no face claims."""
    objectness = torch.zeros(len(cells.raw))
    valid = ~_ignored(cells.boxes.detach(), cells.centres, target.ignore)
    zero = cells.raw.sum() * 0
    parts = {"cls": zero, "bbox": zero, "kps": zero, "count": torch.zeros(1)}
    chosen, faces = assign(cells, target.boxes)
    if len(chosen):
        objectness[chosen] = 1.0
        valid[chosen] = True
        truth = target.boxes[faces]
        overlap = pairwise_iou(cells.boxes[chosen].detach(), truth).diagonal()
        parts["cls"] = F.binary_cross_entropy_with_logits(cells.raw[chosen, 0], overlap, reduction="sum")
        parts["bbox"] = eiou(cells.boxes[chosen], truth).sum()
        parts["kps"] = _points(cells.points[chosen], target.points[faces], cells.strides[chosen])
        parts["count"] = torch.tensor([float(len(chosen))])
    parts["obj"] = F.binary_cross_entropy_with_logits(cells.raw[valid, 1], objectness[valid], reduction="sum")
    parts["free"] = (objectness == 0).float()
    return parts


def _points(have: Tensor, want: Tensor, strides: Tensor) -> Tensor:
    known = ~want.isnan()
    error = (have - want.nan_to_num()) / strides[:, None, None]
    return (F.smooth_l1_loss(error, torch.zeros_like(error), reduction="none") * known).sum()


def _ignored(boxes: Tensor, centres: Tensor, ignore: Tensor) -> Tensor:
    """Cells in an ignored box, or whose own box lies mostly in one."""
    if not len(ignore):
        return torch.zeros(len(boxes), dtype=torch.bool)
    within = ((centres[:, None] > ignore[None, :, :2]) & (centres[:, None] < ignore[None, :, 2:])).all(-1).any(1)
    low, high = (
        torch.maximum(boxes[:, None, :2], ignore[None, :, :2]),
        torch.minimum(boxes[:, None, 2:], ignore[None, :, 2:]),
    )
    part = (high - low).clamp(min=0).prod(-1) / ((boxes[:, 2:] - boxes[:, :2]).prod(-1)[:, None] + 1e-9)
    return within | (part > IGNORE_PART).any(1)


def distill(raw: Tensor, reference: Tensor, cells: Tensor, positives: Tensor) -> Tensor:
    """Class and objectness as the original has them, in the cells that no face claims: no new false alarms."""
    want = reference[..., :2].sigmoid()
    each = F.binary_cross_entropy_with_logits(raw[..., :2], want, reduction="none").sum(-1)
    floor = F.binary_cross_entropy(want.clamp(1e-6, 1 - 1e-6), want, reduction="none").sum(-1)
    return ((each - floor) * cells).sum() / positives
