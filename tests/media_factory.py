"""Small films made for tests, and plain looks at what was written; knows PyAV only, not what it helps to test.

Every frame is one grey level that tells its index (modulo `LEVELS`): neighbours differ far more than a codec loses.
"""

from __future__ import annotations

import itertools
import struct
from collections.abc import Mapping, Sequence
from fractions import Fraction
from pathlib import Path
from typing import Any

import av
import numpy as np

LEVEL = 8
LEVELS = 28
FIRST_LEVEL = 24
RATE = Fraction(1, 25)
AUDIO_RATE = 48_000


def grey(index: int) -> int:
    """The level of a frame."""
    return FIRST_LEVEL + LEVEL * (index % LEVELS)


def index_of(image: np.ndarray[Any, Any]) -> int:
    """The index that a picture tells, from its middle."""
    height, width = image.shape[:2]
    middle = image[height // 3 : height * 2 // 3 + 1, width // 3 : width * 2 // 3 + 1]
    return round((float(middle.mean()) - FIRST_LEVEL) / LEVEL)


def picture(index: int, width: int, height: int) -> np.ndarray[Any, Any]:
    """One frame: its grey level, with the upper left corner red to tell which way is up."""
    image = np.full((height, width, 3), grey(index), np.uint8)
    image[: height // 4, : width // 4] = (220, 30, 30)
    return image


def make_video(
    path: Path,
    *,
    frames: int = 10,
    width: int = 64,
    height: int = 48,
    time_base: Fraction = RATE,
    pts: Sequence[int] | None = None,
    codec: str = "libx264",
    pix_fmt: str = "yuv420p",
    options: Mapping[str, str] | None = None,
    colour: Mapping[str, int] | None = None,
    aspect: Fraction | None = None,
    degrees: int = 0,
    audio: Sequence[str] = (),
    subtitles: Sequence[str] = (),
    metadata: Mapping[str, str] | None = None,
    thumbnail: bool = False,
) -> Path:
    """Write a film; `audio` and `subtitles` name one codec per track."""
    scale = time_base.denominator
    while scale < 10_000:
        scale *= 2
    container_options = {"movie_timescale": str(scale)} if path.suffix in (".mp4", ".mov") else {}
    times = list(pts) if pts is not None else list(range(frames))
    with av.open(str(path), "w", container_options=container_options) as output:
        output.metadata.update(metadata or {})
        default = {"bf": "0", "crf": "5", "preset": "ultrafast"} if codec == "libx264" else {}
        video: Any = output.add_stream(codec, rate=25, options={**default, **(options or {})})
        video.width, video.height, video.pix_fmt = width, height, pix_fmt
        video.codec_context.time_base = time_base
        for name, value in (colour or {}).items():
            setattr(video.codec_context, name, value)
        if aspect:
            video.codec_context.sample_aspect_ratio = aspect
        if degrees:
            video.set_display_rotation(degrees)
        sounds = [_add_audio(output, name) for name in audio]
        texts = [_add_subtitles(output, name) for name in subtitles]
        cover = _add_thumbnail(output) if thumbnail else None
        output.start_encoding()
        if cover is not None:
            output.mux(cover)
        for index, time in enumerate(times):
            frame = av.VideoFrame.from_ndarray(picture(index, width, height), format="rgb24")
            frame = frame.reformat(format=pix_fmt, dst_colorspace=5 if "yuv" in pix_fmt else None)
            frame.pts, frame.time_base = time, time_base
            output.mux(video.encode(frame))
        output.mux(video.encode(None))
        for sound in sounds:
            _write_audio(output, sound, float((times[-1] + 1) * time_base))
        for text in texts:
            _write_subtitle(output, text)
    return path


def _add_audio(output: Any, codec: str) -> Any:
    stream = output.add_stream(codec, rate=AUDIO_RATE)
    stream.codec_context.layout = "mono"
    stream.metadata["language"] = "deu"
    stream.metadata["title"] = "Anna speaks"
    return stream


def _write_audio(output: Any, stream: Any, seconds: float) -> None:
    samples = max(int(seconds * AUDIO_RATE), 4096)
    wave = (np.sin(np.arange(samples) / 20) * 8000).astype(np.int16)
    frame = av.AudioFrame.from_ndarray(wave[None], format="s16", layout="mono")
    frame.sample_rate, frame.pts, frame.time_base = AUDIO_RATE, 0, Fraction(1, AUDIO_RATE)
    output.mux(stream.encode(frame))
    output.mux(stream.encode(None))


ASS_HEADER = (
    b"[Script Info]\r\nScriptType: v4.00+\r\n\r\n[V4+ Styles]\r\nFormat: Name, Fontname, Fontsize\r\n"
    b"Style: Default,Arial,16\r\n\r\n[Events]\r\nFormat: Layer, Start, End, Style, Text\r\n"
)


def _add_subtitles(output: Any, codec: str) -> Any:
    stream = output.add_stream(codec)
    stream.codec_context.subtitle_header = ASS_HEADER
    stream.time_base = stream.codec_context.time_base = Fraction(1, 1000)
    stream.metadata["language"] = "fra"
    return stream


def _write_subtitle(output: Any, stream: Any) -> None:
    packet = av.Packet(b"Bonjour")
    packet.stream, packet.time_base = stream, Fraction(1, 1000)
    packet.pts = packet.dts = 40
    packet.duration = 120
    output.mux(packet)


def _add_thumbnail(output: Any) -> Any:
    stream = output.add_stream("mjpeg", rate=1)
    stream.width, stream.height, stream.pix_fmt = 32, 32, "yuvj420p"
    stream.disposition = av.stream.Disposition.attached_pic
    frame = av.VideoFrame.from_ndarray(np.full((32, 32, 3), 200, np.uint8), format="rgb24").reformat(format="yuvj420p")
    frame.pts, frame.time_base = 0, Fraction(1, 25)
    return [*stream.encode(frame), *stream.encode(None)]


# --- looking at files ---


def film(path: Path, limit: int | None = None) -> tuple[list[Fraction], list[np.ndarray[Any, Any]]]:
    """Times and RGB pictures of a file (of its first `limit` frames), as any player would get them."""
    with av.open(str(path)) as container:
        stream = container.streams.video[0]
        frames = list(itertools.islice(container.decode(stream), limit))
        times = [Fraction(f.pts if f.pts is not None else f.dts) * Fraction(f.time_base) for f in frames]
        return times, [f.to_ndarray(format="rgb24") for f in frames]


def times(path: Path) -> list[Fraction]:
    """Presentation times in seconds, exact."""
    return film(path)[0]


def tracks(path: Path, kind: str) -> list[tuple[str, int]]:
    """Codec and number of packets of every track of a kind."""
    with av.open(str(path)) as container:
        streams = [s for s in container.streams if s.type == kind]
        counts = dict.fromkeys((s.index for s in streams), 0)
        for packet in container.demux(*streams) if streams else ():
            counts[packet.stream.index] += bool(packet.size)
        return [(s.codec_context.name, counts[s.index]) for s in streams]


def words(path: Path) -> str:
    """All metadata of a file and its tracks in one string."""
    with av.open(str(path)) as container:
        found = dict(container.metadata), [dict(s.metadata) for s in container.streams], container.chapters()
        return str(found)


def damage(path: Path, *, at: float = 0.5, length: int = 300) -> Path:
    """Overwrite bytes in the middle with noise that repeats."""
    data = bytearray(path.read_bytes())
    start = int(len(data) * at)
    noise = np.random.default_rng(3).integers(0, 256, length, dtype=np.uint8).tobytes()
    data[start : start + length] = noise
    path.write_bytes(data)
    return path


def exif_jpeg(image: np.ndarray[Any, Any], orientation: int) -> bytes:
    """A JPEG with an EXIF block that tells an orientation and a camera."""
    import cv2

    _, data = cv2.imencode(".jpg", image[..., ::-1], [cv2.IMWRITE_JPEG_QUALITY, 98])
    jpeg = data.tobytes()
    camera = b"SecretCam\x00"
    entries = struct.pack(">HHI4s", 0x0112, 3, 1, struct.pack(">HH", orientation, 0))
    entries = struct.pack(">HHII", 0x010F, 2, len(camera), 38) + entries
    tiff = b"MM\x00*" + struct.pack(">I", 8) + struct.pack(">H", 2) + entries + struct.pack(">I", 0) + camera
    exif = b"Exif\x00\x00" + tiff
    return jpeg[:2] + b"\xff\xe1" + struct.pack(">H", len(exif) + 2) + exif + jpeg[2:]
