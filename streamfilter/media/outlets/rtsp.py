"""Pushing to an RTSP server (ANNOUNCE and RECORD), over one TCP connection."""

from __future__ import annotations

from streamfilter.media.outlets.push import PushOutlet


class RtspOutlet(PushOutlet):
    """`rtsp://` and `rtsps://`."""

    container = "rtsp"

    def options(self) -> dict[str, str]:
        """Interleaved: what goes out is what arrives, and no port need be open at either end."""
        return {"rtsp_transport": "tcp", "timeout": str(int(self._config.write_timeout_s * 1e6))}
