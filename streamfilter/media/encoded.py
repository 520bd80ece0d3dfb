"""What one encode hands to any number of outlets: packets that belong to no container, and what describes them.

Light on purpose: the process behind a network outlet imports this, and nothing that loads a model's library.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from enum import StrEnum
from fractions import Fraction

TICKS = Fraction(1, 90_000)
"""Time base of a live stream's video."""


class TrackKind(StrEnum):
    """What a packet is part of."""

    VIDEO = "video"
    AUDIO = "audio"


@dataclass(frozen=True, kw_only=True, slots=True)
class EncodedPacket:
    """A part of the protected stream.

    `pts`, `dts` and `duration` count in `time_base`. A key frame (`is_key`) carries its parameter sets, so a reader may
    join there; every audio packet is one. `captured_s`: monotonic arrival of the frame within, None for audio.
    """

    kind: TrackKind
    data: bytes = field(repr=False)
    pts: int
    dts: int
    duration: int
    time_base: Fraction
    is_key: bool
    captured_s: float | None = None

    @property
    def time_s(self) -> float:
        """When it is presented, in seconds of the output's clock."""
        return float(self.pts * self.time_base)

    @property
    def starts(self) -> bool:
        """Whether an outlet may begin here."""
        return self.kind is TrackKind.VIDEO and self.is_key


@dataclass(frozen=True, kw_only=True)
class StreamParameters:
    """What every container must know before the first packet.

    Attributes:
        codec: FFmpeg's name of the video's codec, `h264` or `hevc`.
        width, height: Of the encoded picture, even.
        fps: As expected; frames may come at any time.
        has_sound: Whether AAC sound goes with it.
        head: Begin of a fragmented MP4 without a packet: how codec parameters travel between containers.
        video_extradata: Parameter sets in Annex B form, as the packets are.
    """

    codec: str
    width: int
    height: int
    fps: Fraction
    has_sound: bool = False
    head: bytes = field(repr=False)
    video_extradata: bytes = field(repr=False)
