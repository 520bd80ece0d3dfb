"""Which encoder and which pixel format a picture goes to, and with which options."""

from __future__ import annotations

import os
from dataclasses import dataclass, replace
from fractions import Fraction

import av
from av import VideoFormat
from av.codec.codec import UnknownCodecError
from av.container import OutputContainer
from av.video.stream import VideoStream

from streamfilter.config import MediaConfig
from streamfilter.errors import ConfigError, OutputError
from streamfilter.media.info import UNSPECIFIED, Colour, Kind, SourceInfo

DEFAULT_CODEC = "libx264"
# The container that cannot hold H.264; for the others it is the codec that everything plays.
CONTAINER_CODEC = {"webm": "libvpx-vp9"}
ALIASES = {"h264": "libx264", "h265": "libx265", "hevc": "libx265", "vp9": "libvpx-vp9", "av1": "libsvtav1"}
# These can hold an odd width or height in 4:2:0; H.264 and H.265 crop in whole chroma samples only.
ODD_IN_420 = frozenset({"libvpx-vp9", "libaom-av1"})
# AVI has no presentation times: reordered frames would be shown in the wrong order.
NO_REORDER = frozenset({"avi"})
# These add up a track's duration in decoding order, where reordered frames of uneven length come out wrong.
SUMS_DURATION = frozenset({"mp4", "mov", "ipod"})
MAX_BITS = 10
FALLBACK_FPS = Fraction(25)
_SPEED = {
    "libvpx-vp9": {"deadline": "good", "cpu-used": "5", "row-mt": "1", "b": "0"},
    "libx265": {"x265-params": "log-level=error"},
}
_SVT_PRESET = {"ultrafast": "12", "superfast": "11", "veryfast": "10", "faster": "9", "fast": "8", "medium": "7"}
_ODD_NOTICE = (
    "the odd size is kept exactly as H.264 4:4:4, which browsers other than Chrome and many TV sets do not play; "
    "--codec libvpx-vp9 keeps it in 4:2:0"
)


@dataclass(frozen=True)
class PixelClass:
    """Chroma resolution (`420`, `422`, `444`) and bits of a pixel format."""

    chroma: str
    bits: int

    @classmethod
    def of(cls, pix_fmt: str) -> PixelClass:
        """The class of a format by FFmpeg's name; palettes count as photographs do."""
        form = VideoFormat(pix_fmt, 16, 16)
        bits = max((c.bits for c in form.components), default=8)
        if form.has_palette or pix_fmt.startswith("gray"):
            return cls("420", bits)
        across, down = 16 // form.chroma_width(16), 16 // form.chroma_height(16)
        return cls({(1, 1): "444", (2, 1): "422"}.get((across, down), "420"), bits)

    @property
    def name(self) -> str:
        """FFmpeg's planar YUV format of this class."""
        return f"yuv{self.chroma}p" + (f"{self.bits}le" if self.bits > 8 else "")


def encoder_name(config: MediaConfig, suffix: str) -> str:
    """The encoder to use for a file with this ending."""
    if config.codec:
        return ALIASES.get(config.codec, config.codec)
    return CONTAINER_CODEC.get(suffix.removeprefix("."), DEFAULT_CODEC)


def choose_pix_fmt(encoder: str, info: SourceInfo) -> tuple[str, list[str]]:
    """The pixel format nearest to the source's that the encoder has, and what to tell the user.

    Raises:
        ConfigError: there is no such encoder.
    """
    held = _formats(encoder)
    source = PixelClass.of(info.pix_fmt)
    wanted = PixelClass("420" if info.kind is Kind.GIF else source.chroma, source.bits)
    notices = []
    if source.bits > 8:
        notices.append(f"the source has {source.bits} bits a channel; the picture is processed with 8")
    if wanted.chroma != "444" and _is_odd(info) and encoder not in ODD_IN_420:
        wanted = PixelClass("444", wanted.bits)
        notices.append(_ODD_NOTICE)
    for candidate in _ladder(wanted):
        if candidate.name in held or not held:
            if candidate != wanted:
                notices.append(f"{wanted.name} is beyond {encoder}; written as {candidate.name}")
            return candidate.name, notices
    return held[0], [*notices, f"{wanted.name} is beyond {encoder}; written as {held[0]}"]


def add_video(
    output: OutputContainer, encoder: str, info: SourceInfo, config: MediaConfig, pix_fmt: str
) -> VideoStream:
    """Add the picture stream.

    Raises:
        OutputError: the container cannot hold this codec.
        ConfigError: no such encoder.
    """
    _formats(encoder)
    if encoder == "libsvtav1":
        # The only way to keep this library from printing: warnings and above it says nothing to act on.
        os.environ.setdefault("SVT_LOG", "1")
    try:
        stream = output.add_stream(encoder, rate=info.fps or FALLBACK_FPS, options=_options(encoder, config))
    except ValueError as error:
        name = output.format.name
        raise OutputError(f"a {name} file cannot hold {encoder}; choose another --codec or file ending") from error
    if not isinstance(stream, VideoStream):
        raise ConfigError(f"--codec {encoder} is no video encoder")
    context = stream.codec_context
    stream.width, stream.height, stream.pix_fmt = info.width, info.height, pix_fmt
    context.time_base = info.time_base
    stream.time_base = info.time_base
    if info.sample_aspect_ratio:
        context.sample_aspect_ratio = info.sample_aspect_ratio
    colour = written_colour(info)
    context.color_primaries, context.color_trc = colour.primaries, colour.transfer
    context.colorspace, context.color_range = colour.matrix, colour.range
    # Slices cost quality; whole frames in parallel do not.
    stream.thread_type = "FRAME"
    if output.format.name in NO_REORDER or (info.variable_rate and output.format.name in SUMS_DURATION):
        context.max_b_frames = 0
    if encoder == "libx265" and output.format.name in ("mp4", "mov"):
        context.codec_tag = "hvc1"
    return stream


def written_colour(info: SourceInfo) -> Colour:
    """The tags to write. RGB sources leave as limited-range YUV: their own matrix (identity) and range end here."""
    if not VideoFormat(info.pix_fmt, 16, 16).is_rgb:
        return info.colour
    return replace(info.colour, matrix=UNSPECIFIED, range=0)


def _formats(encoder: str) -> list[str]:
    try:
        codec = av.Codec(encoder, "w")
    except UnknownCodecError as error:
        raise ConfigError(f"--codec {encoder}: this FFmpeg has no such encoder; libx264 is always there") from error
    if codec.type != "video":
        raise ConfigError(f"--codec {encoder} is no video encoder")
    return [f.name for f in codec.video_formats or ()]


def _is_odd(info: SourceInfo) -> bool:
    return bool(info.width % 2 or info.height % 2)


def _ladder(wanted: PixelClass) -> list[PixelClass]:
    bits = [b for b in (wanted.bits, MAX_BITS, 8) if b <= max(wanted.bits, 8)]
    chroma = [wanted.chroma] + (["420"] if wanted.chroma == "422" else [])
    return [PixelClass(c, b) for c in chroma for b in bits]


def _options(encoder: str, config: MediaConfig) -> dict[str, str]:
    known = {o.name for o in av.CodecContext.create(encoder, "w").supported_options.private}
    options = dict(_SPEED.get(encoder, {}))
    for quality in ("crf", "cq", "qp"):
        if quality in known:
            options[quality] = str(config.crf)
            break
    if encoder == "libsvtav1":
        options["preset"] = _SVT_PRESET.get(config.preset, config.preset)
    elif encoder in ("libx264", "libx264rgb", "libx265"):
        options["preset"] = config.preset
    return options
