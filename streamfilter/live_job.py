"""One live stream, from connecting to the source to finishing the last sink: what `run` and `serve` both do."""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, field
from fractions import Fraction

from streamfilter.config import Audio
from streamfilter.live_config import LiveConfig
from streamfilter.media.address import Address
from streamfilter.media.encoded import EncodedPacket
from streamfilter.media.live_audio import AudioChunk
from streamfilter.media.live_encoder import EncoderConfig, LiveEncoder
from streamfilter.media.live_source import LiveSource
from streamfilter.media.outlets import Outlet, OutletConfig, open_outlet
from streamfilter.pipeline import (
    Consumer,
    FanOut,
    LiveOutcome,
    LiveProtector,
    LiveStatus,
    PipelineConfig,
    Retry,
    Signal,
    StopFlag,
    run_live,
    through,
)
from streamfilter.pipeline.lane import log_failure
from streamfilter.stream_state import StreamEvent
from streamfilter.structures import SafeFrame

FALLBACK_FPS = Fraction(25)
# Two seconds of both tracks: until the next key frame a slow outlet may fall behind so far.
OUTLET_QUEUE = 128
MAX_CHUNKS = 512
# Muxers hold a picture back until they have sound of its time: so that goes first, as far as it is there.
SOUND_AHEAD_S = 0.15


@dataclass(frozen=True, kw_only=True)
class LiveJob:
    """Where a live stream comes from and goes to, and how.

    Attributes:
        source: See `Address`.
        sinks: Those that take an encoded stream; windows, pages and cameras are handed in as consumers.
        live: Of the source.
        pipeline: Cards, latency, statuses.
        encoder: One for all sinks.
        outlets: Of the sinks.
        audio: Whether the sound goes along; it is delayed as the picture is.
    """

    source: Address
    sinks: tuple[Address, ...] = ()
    live: LiveConfig = field(default_factory=LiveConfig)
    pipeline: PipelineConfig = field(default_factory=PipelineConfig)
    encoder: EncoderConfig = field(default_factory=EncoderConfig)
    outlets: OutletConfig = field(default_factory=OutletConfig)
    audio: Audio = Audio.KEEP


def filter_live(
    job: LiveJob,
    protect: LiveProtector,
    *,
    pictures: Sequence[Consumer[SafeFrame]] = (),
    on_event: Callable[[StreamEvent], None] = lambda event: None,
    on_status: Callable[[LiveStatus], None] | None = None,
    on_error: Callable[[str, str], None] = log_failure,
    see: Callable[[SafeFrame], None] = lambda safe: None,
    stop: StopFlag | None = None,
) -> LiveOutcome:
    """Connect, open every sink, and filter until the source ends or `stop` is set.

    Args:
        job: What is to be done.
        protect: A `Guard` with a fresh memory.
        pictures: What takes protected frames as they are: a page, a virtual camera.
        on_event: Told every change of the source's state; any thread, must return at once.
        on_status: Told how it goes, in the caller's thread.
        on_error: Told the name and one line when a sink fails; any thread.
        see: Shown every protected frame, in the caller's thread.
        stop: Asks for a proper end.

    Raises:
        InputError: The source cannot be reached at first.
        OutputError: A sink cannot work as it is named.
        ConfigError: The encoder or an address cannot be used.
    """
    signal = Signal()

    def told(event: StreamEvent) -> None:
        signal(event)
        on_event(event)

    sound = Sound() if job.sinks and job.audio is Audio.KEEP else None
    with LiveSource(job.source, job.live, on_event=told, on_audio=sound.put if sound else None) as source:
        info = source.connect()
        consumers = list(pictures)
        if job.sinks:
            size, fps = (info.width, info.height), info.fps or FALLBACK_FPS
            encoder = LiveEncoder(size, fps, job.encoder, sound=bool(sound and info.audio))
            consumers.append(encoded(encoder, job, sound, on_error))
        fan_out = FanOut(consumers, on_error=on_error)
        return run_live(source, protect, fan_out, job.pipeline, on_status, see=see, stop=stop, signal=signal)


class Sound:
    """Holds the sound back until the picture of its time leaves the filter.

    One thread puts, another takes; a deque needs no lock for that.
    """

    def __init__(self) -> None:
        self._chunks: deque[AudioChunk] = deque(maxlen=MAX_CHUNKS)

    def put(self, chunk: AudioChunk) -> None:
        """Take in a piece; never waits."""
        self._chunks.append(chunk)

    def until(self, time_s: float) -> list[AudioChunk]:
        """All pieces that are heard before this time."""
        due = []
        while self._chunks and self._chunks[0].pts * self._chunks[0].time_base <= time_s:
            due.append(self._chunks.popleft())
        return due


def encoded(
    encoder: LiveEncoder, job: LiveJob, sound: Sound | None, on_error: Callable[[str, str], None]
) -> Consumer[SafeFrame]:
    """The consumer that encodes once for all sinks of the job.

    Raises:
        OutputError: A sink cannot work as it is named.
    """
    outlets = [open_outlet(address, encoder.parameters, job.outlets) for address in job.sinks]
    onward = FanOut([_outlet(one, encoder) for one in outlets], on_error=on_error)

    def change(safe: SafeFrame) -> Iterable[EncodedPacket]:
        yield from encoder.encode(safe)
        time_s = float((safe.pts or 0) * safe.time_base)
        for chunk in sound.until(time_s + SOUND_AHEAD_S) if sound else ():
            yield from encoder.encode_sound(chunk)

    return through("encoder", change, lambda: _flushed(encoder), onward)


def _flushed(encoder: LiveEncoder) -> Iterable[EncodedPacket]:
    packets = encoder.flush()
    encoder.close()
    return packets


def _outlet(outlet: Outlet, encoder: LiveEncoder) -> Consumer[EncodedPacket]:
    return Consumer(
        name=outlet.name,
        write=outlet.write,
        open=outlet.reopen,
        close=outlet.close,
        queue=OUTLET_QUEUE,
        starts=lambda packet: packet.starts,
        on_drop=encoder.request_key_frame,
        retry=Retry() if outlet.is_network else None,
    )
