"""Pushing to an RTMP server, as streaming services take it."""

from __future__ import annotations

from streamfilter.media.outlets.push import PushOutlet


class RtmpOutlet(PushOutlet):
    """`rtmp://` and `rtmps://`."""

    container = "flv"

    def options(self) -> dict[str, str]:
        """A stream has no length to be written at its end."""
        return {"flvflags": "no_duration_filesize"}
