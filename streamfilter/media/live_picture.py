"""Decoded pictures of one connection, made upright, RGB and of one size, whatever the camera changes on its way."""

from __future__ import annotations

from av import VideoFrame

from streamfilter.media.colour import RgbReader, colour_of
from streamfilter.media.letterbox import letterboxed
from streamfilter.media.orientation import Orientation
from streamfilter.structures import Image


class PictureReader:
    """Decoded frames to (height, width, 3) RGB arrays; a picture of another size is letterboxed to it."""

    def __init__(self, width: int, height: int, orientation: Orientation) -> None:
        self._size = width, height
        self._orientation = orientation
        self._form: tuple[object, ...] = ()
        self._reader: RgbReader | None = None

    def __call__(self, frame: VideoFrame) -> Image:
        """The picture as a fresh array."""
        colour = colour_of(frame)
        form = (frame.width, frame.height, colour)
        if self._reader is None or form != self._form:
            self._form, self._reader = form, RgbReader(frame.width, frame.height, colour)
        return letterboxed(self._orientation.apply(self._reader(frame)), *self._size)
