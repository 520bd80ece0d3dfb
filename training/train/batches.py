"""Packs and seeds -> batches: what step k sees is decided by the seed and k alone, so a resumed run sees the same."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass, fields, replace
from itertools import count
from typing import Protocol

import numpy as np
import torch
from torch import Tensor

from streamfilter import align
from streamfilter.structures import Floats, Image
from training.structures import Batch
from training.train.expressions import LIDS, STILL, ExpressionConfig, vary

Z_WIDTH = 512
PEOPLE = 0x9E0  # keeps the numbers that make people apart from those that make batches
Integers = np.ndarray[tuple[int, ...], np.dtype[np.int64]]


class Faces(Protocol):
    """What is read of `training.prepare.pack.Pack`."""

    landmarks: Floats
    neighbour: Integers

    def __len__(self) -> int: ...

    def image(self, i: int, side: int) -> Image:
        """Aligned crop (side, side, 3), RGB."""
        ...


@dataclass(frozen=True, kw_only=True)
class BatchConfig:
    """Size and variety of a batch."""

    size: int = 8  # rows; even, since rows come in pairs
    side: int = 128  # of every picture, px
    seed: int = 1
    mirror: float = 0.5  # share of pairs that are mirrored
    temporal: float = 0.0  # share of pairs that are neighbouring frames of a clip, where the packs have clips
    people: int = 2400  # how many invented people there are
    rare: float = 0.0  # how much more often closed eyes, open mouths and turned heads are drawn
    jitter: float = 0.0  # standard deviation of noise on the landmarks, in crop sides
    expressions: ExpressionConfig = STILL

    def __post_init__(self) -> None:
        if self.size < 2 or self.size % 2:
            raise ValueError(f"batch is {self.size}; it must be even and at least 2, since rows come in pairs")


@dataclass(frozen=True, eq=False)
class Row:
    """One target, as numpy: picture, its own landmarks in [0, 1], those to be painted, and the two flags."""

    image: Image
    own: Floats
    wanted: Floats
    authentic: bool
    follows: bool


@dataclass(frozen=True, eq=False)
class Sample:
    """A batch, and which invented people (N,) are in it."""

    batch: Batch
    people: tuple[int, ...]


class BatchMaker:
    """Makes the batch of any step.

    Args:
        faces: Aligned crops with landmarks.
        identify: Random z (N, 512) -> identity latents (N, n_styles, 512); called on the CPU, from several threads.
        config: Size and variety.
    """

    def __init__(self, faces: Faces, identify: Callable[[Tensor], Tensor], config: BatchConfig) -> None:
        if not len(faces):
            raise ValueError("the packs hold no face")
        self.faces, self.identify, self.config = faces, identify, config
        self._moving = np.flatnonzero(np.asarray(faces.neighbour) >= 0)
        self._odds = odds(np.asarray(faces.landmarks), config.rare)

    def __call__(self, step: int) -> Sample:
        """The batch of step `step`, on the CPU."""
        random = np.random.default_rng((self.config.seed, step))
        rows = [row for _ in range(self.config.size // 2) for row in self._pair(random)]
        people = [int(k) for k in random.integers(self.config.people, size=self.config.size // 2)]
        identity = self.identities(people).repeat_interleave(2, 0)
        return Sample(collate(rows, identity, self.config.side), tuple(k for k in people for _ in range(2)))

    @torch.no_grad()
    def identities(self, people: Sequence[int]) -> Tensor:
        """Identity latents (n, n_styles, 512) of invented people, by number."""
        z = [np.random.default_rng((self.config.seed, PEOPLE, k)).standard_normal(Z_WIDTH, np.float32) for k in people]
        return self.identify(torch.from_numpy(np.stack(z))).float()

    def _pair(self, random: np.random.Generator) -> tuple[Row, Row]:
        """Two targets of one person: neighbouring frames, or any two faces with expressions of their own."""
        # Frames of a clip follow each other: no expression is put upon them, they move on their own.
        follows = random.random() < self.config.temporal and len(self._moving) > 0
        first, second = (int(i) for i in random.choice(len(self.faces), 2, p=self._odds))
        if follows:
            first = int(random.choice(self._moving))
            second = int(self.faces.neighbour[first])
        flip = random.random() < self.config.mirror
        expressions = STILL if follows else self.config.expressions
        return (
            self._row(first, flip, False, expressions, random),
            self._row(second, flip, follows, expressions, random),
        )

    def _row(
        self, index: int, flip: bool, follows: bool, expressions: ExpressionConfig, random: np.random.Generator
    ) -> Row:
        image, own = self.faces.image(index, self.config.side), np.asarray(self.faces.landmarks[index], np.float32)
        if flip:
            image, own = mirrored(image, own)
        wanted, changed = vary(own, expressions, random)
        if self.config.jitter:
            wanted = wanted + random.normal(0, self.config.jitter, wanted.shape).astype(np.float32)
        return Row(image, own, wanted, not changed, follows)


def odds(landmarks: Floats, rare: float) -> np.ndarray[tuple[int, ...], np.dtype[np.float64]] | None:
    """Odds (n,) of each face: a seventh each of closed eyes, open mouths and turned heads counts `rare` times more."""
    if not rare:
        return None
    upper, lower = (list(points) for points in zip(*LIDS, strict=True))
    eyes = (landmarks[:, lower] - landmarks[:, upper])[..., 1].mean(1)
    mouth = landmarks[:, 66, 1] - landmarks[:, 62, 1]
    turned = np.abs(landmarks[:, 30, 0] - landmarks[:, [36, 45], 0].mean(1))
    weight = 1 + rare * sum((v > np.quantile(v, 6 / 7)).astype(np.float64) for v in (-eyes, mouth, turned))
    return np.asarray(weight / weight.sum())


def mirrored(image: Image, landmarks: Floats) -> tuple[Image, Floats]:
    """Picture (S, S, 3) and landmarks (68, 2) in [0, 1], left and right exchanged."""
    turned = landmarks[align.MIRROR] * np.float32([-1, 1]) + np.float32([1, 0])
    return np.ascontiguousarray(image[:, ::-1]), turned


def collate(rows: list[Row], identity: Tensor, side: int) -> Batch:
    """Rows and identities (N, n_styles, 512) -> the batch."""
    removed = [remove_both(row.image, row.own, row.wanted) for row in rows]
    pixels = [row.wanted * side - 0.5 for row in rows]
    return Batch(
        surroundings=pictures([surroundings for surroundings, _ in removed]),
        pose=torch.from_numpy(np.stack([align.pose_image(points, side) for points in pixels]))[:, None],
        landmarks=torch.from_numpy(np.stack([row.wanted for row in rows])),
        original=pictures([row.image for row in rows]),
        mask=torch.from_numpy(np.stack([mask for _, mask in removed]))[:, None],
        identity=identity,
        authentic=torch.tensor([row.authentic for row in rows]),
        follows=torch.tensor([row.follows for row in rows]),
    )


def remove_both(image: Image, own: Floats, wanted: Floats) -> tuple[Image, Floats]:
    """Surroundings and blend mask (S, S) that cover the face as it is and as it shall be.

    A mouth that shall be shut lifts the chin; the photo's own chin must not stay visible below it.
    """
    side = len(image)
    points = wanted * side - 0.5
    surroundings, mask = align.remove_face(image, points), align.face_mask(points, side)
    if own is not wanted:
        points = own * side - 0.5
        surroundings = align.remove_face(surroundings, points)
        mask = np.maximum(mask, align.face_mask(points, side))
    return surroundings, mask


def pictures(images: list[Image]) -> Tensor:
    """Pictures (S, S, 3) uint8 -> (N, 3, S, S) float32 in [-1, 1]."""
    return torch.from_numpy(np.stack(images)).permute(0, 3, 1, 2).float() / 127.5 - 1


def to_device(batch: Batch, device: torch.device) -> Batch:
    """The batch on another device; from pinned memory the copy runs beside the computation."""
    if device.type == "cpu":
        return batch
    return replace(batch, **{f.name: getattr(batch, f.name).to(device, non_blocking=True) for f in fields(batch)})


def pin(batch: Batch) -> Batch:
    """The batch in page-locked memory."""
    return replace(batch, **{f.name: getattr(batch, f.name).pin_memory() for f in fields(batch)})


@contextmanager
def prefetched(
    make: Callable[[int], Sample], first: int, *, workers: int, ahead: int = 2
) -> Iterator[Iterator[Sample]]:
    """The batches of steps `first`, `first + 1`, ... in order, made in background threads.

    OpenCV and PyTorch let go of Python's lock while they work, so threads are enough. With no worker each batch is
    made when it is asked for. An error of a worker is raised where its batch is taken.
    """
    if workers < 1:
        yield (make(step) for step in count(first))
        return
    pool = ThreadPoolExecutor(workers, thread_name_prefix="batch")
    try:
        yield _ordered(pool, make, first, workers + ahead)
    finally:
        pool.shutdown(wait=True, cancel_futures=True)


def _ordered(pool: ThreadPoolExecutor, make: Callable[[int], Sample], first: int, depth: int) -> Iterator[Sample]:
    waiting: list[Future[Sample]] = [pool.submit(make, first + k) for k in range(depth)]
    for step in count(first + depth):
        batch = waiting.pop(0).result()
        waiting.append(pool.submit(make, step))
        yield batch
