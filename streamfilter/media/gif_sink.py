"""Animated GIF as a sink: a palette of its own for every frame, delays and repeats kept."""

from __future__ import annotations

from contextlib import suppress
from fractions import Fraction
from pathlib import Path

import av
import numpy as np
from av import FFmpegError, VideoFrame
from av.filter import Graph

from streamfilter.config import MediaConfig
from streamfilter.errors import OutputError
from streamfilter.media.container import reason
from streamfilter.media.gif_file import FOREVER
from streamfilter.media.info import Kind, SourceInfo
from streamfilter.media.sink import Sink
from streamfilter.media.source import Source
from streamfilter.media.target import Target
from streamfilter.structures import SafeFrame

GIF_TIME_BASE = Fraction(1, 100)


class GifSink(Sink):
    """One GIF. Times are kept to the 1/100 s that the format has, and begin at zero.

    Raises:
        OutputError: it cannot be written there.
    """

    def __init__(self, path: Path, source: Source, config: MediaConfig) -> None:
        super().__init__(Target(path, source=source.info.path, overwrite=config.overwrite))
        self._info = info = source.info
        self._first: Fraction | None = None
        self._last = -1
        loop = info.loop if info.loop is not None else FOREVER
        options = {"loop": str(loop)}
        if source.final_delay is not None:
            options["final_delay"] = str(source.final_delay)
        try:
            self._output = av.open(str(self._target.partial), "w", format="gif", container_options=options)
        except (FFmpegError, OSError) as error:
            raise OutputError(f"{path} cannot be written: {reason(error)}") from error
        self._told(self._prepare)

    def _prepare(self) -> None:
        self._stream = self._output.add_stream("gif", rate=self._info.fps or 10)
        self._stream.width, self._stream.height = self._info.width, self._info.height
        self._stream.pix_fmt = "pal8"
        self._stream.codec_context.time_base = GIF_TIME_BASE
        self._palette = _palette_graph(self._info)
        if self._info.kind is not Kind.GIF:
            self.notice("a GIF has 256 colours a frame, no sound, and times in steps of 0.01 s")

    def _write(self, frame: SafeFrame) -> None:
        time = (frame.pts or 0) * frame.time_base
        if self._first is None:
            self._first = time
        # Two frames within one step of 0.01 s would swallow one of them.
        self._last = max(round((time - self._first) / GIF_TIME_BASE), self._last + 1)
        picture = VideoFrame.from_numpy_buffer(np.ascontiguousarray(frame.image), format="rgb24")
        picture.pts, picture.time_base = self._last, GIF_TIME_BASE
        self._palette.vpush(picture)
        reduced = self._palette.vpull()
        reduced.pts, reduced.time_base = self._last, GIF_TIME_BASE
        self._output.mux(self._stream.encode(reduced))

    def _finish(self) -> None:
        self._output.mux(self._stream.encode(None))
        self._output.close()

    def _release(self) -> None:
        with suppress(FFmpegError, OSError, ValueError):
            self._output.close()


def _palette_graph(info: SourceInfo) -> Graph:
    """Each frame split in two: one makes the palette, the other is drawn with it."""
    graph = Graph()
    source = graph.add_buffer(
        width=info.width, height=info.height, format=av.VideoFormat("rgb24"), time_base=GIF_TIME_BASE
    )
    split = graph.add("split")
    palette = graph.add("palettegen", "stats_mode=single:reserve_transparent=0")
    # Ordered dithering: error diffusion would crawl over everything that stands still.
    use = graph.add("paletteuse", "new=1:dither=bayer:bayer_scale=4")
    sink = graph.add("buffersink")
    source.link_to(split)
    split.link_to(palette, 0, 0)
    split.link_to(use, 1, 0)
    palette.link_to(use, 0, 1)
    use.link_to(sink)
    graph.configure()
    return graph
