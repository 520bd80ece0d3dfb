"""The numbers of the section. The gallery attack decides, for every recogniser; all others are reported."""

from __future__ import annotations

import math
import re
from collections.abc import Iterator
from dataclasses import replace

from streamfilter.audit.estimated import estimated, sentences
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
from streamfilter.audit.wording import far, per_cent, plural
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
    basic = _figure(found, f"gallery_tar_{key(DECISIVE)}", f"Recognised by {found.recogniser}, {far(DECISIVE)}", rate)
    if rate is None or strength is None or rate.n < limits.fewest_pairs:
        pairs = rate.n if rate else 0
        note = f"{plural(pairs, 'pair')} of one person at two moments; {limits.fewest_pairs} are needed to judge"
        return replace(basic, value=None, low=None, high=None, n=pairs, limit=limit, note=note)
    weak = strength.value < WEAKEST_ATTACKER and rate.value <= limits.true_accepts
    note = f"the untouched originals: {per_cent(strength.value)}; {plural(rate.groups, 'person')}"
    if weak:
        least = per_cent(WEAKEST_ATTACKER)
        note += f"; fewer than {least}: this recogniser is too weak on these pictures to prove anything"
    kept = None if weak else rate.value <= limits.true_accepts
    return replace(basic, limit=limit, kept=kept, note=sentences(note, basic.note))


def key(false_accepts: float) -> str:
    """1e-3 -> `1e3`, for names."""
    return f"1e{-round(math.log10(false_accepts))}"


def slug(recogniser: str) -> str:
    """A recogniser's name as part of a figure's."""
    return re.sub(r"[^a-z0-9]+", "_", recogniser.lower()).strip("_")


def _gallery(found: Findings, seed: int) -> Iterator[Figure]:
    for accepts in FALSE_ACCEPTS:
        if accepts != DECISIVE:
            rate = found.rate(GALLERY, false_accepts=accepts, seed=seed)
            label = f"Recognised by {found.recogniser}, {far(accepts)}"
            yield _figure(found, f"gallery_tar_{key(accepts)}", label, rate)
    rate = found.rate(GALLERY, ORIGINALS, seed=seed)
    name = f"originals_tar_{key(DECISIVE)}"
    yield _figure(found, name, f"Untouched originals, recognised by {found.recogniser}, {far(DECISIVE)}", rate)


def _own_frame(found: Findings, seed: int) -> Iterator[Figure]:
    scores = found.get(SAME_FRAME)
    distance = scores.distance(seed) if scores else None
    who = found.recogniser
    yield _figure(
        found,
        "same_frame_distance",
        f"Distance to the own original, {who} (1 - cosine)",
        distance,
        unit="cosine",
        counted="face",
    )
    rate = found.rate(SAME_FRAME, seed=seed)
    label = f"Matched with the own original by {who}, {far(DECISIVE)}"
    yield _figure(found, f"same_frame_tar_{key(DECISIVE)}", label, rate, counted="face")


def _tracks(found: Findings, seed: int) -> Iterator[Figure]:
    who = found.recogniser
    for name, attack in (("track_best", BEST_FRAME), ("track_mean", MEAN_FACE)):
        rate = found.rate(attack, seed=seed)
        label = f"Tracks recognised by {who}: {attack}, {far(DECISIVE)}"
        yield _figure(found, f"{name}_tar_{key(DECISIVE)}", label, rate, counted="track")


def _ranks(found: Findings) -> Iterator[Figure]:
    for name, rank in zip(("rank_one_mean", "rank_one_best"), found.ranks, strict=False):
        note = f"chance: {per_cent(rank.chance)}, one of {rank.people} people; the gallery holds the very frames too"
        label = f"Nearest of all people by {found.recogniser}: {rank.gallery}"
        yield _figure(found, name, label, rank.rate, counted="face", note=note)
    if not found.ranks:
        note = "fewer than two people: there is nobody to be confused with"
        label = f"Nearest of all people by {found.recogniser}"
        yield _figure(found, "rank_one_mean", label, None, counted="face", missing=note)


def _second(found: Findings, seed: int) -> Iterator[Figure]:
    rate = found.rate(SECOND, seed=seed)
    if rate:
        label = f"Recognised by {found.recogniser} in a gallery that the same tool anonymised, {far(DECISIVE)}"
        yield _figure(found, f"parrot_tar_{key(DECISIVE)}", label, rate)


def _figure(found: Findings, name: str, label: str, rate: Grouped | None, **words: str) -> Figure:
    """Pairs of people, where `words` (those of `estimated`) do not say otherwise."""
    usual = {"counted": "pair", "group": "person"}
    return estimated(f"{name}_{slug(found.recogniser)}", label, rate, **(usual | words))
