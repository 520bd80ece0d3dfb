"""What FFmpeg must be told to open a live address: the format where it cannot be guessed, and its options."""

from __future__ import annotations

import sys
from collections.abc import Callable
from dataclasses import dataclass, field

from streamfilter.errors import InputError
from streamfilter.live_config import LiveConfig
from streamfilter.media.address import SOURCES, Address, AddressKind

# Time, bytes and frames (for their rate) to look at before the first frame: a picture that moves is worth more than a
# rate that is sure. What is looked at is kept: with FFmpeg's `nobuffer` the key frame among it would be lost, and with
# it the picture up to the next one.
_PROBE = {"analyzeduration": "500000", "probesize": "1000000", "fpsprobesize": "0"}
_TEST_SIZE = (640, 360)
_TEST_RATE = "25"
_WEBCAM = {"linux": "v4l2", "darwin": "avfoundation", "win32": "dshow"}
_SCREEN = {"linux": ("x11grab", ""), "darwin": ("avfoundation", "Capture screen 0"), "win32": ("gdigrab", "desktop")}
# These count frames, not time: what they say is when a frame would be shown if the camera kept 25 a second.
UNTIMED_FORMATS = frozenset({"mpjpeg", "mjpeg", "jpeg_pipe", "png_pipe", "h264", "hevc"})
# FFmpeg hands these out as fast as it can.
UNPACED_KINDS = frozenset({AddressKind.FILE, AddressKind.HLS, AddressKind.TEST})
# These may come to an end of their own; what any other address gives is only ever interrupted.
ENDING_KINDS = frozenset({AddressKind.FILE, AddressKind.HLS, AddressKind.HTTP})


@dataclass(frozen=True, kw_only=True)
class LiveInput:
    """Arguments of `av.open`; `url` is secret."""

    url: str = field(repr=False)
    format: str | None = None
    options: dict[str, str] = field(default_factory=dict, repr=False)


def live_input(address: Address, config: LiveConfig, *, audio: bool) -> LiveInput:
    """How to open `address`.

    Raises:
        InputError: Nothing can be read there.
    """
    if address.kind not in SOURCES:
        raise InputError(f"{address} can be written to, not read; give a camera, a URL or a file as source")
    special = _SPECIAL.get(address.kind)
    if special is not None:
        return special(address, config)
    options = dict(_PROBE)
    if address.kind is AddressKind.RTSP:
        options["rtsp_transport"] = str(config.rtsp_transport)
        options["allowed_media_types"] = "video+audio" if audio else "video"
    if address.kind is AddressKind.UDP:
        options |= {"overrun_nonfatal": "1", "fifo_size": "50000"}
    is_ts = address.kind in (AddressKind.UDP, AddressKind.SRT)
    return LiveInput(url=address.url, format="mpegts" if is_ts else None, options=options)


def _webcam(address: Address, config: LiveConfig) -> LiveInput:
    name = _WEBCAM.get(sys.platform)
    if name is None:
        raise InputError(f"{address}: webcams cannot be read on {sys.platform}; give an RTSP or HTTP address")
    options = _picture_options(address, config)
    if "format" in address.options:
        options["input_format" if name == "v4l2" else "pixel_format"] = address.options["format"]
    url = address.url if name == "v4l2" else address.url.removeprefix("/dev/video")
    return LiveInput(url=f"video={url}" if name == "dshow" else url, format=name, options=options)


def _screen(address: Address, config: LiveConfig) -> LiveInput:
    name, whole = _SCREEN.get(sys.platform, (None, ""))
    if name is None:
        raise InputError(f"{address}: the screen cannot be read on {sys.platform}")
    return LiveInput(url=address.url or whole, format=name, options=_picture_options(address, config))


def _test(address: Address, config: LiveConfig) -> LiveInput:
    asked = _picture_options(address, config)
    size = asked.get("video_size", f"{_TEST_SIZE[0]}x{_TEST_SIZE[1]}")
    rate = asked.get("framerate", _TEST_RATE)
    if not set(size + rate) <= set("0123456789x/."):
        raise InputError(f"{address}: a test picture is asked for as test:?size=640x360&rate=25")
    return LiveInput(url=f"testsrc2=size={size}:rate={rate}", format="lavfi")


def _picture_options(address: Address, config: LiveConfig) -> dict[str, str]:
    """Size and rate as asked for: at the address, else in the settings."""
    options = {}
    if config.size is not None:
        options["video_size"] = f"{config.size[0]}x{config.size[1]}"
    if config.rate is not None:
        options["framerate"] = str(config.rate)
    renamed = {"size": "video_size", "rate": "framerate"}
    return options | {renamed[key]: value for key, value in address.options.items() if key in renamed}


_SPECIAL: dict[AddressKind, Callable[[Address, LiveConfig], LiveInput]] = {
    AddressKind.WEBCAM: _webcam,
    AddressKind.SCREEN: _screen,
    AddressKind.TEST: _test,
}
