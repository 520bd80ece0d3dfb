"""What is known of a live source by its first picture."""

from __future__ import annotations

from dataclasses import replace
from fractions import Fraction
from pathlib import Path

from streamfilter.media.address import Address
from streamfilter.media.connection import Connection, Picture
from streamfilter.media.info import Kind, SourceInfo
from streamfilter.media.live_clock import LIVE_TIME_BASE
from streamfilter.media.probe import describe

# Cameras that tell no rate make FFmpeg guess one, now and then that of their clock.
_BELIEVABLE_FPS = (Fraction(1, 10), Fraction(240))


def live_info(connection: Connection, first: Picture, address: Address) -> SourceInfo:
    """As of a file, without what a stream cannot promise; `path` is the address without its secrets."""
    info = describe(connection.container, connection.stream, first.frame, Kind.VIDEO)
    low, high = _BELIEVABLE_FPS
    return replace(
        info,
        path=Path(str(address)),
        time_base=LIVE_TIME_BASE,
        fps=info.fps if info.fps and low <= info.fps <= high else None,
        variable_rate=True,
        frames=None,
        start_s=0.0,
        duration_s=None,
    )
