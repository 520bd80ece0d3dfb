"""Protected pictures as JPEG: each encoded once per width for all who watch, and only if somebody does."""

from __future__ import annotations

import cv2
import numpy as np

from streamfilter.errors import OutputError
from streamfilter.structures import Image, SafeFrame
from streamfilter.web.gallery import Shown

WIDTHS = (160, 320, 480, 640, 960, 1280, 1920)  # a few, so that viewers with odd wishes share the work
QUALITY = 80


class Pictures:
    """The newest picture of each camera as JPEG; used by one thread. `encoded` counts the work done."""

    def __init__(self) -> None:
        self._encoded: dict[str, tuple[Shown, dict[int, bytes]]] = {}
        self.encoded = 0

    def jpeg(self, name: str, shown: Shown, width: int | None) -> bytes:
        """The picture as JPEG, about `width` pixels wide, never enlarged.

        Raises:
            OutputError: OpenCV cannot encode it.
        """
        fitting = fitting_width(width, shown.frame.image.shape[1])
        kept = self._encoded.get(name)
        if kept is None or kept[0] is not shown:
            kept = self._encoded[name] = (shown, {})
        if fitting not in kept[1]:
            kept[1][fitting] = encode(shown.frame, fitting)
            self.encoded += 1
        return kept[1][fitting]

    def keep_only(self, names: set[str]) -> None:
        """Let go of what belongs to cameras that are gone."""
        for name in self._encoded.keys() - names:
            del self._encoded[name]


def fitting_width(wish: int | None, native: int) -> int:
    """The smallest of `WIDTHS` that is no smaller than the wish; the native width if there is none below it."""
    return min([native] + [width for width in WIDTHS if wish is not None and wish <= width])


def encode(frame: SafeFrame, width: int) -> bytes:
    """JPEG of a protected picture, without any metadata.

    Raises:
        OutputError: OpenCV cannot encode it.
    """
    picture = cv2.cvtColor(_scaled(frame.image, width), cv2.COLOR_RGB2BGR)
    done, data = cv2.imencode(".jpg", picture, [cv2.IMWRITE_JPEG_QUALITY, QUALITY])
    if not done:
        raise OutputError(f"a picture of {frame.image.shape[1]}x{frame.image.shape[0]} cannot be encoded as JPEG")
    return data.tobytes()


def _scaled(image: Image, width: int) -> Image:
    height, native = image.shape[:2]
    if width >= native:
        return image
    size = (width, max(1, round(height * width / native)))
    return np.asarray(cv2.resize(image, size, interpolation=cv2.INTER_AREA), np.uint8)
