"""What a file and its first decoded frame say of themselves."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from fractions import Fraction
from pathlib import Path
from typing import cast

import av
from av import VideoFrame
from av.container import InputContainer
from av.sidedata.sidedata import SideData
from av.sidedata.sidedata import Type as SideDataType
from av.stream import Stream
from av.video.stream import VideoStream

from streamfilter.errors import InputError
from streamfilter.media import gif_file
from streamfilter.media.colour import colour_of
from streamfilter.media.info import Kind, SourceInfo, TrackInfo
from streamfilter.media.orientation import UPRIGHT, Orientation

VARIABLE_FROM = Fraction(1, 1000)


def describe(container: InputContainer, stream: VideoStream, first: VideoFrame, kind: Kind) -> SourceInfo:
    """Everything that is known before the second frame.

    Raises:
        InputError: nothing says in which unit its times count.
    """
    time_base = stream.time_base or first.time_base
    if time_base is None:
        raise InputError(f"{container.name} has no time base; its frames cannot be placed in time")
    fps = stream.average_rate or stream.guessed_rate
    duration = container.duration / av.time_base if container.duration else None
    orientation = orientation_of(first)
    width, height = orientation.size(first.width, first.height)
    aspect = stream.sample_aspect_ratio or None
    return SourceInfo(
        path=Path(container.name),
        kind=kind,
        container=container.format.name,
        codec=stream.codec_context.name,
        width=width,
        height=height,
        time_base=time_base,
        fps=fps,
        variable_rate=bool(fps and stream.base_rate and abs(stream.base_rate / fps - 1) > VARIABLE_FROM),
        frames=stream.frames or (round(duration * fps) if duration and fps else None) or None,
        start_s=float((stream.start_time or 0) * time_base),
        duration_s=duration,
        pix_fmt=first.format.name,
        colour=colour_of(first),
        sample_aspect_ratio=1 / aspect if aspect and orientation.transpose else aspect,
        rotation=orientation.rotation,
        loop=gif_file.loop_of(Path(container.name)) if kind is Kind.GIF else None,
        has_alpha=len(first.format.components) == 4,
        tracks=tuple(_track(s) for s in container.streams if s.type in ("audio", "subtitle")),
    )


def orientation_of(frame: VideoFrame) -> Orientation:
    """How a frame must be turned to stand upright."""
    matrix = _side_data(frame, SideDataType.DISPLAYMATRIX)
    return Orientation.from_matrix(matrix) if matrix else UPRIGHT


def peculiarities(first: VideoFrame) -> Iterator[str]:
    """What of the picture cannot be carried over, in words."""
    if first.interlaced_frame:
        yield "the source is interlaced; its lines are kept as they are, and the output is marked progressive"
    if _side_data(first, SideDataType.A53_CC) is not None:
        yield "captions hidden in the picture stream are left out"


def _side_data(frame: VideoFrame, kind: SideDataType) -> bytes | None:
    # A container of objects at run time, a dictionary in the stubs.
    sides = cast(Iterable[SideData], frame.side_data)
    return next((bytes(side) for side in sides if side.type is kind), None)


def _track(stream: Stream) -> TrackInfo:
    name = stream.codec_context.name if stream.codec_context else "unknown"
    return TrackInfo(index=stream.index, kind=stream.type, codec=name, language=stream.language)
