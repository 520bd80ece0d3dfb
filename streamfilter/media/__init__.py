"""Everything that touches media files; the only importer of `av`. Live sources join here as further `Source`s."""

from __future__ import annotations

from streamfilter.media.damage import Damage
from streamfilter.media.info import Colour, Kind, SourceInfo, TrackInfo
from streamfilter.media.jobs import Job, Plan, plan_jobs
from streamfilter.media.opening import open_sink, open_source
from streamfilter.media.sink import Sink
from streamfilter.media.source import Source

__all__ = [
    "Colour",
    "Damage",
    "Job",
    "Kind",
    "Plan",
    "Sink",
    "Source",
    "SourceInfo",
    "TrackInfo",
    "open_sink",
    "open_source",
    "plan_jobs",
]
