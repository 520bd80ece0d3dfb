"""What is installed: the versions that a report of any kind should name."""

from __future__ import annotations

import platform
from importlib.metadata import PackageNotFoundError, version

from streamfilter.media import ffmpeg_build

PACKAGES = (
    "streamfilter",
    "numpy",
    "opencv-python",
    "onnxruntime-gpu",
    "onnxruntime",
    "dlib-bin",
    "click",
    "rich",
)


def versions() -> dict[str, str]:
    """Version of Python, of the system, of every package that does the work, and of FFmpeg's libraries."""
    found = {"python": platform.python_version(), "system": platform.platform()}
    for package in PACKAGES:
        try:
            found[package] = version(package)
        except PackageNotFoundError:  # of the two builds of ONNX Runtime only one is there
            continue
    return found | ffmpeg_build.versions()
