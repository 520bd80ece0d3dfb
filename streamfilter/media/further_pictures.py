"""Pictures beside the picture: other video streams, covers, thumbnails. What shows one picture rarely shows them."""

from __future__ import annotations

import re
import struct
import zlib
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path

import cv2
from av.container import InputContainer

from streamfilter.errors import InputError

JPEG_START = b"\xff\xd8\xff"
PNG_START = b"\x89PNG\r\n\x1a\n"
# Also a thumbnail in XMP, and the film that a phone appends to a photo.
_PICTURE = re.compile(rb"\xff\xd8\xff|\x89PNG\r\n\x1a\n|<xmpGImg:image|ftyp(?:isom|mp4|qt  |avc1|heic|mif1)")
MOST_INFLATED = 1 << 24
# Their payload is the picture itself; in compressed data any bytes may occur.
_PIXELS = frozenset({b"IDAT", b"fdAT", b"VP8 ", b"VP8L", b"ALPH", b"ANMF"})
_PACKED = frozenset({b"zTXt", b"iTXt"})


def further_streams(container: InputContainer, shown: int) -> int:
    """Video streams, covers and attached pictures of a video beside the stream with index `shown`."""
    return sum(stream.index != shown and _is_picture(stream) for stream in container.streams)


def _is_picture(stream: object) -> bool:
    kind, words = getattr(stream, "type", ""), getattr(stream, "metadata", {})
    media = next((value for key, value in words.items() if key.lower() == "mimetype"), "")
    return kind == "video" or (kind == "attachment" and media.startswith(("image/", "video/")))


def further_pictures(path: Path) -> int:
    """Thumbnails (EXIF, XMP, Photoshop), further pages, and appended pictures and films of a still picture.

    A thumbnail is told where it is a JPEG or PNG, as good as always; uncompressed ones are not.

    Raises:
        InputError: the file cannot be read.
    """
    try:
        data = path.read_bytes()
    except OSError as error:
        raise InputError(f"{path} cannot be read: {error.strerror}; check that it is there and readable") from error
    if data.startswith(JPEG_START):  # never within coded pixels: there 0xff is followed by 0
        return _pictures(data[len(JPEG_START) :])
    if data.startswith(PNG_START):
        return sum(map(_pictures, _png_parts(data)))
    if data.startswith(b"RIFF"):
        return sum(map(_pictures, _webp_parts(data)))
    if data.startswith((b"II*\x00", b"MM\x00*")):
        return max(cv2.imcount(str(path)) - 1, 0)
    return 0


def _pictures(data: bytes) -> int:
    return len(_PICTURE.findall(data))


def _png_parts(data: bytes) -> Iterator[bytes]:
    """All chunks but the pixels, and what follows the last one."""
    at = len(PNG_START)
    while at + 12 <= len(data):
        length, name = struct.unpack_from(">I4s", data, at)
        body = data[at + 8 : at + 8 + length]
        at += 12 + length
        if name in _PACKED:
            yield _inflated(body)
        if name not in _PIXELS:
            yield body
        if name == b"IEND":
            break
    yield data[at:]


def _inflated(body: bytes) -> bytes:
    """What a text chunk holds if it is compressed; otherwise nothing."""
    _, _, rest = body.partition(b"\0")
    for start in (1, rest.find(b"\0", rest.find(b"\0", 2) + 1) + 1):  # zTXt; iTXt, after language and translation
        with suppress(zlib.error):
            return zlib.decompressobj().decompress(rest[start:], MOST_INFLATED)
    return b""


def _webp_parts(data: bytes) -> Iterator[bytes]:
    """All chunks but the pixels, and what follows the last one."""
    end = min(struct.unpack_from("<I", data, 4)[0] + 8, len(data)) if len(data) >= 12 else len(data)
    at = 12
    while at + 8 <= end:
        name, length = struct.unpack_from("<4sI", data, at)
        if name not in _PIXELS:
            yield data[at + 8 : at + 8 + length]
        at += 8 + length + length % 2
    yield data[end:]
