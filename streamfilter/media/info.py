"""What is known of a source before its first frame is processed: values only, so the rest need not import `av`."""

from __future__ import annotations

from dataclasses import dataclass, field
from enum import StrEnum
from fractions import Fraction
from pathlib import Path

UNSPECIFIED = 2
FULL_RANGE = 2


class Kind(StrEnum):
    """What a file holds; decided by its first bytes, not by its name."""

    VIDEO = "video"
    GIF = "gif"
    IMAGE = "image"


@dataclass(frozen=True, kw_only=True)
class Colour:
    """Colour tags as the H.273 numbers that FFmpeg uses; `range` is 0 unknown, 1 limited, 2 full."""

    primaries: int = UNSPECIFIED
    transfer: int = UNSPECIFIED
    matrix: int = UNSPECIFIED
    range: int = 0


@dataclass(frozen=True, kw_only=True)
class TrackInfo:
    """One audio or subtitle track beside the picture."""

    index: int
    kind: str
    codec: str
    language: str | None = None


@dataclass(frozen=True, kw_only=True)
class SourceInfo:
    """A source as its frames will be delivered.

    `width`, `height` and `sample_aspect_ratio` (None: the file does not say) are those of the upright picture.
    `rotation` is the clockwise turn in degrees that made it upright; `frames` and `duration_s` are the
    container's claims and may be wrong; `loop` is a GIF's repeat count (0: for ever, -1: once).
    """

    path: Path
    kind: Kind
    container: str
    codec: str
    width: int
    height: int
    time_base: Fraction
    fps: Fraction | None = None
    variable_rate: bool = False
    frames: int | None = None
    start_s: float = 0.0
    duration_s: float | None = None
    pix_fmt: str = "rgb24"
    colour: Colour = field(default_factory=Colour)
    sample_aspect_ratio: Fraction | None = None
    rotation: int = 0
    loop: int | None = None
    has_alpha: bool = False
    tracks: tuple[TrackInfo, ...] = ()

    @property
    def audio(self) -> tuple[TrackInfo, ...]:
        """The audio tracks."""
        return tuple(t for t in self.tracks if t.kind == "audio")

    @property
    def subtitles(self) -> tuple[TrackInfo, ...]:
        """The subtitle tracks."""
        return tuple(t for t in self.tracks if t.kind == "subtitle")
