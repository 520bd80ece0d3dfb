"""The sound of a live stream: decoded, in one form whatever the camera sends, on the clock of its pictures."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from fractions import Fraction

import numpy as np
from av import AudioFrame, AudioResampler
from numpy.typing import NDArray

from streamfilter.errors import ShapeError
from streamfilter.media.live_clock import LIVE_TIME_BASE, TICKS_PER_S, LiveClock

AUDIO_RATE_HZ = 48_000
AUDIO_CHANNELS = 2
# A time stamp that is off by less is jitter: the sound goes on without a seam.
SEAMLESS_WITHIN_S = 0.1


@dataclass(frozen=True, eq=False, kw_only=True)
class AudioChunk:
    """A piece of sound at 48 kHz stereo.

    Attributes:
        samples: (n, 2) int16, left and right.
        pts: When its first sample is heard, in ticks of `LIVE_TIME_BASE`, on the clock of the frames. Chunks never
            overlap; where one begins later than the last ended, there was no sound.
        captured_s: When it arrived, on the monotonic clock.
    """

    samples: NDArray[np.int16]
    pts: int
    captured_s: float

    def __post_init__(self) -> None:
        if self.samples.ndim != 2 or self.samples.shape[1] != AUDIO_CHANNELS or self.samples.dtype != np.int16:
            raise ShapeError(
                f"AudioChunk.samples: expected (n, {AUDIO_CHANNELS}) int16, got {self.samples.shape} "
                f"{self.samples.dtype}"
            )

    @property
    def time_base(self) -> Fraction:
        """Of `pts`."""
        return LIVE_TIME_BASE

    @property
    def duration_s(self) -> float:
        """How long it sounds."""
        return len(self.samples) / AUDIO_RATE_HZ


OnAudio = Callable[[AudioChunk], None]


class AudioLine:
    """Decoded sound into chunks. Lives as long as the source: chunks of two connections do not overlap either."""

    def __init__(self, clock: LiveClock, on_audio: OnAudio) -> None:
        self._clock = clock
        self._on_audio = on_audio
        self._end_s = 0.0
        self.restart()

    def restart(self) -> None:
        """Sound in another form, or from another connection, follows."""
        self._resampler = AudioResampler(format="s16", layout="stereo", rate=AUDIO_RATE_HZ)

    def take(self, frame: AudioFrame, arrival_s: float) -> None:
        """Hand over one decoded frame; what comes before the first picture or twice is left out."""
        if frame.pts is None or frame.time_base is None:
            return
        heard_s = self._clock.shown_s(float(frame.pts * frame.time_base))
        if heard_s is None:
            return
        pieces = [piece.to_ndarray().reshape(-1, AUDIO_CHANNELS) for piece in self._resampler.resample(frame)]
        samples = np.concatenate([np.zeros((0, AUDIO_CHANNELS), np.int16), *pieces], dtype=np.int16)
        if len(samples) and heard_s >= self._end_s - SEAMLESS_WITHIN_S:
            self._hand_over(samples, heard_s, arrival_s)

    def _hand_over(self, samples: NDArray[np.int16], heard_s: float, arrival_s: float) -> None:
        if abs(heard_s - self._end_s) <= SEAMLESS_WITHIN_S:
            heard_s = self._end_s
        self._end_s = heard_s + len(samples) / AUDIO_RATE_HZ
        self._on_audio(AudioChunk(samples=samples, pts=round(heard_s * TICKS_PER_S), captured_s=arrival_s))
