"""What streamfilter writes into its results, and how it is told again: that the picture was changed."""

from __future__ import annotations

import struct
import zlib
from collections.abc import Mapping
from pathlib import Path

from av.container import OutputContainer

from streamfilter.media.container import open_container
from streamfilter.media.info import Kind

SIGNATURE = "faces replaced by streamfilter"
COMMENT = "comment"
_JPEG_START, _JFIF = b"\xff\xd8", b"\xff\xe0"
_JPEG_COMMENT = b"\xff\xfe" + struct.pack(">H", len(SIGNATURE) + 2) + SIGNATURE.encode()
_PNG_TEXT = b"tEXt" + b"Comment\x00" + SIGNATURE.encode()
_PNG_COMMENT = struct.pack(">I", len(_PNG_TEXT) - 4) + _PNG_TEXT + struct.pack(">I", zlib.crc32(_PNG_TEXT))
_PNG_END = b"\x00\x00\x00\x00IEND\xaeB`\x82"
_TAIL_BYTES = 1 << 12


def signed(comment: str) -> str:
    """The source's own comment, if any, with ours behind it; never twice."""
    if SIGNATURE in comment:
        return comment
    return f"{comment}; {SIGNATURE}" if comment.strip() else SIGNATURE


def sign(output: OutputContainer) -> None:
    """Say it in a container's comment; MPEG transport streams have no place for one, nor has FFmpeg's GIF."""
    own = next((key for key in output.metadata if key.lower() == COMMENT), COMMENT)
    output.metadata[own] = signed(output.metadata.get(own, ""))


def comment_of(metadata: Mapping[str, str]) -> str:
    """A container's comment; Matroska spells its name in capitals."""
    return next((value for key, value in metadata.items() if key.lower() == COMMENT), "")


def signed_picture(data: bytes) -> bytes:
    """An encoded JPEG or PNG with our comment in it; other formats as they are."""
    if data.startswith(_JPEG_START):
        at = 4 + int.from_bytes(data[4:6], "big") if data[2:4] == _JFIF else 2  # that must stay the first segment
        return data[:at] + _JPEG_COMMENT + data[at:]
    if data.startswith(b"\x89PNG") and data.endswith(_PNG_END):
        return data[: -len(_PNG_END)] + _PNG_COMMENT + _PNG_END
    return data


def is_signed(path: Path, kind: Kind) -> bool:
    """Whether a file says that streamfilter made it. A file that does not say so may still be its result."""
    if kind is not Kind.IMAGE:
        with open_container(path) as container:
            return SIGNATURE in comment_of(container.metadata)
    with path.open("rb") as file:
        head = file.read(_TAIL_BYTES)
        file.seek(max(path.stat().st_size - _TAIL_BYTES, 0))
        return SIGNATURE.encode() in head or SIGNATURE.encode() in file.read()
