"""Recorded files as sources of frames: exact times, upright pictures, losses counted."""

from __future__ import annotations

import gc
import logging
from collections.abc import Generator, Iterator
from fractions import Fraction
from pathlib import Path
from types import TracebackType
from typing import Protocol, Self

import av
from av import FFmpegError, Packet, VideoFrame
from av.stream import Stream

from streamfilter.errors import DamagedStreamError, InputError
from streamfilter.media.colour import RgbReader, alpha_of
from streamfilter.media.container import final_delay, open_container, picture_stream, reason
from streamfilter.media.damage import Damage
from streamfilter.media.info import Kind, SourceInfo
from streamfilter.media.probe import describe, orientation_of, peculiarities
from streamfilter.media.timeline import Timeline
from streamfilter.structures import Frame, Image

_log = logging.getLogger(__name__)

DEFAULT_FPS = Fraction(25)
JUMP_S = 1
MAX_DEMUX_ERRORS = 64
# What these say of their length they wrote down; others only guess it from the file's end.
TELL_DURATION = ("matroska,webm", "flv")
NO_PTS_CONTAINERS = ("avi",)
WHITE = 255


class Source(Protocol):
    """What the pipeline and the sinks need of any source."""

    info: SourceInfo
    notices: list[str]
    damage: Damage
    alpha: Image | None
    """Transparency of a still picture, upright; None where all is opaque."""
    last_duration: int | None
    """Ticks that the newest frame stands, as far as the source says."""
    final_delay: int | None
    """Of a GIF: hundredths of a second that its last picture stands."""

    def __iter__(self) -> Iterator[Frame]:
        """Every frame once, in order of presentation."""

    def __enter__(self) -> Self: ...

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None: ...

    def raise_if_damaged(self) -> None:
        """Tell at the end what was lost.

        Raises:
            DamagedStreamError: part of the source could not be decoded.
        """


