"""Which FFmpeg this is and what it was built with, for `doctor` and `bench`."""

from __future__ import annotations

import av

# Those that end in the name of a maker's interface need its hardware: built in says nothing about the machine.
ENCODERS = (
    "libx264", "libx265", "libvpx-vp9", "libsvtav1",
    "h264_nvenc", "hevc_nvenc", "av1_nvenc", "h264_qsv", "hevc_qsv", "av1_qsv", "h264_amf", "hevc_amf", "av1_amf",
    "h264_vaapi", "hevc_vaapi", "av1_vaapi", "h264_videotoolbox", "hevc_videotoolbox",
)  # fmt: skip
DECODERS = ("h264", "hevc", "av1", "vp9", "mpeg4", "mjpeg", "prores")


def versions() -> dict[str, str]:
    """Version of PyAV and of FFmpeg's libraries."""
    libraries = {name: ".".join(map(str, number)) for name, number in av.library_versions.items()}
    return {"av": av.__version__, **libraries}


def encoders() -> dict[str, bool]:
    """Whether each video encoder that matters was built in."""
    return {name: name in av.codecs_available for name in ENCODERS}


def decoders() -> dict[str, bool]:
    """Whether each common video codec can be read."""
    return {name: name in av.codecs_available for name in DECODERS}
