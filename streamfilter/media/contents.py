"""What a file holds beyond its pixels: when each picture is shown, and its sound and subtitles, byte for byte."""

from __future__ import annotations

import hashlib
from array import array
from collections.abc import Iterator
from dataclasses import dataclass, field
from fractions import Fraction
from pathlib import Path

import numpy as np
from av import FFmpegError, Packet
from av.container import InputContainer
from av.stream import Stream

from streamfilter.media.container import open_container, picture_stream
from streamfilter.media.further_pictures import further_pictures, further_streams
from streamfilter.media.info import Kind, SourceInfo
from streamfilter.media.opening import open_source
from streamfilter.media.signature import is_signed
from streamfilter.media.source import DEFAULT_FPS, NO_PTS_CONTAINERS
from streamfilter.structures import Doubles

SIDE_KINDS = ("audio", "subtitle")
# One packet of these is one picture that is shown; others hide pictures in packets, or packets without a picture.
PACKET_PER_PICTURE = frozenset({"h264", "hevc", "av1", "vp9", "mjpeg", "mpeg4", "ffv1", "prores", "png", "rawvideo"})


@dataclass(frozen=True, eq=False, kw_only=True)
class TrackContents:
    """One audio or subtitle track.

    Attributes:
        kind: `audio` or `subtitle`.
        codec: FFmpeg's name of it.
        language: As tagged, if it is.
        times: (n,) seconds at which its packets are presented, in order of the file; where a packet tells none, that
            of the one before it.
        end_s: When the last one ends.
        sha256: Of all its packets' bytes, one after another; equal: nothing was re-encoded, added or taken away.
    """

    kind: str
    codec: str
    language: str | None
    times: Doubles
    end_s: float
    sha256: str

    @property
    def packets(self) -> int:
        """How many there are."""
        return len(self.times)

    @property
    def start_s(self) -> float:
        """When the first packet is presented; 0 where there is none."""
        return float(self.times.min()) if len(self.times) else 0.0

    @property
    def duration_s(self) -> float:
        """From the first packet to the end of the last."""
        return self.end_s - self.start_s if len(self.times) else 0.0


@dataclass(frozen=True, eq=False, kw_only=True)
class Contents:
    """A video, GIF or picture.

    Attributes:
        path: Where it lies.
        kind: Video, GIF or picture.
        width, height: Of the upright picture in pixels.
        times: (n,) seconds at which the pictures are presented, rising; of a picture [0].
        end_s: When the last picture ends.
        step_s: Median distance of two pictures; where there is one picture, what the file says; 0 for a picture.
        tracks: Sound and subtitles in order of the file.
        further_pictures: Other video streams, covers, thumbnails, pages: pictures that are not among `times`.
        made_by_streamfilter: The file says so.
    """

    path: Path
    kind: Kind
    width: int
    height: int
    times: Doubles
    end_s: float
    step_s: float
    tracks: tuple[TrackContents, ...] = ()
    further_pictures: int = 0
    made_by_streamfilter: bool = False

    @property
    def frames(self) -> int:
        """How many pictures there are."""
        return len(self.times)

    @property
    def start_s(self) -> float:
        """When the first picture is shown."""
        return float(self.times[0])

    @property
    def duration_s(self) -> float:
        """From the first picture to the end of the last."""
        return self.end_s - self.start_s

    def of(self, kind: str) -> tuple[TrackContents, ...]:
        """The tracks of a kind."""
        return tuple(track for track in self.tracks if track.kind == kind)


def contents(path: Path | str) -> Contents:
    """Read a whole file without decoding its pictures, where its packets tell their times; else decode it too.

    Memory grows by 8 bytes a picture and packet, nothing else.

    Raises:
        InputError: missing, empty, no media, or not one frame of it decodable.
    """
    path = Path(path)
    with open_source(path) as source:
        info = source.info
    if info.kind is Kind.IMAGE:
        return _made(path, info, times=_frozen([0.0]), further_pictures=further_pictures(path))
    pictures, tracks, further = _demuxed(path, info)
    times = pictures.times() if pictures.reliable else _decoded_times(path)
    step = float(np.median(np.diff(times))) if len(times) > 1 else float(1 / (info.fps or DEFAULT_FPS))
    end = float(times[-1]) + (pictures.last_duration_s() or step)
    return _made(path, info, times=times, end_s=end, step_s=step, tracks=tracks, further_pictures=further)


