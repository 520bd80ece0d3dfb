"""How one audio or subtitle track gets from the source to the output: copied, or re-encoded where it must be."""

from __future__ import annotations

import io
from abc import ABC, abstractmethod

import av
from av import FFmpegError, Packet
from av.audio.stream import AudioStream
from av.container import OutputContainer
from av.stream import Stream
from av.subtitles.stream import SubtitleStream

AUDIO_ENCODER = {"opus": "libopus", "vorbis": "libvorbis", "none": "aac"}
# Opus knows this rate and its divisors only.
OPUS_RATE_HZ = 48_000
AUDIO_BITS_PER_CHANNEL = 96_000
TEXT_ENCODER = {"mp4": "mov_text", "mov": "mov_text", "webm": "webvtt", "matroska": "subrip"}


class Route(ABC):
    """Turns packets of one source track into packets of one output track, `out`."""

    def __init__(self, out: Stream) -> None:
        self.out = out

    @abstractmethod
    def __call__(self, packet: Packet[Stream]) -> list[Packet[Stream]]:
        """What to mux for this packet."""

    def flush(self) -> list[Packet[Stream]]:
        """What is left at the end."""
        return []


class CopyRoute(Route):
    """The packets themselves; only times that do not rise, which no muxer takes, are moved forward."""

    def __init__(self, out: Stream) -> None:
        super().__init__(out)
        self._last: int | None = None

    def __call__(self, packet: Packet[Stream]) -> list[Packet[Stream]]:
        """The packet, addressed to the output track."""
        dts = packet.dts if packet.dts is not None else packet.pts
        if dts is None:
            dts = 0 if self._last is None else self._last + 1
        if self._last is not None and dts <= self._last:
            dts = self._last + 1
        packet.dts = self._last = dts
        packet.pts = dts if packet.pts is None else max(packet.pts, dts)
        packet.stream = self.out
        return [packet]


class AudioRoute(Route):
    """Sound decoded and encoded anew."""

    def __init__(self, source: AudioStream, out: AudioStream) -> None:
        super().__init__(out)
        self._source = source
        self._encoder = out

    def __call__(self, packet: Packet[Stream]) -> list[Packet[Stream]]:
        """Encoded packets, later than their input by the encoder's delay; a damaged packet is left out."""
        try:
            frames = self._source.decode(packet)
        except FFmpegError:
            return []
        return [encoded for frame in frames for encoded in self._encoder.encode(frame)]

    def flush(self) -> list[Packet[Stream]]:
        """The rest of the sound."""
        return [*self._encoder.encode(None)]


class TextRoute(Route):
    """Text subtitles in the form that the output container knows."""

    def __init__(self, source: SubtitleStream, out: SubtitleStream) -> None:
        super().__init__(out)
        self._source = source
        self._encoder = out.codec_context

    def __call__(self, packet: Packet[Stream]) -> list[Packet[Stream]]:
        """The same words at the same times."""
        try:
            words = self._source.decode2(packet)
            if words is None or not len(words):
                return []
            encoded = self._encoder.encode_subtitle(words)
        except FFmpegError:
            return []
        encoded.pts = encoded.dts = packet.pts
        encoded.duration = packet.duration
        encoded.time_base = packet.time_base
        encoded.stream = self.out
        return [encoded]


def can_copy(track: Stream, container: str) -> bool:
    """Whether the container takes this track as it is; tried out in memory, as FFmpeg's own table is too lenient."""
    try:
        with av.open(io.BytesIO(), "w", format=container) as trial:
            trial.add_stream_from_template(track)
            trial.start_encoding()
    except (FFmpegError, ValueError):
        return False
    return True


def audio_route(track: AudioStream, output: OutputContainer) -> AudioRoute:
    """Re-encode with what the container prefers."""
    name = AUDIO_ENCODER.get(output.default_audio_codec, output.default_audio_codec)
    rate = OPUS_RATE_HZ if name == "libopus" else track.rate
    out = output.add_stream(name, rate=rate)
    if not isinstance(out, AudioStream):
        raise ValueError(f"{name} is no audio encoder")
    out.codec_context.layout = track.codec_context.layout
    out.codec_context.bit_rate = AUDIO_BITS_PER_CHANNEL * max(track.channels, 1)
    return AudioRoute(track, out)


def text_route(track: SubtitleStream, output: OutputContainer) -> TextRoute | None:
    """Convert text subtitles; None where the track is pictures or the container has none."""
    name = TEXT_ENCODER.get(output.format.name)
    if name is None:
        return None
    try:
        track.codec_context.open(strict=False)
    except (FFmpegError, ValueError):
        return None
    header = track.codec_context.subtitle_header
    if not header:
        # Only text decoders write a header of styles.
        return None
    out = output.add_stream(name)
    if not isinstance(out, SubtitleStream):
        return None
    out.codec_context.subtitle_header = header
    if track.time_base is not None:
        out.time_base = track.time_base
        out.codec_context.time_base = track.time_base
    return TextRoute(track, out)
