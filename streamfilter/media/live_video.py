"""Protected pictures to H.264 or H.265 without delay: one packet for each frame, at once."""

from __future__ import annotations

from fractions import Fraction

import av
import cv2
import numpy as np
from av import FFmpegError
from av.codec.codec import UnknownCodecError
from av.codec.hwaccel import HWAccel
from av.container import OutputContainer
from av.video.frame import PictureType
from av.video.stream import VideoStream

from streamfilter.errors import ConfigError, OutputError
from streamfilter.media.colour import RgbWriter
from streamfilter.media.encoded import TICKS, EncodedPacket, TrackKind
from streamfilter.media.encoder import ALIASES
from streamfilter.media.info import Colour
from streamfilter.structures import Image, SafeFrame

CODECS = ("h264", "hevc")
_LIMITED = 1
_HD_LINES = 720
_BT709, _BT601 = 1, 6
# What each encoder calls: no look-ahead, no reordering, no queue; and a demanded key frame being a point to join at.
_NO_DELAY = {
    "tune": {"libx264": "zerolatency", "libx265": "zerolatency", "h264_nvenc": "ull", "hevc_nvenc": "ull"},
    "delay": {"h264_nvenc": "0", "hevc_nvenc": "0"},
    "zerolatency": {"h264_nvenc": "1", "hevc_nvenc": "1"},
}
_NO_DELAY_ANY = {"forced-idr": "1", "forced_idr": "1", "async_depth": "1", "realtime": "1"}
# Key frames come when they are due by the clock; a scene cut would bring one more, the largest, out of turn.
_NO_CUTS = {"sc_threshold": "0", "no-scenecut": "1"}
_NEVER = 100_000


class LiveVideo:
    """The video stream of an encoder's container.

    Args:
        output: Where the stream is added; it opens the codec.
        codec: FFmpeg's encoder, or `h264`, `h265`.
        size: Width and height of the frames to come; odd ones are made even by repeating the last column or line.
        fps: Expected; what rate control plans with.

    Raises:
        ConfigError: No such encoder, or one of another codec.
    """

    def __init__(
        self,
        output: OutputContainer,
        codec: str,
        size: tuple[int, int],
        fps: Fraction,
        *,
        preset: str,
        crf: int,
        max_kbps: int | None,
        key_interval_s: float,
        threads: int,
    ) -> None:
        self._size = size
        self.width, self.height = (edge + edge % 2 for edge in size)
        self._interval = round(key_interval_s / TICKS)
        self._step = round(1 / (fps * TICKS))
        self._last = self._last_key = -_NEVER * self._interval
        self._captured: dict[int, float | None] = {}
        self.key_wanted = False
        encoder, self.codec = _known(codec)
        colour = Colour(matrix=_BT709 if self.height >= _HD_LINES else _BT601, range=_LIMITED)
        self._writer = RgbWriter("yuv420p", self.height, colour)
        options = _options(encoder, preset, crf, max_kbps)
        self._stream = _add(output, encoder, fps, options)
        self._set_up(colour, threads)

    def _set_up(self, colour: Colour, threads: int) -> None:
        context = self._stream.codec_context
        self._stream.width, self._stream.height, self._stream.pix_fmt = self.width, self.height, "yuv420p"
        context.time_base = self._stream.time_base = TICKS
        context.colorspace, context.color_range = colour.matrix, colour.range
        context.gop_size, context.max_b_frames = _NEVER, 0
        context.thread_count = threads

    @property
    def extradata(self) -> bytes:
        """Parameter sets, once the codec is open.

        Raises:
            ConfigError: The encoder keeps them to itself.
        """
        data = self._stream.codec_context.extradata
        if not data or data[0] == 1:
            raise ConfigError(f"the encoder {self._stream.codec_context.name} tells no parameter sets; use libx264")
        return bytes(data)

    def encode(self, frame: SafeFrame) -> list[EncodedPacket]:
        """The packet of this frame; a time that does not rise is moved forward by a tick.

        Raises:
            OutputError: A frame of another size, or one without a time.
        """
        height, width = frame.image.shape[:2]
        if (width, height) != self._size:
            raise OutputError(f"a frame of {width}x{height} came for a stream of {self._size[0]}x{self._size[1]}")
        if frame.pts is None:
            raise OutputError(f"frame {frame.index} of a live stream has no time")
        picture = self._writer(_even(frame.image))
        picture.pts, picture.time_base = self._placed(frame.pts * frame.time_base), TICKS
        if self._key_due(picture.pts):
            picture.pict_type = PictureType.I
        self._captured[picture.pts] = frame.captured_s
        return [self._packet(packet) for packet in self._stream.encode(picture)]

    def flush(self) -> list[EncodedPacket]:
        """What an encoder with a delay of its own still holds."""
        return [self._packet(packet) for packet in self._stream.encode(None)]

    def _placed(self, time_s: Fraction) -> int:
        pts = max(round(time_s / TICKS), self._last + 1)
        if 0 < pts - self._last < self._interval:
            self._step = pts - self._last
        self._last = pts
        return pts

    def _key_due(self, pts: int) -> bool:
        """Whether one is wanted, or the next frame would come too late to be one (half a frame aside: times jitter)."""
        due = self.key_wanted or pts + self._step // 2 > self._last_key + self._interval
        if due:
            self._last_key, self.key_wanted = pts, False
        return due

    def _packet(self, packet: av.Packet[VideoStream]) -> EncodedPacket:
        pts = packet.pts if packet.pts is not None else self._last
        dts = packet.dts if packet.dts is not None else pts
        data = bytes(packet)
        return EncodedPacket(
            kind=TrackKind.VIDEO,
            # In front of every key frame, so that a reader may join there.
            data=self.extradata + data if packet.is_keyframe else data,
            pts=pts,
            dts=dts,
            duration=self._step,
            time_base=TICKS,
            is_key=packet.is_keyframe,
            captured_s=self._captured.pop(pts, None),
        )


