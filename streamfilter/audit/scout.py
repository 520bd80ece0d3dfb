"""Looks ahead through an original: finds its cuts, and asks a detector about some of its frames."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass
from typing import Protocol

from streamfilter.scene import SceneCut
from streamfilter.structures import Floats, Frame, Image

EARLY_S = 1e-6


class Sighting(Protocol):
    """A face that a detector found."""

    @property
    def xyxy(self) -> Floats:
        """(4,) float32 in pixels."""

    @property
    def points(self) -> Floats:
        """(5, 2) float32 in pixels: eyes, nose, corners of the mouth."""

    @property
    def score(self) -> float:
        """How sure the detector is, in [0, 1]."""


Detect = Callable[[Image], Sequence[Sighting]]


@dataclass(frozen=True, eq=False, kw_only=True)
class Glance:
    """One frame, without its pixels.

    Attributes:
        index: Number of the frame, from 0.
        time_s: Its time in seconds.
        cut: The first frame of the file or of a new scene.
        sightings: What the detector found; None where it was not asked.
    """

    index: int
    time_s: float
    cut: bool
    sightings: tuple[Sighting, ...] | None = None


def glances(frames: Iterable[Frame], detect: Detect, interval_s: float) -> Iterator[Glance]:
    """One for each frame, in order; one frame is held.

    The detector is asked about the first and the last frame of every scene, and in between as soon as `interval_s`
    has passed since it was asked last.
    """
    is_cut = SceneCut()
    asked_s = -float("inf")
    held: tuple[Frame, bool] | None = None
    for frame in frames:
        cut = is_cut(frame.image) or held is None
        if held is not None:
            asked = cut or held[1] or _due(held[0], asked_s, interval_s)
            asked_s = held[0].time_s if asked else asked_s
            yield _glance(*held, detect if asked else None)
        held = frame, cut
    if held is not None:
        yield _glance(*held, detect)


def _due(frame: Frame, asked_s: float, interval_s: float) -> bool:
    return frame.time_s - asked_s >= interval_s - EARLY_S


def _glance(frame: Frame, cut: bool, detect: Detect | None) -> Glance:
    sightings = None if detect is None else tuple(detect(frame.image))
    return Glance(index=frame.index, time_s=frame.time_s, cut=cut, sightings=sightings)
