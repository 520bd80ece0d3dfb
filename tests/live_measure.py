"""Numbers burnt into pictures, and what they tell of a live stream: frames delivered, latency, gaps, late sound.

Clock: everything in seconds of `time.monotonic`, which all processes of a machine share. Frame `n` of the RTSP server's
counters is sent at `n / fps` of it, so its number alone tells its age. Pictures RGB (H,W,3) uint8, or luminance (H,W).
"""

from __future__ import annotations

import math
import threading
import time
from dataclasses import dataclass, field
from fractions import Fraction
from itertools import pairwise
from typing import Any

import av
import numpy as np

from tests.live_kit import wait_until
from tests.rtsp_films import BLOCKS, CHECK_BITS, LOOP_S, check, strip_px

Array = np.ndarray[Any, Any]
# Without "nobuffer": with it, FFmpeg throws away the key frame that it looked at while opening.
PLAYER = {"rtsp_transport": "tcp", "max_delay": "0", "analyzeduration": "500000"}


# --- the number in the picture ---


def burn(image: Array, number: int) -> Array:
    """The picture with a number in strips along its upper and lower edge."""
    value = (number << CHECK_BITS) | check(number)
    bits = [(value >> place) & 1 for place in reversed(range(BLOCKS))]
    height, width = image.shape[:2]
    row = np.array(bits, np.uint8)[np.arange(width) * BLOCKS // width] * 219 + 16
    burnt = image.copy()
    for strip in (burnt[: strip_px(height)], burnt[height - strip_px(height) :]):
        strip[...] = row[None, :, None] if image.ndim == 3 else row
    return burnt


def read_number(image: Array) -> int | None:
    """The number in a picture of any size, from whichever strip can be read; None where none can."""
    height = image.shape[0]
    strip = strip_px(height)
    inner = slice(strip // 4, strip - strip // 4)
    for rows in (image[:strip][inner], image[height - strip :][inner]):
        number = _read_strip(rows)
        if number is not None:
            return number
    return None


def _read_strip(rows: Array) -> int | None:
    line = rows.reshape(rows.shape[0], rows.shape[1], -1).mean(axis=(0, 2))
    edges = np.arange(BLOCKS) * len(line) / BLOCKS
    step = len(line) / BLOCKS
    levels = np.array([line[int(left + step * 0.25) : math.ceil(left + step * 0.75)].mean() for left in edges])
    if np.any(np.abs(levels - 128) < 32):
        return None
    value = int("".join("1" if level > 128 else "0" for level in levels), 2)
    number, told = value >> CHECK_BITS, value & ((1 << CHECK_BITS) - 1)
    return number if told == check(number) else None


@dataclass(frozen=True, kw_only=True)
class CounterClock:
    """Turns a number in a picture into the frame's count since the clock's zero; fits the server's `--loop-s`."""

    fps: int = 25
    loop_s: int = LOOP_S

    def count(self, number: int, seen_s: float) -> int:
        """Of the latest frame with this number when it was seen; one that is older than the loop is taken for new."""
        latest = math.floor((seen_s + 0.01) * self.fps)
        return latest - (latest - number) % (self.fps * self.loop_s)

    def sent_s(self, count: int) -> float:
        return count / self.fps


# --- looking at a stream ---


@dataclass(frozen=True, kw_only=True)
class Sighting:
    """One frame at a player.

    Attributes:
        at_s: Monotonic time when it was decoded.
        pts_s: The player's presentation time.
        number: What the picture tells; None for a card, a cover over the strips, a blank.
        count: Frame of the source since the clock's zero; None without a number, and for a repeat.
        repeat: Tells the same number as the frame before it.
    """

    at_s: float
    pts_s: float | None
    size: tuple[int, int]
    number: int | None
    count: int | None
    repeat: bool


class Watcher:
    """Plays a stream in a thread of its own, connects again for ever, and notes every frame; use in `with`.

    Attributes:
        sightings: All frames so far, in order; only ever appended to.
        losses: Monotonic times when the stream ended or broke.
        errors: What PyAV said each time it could not connect or read on.
    """

    def __init__(
        self, url: str, *, clock: CounterClock | None = None, transport: str = "tcp", again_s: float = 0.2
    ) -> None:
        self.url, self.clock, self.again_s = url, clock or CounterClock(), again_s
        self.options = {**PLAYER, "rtsp_transport": transport} if url.startswith("rtsp") else {}
        self.sightings: list[Sighting] = []
        self.losses: list[float] = []
        self.errors: list[str] = []
        self._over = threading.Event()
        self._thread = threading.Thread(target=self._run, name="watcher", daemon=True)

    def __enter__(self) -> Watcher:
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._over.set()
        self._thread.join(15)

    def wait_for_frame(self, *, sent_after_s: float, within_s: float) -> Sighting:
        """The first readable frame that the source sent after a moment; fails when none comes."""
        return wait_until(lambda: self.first(sent_after_s), within_s=within_s, what=("a frame", self.errors))

    def first(self, sent_after_s: float) -> Sighting | None:
        found = self.sightings
        return next((s for s in found if s.count is not None and self.clock.sent_s(s.count) >= sent_after_s), None)

    def _run(self) -> None:
        while not self._over.is_set():
            try:
                self._play()
                self.errors.append("the stream ended")
            except (av.FFmpegError, ValueError) as error:
                self.errors.append(str(error))
            self.losses.append(time.monotonic())
            self._over.wait(self.again_s)

    def _play(self) -> None:
        with av.open(self.url, options=self.options, timeout=(5.0, 3.0)) as container:
            video = container.streams.video[0]
            # More threads would hold frames back.
            video.codec_context.thread_count = 1
            video.codec_context.flags |= av.codec.context.Flags.low_delay
            for frame in container.decode(video):
                self._note(frame)
                if self._over.is_set():
                    return

    def _note(self, frame: av.VideoFrame) -> None:
        at_s, last = time.monotonic(), self.sightings[-1] if self.sightings else None
        number = read_number(_luminance(frame))
        repeat = number is not None and last is not None and number == last.number
        count = self.clock.count(number, at_s) if number is not None and not repeat else None
        size = (frame.width, frame.height)
        pts_s = None if frame.pts is None or frame.time_base is None else float(frame.pts * frame.time_base)
        self.sightings.append(Sighting(at_s=at_s, pts_s=pts_s, size=size, number=number, count=count, repeat=repeat))


def _luminance(frame: av.VideoFrame) -> Array:
    """(H,W) uint8, in the decoder's own memory where that has a plane of it."""
    if not frame.format.name.startswith(("yuv420p", "yuvj420p", "nv12", "yuv444p", "gray")):
        return frame.to_ndarray(format="gray")
    plane = frame.planes[0]
    return np.frombuffer(plane, np.uint8).reshape(-1, plane.line_size)[: frame.height, : frame.width]


# --- making a stream ---


class CounterPush:
    """Encodes counters by the clock and sends them anywhere PyAV can, in a thread; use in `with`.

    The numbers are those of the server's counters: frame `n` is made at `n / fps` of the monotonic clock.

    Args:
        url: `rtsp://...` with the format "rtsp", `udp://...` with "mpegts", a path with any.
        options: Of the muxer.
        sound: With a silent AAC track.
    """

    def __init__(
        self,
        url: str,
        form: str = "rtsp",
        *,
        size: tuple[int, int] = (320, 180),
        clock: CounterClock | None = None,
        options: dict[str, str] | None = None,
        sound: bool = False,
    ) -> None:
        self.url, self.form, self.size, self.sound = url, form, size, sound
        self.clock = clock or CounterClock()
        self.options = {"rtsp_transport": "tcp"} if form == "rtsp" and options is None else options or {}
        self.error: Exception | None = None
        self._over = threading.Event()
        self._thread = threading.Thread(target=self._run, name="push", daemon=True)

    def __enter__(self) -> CounterPush:
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._over.set()
        self._thread.join(15)

    def _run(self) -> None:
        try:
            self._push()
        except (av.FFmpegError, OSError) as error:
            self.error = error

    def _push(self) -> None:
        fps, (width, height) = self.clock.fps, self.size
        with av.open(self.url, "w", format=self.form, options=self.options, timeout=(5.0, 5.0)) as output:
            code = {"preset": "ultrafast", "tune": "zerolatency", "g": str(fps), "crf": "25"}
            video = output.add_stream("libx264", rate=fps, options=code)
            video.width, video.height, video.pix_fmt = width, height, "yuv420p"
            sound = output.add_stream("aac", rate=48_000, layout="mono") if self.sound else None
            first = following = math.ceil(time.monotonic() * fps)
            while not self._over.wait(max(self.clock.sent_s(following) - time.monotonic(), 0)):
                output.mux(video.encode(self._frame(following, following - first)))
                if sound is not None:
                    output.mux(sound.encode(self._silence(following - first)))
                following += 1
            for stream in output.streams:
                output.mux(stream.encode(None))

    def _frame(self, count: int, pts: int) -> av.VideoFrame:
        width, height = self.size
        ground = np.full((height, width, 3), 90, np.uint8)
        left = count * 4 % width
        ground[height // 3 : height * 2 // 3, left : left + width // 8] = (200, 60, 40)
        picture = burn(ground, count % (self.clock.fps * self.clock.loop_s))
        frame = av.VideoFrame.from_ndarray(picture, format="rgb24")
        frame.pts, frame.time_base = pts, Fraction(1, self.clock.fps)
        return frame

    def _silence(self, number: int) -> av.AudioFrame:
        samples = 48_000 // self.clock.fps
        frame = av.AudioFrame.from_ndarray(np.zeros((1, samples), np.float32), format="fltp", layout="mono")
        frame.sample_rate, frame.pts, frame.time_base = 48_000, number * samples, Fraction(1, 48_000)
        return frame


# --- measuring ---


@dataclass(frozen=True, kw_only=True)
class Delivery:
    """What came of the frames of a source at a sink.

    Attributes:
        sent: Frames that a player saw at the source itself.
        delivered: Of these, the ones seen at the sink.
        latencies_s: Per delivered frame: seen at the sink, less when it was due at the source.
        added_s: Per delivered frame: seen at the sink, less seen by a player at the source.
        repeats: Frames at the sink that showed the same number again (frozen pictures).
        unread: Frames at the sink without a number (cards, blanks, covers over both strips).
        backward: Times a frame at the sink was older than one before it.
        longest_gap_s: Between two new frames at the sink.
    """

    sent: int
    delivered: int
    latencies_s: list[float] = field(repr=False)
    added_s: list[float] = field(repr=False)
    repeats: int
    unread: int
    backward: int
    longest_gap_s: float

    @property
    def share(self) -> float:
        return self.delivered / self.sent if self.sent else 0.0

    def line(self) -> str:
        """For people."""
        latency, added = (
            f"p50 {percentile(v, 50) * 1e3:.0f} ms, p95 {percentile(v, 95) * 1e3:.0f} ms"
            for v in (self.latencies_s, self.added_s)
        )
        return (
            f"{self.delivered} of {self.sent} frames ({self.share:.1%}); from the source {latency}; added {added}; "
            f"{self.repeats} repeats, {self.unread} without a number, longest gap {self.longest_gap_s:.2f} s"
        )


def percentile(values: list[float], share: float) -> float:
    return float(np.percentile(values, share)) if values else math.nan


def measure_delivery(
    rtsp_in: str,
    rtsp_out: str,
    seconds: float,
    *,
    clock: CounterClock | None = None,
    late_s: float = 3.0,
    start_s: float = 30.0,
) -> Delivery:
    """Play source and sink side by side, and compare their numbers.

    Counts from the moment when both have shown a number (within `start_s`), and waits `late_s` more for late frames.
    """
    with Watcher(rtsp_in, clock=clock) as source, Watcher(rtsp_out, clock=clock) as sink:
        wait_until(
            lambda: source.first(0) and sink.first(0), within_s=start_s, what=("frames", source.errors, sink.errors)
        )
        from_s = time.monotonic()
        time.sleep(seconds + late_s)
        return compare(source, sink, from_s=from_s, to_s=from_s + seconds)


def compare(source: Watcher, sink: Watcher, *, from_s: float, to_s: float) -> Delivery:
    """Frames that the source sent between two moments, at both watchers."""
    clock = source.clock
    at_source = _first_seen(source)
    at_sink = _first_seen(sink)
    sent = {count for count in at_source if from_s <= clock.sent_s(count) < to_s}
    both = sorted(sent & at_sink.keys())
    window = [s for s in sink.sightings if from_s <= s.at_s < to_s]
    counts = [s.count for s in window if s.count is not None]
    fresh = [from_s, *(s.at_s for s in window if s.count is not None), to_s]
    return Delivery(
        sent=len(sent),
        delivered=len(both),
        latencies_s=[at_sink[count] - clock.sent_s(count) for count in both],
        added_s=[at_sink[count] - at_source[count] for count in both],
        repeats=sum(s.repeat for s in window),
        unread=sum(s.number is None for s in window),
        backward=sum(after < before for before, after in pairwise(counts)),
        longest_gap_s=max(after - before for before, after in pairwise(fresh)),
    )


def _first_seen(watcher: Watcher) -> dict[int, float]:
    seen: dict[int, float] = {}
    for sighting in watcher.sightings:
        if sighting.count is not None:
            seen.setdefault(sighting.count, sighting.at_s)
    return seen


def sound_offsets(url: str, seconds: float, *, fps: int = 25, skip_s: float = 0.0) -> list[float]:
    """How much later than its picture each full second's beep sounds, by presentation times; also for a file.

    A counter beeps for 100 ms at every number that `fps` divides.
    """
    pictures: list[float] = []
    beeps: list[float] = []
    silent_since = -math.inf
    options = PLAYER if url.startswith("rtsp") else {}
    with av.open(url, options=options, timeout=(5.0, 5.0)) as container:
        container.streams.video[0].codec_context.thread_count = 1
        first: float | None = None
        for frame in container.decode(container.streams.video[0], container.streams.audio[0]):
            if frame.pts is None or frame.time_base is None:
                continue
            at_s = float(frame.pts * frame.time_base)
            first = at_s if first is None else first
            if at_s - first > seconds:
                break
            if isinstance(frame, av.VideoFrame):
                number = read_number(_luminance(frame))
                pictures += [at_s] if number is not None and number % fps == 0 else []
                continue
            wave = np.abs(frame.to_ndarray().astype(np.float32))
            loud = np.flatnonzero((wave.max(axis=0) if frame.format.is_planar else wave[0]) > 0.1)
            if not loud.size:
                continue
            start_s = at_s + loud[0] / frame.sample_rate
            beeps += [start_s] if start_s - silent_since > 0.5 else []
            silent_since = at_s + loud[-1] / frame.sample_rate
    found = [min((beep - picture for beep in beeps), key=abs) for picture in pictures if beeps and picture >= skip_s]
    return [offset for offset in found if abs(offset) < 0.5]
