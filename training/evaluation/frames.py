"""The same moments of an original and its result, frame by frame."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from streamfilter.errors import InputError
from streamfilter.media import Source, open_source
from streamfilter.scene import SceneCut
from streamfilter.structures import Image


@dataclass(frozen=True, eq=False)
class Pair:
    """One frame before and after; `shot` counts the scene cuts of the original so far."""

    frame: int
    shot: int
    before: Image
    after: Image


def pairs(original: Path, result: Path, *, step: int, limit: int) -> Iterator[Pair]:
    """Every `step`-th of the first `limit` frames, aligned by index.

    Raises:
        InputError: a file cannot be read, or the pictures differ in size.
    """
    with open_source(original) as source, open_source(result) as target:
        _check_sizes(source, target)
        is_cut, shot = SceneCut(), 0
        for before, after in zip(source, target, strict=False):
            if before.index >= limit:
                return
            shot += is_cut(before.image)
            if before.index % step == 0:
                yield Pair(before.index, shot, before.image, after.image)


def _check_sizes(source: Source, target: Source) -> None:
    a, b = source.info, target.info
    if (a.width, a.height) != (b.width, b.height):
        raise InputError(
            f"{a.path} shows {a.width} x {a.height} pixels, {b.path} {b.width} x {b.height}; "
            "give an original and the result made of it"
        )


def expected(original: Path, *, step: int, limit: int) -> int:
    """How many pairs a clip will give, as far as its header tells."""
    with open_source(original) as source:
        info = source.info
    frames = info.frames or round((info.duration_s or 0) * float(info.fps or 25))
    return -(-min(frames or limit, limit) // step)
