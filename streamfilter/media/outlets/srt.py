"""MPEG-TS over SRT, where FFmpeg was built with it (PyAV's own wheels are not)."""

from __future__ import annotations

from streamfilter.media.outlets.push import PushOutlet


class SrtOutlet(PushOutlet):
    """`srt://`."""

    container = "mpegts"