def _even(image: Image) -> Image:
    height, width = image.shape[:2]
    if not (height % 2 or width % 2):
        return image
    return np.asarray(cv2.copyMakeBorder(image, 0, height % 2, 0, width % 2, cv2.BORDER_REPLICATE), np.uint8)


def _known(name: str) -> tuple[str, str]:
    """FFmpeg's encoder, and the codec that it writes."""
    encoder = ALIASES.get(name, name)
    try:
        codec = av.Codec(encoder, "w").canonical_name
    except UnknownCodecError:
        raise ConfigError(f"--codec {name}: this FFmpeg has no such encoder; libx264 is always there") from None
    if codec not in CODECS:
        raise ConfigError(f"--codec {name}: live streams are H.264 or H.265; choose libx264, libx265 or a hardware one")
    return encoder, codec


def _add(output: OutputContainer, encoder: str, fps: Fraction, options: dict[str, str]) -> VideoStream:
    try:
        hwaccel = HWAccel("vaapi") if encoder.endswith("_vaapi") else None
        stream = output.add_stream(encoder, rate=fps, options=options, hwaccel=hwaccel)
    except (FFmpegError, ValueError, RuntimeError) as error:
        raise no_device(encoder, error) from error
    assert isinstance(stream, VideoStream)
    return stream


def no_device(encoder: str, error: Exception) -> ConfigError:
    """What to say of an encoder that FFmpeg has, and the machine has not."""
    text = getattr(error, "strerror", None) or error
    return ConfigError(f"--codec {encoder} cannot be used on this machine ({text}); libx264 needs no device")


def _options(encoder: str, preset: str, crf: int, max_kbps: int | None) -> dict[str, str]:
    """What this encoder knows of what is wanted."""
    wanted = {name: by[encoder] for name, by in _NO_DELAY.items() if encoder in by} | _NO_DELAY_ANY | _NO_CUTS
    if encoder.startswith("libx26"):
        wanted["preset"] = preset
    context = av.CodecContext.create(encoder, "w")
    known = {option.name for option in context.supported_options.private}
    options = {name: value for name, value in wanted.items() if name in known}
    quality = next((name for name in ("crf", "cq", "qp") if name in known), None)
    if quality:
        options[quality] = str(crf)
    if max_kbps:
        options |= {"maxrate": f"{max_kbps}k", "bufsize": f"{max_kbps}k"}
    return options