def _made(
    path: Path,
    info: SourceInfo,
    *,
    times: Doubles,
    end_s: float = 0.0,
    step_s: float = 0.0,
    tracks: tuple[TrackContents, ...] = (),
    further_pictures: int,
) -> Contents:
    return Contents(
        path=path,
        kind=info.kind,
        width=info.width,
        height=info.height,
        times=times,
        end_s=end_s,
        step_s=step_s,
        tracks=tracks,
        further_pictures=further_pictures,
        made_by_streamfilter=is_signed(path, info.kind),
    )


def _demuxed(path: Path, info: SourceInfo) -> tuple[_Pictures, tuple[TrackContents, ...], int]:
    """Times of the pictures, the tracks beside them, and how many further pictures there are."""
    with open_container(path) as container:
        stream, _ = picture_stream(container)
        pictures = _Pictures(
            time_base=info.time_base,
            reliable=info.codec in PACKET_PER_PICTURE and info.container not in NO_PTS_CONTAINERS,
        )
        sides = {s.index: _Side(s) for s in container.streams if s.type in SIDE_KINDS}
        complete = _read(container, stream.index, pictures, sides)
        pictures.reliable = pictures.reliable and complete and bool(pictures.ticks)
        return pictures, tuple(side.done() for side in sides.values()), further_streams(container, stream.index)


def _read(container: InputContainer, picture: int, pictures: _Pictures, sides: dict[int, _Side]) -> bool:
    """Whether the file could be read to its end without an error."""
    try:
        for packet in container.demux():
            if packet.size and packet.stream.index == picture:
                pictures.add(packet)
            elif packet.size and packet.stream.index in sides:
                sides[packet.stream.index].add(packet)
    except (FFmpegError, IndexError):  # the latter by PyAV, where a stream begins on the way
        return False
    return True


@dataclass
class _Pictures:
    """The times that packets tell; `reliable` as long as they are those of the decoded pictures."""

    time_base: Fraction
    reliable: bool
    ticks: array[int] = field(default_factory=lambda: array("q"))
    started: bool = False
    last_dts: int | None = None
    last: tuple[int, int] = (0, 0)

    def add(self, packet: Packet[Stream]) -> None:
        self.started |= packet.is_keyframe
        if packet.is_discard:  # before the beginning that an edit list gives
            return
        if packet.pts is None or packet.is_corrupt or not self.started:
            self.reliable = False
            return
        if packet.dts is not None:
            self.reliable &= self.last_dts is None or packet.dts > self.last_dts
            self.last_dts = packet.dts
        self.ticks.append(packet.pts)
        self.last = max(self.last, (packet.pts, packet.duration or 0)) if len(self.ticks) > 1 else _end(packet)

    def times(self) -> Doubles:
        """(n,) seconds, rising."""
        return _seconds(np.sort(np.array(self.ticks, np.int64)), self.time_base)

    def last_duration_s(self) -> float:
        """How long the last picture is shown, 0 where the file does not tell."""
        return float(self.last[1] * self.time_base)


class _Side:
    """Gathers one track beside the picture."""

    def __init__(self, stream: Stream) -> None:
        self._stream = stream
        self._hash = hashlib.sha256()
        self._ticks = array("q")
        self._end = 0

    def add(self, packet: Packet[Stream]) -> None:
        self._hash.update(bytes(packet))
        pts = packet.pts if packet.pts is not None else packet.dts
        if pts is None:
            pts = self._ticks[-1] if self._ticks else 0
        self._end = max(self._end, pts + (packet.duration or 0)) if self._ticks else pts + (packet.duration or 0)
        self._ticks.append(pts)

    def done(self) -> TrackContents:
        context, base = self._stream.codec_context, self._stream.time_base or Fraction(1)
        return TrackContents(
            kind=self._stream.type,
            codec=context.name if context else "unknown",
            language=self._stream.language,
            times=_seconds(np.array(self._ticks, np.int64), base),
            end_s=float(self._end * base),
            sha256=self._hash.hexdigest(),
        )


def _decoded_times(path: Path) -> Doubles:
    return _frozen(array("d", _times(path)))


def _times(path: Path) -> Iterator[float]:
    with open_source(path) as source:
        for frame in source:
            yield frame.time_s


def _end(packet: Packet[Stream]) -> tuple[int, int]:
    return packet.pts or 0, packet.duration or 0


def _seconds(ticks: np.ndarray[tuple[int], np.dtype[np.int64]], base: Fraction) -> Doubles:
    return _frozen(ticks * base.numerator / base.denominator)


def _frozen(values: object) -> Doubles:
    times = np.array(values, np.float64)
    times.setflags(write=False)
    return times
