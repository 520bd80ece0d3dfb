"""The two doors: a path becomes a source, a path becomes a sink."""

from __future__ import annotations

from pathlib import Path

from streamfilter.config import MediaConfig
from streamfilter.errors import OutputError
from streamfilter.media.file_sink import FileSink
from streamfilter.media.gif_sink import GifSink
from streamfilter.media.image import ImageSink, ImageSource
from streamfilter.media.info import Kind
from streamfilter.media.kinds import GIF_SUFFIXES, IMAGE_SUFFIXES, kind_of
from streamfilter.media.sink import Sink
from streamfilter.media.source import FileSource, Source


def open_source(path: Path | str) -> Source:
    """Open a recorded video, a GIF or a picture.

    Raises:
        InputError: missing, empty, unreadable, no media, no picture in it, or not one frame of it decodable.
    """
    path = Path(path)
    kind = kind_of(path)
    return ImageSource(path) if kind is Kind.IMAGE else FileSource(path, kind)


def open_sink(path: Path | str, source: Source, config: MediaConfig) -> Sink:
    """Open the output for what `source` will deliver, its sound and its subtitles; missing folders are made.

    Raises:
        OutputError: it cannot be written there, exists already, is the source, or cannot hold what is asked.
        ConfigError: the codec does not exist.
    """
    path = Path(path)
    check_pair(path, source.info.kind)
    if source.info.kind is Kind.IMAGE:
        return ImageSink(path, source, config)
    sink = GifSink if path.suffix.lower() in GIF_SUFFIXES else FileSink
    return sink(path, source, config)


def check_pair(path: Path, kind: Kind) -> None:
    """Refuse a picture as a video and the reverse.

    Raises:
        OutputError: the ending of `path` does not fit what the source is.
    """
    is_picture = path.suffix.lower() in IMAGE_SUFFIXES
    if kind is Kind.IMAGE and not is_picture:
        raise OutputError(
            f"the source is a picture, {path.name} is not; use one of {', '.join(sorted(IMAGE_SUFFIXES))}"
        )
    if kind is not Kind.IMAGE and is_picture:
        raise OutputError(
            f"the source is a video, {path.name} would be one picture; use an ending such as .mp4 or .gif"
        )
    if not path.suffix:
        raise OutputError(f"the output {path.name} has no file ending; use one such as .mp4")
