"""One connection to a live source: packets in, decoded pictures and sound out, until it breaks or ends."""

from __future__ import annotations

import time
from collections import deque
from collections.abc import Callable, Iterator
from dataclasses import dataclass

import av
from av import AudioFrame, FFmpegError, Packet, VideoFrame
from av.audio.stream import AudioStream
from av.codec.hwaccel import HWAccel
from av.container import InputContainer
from av.stream import Disposition, Stream
from av.video.stream import VideoStream

from streamfilter.errors import DeviceError, InputError
from streamfilter.live_config import LiveConfig
from streamfilter.media.address import Address
from streamfilter.media.damage import Damage
from streamfilter.media.interrupt import Watch, watched
from streamfilter.media.live_input import ENDING_KINDS, UNTIMED_FORMATS, LiveInput

# The watch ends what waits; these are PyAV's own, for the case that it is not asked.
_SPARE_S = 5.0
MAX_DEMUX_ERRORS = 64
# Every picture of these stands for itself, though FFmpeg does not say so.
ALL_KEYS = frozenset({"wrapped_avframe", "rawvideo"})

OnSound = Callable[[AudioFrame, float], None]


@dataclass(frozen=True, eq=False, kw_only=True)
class Picture:
    """One decoded picture; `source_s` as the source counts (None: it does not), `arrival_s` on the monotonic clock."""

    frame: VideoFrame
    source_s: float | None
    arrival_s: float


class Connection:
    """Open and decode one live source. Used by one thread at a time, which also closes it.

    Args:
        address: Shown in messages.
        source: What FFmpeg opens.
        config: Time-outs, and the device that decodes.
        watch: Asked while something waits, and before every packet: whether to stop.
        damage: Counts what could not be decoded.
        on_sound: Takes the decoded sound; None: it is left where it is.

    Raises:
        FFmpegError, OSError: It cannot be opened, or `watch` ended it. Their texts hold the password.
        InputError: There is no picture in it.
        DeviceError: The device that must decode is not there, or cannot.
    """

    def __init__(
        self,
        address: Address,
        source: LiveInput,
        config: LiveConfig,
        *,
        watch: Watch,
        damage: Damage,
        on_sound: OnSound | None,
    ) -> None:
        self._address = address
        self._watch = watch
        self._damage = damage
        self._on_sound = on_sound
        self._ready: deque[Picture] = deque()
        self._errors = 0
        with watched(watch):
            self.container = _opened(address, source, config)
        try:
            self._choose()
        except BaseException:
            self.container.close()
            raise

    def _choose(self) -> None:
        self.stream = _picture_stream(self.container, self._address)
        # Whole frames in parallel would each wait for the next ones to arrive.
        self.stream.thread_type = "SLICE"
        best = self.container.streams.best("audio") if self._on_sound else None
        self._audio = best if isinstance(best, AudioStream) else None
        codec = self.stream.codec_context.codec
        self._started = codec.intra_only or codec.name in ALL_KEYS
        self._timed = self.container.format.name not in UNTIMED_FORMATS
        self._packets = self._demux()

    @property
    def ends(self) -> bool:
        """Whether its end is an end, and not a loss: it is a recording, whose length is known."""
        return self._address.kind in ENDING_KINDS and bool(self.container.duration)

    def next_picture(self) -> Picture | None:
        """Wait for the next picture; None at the end.

        Raises:
            FFmpegError, OSError: The connection broke, or `watch` ended it.
        """
        while not self._ready:
            packet = self._next_packet()
            if packet is None:
                return None
            self._take(packet)
        return self._ready.popleft()

    def close(self) -> None:
        """Let go of it."""
        self._packets = iter(())
        self._ready.clear()
        self.container.close()

    # --- packets -----------------------------------------------------------------------------------------------------

    def _demux(self) -> Iterator[Packet[Stream]]:
        streams: list[Stream] = [self.stream]
        if self._audio is not None:
            streams.append(self._audio)
        return iter(self.container.demux(*streams))

    def _next_packet(self) -> Packet[Stream] | None:
        while not self._watch():
            try:
                with watched(self._watch):
                    packet = next(self._packets, None)
            except IndexError:  # PyAV, at the end of a stream in which another one began on the way
                return None
            except av.error.InvalidDataError:
                self._errors += 1
                self._damage.corrupt += 1
                if self._errors > MAX_DEMUX_ERRORS:
                    raise
                self._packets = self._demux()
                continue
            self._errors = 0
            # Some demuxers take a read that was ended for the end of the stream.
            if self._watch():
                break
            return packet
        raise av.error.ExitError(av.error.tag_to_code(b"EXIT"), "stopped")

    def _take(self, packet: Packet[Stream]) -> None:
        arrival_s = time.monotonic()
        if self._audio is not None and packet.stream.index == self._audio.index:
            self._take_sound(packet, arrival_s)
        elif packet.stream.index == self.stream.index:
            self._take_video(packet, arrival_s)

    def _take_sound(self, packet: Packet[Stream], arrival_s: float) -> None:
        if self._audio is None or self._on_sound is None:
            return
        try:
            frames = self._audio.decode(packet if packet.size else None)
        except FFmpegError:
            return
        for frame in frames:
            self._on_sound(frame, arrival_s)

    def _take_video(self, packet: Packet[Stream], arrival_s: float) -> None:
        # What lies before the first key frame shows grey, or the pieces of another picture.
        self._started |= packet.is_keyframe
        if not self._started:
            return
        try:
            frames = self.stream.decode(packet if packet.size else None)
        except FFmpegError:
            self._damage.undecodable += 1
            return
        for frame in frames:
            if frame.is_corrupt:
                self._damage.corrupt += 1
            else:
                self._ready.append(Picture(frame=frame, source_s=self._source_s(frame), arrival_s=arrival_s))

    def _source_s(self, frame: VideoFrame) -> float | None:
        if not self._timed or frame.pts is None or frame.time_base is None:
            return None
        return float(frame.pts * frame.time_base)


def _opened(address: Address, source: LiveInput, config: LiveConfig) -> InputContainer:
    try:
        return av.open(
            source.url,
            "r",
            format=source.format,
            container_options=source.options,
            metadata_errors="replace",
            timeout=(config.open_timeout_s + _SPARE_S, config.read_timeout_s + _SPARE_S),
            hwaccel=HWAccel(config.hw_decode) if config.hw_decode else None,
        )
    except (FFmpegError, OSError):
        raise
    except (RuntimeError, NotImplementedError, ValueError) as error:
        if not config.hw_decode:
            raise
        fault = type(error).__name__
    raise DeviceError(f"{address} cannot be decoded by {config.hw_decode} ({fault}); leave --hw-decode out")


def _picture_stream(container: InputContainer, address: Address) -> VideoStream:
    pictures = [s for s in container.streams.video if not s.disposition & Disposition.attached_pic]
    if not pictures:
        raise InputError(f"{address} sends no picture; check the path")
    best = container.streams.best("video")
    return next((s for s in pictures if best is not None and s.index == best.index), pictures[0])
