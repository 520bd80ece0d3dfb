"""How packets travel to the process behind a network outlet: a head, then one record a packet.

Light on purpose: that process imports this, and nothing that loads a model's library.
"""

from __future__ import annotations

import json
import struct
from dataclasses import dataclass, field
from fractions import Fraction
from typing import BinaryIO

from streamfilter.media.encoded import EncodedPacket, StreamParameters, TrackKind

_LENGTH = struct.Struct("<I")
_PACKET = struct.Struct("<??qqqIII")  # is video, is key, pts, dts, duration, time base, bytes
READY = b"ready\n"


@dataclass(frozen=True, kw_only=True)
class PushOrder:
    """What the process is to do. `url` is secret: it travels through a pipe, where no list of processes shows it."""

    url: str = field(repr=False)
    container: str
    options: dict[str, str]
    open_timeout_s: float
    write_timeout_s: float
    parameters: StreamParameters

    def to_bytes(self) -> bytes:
        """For `read_order`."""
        stream = self.parameters
        plain = {
            "url": self.url,
            "container": self.container,
            "options": self.options,
            "open_timeout_s": self.open_timeout_s,
            "write_timeout_s": self.write_timeout_s,
            "video": [stream.codec, stream.width, stream.height, stream.fps.numerator, stream.fps.denominator],
            "has_sound": stream.has_sound,
        }
        return b"".join(_sized(part) for part in (json.dumps(plain).encode(), stream.head, stream.video_extradata))


def read_order(pipe: BinaryIO) -> PushOrder:
    """What `PushOrder.to_bytes` wrote.

    Raises:
        EOFError: The pipe ended before.
    """
    plain = json.loads(_read_sized(pipe))
    head, extradata = _read_sized(pipe), _read_sized(pipe)
    codec, width, height, numerator, denominator = plain.pop("video")
    parameters = StreamParameters(
        codec=codec,
        width=width,
        height=height,
        fps=Fraction(numerator, denominator),
        has_sound=plain.pop("has_sound"),
        head=head,
        video_extradata=extradata,
    )
    return PushOrder(parameters=parameters, **plain)


def packet_bytes(packet: EncodedPacket) -> bytes:
    """For `read_packet`."""
    base = packet.time_base
    video = packet.kind is TrackKind.VIDEO
    times = packet.pts, packet.dts, packet.duration
    return _PACKET.pack(video, packet.is_key, *times, base.numerator, base.denominator, len(packet.data)) + packet.data


def read_packet(pipe: BinaryIO) -> EncodedPacket | None:
    """The next packet; None where the pipe ends."""
    try:
        video, is_key, pts, dts, duration, numerator, denominator, size = _PACKET.unpack(_read(pipe, _PACKET.size))
        data = _read(pipe, size)
    except EOFError:
        return None
    return EncodedPacket(
        kind=TrackKind.VIDEO if video else TrackKind.AUDIO,
        data=data,
        pts=pts,
        dts=dts,
        duration=duration,
        time_base=Fraction(numerator, denominator),
        is_key=is_key,
    )


def _sized(part: bytes) -> bytes:
    return _LENGTH.pack(len(part)) + part


def _read_sized(pipe: BinaryIO) -> bytes:
    return _read(pipe, _LENGTH.unpack(_read(pipe, _LENGTH.size))[0])


def _read(pipe: BinaryIO, size: int) -> bytes:
    data = pipe.read(size)
    if len(data) < size:
        raise EOFError
    return data
