"""A protected stream made for tests: every frame's grey tells its index, as in `media_factory`."""

from __future__ import annotations

from collections.abc import Iterator
from fractions import Fraction
from pathlib import Path

import av
import numpy as np

from streamfilter.media.address import Address
from streamfilter.media.encoded import EncodedPacket, StreamParameters
from streamfilter.media.live_audio import AudioChunk
from streamfilter.media.live_encoder import EncoderConfig, LiveEncoder
from streamfilter.media.outlets import Outlet, OutletConfig, open_outlet
from streamfilter.structures import SafeFrame
from tests.media_factory import grey, index_of

TICKS = Fraction(1, 90_000)
FPS = 25
STEP = 3600
SIZE = (96, 64)
QUICK = OutletConfig(open_timeout_s=10, write_timeout_s=1)

Encoded = tuple[StreamParameters, list[EncodedPacket]]


def safe(index: int, *, size: tuple[int, int] = SIZE, pts: int | None = None, grain: int = 0) -> SafeFrame:
    """One frame in one grey, with noise of `grain` levels if wanted."""
    image = np.full((size[1], size[0], 3), grey(index), np.uint8)
    if grain:
        image += np.random.default_rng(index).integers(0, grain, image.shape, np.uint8)
    return SafeFrame(image, index, index * STEP if pts is None else pts, TICKS, captured_s=float(index))


def tone(index: int, *, frames: int = 1) -> AudioChunk:
    """The sound of `frames` pictures from one on."""
    count = 1920 * frames
    wave = np.sin((index * 1920 + np.arange(count)) / 20) * 8000
    return AudioChunk(samples=np.repeat(wave[:, None], 2, axis=1).astype(np.int16), pts=index * STEP, captured_s=0.0)


def stream(
    frames: int,
    *,
    sound: bool = False,
    config: EncoderConfig | None = None,
    size: tuple[int, int] = SIZE,
    grain: int = 0,
) -> Encoded:
    """A whole encode."""
    with LiveEncoder(size, Fraction(FPS), config, sound=sound) as encoder:
        packets = list(_encoded(encoder, frames, sound=sound, size=size, grain=grain))
        return encoder.parameters, packets


def _encoded(
    encoder: LiveEncoder, frames: int, *, sound: bool, size: tuple[int, int], grain: int
) -> Iterator[EncodedPacket]:
    for index in range(frames):
        if sound:
            yield from encoder.encode_sound(tone(index))
        yield from encoder.encode(safe(index, size=size, grain=grain))
    yield from encoder.flush()


# --- outlets ---


KILLED = """
import sys
from pathlib import Path
from tests.outlet_kit import FPS, SIZE, STEP, safe, tone
from fractions import Fraction
from streamfilter.media.address import Address
from streamfilter.media.live_encoder import LiveEncoder
from streamfilter.media.outlets import OutletConfig, open_outlet

encoder = LiveEncoder(SIZE, Fraction(FPS), sound=True)
config = OutletConfig(segment_s=6)
outlets = [open_outlet(Address.parse(sys.argv[1] + name, sink=True), encoder.parameters) for name in
           ("/a.mkv", "/b.mp4", "/c.ts", "/live/d.m3u8")]
outlets.append(open_outlet(Address.parse(sys.argv[1] + "/e_%03d.mkv", sink=True), encoder.parameters, config))
for index in range(100_000):
    for packet in [*encoder.encode_sound(tone(index)), *encoder.encode(safe(index))]:
        for outlet in outlets:
            outlet.write(packet)
    print(index, flush=True)
"""


def outlet_to(target: object, parameters: StreamParameters, config: OutletConfig = QUICK) -> Outlet:
    return open_outlet(Address.parse(str(target), sink=True), parameters, config)


def write_all(outlet: Outlet, packets: list[EncodedPacket]) -> None:
    with outlet:
        for packet in packets:
            outlet.write(packet)


def look(path: Path | str, **options: str) -> tuple[list[float], list[int], int]:
    """Times and indices of the pictures, and how many packets of sound there are."""
    with av.open(str(path), options=options) as container:
        times, indices, sound = [], [], 0
        for packet in container.demux():
            if packet.stream.type == "audio":
                sound += bool(packet.size)
                continue
            for frame in packet.decode():
                times.append(float(frame.pts * frame.time_base))
                indices.append(index_of(frame.to_ndarray(format="rgb24")))
    return times, indices, sound


def expected(first: int, last: int) -> list[int]:
    return [n % 28 for n in range(first, last)]
