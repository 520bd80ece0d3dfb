"""The work of a comparison in small parts: each is measured once, kept in a file, and found there by the next run."""

from __future__ import annotations

import hashlib
import multiprocessing
import os
from collections.abc import Iterator, Sequence
from concurrent.futures import ProcessPoolExecutor, as_completed
from dataclasses import dataclass
from functools import cache
from pathlib import Path

import cv2
import numpy as np
import torch

from streamfilter.structures import Doubles
from training.evaluation.methods import Change, Method, Painted, generator, paint
from training.evaluation.photos import Photos, open_photos
from training.evaluation.portrait import VERSION, PortraitJudges, Seen, extent, find, identify, look

PHOTOS_A_PART = 100
PEOPLE_A_PART = 10
FIRST_SHARED = 1_000_000  # numbers of identities that several photos share begin here


@dataclass(frozen=True)
class Setup:
    """What a process needs to load; `names` are the photos to take, or None for the first ones."""

    photos: Path
    count: int
    names: tuple[str, ...] | None
    weights: Path
    predictor: Path
    inception: Path | None


class Worker:
    """Photos and judges of one process."""

    def __init__(self, setup: Setup) -> None:
        cv2.setNumThreads(1)
        torch.set_num_threads(1)
        self.photos = open_photos(setup.photos, count=setup.count, names=setup.names)
        self.judges = PortraitJudges.load(setup.weights, setup.predictor, setup.inception)
        self._opened: tuple[Method, Change] | None = None

    def change(self, method: Method) -> Change:
        """The method, opened once as long as no other is asked for."""
        if self._opened is None or self._opened[0] != method:
            self._opened = method, method.open()
        return self._opened[1]


@dataclass(frozen=True)
class RowPart:
    """Some photos of one row: everything that `portrait.look` tells."""

    method: Method
    indices: tuple[int, ...]
    path: Path

    def measure(self, worker: Worker) -> Seen:
        """Arrays (n, ...) by name."""
        change = worker.change(self.method)
        found = []
        for index in self.indices:
            photo = worker.photos[index]
            found.append(look(worker.judges, photo, change(photo)))
        return {name: np.stack([one[name] for one in found]) for name in found[0]}


@dataclass(frozen=True)
class SharedPart:
    """One identity over several photos: `people` holds the number of an identity and the photos it is painted in."""

    method: Painted
    people: tuple[tuple[int, tuple[int, ...]], ...]
    path: Path

    def measure(self, worker: Worker) -> Seen:
        """`identity` (n, d) of the results, and `drawn` (n,), which identity was painted."""
        anonymizer = generator(self.method.model)
        identities, drawn = [], []
        for number, indices in self.people:
            for index in indices:
                photo = worker.photos[index]
                image = paint(anonymizer, photo, FIRST_SHARED + number)
                box = find(worker.judges.dlib, image, extent(photo.landmarks))
                points = photo.landmarks if box is None else worker.judges.dlib.landmarks(image, box)
                identities.append(identify(worker.judges.recognise, photo, image, points))
                drawn.append(number)
            anonymizer.forget(FIRST_SHARED + number)
        return {"identity": np.stack(identities), "drawn": np.array(drawn)}


Part = RowPart | SharedPart


def row_parts(method: Method, photos: Photos, setup: Setup, cache_folder: Path) -> list[RowPart]:
    """All photos of a row; a part's file name says by whom, of what and how it was measured."""
    parts = []
    for start in range(0, len(photos), PHOTOS_A_PART):
        indices = tuple(range(start, min(start + PHOTOS_A_PART, len(photos))))
        names = [photos.names[i] for i in indices]
        key = _digest(method.key(names), photos.digest(indices), _judges_key(setup))
        parts.append(RowPart(method, indices, cache_folder / slug(method.name) / f"{start:05d}-{key}.npz"))
    return parts


def shared_parts(
    method: Painted, photos: Photos, setup: Setup, cache_folder: Path, *, identities: int, each: int
) -> list[SharedPart]:
    """`identities` invented people, each over photos of `each` different persons; no person serves twice."""
    order = np.random.default_rng(0).permutation(first_of_each(photos.persons)).tolist()
    count = min(identities, len(order) // each)
    people = [(k, tuple(order[k * each : (k + 1) * each])) for k in range(count)]
    parts = []
    for start in range(0, count, PEOPLE_A_PART):
        some = tuple(people[start : start + PEOPLE_A_PART])
        indices = [index for _, chosen in some for index in chosen]
        key = _digest(method.key(()), photos.digest(indices), _judges_key(setup))
        parts.append(SharedPart(method, some, cache_folder / slug(method.name) / f"shared{start:03d}-{key}.npz"))
    return parts


def run(parts: Sequence[Part], setup: Setup, workers: int) -> Iterator[Part]:
    """Measure all parts that are not there yet, in this process or in several; yields each when it is done."""
    open_ = [part for part in parts if not part.path.is_file()]
    if workers == 1 or len(open_) < 2:
        for part in open_:
            measure_and_keep(part, setup)
            yield part
        return
    pool = ProcessPoolExecutor(workers, multiprocessing.get_context("spawn"))
    try:
        futures = {pool.submit(measure_and_keep, part, setup): part for part in open_}
        for future in as_completed(futures):
            future.result()
            yield futures[future]
    finally:  # stopped or failed: finish what is under way, begin nothing else
        pool.shutdown(cancel_futures=True)


def measure_and_keep(part: Part, setup: Setup) -> None:
    """Measure one part and write its file, whole or not at all."""
    found = part.measure(worker_of(setup))
    part.path.parent.mkdir(parents=True, exist_ok=True)
    unfinished = part.path.with_suffix(f".{os.getpid()}.tmp")
    with unfinished.open("wb") as file:
        np.savez(file, **found)
    unfinished.replace(part.path)


def load(parts: Sequence[Part]) -> Seen:
    """The arrays of all parts, joined."""
    found = []
    for part in parts:
        with np.load(part.path) as file:
            found.append(dict(file))
    return {name: np.concatenate([one[name] for one in found]) for name in found[0]} if found else {}


@cache
def worker_of(setup: Setup) -> Worker:
    """The one worker of this process."""
    return Worker(setup)


def first_of_each(people: Sequence[str]) -> Doubles:
    """Index of each person's first photo."""
    return np.sort(np.unique(list(people), return_index=True)[1])


def slug(name: str) -> str:
    """A name as a folder: what is not a letter, a digit or `._-` becomes a dash."""
    return "".join(letter if letter.isalnum() or letter in "._-" else "-" for letter in name)


def _judges_key(setup: Setup) -> str:
    extractor = "" if setup.inception is None else f"{setup.inception.name} {setup.inception.stat().st_size}"
    return f"{VERSION} {extractor}"


def _digest(*texts: str) -> str:
    return hashlib.sha256("\n".join(texts).encode()).hexdigest()[:16]
