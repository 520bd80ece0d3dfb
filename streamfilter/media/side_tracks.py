"""Sound and subtitles: read a second time from the source, by the writer alone, as the picture advances.

The picture's reader and the sink live in different threads. A second look at the file shares nothing between them
and holds one packet in memory.
"""

from __future__ import annotations

from collections.abc import Generator
from fractions import Fraction

from av import FFmpegError, Packet
from av.audio.stream import AudioStream
from av.container import OutputContainer
from av.error import ArgumentError, InvalidDataError
from av.stream import Disposition, Stream
from av.subtitles.stream import SubtitleStream

from streamfilter.config import Audio, MediaConfig
from streamfilter.media.container import open_container
from streamfilter.media.info import SourceInfo
from streamfilter.media.metadata import track_metadata
from streamfilter.media.routes import CopyRoute, Route, audio_route, can_copy, text_route

KEPT_DISPOSITION = Disposition.default | Disposition.forced | Disposition.hearing_impaired | Disposition.visual_impaired


class SideTracks:
    """The tracks beside the picture. Adds its streams at once; `advance` and `finish` mux their packets."""

    def __init__(self, info: SourceInfo, output: OutputContainer, config: MediaConfig, notices: list[str]) -> None:
        self._output = output
        self._config = config
        # A list and no method of the sink: a cycle would keep both files' buffers alive until some later collection.
        self._notices = notices
        self._input = open_container(info.path)
        self._routes: dict[int, Route] = {}
        for stream in self._input.streams:
            self._add(stream)
        self._packets = self._demux()
        self._waiting = next(self._packets, None)

    def advance(self, time_s: Fraction) -> None:
        """Mux everything up to this moment of the picture."""
        while self._waiting is not None and _time(self._waiting) <= time_s:
            self._mux(self._waiting)

    def finish(self) -> None:
        """Mux the rest."""
        while self._waiting is not None:
            self._mux(self._waiting)
        for route in self._routes.values():
            self._output.mux(route.flush())

    def close(self) -> None:
        """Let go of the file."""
        self._packets.close()
        self._input.close()

    def _mux(self, packet: Packet[Stream]) -> None:
        try:
            self._output.mux(self._routes[packet.stream.index](packet))
        except (ArgumentError, InvalidDataError):
            # The muxer refuses what cannot be: a damaged packet must not cost the picture.
            self._notice("damaged packets of the sound or the subtitles were left out")
        self._waiting = next(self._packets, None)

    def _demux(self) -> Generator[Packet[Stream]]:
        streams = [s for s in self._input.streams if s.index in self._routes]
        if not streams:
            return
        try:
            for packet in self._input.demux(*streams):
                if packet.size:
                    yield packet
        except FFmpegError:
            self._notice("the sound or the subtitles are damaged; they end early")
        except IndexError:
            # PyAV, at the end of a file in which a stream began that was not there at the beginning.
            self._notice("a stream that begins on the way is left out")

    def _notice(self, text: str) -> None:
        if text not in self._notices:
            self._notices.append(text)

    # --- choosing routes ---------------------------------------------------------------------------------------------

    def _add(self, stream: Stream) -> None:
        route: Route | None = None
        if isinstance(stream, AudioStream):
            route = self._audio(stream)
        elif isinstance(stream, SubtitleStream):
            route = self._subtitle(stream)
        elif stream.type in ("data", "attachment"):
            self._notice(f"a {stream.type} track is left out: such tracks hold places, devices or pictures")
        if route is not None:
            self._routes[stream.index] = route

    def _audio(self, track: AudioStream) -> Route | None:
        if self._config.audio is Audio.DROP:
            return None
        if track.codec_context is None or not track.codec_context.name:
            self._notice(f"audio track {track.index} has an unknown format and is left out")
            return None
        if can_copy(track, self._output.format.name):
            return CopyRoute(self._keep(track))
        route = audio_route(track, self._output)
        self._tag(route.out, track)
        self._notice(
            f"audio track {track.index} ({track.codec_context.name}) does not fit into {self._output.format.name} "
            f"and was re-encoded as {route.out.codec_context.name}"
        )
        return route

    def _subtitle(self, track: SubtitleStream) -> Route | None:
        if track.codec_context is None:
            self._notice(f"subtitle track {track.index} has an unknown format and is left out")
            return None
        name = track.codec_context.name
        if can_copy(track, self._output.format.name):
            return CopyRoute(self._keep(track))
        route = text_route(track, self._output)
        if route is None:
            self._notice(
                f"subtitle track {track.index} ({name}) is left out: {self._output.format.name} cannot hold it"
            )
            return None
        self._tag(route.out, track)
        self._notice(f"subtitle track {track.index} ({name}) was converted to {route.out.codec_context.name}")
        return route

    def _keep(self, track: Stream) -> Stream:
        out = self._output.add_stream_from_template(track)
        self._tag(out, track)
        return out

    def _tag(self, out: Stream, track: Stream) -> None:
        out.metadata.update(track_metadata(track.metadata, keep=self._config.keep_metadata))
        out.disposition = track.disposition & KEPT_DISPOSITION


def _time(packet: Packet[Stream]) -> Fraction:
    ticks = packet.dts if packet.dts is not None else packet.pts
    # A packet without any time goes out with the one before it.
    return Fraction(ticks or 0) * packet.time_base
