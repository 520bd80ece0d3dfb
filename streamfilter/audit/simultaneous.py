"""Which picture of a result is shown at the same moment as one of the original.

Most tools keep every frame at its time. Others repeat and drop frames to reach a constant rate (by way of FFmpeg), or
number them anew and forget times altogether (by way of OpenCV). Where times alone do not tell which, pictures do.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from enum import StrEnum
from itertools import islice
from pathlib import Path

import cv2
import numpy as np
from numpy.typing import NDArray

from streamfilter.media import open_source
from streamfilter.media.contents import Contents
from streamfilter.structures import Doubles, Floats, Image

Indices = NDArray[np.int64]

NOBODY = -1
HALF = 0.5
# In steps: what times are off by after frames were moved to a constant rate.
ROUNDING = (0.0, -0.5, 0.5, -1.0, 1.0)
# Numbers may tell the partner only where as good as none was dropped.
FEW_DROPPED = 0.02
LOOK_S = 20.0
MOST_THUMBNAILS = 600
THUMBNAIL = (48, 27)
CLEARLY_BETTER = 0.95


class MatchedBy(StrEnum):
    """How a picture's partner was found; `TIME` is preferred where pictures do not tell."""

    NUMBER = "number"
    TIME = "time"
    SINCE_START = "time since the first picture"


def partners_of(original: Contents, result: Contents) -> tuple[Indices, MatchedBy]:
    """For every picture of the original the index of the result's that is shown then, or `NOBODY`; and how it was told.

    By number where counts agree and times do too, up to one constant shift. Otherwise by time: at constant rate it is
    rounded, and may be counted from the first picture, so pictures choose among up to a step more or less. Thumbnails
    of the first 20 s decide: the least mean difference, if it is 5 % less than that of the times as they are.
    """
    if original.frames == result.frames and _keep_step(original, result):
        return np.arange(original.frames), MatchedBy.NUMBER
    ways = _ways(original, result)
    if all(np.array_equal(ways[0][0], partners) for partners, _ in ways):
        return ways[0]
    return _likeliest(ways, _thumbnails(original), _thumbnails(result))


def _keep_step(original: Contents, result: Contents) -> bool:
    shifts = result.times - original.times
    return bool(np.abs(shifts - np.median(shifts)).max() <= HALF * original.step_s)


def _ways(original: Contents, result: Contents) -> list[tuple[Indices, MatchedBy]]:
    """All that is plausible, the times as they are first."""
    ways = [
        (shown_at(original.times + start + part * result.step_s, result.times, result.end_s, result.step_s), how)
        for how, start in (
            (MatchedBy.TIME, 0.0),
            (MatchedBy.SINCE_START, result.start_s - original.start_s),
        )
        for part in ROUNDING
    ]
    if abs(original.frames - result.frames) <= FEW_DROPPED * original.frames:
        numbers = np.arange(original.frames)
        ways.append((np.where(numbers < result.frames, numbers, NOBODY), MatchedBy.NUMBER))
    return ways


def shown_at(moments: Doubles, times: Doubles, end_s: float, step_s: float) -> Indices:
    """The index of the picture on display at each moment, `NOBODY` before the first and after the last.

    A picture counts from half a step before its time: between neighbours of constant rate the nearest is taken, and
    one that stands for long is taken for as long as it stands.

    Args:
        moments: (m,) seconds.
        times: (n,) seconds at which pictures appear, rising.
        end_s: When the last one ends.
        step_s: Usual distance of two pictures.
    """
    # What was rounded to a container's ticks on either side of a half step shall not jump.
    early = HALF * step_s - 1e-6
    found = np.searchsorted(times, moments + early, side="right") - 1
    return np.where(moments > end_s + early, NOBODY, found).astype(np.int64)


# --- asking the pictures ---------------------------------------------------------------------------------------------


def _likeliest(ways: list[tuple[Indices, MatchedBy]], original: Floats, result: Floats) -> tuple[Indices, MatchedBy]:
    differences = [_difference(partners, original, result) for partners, _ in ways]
    best = int(np.argmin(differences))
    return ways[best if differences[best] < CLEARLY_BETTER * differences[0] else 0]


def _difference(partners: Indices, original: Floats, result: Floats) -> float:
    """Mean absolute difference of thumbnails in grey levels; infinite where none can be compared."""
    head = partners[: len(original)]
    known = np.flatnonzero((head >= 0) & (head < len(result)))
    if not len(known):
        return float("inf")
    return float(np.mean([np.abs(original[i] - result[head[i]]).mean() for i in known]))


def _thumbnails(contents: Contents) -> Floats:
    """(n, 27, 48) grey levels of the first pictures."""
    return np.stack([_small(image) for image in _first_pictures(contents.path, contents.start_s + LOOK_S)])


def _first_pictures(path: Path, until_s: float) -> Iterator[Image]:
    with open_source(path) as source:
        frames: Iterable[tuple[float, Image]] = ((frame.time_s, frame.image) for frame in source)
        for time_s, image in islice(frames, MOST_THUMBNAILS):
            if time_s > until_s:
                break
            yield image


def _small(image: Image) -> Floats:
    small = cv2.resize(image, THUMBNAIL, interpolation=cv2.INTER_AREA)
    return np.asarray(small.mean(axis=2), np.float32)
