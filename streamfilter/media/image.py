"""Single pictures as sources and sinks of one frame: upright, without EXIF, alpha kept beside the colours."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager, suppress
from fractions import Fraction
from pathlib import Path
from types import TracebackType
from typing import Self

import cv2
import numpy as np
from numpy.typing import NDArray

from streamfilter.config import MediaConfig
from streamfilter.errors import InputError, OutputError
from streamfilter.media.damage import Damage
from streamfilter.media.info import Kind, SourceInfo
from streamfilter.media.kinds import IMAGE_SUFFIXES
from streamfilter.media.orientation import Orientation
from streamfilter.media.signature import signed_picture
from streamfilter.media.sink import Sink
from streamfilter.media.source import Source
from streamfilter.media.target import Target
from streamfilter.structures import Frame, Image, SafeFrame

QUALITY = {
    ".jpg": [cv2.IMWRITE_JPEG_QUALITY, 95],
    ".jpeg": [cv2.IMWRITE_JPEG_QUALITY, 95],
    ".webp": [cv2.IMWRITE_WEBP_QUALITY, 95],
}
HOLDS_ALPHA = frozenset({".png", ".webp", ".tif", ".tiff"})
PNG = b"\x89PNG"
PNG_END = b"IEND"
TAIL_BYTES = 1 << 16
_TURNS = [Orientation(t, x, y) for t in (False, True) for x in (False, True) for y in (False, True)]


class ImageSource:
    """One still picture as a source of a single frame.

    Raises:
        InputError: it cannot be decoded.
    """

    def __init__(self, path: Path) -> None:
        self.path = path
        self.notices: list[str] = []
        self.damage = Damage()
        self.last_duration: int | None = None
        self.final_delay: int | None = None
        self._image, self.alpha = _read(path)
        height, width = self._image.shape[:2]
        self.info = SourceInfo(
            path=path,
            kind=Kind.IMAGE,
            container="image",
            codec=path.suffix.removeprefix(".").lower(),
            width=width,
            height=height,
            time_base=Fraction(1),
            frames=1,
            has_alpha=self.alpha is not None,
        )

    def __iter__(self) -> Iterator[Frame]:
        yield Frame(self._image, 0, 0, Fraction(1), still=True)

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    def close(self) -> None:
        """Nothing is open."""

    def raise_if_damaged(self) -> None:
        """A picture is read whole or refused at once."""


class ImageSink(Sink):
    """One still picture; its ending chooses the format.

    Raises:
        OutputError: it cannot be written there or in that format.
    """

    def __init__(self, path: Path, source: Source, config: MediaConfig) -> None:
        self._suffix = path.suffix.lower()
        if self._suffix not in IMAGE_SUFFIXES:
            raise OutputError(f"a picture cannot be written as {path.name}; use {', '.join(sorted(IMAGE_SUFFIXES))}")
        super().__init__(Target(path, source=source.info.path, overwrite=config.overwrite))
        self._alpha = source.alpha
        if self._alpha is not None and self._suffix not in HOLDS_ALPHA:
            self.notice(f"{self._suffix} holds no transparency; it is left out")
        if config.keep_metadata:
            self.notice("EXIF of pictures is dropped all the same: it can hold a thumbnail of the original")

    def _write(self, frame: SafeFrame) -> None:
        if self.frames_written:
            raise OutputError(f"{self.path} holds one picture, and a second frame came")
        picture = cv2.cvtColor(frame.image, cv2.COLOR_RGB2BGR)
        if self._alpha is not None and self._suffix in HOLDS_ALPHA:
            picture = np.dstack([picture, self._alpha])
        done, data = cv2.imencode(self._suffix, picture, QUALITY.get(self._suffix, []))
        if not done:
            raise OutputError(f"{self.path} could not be encoded")
        self._target.partial.write_bytes(signed_picture(data.tobytes()))

    def _finish(self) -> None: ...

    def _release(self) -> None: ...


def _read(path: Path) -> tuple[Image, Image | None]:
    try:
        data = np.frombuffer(path.read_bytes(), np.uint8)
    except OSError as error:
        raise InputError(f"{path} cannot be read: {error.strerror}") from error
    upright = stored = None
    # libpng would print its own complaint about a file without its end.
    if data[:4].tobytes() != PNG or PNG_END in data[-TAIL_BYTES:].tobytes():
        with suppress(cv2.error), _silence():
            upright = cv2.imdecode(data, cv2.IMREAD_COLOR)
            stored = cv2.imdecode(data, cv2.IMREAD_UNCHANGED)
    if upright is None or stored is None:
        raise InputError(f"{path} cannot be decoded as a picture; it is damaged or incomplete")
    alpha = (
        _upright_alpha(np.asarray(stored), np.asarray(upright, np.uint8))
        if stored.ndim == 3 and stored.shape[2] == 4
        else None
    )
    return np.asarray(cv2.cvtColor(upright, cv2.COLOR_BGR2RGB), np.uint8), alpha


@contextmanager
def _silence() -> Iterator[None]:
    """OpenCV prints what it cannot decode; the user gets one line from us instead."""
    level = cv2.utils.logging.getLogLevel()
    cv2.utils.logging.setLogLevel(cv2.utils.logging.LOG_LEVEL_SILENT)
    try:
        yield
    finally:
        cv2.utils.logging.setLogLevel(level)


def _upright_alpha(stored: NDArray[np.generic], upright: Image) -> Image | None:
    """The alpha plane, turned as the decoder turned the colours (it turns only what it reads without alpha)."""
    # 16 bits a channel keep their upper half, as the decoder does for the colours.
    eight_bit = stored.view(np.uint8)[..., 1::2] if stored.dtype == np.uint16 else stored.astype(np.uint8)
    alpha = np.ascontiguousarray(eight_bit[..., 3])
    if alpha.min() == 255:
        return None
    colours = np.ascontiguousarray(eight_bit[..., :3])
    same_size = [t for t in _TURNS if t.size(*colours.shape[1::-1]) == upright.shape[1::-1]]
    turn = min(same_size, key=lambda t: int(cv2.norm(t.apply(colours), upright, cv2.NORM_L1)))
    return turn.apply(alpha)
