"""Videos as sinks: every frame at its own time, sound and subtitles beside it."""

from __future__ import annotations

from contextlib import suppress
from fractions import Fraction
from pathlib import Path

import av
from av import FFmpegError, VideoFrame
from av.codec.context import Flags as CodecFlags

from streamfilter.config import MediaConfig
from streamfilter.errors import OutputError
from streamfilter.media.colour import RgbWriter
from streamfilter.media.container import open_container, reason
from streamfilter.media.encoder import add_video, choose_pix_fmt, encoder_name, written_colour
from streamfilter.media.info import Kind, SourceInfo
from streamfilter.media.metadata import carry_metadata
from streamfilter.media.side_tracks import SideTracks
from streamfilter.media.signature import sign
from streamfilter.media.sink import Sink
from streamfilter.media.source import Source
from streamfilter.media.target import Target
from streamfilter.structures import SafeFrame

# Containers that count in milliseconds; everything else keeps the source's time base.
MILLISECONDS = frozenset({"matroska", "webm", "flv"})
# MP4's edit lists count in movie ticks; at FFmpeg's default of 1/1000 s a start offset would be rounded.
# Otherwise the muxer signs the file with its version, and some formats with a date or a random number.
UNSIGNED = {"fflags": "+bitexact"}
MIN_MOVIE_TIMESCALE = 10_000
MAX_MOVIE_TIMESCALE = (1 << 31) - 1


class FileSink(Sink):
    """One video file.

    Args:
        path: Its ending chooses the container.
        source: Says size, time base and colour, and where sound and subtitles come from.
        config: Codec, quality, sound, metadata.

    Raises:
        OutputError: it cannot be written there, or the container cannot hold what is asked.
        ConfigError: no such encoder.
    """

    def __init__(self, path: Path, source: Source, config: MediaConfig) -> None:
        super().__init__(Target(path, source=source.info.path, overwrite=config.overwrite))
        self._info = info = source.info
        self._source = source
        self._held: tuple[VideoFrame, int] | None = None
        self._last_duration = 1
        self._side: SideTracks | None = None
        try:
            options = _container_options(info, path, keep_metadata=config.keep_metadata)
            self._output = av.open(str(self._target.partial), "w", container_options=options)
        except (FFmpegError, OSError, ValueError) as error:
            raise OutputError(f"{path} cannot be written: {reason(error)}") from error
        try:
            self._told(lambda: self._prepare(config))
        except BaseException:
            self.abort()
            raise

    def _prepare(self, config: MediaConfig) -> None:
        encoder = encoder_name(config, self.path.suffix)
        pix_fmt, said = choose_pix_fmt(encoder, self._info)
        for text in said:
            self.notice(text)
        self._video = add_video(self._output, encoder, self._info, config, pix_fmt)
        self._video.codec_context.flags |= CodecFlags.frame_duration
        self._writer = RgbWriter(pix_fmt, self._info.height, written_colour(self._info))
        if self._info.kind is Kind.VIDEO:
            self._side = SideTracks(self._info, self._output, config, self.notices)
        if config.keep_metadata:
            with open_container(self._info.path) as origin:
                carry_metadata(origin, self._output)
        sign(self._output)
        self._output.start_encoding()
        self._warn_of_milliseconds()

    def _warn_of_milliseconds(self) -> None:
        if self._output.format.name in MILLISECONDS and (1000 * self._info.time_base).denominator != 1:
            self.notice(f"{self._output.format.name} counts in milliseconds; frame times are rounded to them")

    def _write(self, frame: SafeFrame) -> None:
        height, width = frame.image.shape[:2]
        if (width, height) != (self._info.width, self._info.height):
            raise OutputError(
                f"{self.path}: a frame of {width}x{height} came, not {self._info.width}x{self._info.height}"
            )
        picture = self._writer(frame.image)
        pts = self._ticks(frame)
        self._pass_on(next_pts=pts)
        self._held = picture, pts

    def _ticks(self, frame: SafeFrame) -> int:
        if frame.pts is None:
            raise OutputError(f"{self.path}: frame {frame.index} has no time")
        return round(frame.pts * frame.time_base / self._info.time_base)

    def _pass_on(self, next_pts: int) -> None:
        """Encode the frame before: only now is it known how long it stands."""
        if self._held is None:
            return
        picture, pts = self._held
        if next_pts <= pts:
            raise OutputError(f"{self.path}: frame times must rise, got {next_pts} after {pts}")
        picture.pts, picture.time_base, picture.duration = pts, self._info.time_base, next_pts - pts
        self._last_duration = next_pts - pts
        self._mux(picture)

    def _mux(self, picture: VideoFrame | None) -> None:
        for packet in self._video.encode(picture):
            ticks = packet.dts if packet.dts is not None else packet.pts
            if self._side is not None and ticks is not None:
                self._side.advance(ticks * packet.time_base)
            self._output.mux(packet)

    def _finish(self) -> None:
        assert self._held is not None  # close() refuses a file without frames
        duration = self._source.last_duration or self._last_duration
        self._pass_on(next_pts=self._held[1] + duration)
        self._held = None
        self._mux(None)
        if self._side is not None:
            self._side.finish()
            self._side.close()
        self._output.close()

    def _release(self) -> None:
        if self._side is not None:
            self._side.close()
        # Its trailer goes to a file that is removed next; that this fails on a full disk says nothing new.
        with suppress(FFmpegError, OSError, ValueError):
            self._output.close()


def _container_options(info: SourceInfo, path: Path, *, keep_metadata: bool) -> dict[str, str]:
    suffix = path.suffix.lower()
    if suffix in (".mp4", ".m4v", ".mov"):
        return UNSIGNED | {
            "movflags": "+faststart+use_metadata_tags" if keep_metadata else "+faststart",
            "movie_timescale": str(_movie_timescale(info.time_base)),
        }
    if suffix in (".ts", ".m2ts", ".mts"):
        return UNSIGNED | {"mpegts_copyts": "1"}
    return UNSIGNED


def _movie_timescale(time_base: Fraction) -> int:
    scale = time_base.denominator
    while scale < MIN_MOVIE_TIMESCALE:
        scale *= 2
    return scale if scale <= MAX_MOVIE_TIMESCALE else MIN_MOVIE_TIMESCALE
