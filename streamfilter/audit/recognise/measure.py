"""Calibrating a recogniser: the face of every photo embedded, then what its cosines mean over all pairs."""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from typing import Protocol

import numpy as np

from streamfilter.audit.recognise.arcface import PREPARATIONS, ArcFace
from streamfilter.audit.recognise.calibration import RATES, Calibration, OperatingPoint, Preparation
from streamfilter.audit.recognise.photos import BenchmarkPair, Photo
from streamfilter.audit.recognise.recogniser import Network
from streamfilter.errors import InputError
from streamfilter.media.image import ImageSource
from streamfilter.metrics import many_pairs
from streamfilter.metrics.verification import cosines
from streamfilter.structures import Doubles, Floats, Image

SAMPLE = 240  # photos that decide how a network is fed


class Seen(Protocol):
    """A face that a detector found."""

    @property
    def xyxy(self) -> Floats:
        """(4,) its box in pixels."""
        ...

    @property
    def points(self) -> Floats:
        """(5, 2) eyes, nose, corners of the mouth."""
        ...


Detect = Callable[[Image], Sequence[Seen]]
AfterPhoto = Callable[[], object]


@dataclass(frozen=True, eq=False, kw_only=True)
class Embedded:
    """Photos with their embeddings by one network.

    Attributes:
        photos: Those in which a face was found, n of them.
        identities: (n, d) float32 of unit length.
        ms_per_face: Median time of one embedding; None of nothing.
    """

    photos: tuple[Photo, ...]
    identities: Floats
    ms_per_face: float | None = None

    @property
    def people(self) -> list[str]:
        """Who is shown, photo by photo."""
        return [photo.person for photo in self.photos]


def embed(
    photos: Sequence[Photo], detect: Detect, networks: Sequence[Network], after_photo: AfterPhoto = lambda: None
) -> tuple[Embedded, ...]:
    """For each network the embeddings of all photos that can be read and show a face.

    Raises:
        InputError: In no photo a face was found.
    """
    used: list[Photo] = []
    vectors: list[list[Floats]] = [[] for _ in networks]
    times: list[list[float]] = [[] for _ in networks]
    for photo in photos:
        shown = central_face(photo, detect)
        after_photo()
        if shown is None:
            continue
        used.append(photo)
        for network, own, spent in zip(networks, vectors, times, strict=True):
            start = time.perf_counter()
            own.append(network.embed(*shown)[0])
            spent.append(time.perf_counter() - start)
    if not used:
        raise InputError(f"no face was found in any of {len(photos)} photos; there is nothing to calibrate on")
    return tuple(
        Embedded(photos=tuple(used), identities=np.stack(own), ms_per_face=round(1000 * float(np.median(spent)), 1))
        for own, spent in zip(vectors, times, strict=True)
    )


def central_face(photo: Photo, detect: Detect) -> tuple[Image, Floats] | None:
    """The picture and the points (1, 5, 2) of its most central face: the one whom the folder is named after.

    None where the photo cannot be read or shows no face.
    """
    try:
        with ImageSource(photo.path) as source:
            image = next(iter(source)).image
    except InputError:
        return None
    middle = np.array([image.shape[1], image.shape[0]]) / 2
    found = sorted(detect(image), key=lambda face: float(np.hypot(*((face.xyxy[:2] + face.xyxy[2:]) / 2 - middle))))
    return (image, np.asarray(found[0].points[None], np.float32)) if found else None


def find_preparation(
    network: ArcFace, photos: Sequence[Photo], detect: Detect, after_photo: AfterPhoto = lambda: None
) -> ArcFace:
    """The network fed as it wants to be: of `PREPARATIONS` the one that sets people apart best (Daugman's d').

    Args:
        network: Fed anyhow.
        photos: A few hundred, such as `sample` gives: a wrong feeding costs much of d', which is a steadier measure
            than the accuracy over so few pairs.
        detect: Finds faces.
        after_photo: Called after each.

    Raises:
        InputError: In no photo a face was found.
    """
    candidates = [network.prepared(preparation) for preparation in PREPARATIONS]
    embedded = embed(photos, detect, candidates, after_photo)
    scores = [many_pairs.separation(*cosines(_doubles(item), item.people)) for item in embedded]
    return candidates[int(np.argmax(scores))]


def sample(photos: Sequence[Photo], count: int = SAMPLE) -> list[Photo]:
    """Two photos each of people who have two, spread over the list."""
    by_person: dict[str, list[Photo]] = {}
    for photo in photos:
        by_person.setdefault(photo.person, []).append(photo)
    couples = [own[:2] for own in by_person.values() if len(own) > 1]
    step = max(1, len(couples) * 2 // count)
    return [photo for couple in couples[::step] for photo in couple][:count]


def calibration_of(
    embedded: Embedded,
    *,
    model: str,
    sha256: str,
    photos: str,
    pairs: Sequence[BenchmarkPair] = (),
    preparation: Preparation | None = None,
) -> Calibration:
    """What the cosines of a network mean.

    Args:
        embedded: Its embeddings.
        model: What reports call it.
        sha256: Of its file.
        photos: Where the photos come from, in words.
        pairs: A benchmark's; those whose photos are not here are left out, and so are folds without both kinds.
        preparation: What the network takes, where it was found out.

    Raises:
        InputError: There are no pairs of one person, or none of different people.
    """
    genuine = many_pairs.genuine_cosines(embedded.identities, embedded.people)
    people = len(set(embedded.people))
    if not len(genuine) or people < 2:
        raise InputError(f"faces were found of {people} people, {len(genuine)} pairs of one person; needed are both")
    limits, impostors = many_pairs.impostor_thresholds(embedded.identities, embedded.people, RATES)
    points = tuple(
        OperatingPoint(false_accepts=rate, threshold=limit, true_accepts=float((genuine >= limit).mean()))
        for rate, limit in zip(RATES, limits, strict=True)
    )
    measured = Calibration(
        model=model,
        sha256=sha256,
        photos=photos,
        people=people,
        pictures=len(embedded.photos),
        genuine_pairs=len(genuine),
        impostor_pairs=impostors,
        points=points,
        ms_per_face=embedded.ms_per_face,
        preparation=preparation,
    )
    return with_accuracy(measured, embedded, pairs)


def with_accuracy(measured: Calibration, embedded: Embedded, pairs: Sequence[BenchmarkPair]) -> Calibration:
    """The calibration with its accuracy over the benchmark's pairs, as far as their photos are here."""
    rows = {photo.key: row for row, photo in enumerate(embedded.photos)}
    there = [pair for pair in pairs if pair.first in rows and pair.second in rows]
    whole = {pair.fold for pair in there if pair.same} & {pair.fold for pair in there if not pair.same}
    used = [pair for pair in there if pair.fold in whole]
    if not used:
        return measured
    first, second = ([rows[key] for key in keys] for keys in zip(*((p.first, p.second) for p in used), strict=True))
    scores = np.einsum("nd,nd->n", embedded.identities[first], embedded.identities[second]).astype(np.float64)
    same, folds = np.array([pair.same for pair in used]), np.array([pair.fold for pair in used])
    found = many_pairs.cross_validated(scores, same, folds)
    if found is None:
        return measured
    return replace(measured, accuracy=found[0], accuracy_error=found[1], benchmark_pairs=len(used))


def _doubles(embedded: Embedded) -> Doubles:
    return np.asarray(embedded.identities, np.float64)