class FileSource:
    """One recorded file. Iterate once; `raise_if_damaged` afterwards says what was lost.

    Args:
        path: A file that FFmpeg can read.
        kind: `VIDEO` or `GIF`.

    Raises:
        InputError: not media, no picture stream, or not one decodable frame.
    """

    def __init__(self, path: Path, kind: Kind = Kind.VIDEO) -> None:
        self.path = path
        self.notices: list[str] = []
        self.damage = Damage()
        self.alpha: Image | None = None
        self.last_duration: int | None = None
        self.final_delay = final_delay(path) if kind is Kind.GIF else None
        self._container = open_container(path)
        try:
            self._start(kind)
        except BaseException:
            self._container.close()
            raise

    def _start(self, kind: Kind) -> None:
        self._stream, others = picture_stream(self._container)
        if others:
            self._notice(f"{others} further picture streams are left out: only one can be protected")
        self._stream.thread_type = "AUTO"
        self._packets = 0
        self._end: Fraction | None = None
        self._latest: Fraction | None = None
        self._clean = False
        self._decoded = self._decode()
        first = next(self._decoded, None)
        if first is None:
            raise InputError(f"{self.path} has a picture stream, but no frame of it can be decoded")
        self._first: VideoFrame | None = first
        for text in peculiarities(first):
            self._notice(text)
        self._orientation = orientation_of(first)
        self._stored = first.width, first.height
        self.info = describe(self._container, self._stream, first, kind)
        self._reader = RgbReader(*self._stored, self.info.colour)
        step = int(1 / (self.info.fps or DEFAULT_FPS) / self.info.time_base)
        self._timeline = Timeline(
            step=step, jump=int(JUMP_S / self.info.time_base), prefer_dts=self.info.container in NO_PTS_CONTAINERS
        )
        self._step = step

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    def close(self) -> None:
        """Let go of the file; harmless when repeated."""
        self._decoded.close()
        self._first = None
        self._container.close()
        # A frame whose side data was read refers to itself (PyAV), and holds the decoder's whole pool of pictures.
        gc.collect()

    def __iter__(self) -> Iterator[Frame]:
        first, self._first = self._first, None
        index = 0
        if first is not None:
            yield self._frame(first, index)
        for index, frame in enumerate(self._decoded, start=1):
            yield self._frame(frame, index)
        self._conclude()

    def raise_if_damaged(self) -> None:
        """Tell at the end what was lost.

        Raises:
            DamagedStreamError: part of the file could not be decoded.
        """
        if self.damage:
            raise DamagedStreamError(
                f"{self.path} is damaged: {self.damage}; what could be read was protected and written"
            )

    # --- reading -----------------------------------------------------------------------------------------------------

    def _frame(self, frame: VideoFrame, index: int) -> Frame:
        image = self._reader(frame)
        if (frame.width, frame.height) != self._stored:
            self._notice("the picture size changes on the way; all frames are scaled to the first one's size")
        if self.info.has_alpha or self.info.kind is Kind.GIF:
            image = self._flatten(image, alpha_of(frame))
        pts = self._timeline.place(frame.pts, frame.dts)
        self.last_duration = frame.duration or self._step
        return Frame(self._orientation.apply(image), index, pts, self.info.time_base)

    def _flatten(self, image: Image, alpha: Image | None) -> Image:
        if alpha is None:
            return image
        self._notice("transparent parts are shown on white")
        opacity = alpha[..., None].astype("uint16")
        mixed: Image = ((image * opacity + WHITE * (255 - opacity)) // 255).astype("uint8")
        return mixed

    def _decode(self) -> Generator[VideoFrame]:
        for packet in self._demux():
            if packet.stream.index != self._stream.index:  # a flush packet carries no number of its own
                self._note_end(packet)
                continue
            self._count(packet)
            try:
                frames = self._stream.decode(packet if packet.size else None)
            except FFmpegError as error:
                _log.info("%s: a packet could not be decoded: %s", self.path, reason(error))
                if self._clean:
                    self.damage.undecodable += 1
                else:
                    self._notice("what lies before the first key frame could not be decoded")
                continue
            for frame in frames:
                if frame.is_corrupt:
                    self.damage.corrupt += 1
                self._clean = True
                yield frame

    def _demux(self) -> Iterator[Packet[Stream]]:
        """All packets; after a demuxing error it goes on behind the damage."""
        errors = 0
        finished = False
        while not finished:
            try:
                yield from self._container.demux()
                finished = True
            except IndexError:
                # PyAV, at the end of a file in which a stream began that was not there at the beginning.
                self._notice("a stream that begins on the way is left out")
                finished = True
            except FFmpegError as error:
                _log.info("%s: %s", self.path, reason(error))
                errors += 1
                self.damage.corrupt += 1
                finished = errors > MAX_DEMUX_ERRORS

    def _count(self, packet: Packet[Stream]) -> None:
        if packet.size:
            self._packets += 1
            self.damage.corrupt += bool(packet.is_corrupt)
            self._note_end(packet)
            if packet.pts is not None:
                end = (packet.pts + (packet.duration or 0)) * packet.time_base
                self._end = end if self._end is None else max(self._end, end)

    def _note_end(self, packet: Packet[Stream]) -> None:
        if packet.pts is not None:
            end = (packet.pts + (packet.duration or 0)) * packet.time_base
            self._latest = end if self._latest is None else max(self._latest, end)

    def _conclude(self) -> None:
        self.damage.missing_s = self._missing_tail_s()
        self.notices.extend(self._timeline.notices)

    def _missing_tail_s(self) -> float:
        """Seconds that the container promises and the file does not hold; 0 where it promises nothing reliable."""
        name = self._container.format.name
        stream = self._stream
        if stream.duration is not None and stream.frames > self._packets and self._end is not None:
            promised = ((stream.start_time or 0) + stream.duration) * self.info.time_base
            missing = promised - self._end
            return float(missing) if missing > 2 * self._step * self.info.time_base else 0.0
        if name in TELL_DURATION and self._container.duration and self._latest is not None:
            missing = Fraction(self._container.duration, av.time_base) - self._latest
            return float(missing) if missing > Fraction(1, 2) else 0.0
        return 0.0

    def _notice(self, text: str) -> None:
        if text not in self.notices:
            _log.info("%s: %s", self.path, text)
            self.notices.append(text)
