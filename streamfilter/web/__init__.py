"""The live page: what cameras show and how they fare, for browsers, Prometheus and health probes."""

from __future__ import annotations

from streamfilter.web.access import new_token
from streamfilter.web.gallery import Gallery
from streamfilter.web.server import WebServer
from streamfilter.web.status import CameraStatus

__all__ = ["CameraStatus", "Gallery", "WebServer", "new_token"]
