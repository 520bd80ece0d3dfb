"""One encode of the protected stream, for any number of outlets: pictures, and the sound beside them."""

from __future__ import annotations

import io
from dataclasses import dataclass
from fractions import Fraction
from types import TracebackType
from typing import Self

import av
from av import FFmpegError

from streamfilter.config import DEFAULT_PRESET
from streamfilter.errors import ConfigError, OutputError, ProtectionError
from streamfilter.media.container import reason
from streamfilter.media.encoded import EncodedPacket, StreamParameters
from streamfilter.media.encoder import DEFAULT_CODEC
from streamfilter.media.live_audio import AudioChunk
from streamfilter.media.live_sound import LiveSound
from streamfilter.media.live_video import LiveVideo, no_device
from streamfilter.structures import SafeFrame

_HEAD_OPTIONS = {"fflags": "+bitexact", "movflags": "+empty_moov+frag_keyframe+default_base_moof"}


@dataclass(frozen=True, kw_only=True)
class EncoderConfig:
    """Settings of a live encode.

    Attributes:
        codec: FFmpeg's encoder: `libx264`, or one of the machine's (`h264_nvenc`, `h264_vaapi`, `h264_qsv`, ...).
        preset: Of x264 and x265.
        crf: Quality, 0 (best) to 51.
        max_kbps: Upper bound of the bit rate, over one second; None: quality alone decides.
        key_interval_s: A reader need not wait for longer than this to join.
        threads: Of the encoder; 0: as many as there are cores. Many cameras on one machine want 1.
    """

    codec: str = DEFAULT_CODEC
    preset: str = DEFAULT_PRESET
    crf: int = 23
    max_kbps: int | None = None
    key_interval_s: float = 2.0
    threads: int = 0

    def __post_init__(self) -> None:
        if not 0 <= self.crf <= 51:
            raise ConfigError(f"the crf of a live stream must lie between 0 (best) and 51, got {self.crf}")
        if self.key_interval_s <= 0:
            raise ConfigError(f"key frames must be more than 0 s apart, got {self.key_interval_s:g} s")
        if self.max_kbps is not None and self.max_kbps < 1:
            raise ConfigError(f"the bit rate must be at least 1 kbit/s, got {self.max_kbps}")
        if self.threads < 0:
            raise ConfigError(f"the number of encoder threads must not be negative, got {self.threads}")


class LiveEncoder:
    """Frames and sound in, packets out at once. One thread at a time, except `request_key_frame`.

    Args:
        size: Width and height of the frames to come.
        fps: Expected.
        config: Codec and quality.
        sound: Whether sound will come; where it stays away, silence is encoded.

    Raises:
        ConfigError: The encoder is unknown, or cannot be used on this machine.
    """

    def __init__(
        self, size: tuple[int, int], fps: Fraction, config: EncoderConfig | None = None, *, sound: bool = False
    ) -> None:
        config = config or EncoderConfig()
        head = io.BytesIO()
        # No packet ever goes into this container: it opens the codecs, and its head describes them to all others.
        self._output = av.open(head, "w", format="mp4", container_options=_HEAD_OPTIONS)
        self._video = LiveVideo(
            self._output,
            config.codec,
            size,
            fps,
            preset=config.preset,
            crf=config.crf,
            max_kbps=config.max_kbps,
            key_interval_s=config.key_interval_s,
            threads=config.threads,
        )
        self._sound = LiveSound(self._output) if sound else None
        try:
            self._output.start_encoding()
        except (FFmpegError, OSError, ValueError, RuntimeError) as error:
            raise no_device(config.codec, error) from error
        self.parameters = StreamParameters(
            codec=self._video.codec,
            width=self._video.width,
            height=self._video.height,
            fps=fps,
            has_sound=sound,
            head=head.getvalue(),
            video_extradata=self._video.extradata,
        )
        self.notices = _notices(size, self.parameters)
        self._closed = False

    def encode(self, frame: SafeFrame) -> list[EncodedPacket]:
        """The packet of this frame, and silence where sound should be and is not.

        Raises:
            ProtectionError: It is not a `SafeFrame`.
            OutputError: It has another size or no time, or the encoder failed.
        """
        if type(frame) is not SafeFrame:
            raise ProtectionError(f"an encoder takes SafeFrame only, got {type(frame).__name__}; nothing was encoded")
        try:
            packets = self._video.encode(frame)
            if self._sound is not None and packets:
                packets = self._sound.keep_up(packets[0].dts * packets[0].time_base) + packets
        except FFmpegError as error:
            raise OutputError(f"the encoder failed: {reason(error)}") from error
        return packets

    def encode_sound(self, chunk: AudioChunk) -> list[EncodedPacket]:
        """Packets of the sound that is complete; none for a stream without.

        Raises:
            OutputError: The encoder failed.
        """
        try:
            return self._sound.encode(chunk) if self._sound is not None else []
        except FFmpegError as error:
            raise OutputError(f"the encoder of the sound failed: {reason(error)}") from error

    def request_key_frame(self) -> None:
        """Make the next frame one where a reader can join; any thread."""
        self._video.key_wanted = True

    def flush(self) -> list[EncodedPacket]:
        """What is left at the end; nothing may be encoded afterwards."""
        packets = self._video.flush()
        if self._sound is not None:
            packets += self._sound.flush()
        return packets

    def close(self) -> None:
        """Let go of the codecs; harmless when repeated."""
        if not self._closed:
            self._closed = True
            self._output.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()


def _notices(size: tuple[int, int], parameters: StreamParameters) -> tuple[str, ...]:
    if size == (parameters.width, parameters.height):
        return ()
    even = f"{parameters.width}x{parameters.height}"
    return (f"{size[0]}x{size[1]} is odd; it is encoded as {even}, the last line or column shown twice",)
