"""streamfilter replaces every face in a video by the face of a person who does not exist.

    guard = build_filter(FilterConfig(), device=Device.CPU)
    for frame in frames:
        for safe in guard.push(frame):
            show(safe.image)
    for safe in guard.flush():
        show(safe.image)

or, from file to file, `filter_file("in.mp4", "out.mp4", guard, MediaConfig())`.
"""

from __future__ import annotations

from streamfilter.assemble import build_filter
from streamfilter.config import (
    AnonymizeConfig,
    Audio,
    DetectConfig,
    Device,
    FilterConfig,
    MediaConfig,
    TrackConfig,
)
from streamfilter.errors import (
    ConfigError,
    DamagedStreamError,
    DeviceError,
    InputError,
    ModelError,
    OutputError,
    ProtectionError,
    ShapeError,
    StreamFilterError,
)
from streamfilter.face_filter import FaceFilter
from streamfilter.file_job import Outcome, filter_file
from streamfilter.guard import Guard
from streamfilter.report import Summary
from streamfilter.structures import Action, Frame, Region, SafeFrame

__version__ = "0.1.0"

__all__ = [
    "Action",
    "AnonymizeConfig",
    "Audio",
    "ConfigError",
    "DamagedStreamError",
    "DetectConfig",
    "Device",
    "DeviceError",
    "FaceFilter",
    "FilterConfig",
    "Frame",
    "Guard",
    "InputError",
    "MediaConfig",
    "ModelError",
    "Outcome",
    "OutputError",
    "ProtectionError",
    "Region",
    "SafeFrame",
    "ShapeError",
    "StreamFilterError",
    "Summary",
    "TrackConfig",
    "__version__",
    "build_filter",
    "filter_file",
]
