"""The numbers of the section. The gallery attack decides, for every recogniser; all others are reported."""

from __future__ import annotations

import math
import re
from collections.abc import Iterator
from dataclasses import replace

from streamfilter.audit.limits import Limits
from streamfilter.audit.reidentify.findings import (
    BEST_FRAME,
    DECISIVE,
    FALSE_ACCEPTS,
    GALLERY,
    MEAN_FACE,
    ORIGINALS,
    SAME_FRAME,
    SECOND,
    Findings,
)
from streamfilter.audit.section import Figure
from streamfilter.metrics.by_group import Grouped

WEAKEST_ATTACKER = 0.5
"""A recogniser that knows fewer of the untouched originals again is too weak here to prove anything safe."""


def figures(found: Findings, limits: Limits, seed: int) -> tuple[Figure, ...]:
    """All figures of one recogniser."""
    others = [*_gallery(found, seed), *_own_frame(found, seed), *_tracks(found, seed), *_ranks(found)]
    return (decisive(found, limits, seed), *others, *_second(found, seed))


def decisive(found: Findings, limits: Limits, seed: int) -> Figure:
    """TAR at FAR 1e-3, originals against results: the figure with the limit."""
    rate = found.rate(GALLERY, seed=seed)
    strength = found.rate(GALLERY, ORIGINALS, seed=seed)
    limit = f"<= {limits.true_accepts:g}"
    basic = _figure(found, f"gallery_tar_{key(DECISIVE)}", f"Recognised by {found.recogniser}, FAR 1e-3", rate)
    if rate is None or strength is None or rate.n < limits.fewest_pairs:
        pairs = rate.n if rate else 0
        note = f"{pairs} pairs of one person at two moments; {limits.fewest_pairs} are needed to judge"
        return replace(basic, value=None, low=None, high=None, n=pairs, limit=limit, note=note)
    kept: bool | None = rate.value <= limits.true_accepts
    note = f"the untouched originals: {strength.value:.1%}; {rate.groups} {'person' if rate.groups == 1 else 'people'}"
    if kept and strength.value < WEAKEST_ATTACKER:
        kept = None
        note += f"; fewer than {WEAKEST_ATTACKER:.0%}: this recogniser is too weak on these pictures to prove anything"
    return replace(basic, limit=limit, kept=kept, note=note)


def key(false_accepts: float) -> str:
    """1e-3 -> `1e3`, for names."""
    return f"1e{-round(math.log10(false_accepts))}"


def slug(recogniser: str) -> str:
    """A recogniser's name as part of a figure's."""
    return re.sub(r"[^a-z0-9]+", "_", recogniser.lower()).strip("_")


def _gallery(found: Findings, seed: int) -> Iterator[Figure]:
    for far in FALSE_ACCEPTS:
        if far != DECISIVE:
            rate = found.rate(GALLERY, false_accepts=far, seed=seed)
            yield _figure(found, f"gallery_tar_{key(far)}", f"Recognised by {found.recogniser}, FAR {far:.0e}", rate)
    rate = found.rate(GALLERY, ORIGINALS, seed=seed)
    name = f"originals_tar_{key(DECISIVE)}"
    yield _figure(found, name, f"Untouched originals, recognised by {found.recogniser}, FAR 1e-3", rate)


def _own_frame(found: Findings, seed: int) -> Iterator[Figure]:
    scores = found.get(SAME_FRAME)
    distance = scores.distance(seed) if scores else None
    who = found.recogniser
    yield _figure(
        found, "same_frame_distance", f"Distance to the own original, {who} (1 - cosine)", distance, unit="cosine"
    )
    rate = found.rate(SAME_FRAME, seed=seed)
    yield _figure(found, f"same_frame_tar_{key(DECISIVE)}", f"Matched with the own original by {who}, FAR 1e-3", rate)


def _tracks(found: Findings, seed: int) -> Iterator[Figure]:
    who = found.recogniser
    for name, attack in (("track_best", BEST_FRAME), ("track_mean", MEAN_FACE)):
        rate = found.rate(attack, seed=seed)
        yield _figure(found, f"{name}_tar_{key(DECISIVE)}", f"Tracks recognised by {who}: {attack}, FAR 1e-3", rate)


def _ranks(found: Findings) -> Iterator[Figure]:
    for name, rank in zip(("rank_one_mean", "rank_one_best"), found.ranks, strict=False):
        note = f"chance: {rank.chance:.2%}, one of {rank.people} people; the gallery holds the very frames too"
        label = f"Nearest of all people by {found.recogniser}: {rank.gallery}"
        yield _figure(found, name, label, rank.rate, note=note)
    if not found.ranks:
        note = "fewer than two people: there is nobody to be confused with"
        yield _figure(found, "rank_one_mean", f"Nearest of all people by {found.recogniser}", None, note=note)


def _second(found: Findings, seed: int) -> Iterator[Figure]:
    rate = found.rate(SECOND, seed=seed)
    if rate:
        label = f"Recognised by {found.recogniser} in a gallery that the same tool anonymised, FAR 1e-3"
        yield _figure(found, f"parrot_tar_{key(DECISIVE)}", label, rate)


def _figure(
    found: Findings, name: str, label: str, rate: Grouped | None, *, unit: str = "share", note: str = ""
) -> Figure:
    full = f"{name}_{slug(found.recogniser)}"
    if rate is None:
        return Figure(name=full, label=label, value=None, unit=unit, note=note or "nothing to compare")
    return Figure(
        name=full, label=label, value=rate.value, unit=unit, low=rate.low, high=rate.high, n=rate.n, note=note
    )
