"""Sound of a live stream to AAC without a gap: where the source is silent, silence is encoded."""

from __future__ import annotations

from collections.abc import Iterator
from fractions import Fraction

import numpy as np
from av import AudioFrame, Packet
from av.audio.stream import AudioStream
from av.container import OutputContainer
from numpy.typing import NDArray

from streamfilter.media.encoded import EncodedPacket, TrackKind
from streamfilter.media.live_audio import AUDIO_CHANNELS, AUDIO_RATE_HZ, AudioChunk

BIT_RATE = 128_000
_FRAME_SAMPLES = 1024
_BASE = Fraction(1, AUDIO_RATE_HZ)
_SEAM = AUDIO_RATE_HZ // 50
# Sound runs ahead of the picture, which the filter delays. Where it is behind by this much, there is none.
_MISSING = AUDIO_RATE_HZ * 3 // 10
# What the codec keeps to itself: silence that ends here has its last packet at the picture's time or after.
_AHEAD = 4 * _FRAME_SAMPLES
# Beyond this a gap stays one: nobody looked or listened in between.
_MOST_SILENCE = AUDIO_RATE_HZ * 10


class LiveSound:
    """The audio stream of an encoder's container. Muxers hold pictures back until sound comes, so it always does."""

    def __init__(self, output: OutputContainer) -> None:
        stream = output.add_stream("aac", rate=AUDIO_RATE_HZ, layout="stereo", bit_rate=BIT_RATE)
        assert isinstance(stream, AudioStream)
        self._stream = stream
        self._waiting = np.zeros((0, AUDIO_CHANNELS), np.int16)
        self._end: int | None = None
        self._missing = False

    def encode(self, chunk: AudioChunk) -> list[EncodedPacket]:
        """Packets of what is complete; a gap before the chunk is filled, what overlaps is cut off."""
        start, samples = round(chunk.pts * chunk.time_base / _BASE), chunk.samples
        end = start if self._end is None else self._end
        if start > end + _SEAM:
            return [*self._silence(start), *self._take(samples)]
        if start < end - _SEAM:
            samples = samples[end - start :]
        if len(samples):
            self._missing = False
        return self._take(samples, start=start)

    def keep_up(self, time_s: Fraction) -> list[EncodedPacket]:
        """Silence up to a picture's time, where sound stays away."""
        now = round(time_s / _BASE)
        if self._end is None:
            self._end = now
        self._missing = self._missing or now - self._end > _MISSING
        return self._silence(now + _AHEAD) if self._missing and now + _AHEAD > self._end else []

    def flush(self) -> list[EncodedPacket]:
        """What is left, made whole with silence."""
        rest = -len(self._waiting) % _FRAME_SAMPLES
        packets = self._take(np.zeros((rest, AUDIO_CHANNELS), np.int16))
        return packets + [_packet(packet) for packet in self._stream.encode(None)]

    def _silence(self, until: int) -> list[EncodedPacket]:
        assert self._end is not None
        missing = until - self._end
        if missing > _MOST_SILENCE:
            # The frame at hand is completed, so that the count can begin anew behind the gap.
            rest = -len(self._waiting) % _FRAME_SAMPLES
            packets = self._take(np.zeros((rest, AUDIO_CHANNELS), np.int16))
            self._end = until
            return packets
        return self._take(np.zeros((missing, AUDIO_CHANNELS), np.int16))

    def _take(self, samples: NDArray[np.int16], start: int = 0) -> list[EncodedPacket]:
        begin = start if self._end is None else self._end
        self._end = begin + len(samples)
        self._waiting = np.concatenate([self._waiting, samples])
        return [_packet(packet) for frame in self._frames() for packet in self._stream.encode(frame)]

    def _frames(self) -> Iterator[AudioFrame]:
        assert self._end is not None
        while len(self._waiting) >= _FRAME_SAMPLES:
            pts = self._end - len(self._waiting)
            block, self._waiting = self._waiting[:_FRAME_SAMPLES], self._waiting[_FRAME_SAMPLES:]
            planes = np.ascontiguousarray(block.T, np.float32) / 32768
            frame = AudioFrame.from_ndarray(planes, format="fltp", layout="stereo")
            frame.sample_rate, frame.time_base, frame.pts = AUDIO_RATE_HZ, _BASE, pts
            yield frame


def _packet(packet: Packet[AudioStream]) -> EncodedPacket:
    pts = packet.pts if packet.pts is not None else 0
    return EncodedPacket(
        kind=TrackKind.AUDIO,
        data=bytes(packet),
        pts=pts,
        dts=packet.dts if packet.dts is not None else pts,
        duration=_FRAME_SAMPLES,
        time_base=_BASE,
        is_key=True,
    )
