"""Encoded packets into one container: the only place where packets get a stream, a start and rising times.

Light on purpose: the process behind a network outlet imports this, and nothing that loads a model's library.
"""

from __future__ import annotations

import io
from collections.abc import Callable, Mapping
from contextlib import suppress
from fractions import Fraction
from typing import IO

import av
from av import FFmpegError, Packet
from av.container import InputContainer, OutputContainer
from av.stream import Stream

from streamfilter.media.encoded import TICKS, EncodedPacket, StreamParameters, TrackKind

# For who looks on: sound that comes late may hold a picture back for so long; FFmpeg would wait for ten seconds.
AT_ONCE = {"max_interleave_delta": "100000"}
# No version, date or random number of the writer.
COMMON_OPTIONS = {"fflags": "+bitexact", "flush_packets": "1"}


class Muxer:
    """One open container. Times start at 0 with the first packet, which is a key frame; what lies before is left out.

    Args:
        target: Path, address, or an object to write to.
        container: FFmpeg's name of the format.
        parameters: Of the stream.
        options: Of the format.
        comment: Written into the container, where it has a place for one.
        buffer_size: The most that is written at once.
        io_open: Opens each file of a format that has many, by name and FFmpeg's flags.

    Raises:
        FFmpegError, OSError, ValueError: It cannot be opened, or cannot hold these tracks.
    """

    def __init__(
        self,
        target: str | IO[bytes],
        container: str,
        parameters: StreamParameters,
        options: Mapping[str, str],
        *,
        comment: str = "",
        buffer_size: int = 32_768,
        io_open: Callable[[str, int, dict[str, str]], IO[bytes]] | None = None,
    ) -> None:
        self._start_s: Fraction | None = None
        self._last: dict[TrackKind, int] = {}
        self._output: OutputContainer = av.open(
            target,
            "w",
            format=container,
            container_options=COMMON_OPTIONS | dict(options),
            buffer_size=buffer_size,
            io_open=io_open,
        )
        if comment:
            self._output.metadata["comment"] = comment
        self._head: InputContainer | None = None
        try:
            self._streams = self._add_streams(parameters)
            self._output.start_encoding()
        except BaseException:
            self.close_quietly()
            raise

    def _add_streams(self, parameters: StreamParameters) -> dict[TrackKind, Stream]:
        # Kept open: a template must outlive the streams made of it.
        head = self._head = av.open(io.BytesIO(parameters.head), "r")
        video = self._output.add_stream_from_template(head.streams.video[0], opaque=True)
        video.time_base = TICKS
        # The head holds the length-prefixed form, by which muxers would take the packets to be of that form too.
        video.codec_context.extradata = parameters.video_extradata
        streams: dict[TrackKind, Stream] = {TrackKind.VIDEO: video}
        if parameters.has_sound:
            sound = head.streams.audio[0]
            audio = self._output.add_stream_from_template(sound, opaque=True)
            audio.time_base = Fraction(1, sound.rate)
            streams[TrackKind.AUDIO] = audio
        return streams

    def mux(self, packet: EncodedPacket) -> None:
        """Add one packet; those of a track that the container has not are left out."""
        stream = self._streams.get(packet.kind)
        if stream is None:
            return
        if self._start_s is None:
            self._start_s = packet.dts * packet.time_base
        start = round(self._start_s / packet.time_base)
        if packet.dts >= start:
            self._output.mux(self._bound(packet, stream, start))

    def _bound(self, packet: EncodedPacket, stream: Stream, start: int) -> Packet[Stream]:
        """The packet in the stream's own time base, where rounding may have made two times one."""
        base = stream.time_base or packet.time_base
        dts = round((packet.dts - start) * packet.time_base / base)
        dts = self._last[packet.kind] = max(dts, self._last.get(packet.kind, -1) + 1)
        bound: Packet[Stream] = Packet(packet.data)
        bound.stream, bound.time_base = stream, base
        bound.dts, bound.pts = dts, max(dts, round((packet.pts - start) * packet.time_base / base))
        bound.duration = round(packet.duration * packet.time_base / base)
        bound.is_keyframe = packet.is_key
        return bound

    def close(self) -> None:
        """Write what is held back, and the end."""
        try:
            self._output.close()
        finally:
            self._close_head()

    def close_quietly(self) -> None:
        """Let go of everything after an error, raising nothing new."""
        with suppress(FFmpegError, OSError, ValueError):
            self.close()

    def _close_head(self) -> None:
        if self._head is not None:
            self._head.close()
            self._head = None
