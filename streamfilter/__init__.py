"""streamfilter replaces every face in a video by the face of a person who does not exist."""

from __future__ import annotations

__version__ = "0.1.0"
