"""What FFmpeg does not tell of a GIF: how often it repeats."""

from __future__ import annotations

import struct
from pathlib import Path

FOREVER = 0
ONCE = -1
_LOOP = b"\x21\xff\x0bNETSCAPE2.0\x03\x01"
_LOOP_WITHIN_BYTES = 1 << 16


def loop_of(path: Path) -> int:
    """Repeat count of a GIF as FFmpeg's muxer takes it: 0 for ever, -1 once, n that many times more."""
    with path.open("rb") as file:
        head = file.read(_LOOP_WITHIN_BYTES)
    at = head.find(_LOOP)
    if at < 0 or len(head) < at + len(_LOOP) + 2:
        return ONCE
    (count,) = struct.unpack_from("<H", head, at + len(_LOOP))
    return int(count)
