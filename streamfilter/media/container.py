"""Opening a file with FFmpeg, and finding the picture in it."""

from __future__ import annotations

from pathlib import Path

import av
from av import FFmpegError
from av.container import InputContainer
from av.stream import Disposition
from av.video.stream import VideoStream

from streamfilter.errors import InputError


def reason(error: Exception) -> str:
    """The short cause that FFmpeg or the system gave."""
    return str(getattr(error, "strerror", None) or error)


def open_container(path: Path) -> InputContainer:
    """Open a file for demuxing.

    Raises:
        InputError: FFmpeg knows no format in it.
    """
    try:
        return av.open(str(path), "r", metadata_errors="replace")
    except (FFmpegError, OSError) as error:
        raise InputError(f"{path} is no video or picture, or it is damaged or incomplete ({reason(error)})") from error


def picture_stream(container: InputContainer) -> tuple[VideoStream, int]:
    """The stream to be protected, and how many others there are; thumbnails do not count.

    Raises:
        InputError: there is none.
    """
    pictures = [s for s in container.streams.video if not s.disposition & Disposition.attached_pic]
    if not pictures:
        raise InputError(f"{container.name} holds no video stream; give a video, a GIF or a picture")
    best = container.streams.best("video")
    chosen = next((s for s in pictures if best is not None and s.index == best.index), pictures[0])
    return chosen, len(pictures) - 1


def final_delay(path: Path) -> int | None:
    """The delay of a GIF's last picture in ticks of 0.01 s, which the muxer must know before the first."""
    with open_container(path) as container:
        delays = [packet.duration for packet in container.demux(video=0) if packet.size]
    return delays[-1] if delays else None
