"""A live run drops, freezes and shows cards, but no raw frame reaches a sink, whatever fails, and every thread ends."""

from __future__ import annotations

import itertools
import os
import signal
import threading
import time
from collections.abc import Callable, Iterator
from fractions import Fraction

import numpy as np
import pytest

from streamfilter import guard as guards
from streamfilter.config import FilterConfig, TrackConfig
from streamfilter.errors import ConfigError, InputError, OutputError
from streamfilter.guard import Guard, card
from streamfilter.pipeline import (
    CARD_TEXT,
    Consumer,
    FanOut,
    LiveOutcome,
    LiveStatus,
    PipelineConfig,
    Signal,
    SinkState,
    Stop,
    run_live,
    stopping_on_signals,
    through,
)
from streamfilter.shedding import Level, ShedConfig
from streamfilter.stream_state import StreamEvent, StreamState
from streamfilter.structures import Frame, SafeFrame
from tests.filter_fakes import Face, World, make_filter, raw_pixels
from tests.live_fakes import RAW, SAFE_GREY, TICKS, Asleep, Protector, Sink, Source, wait_for

FAST = PipelineConfig(card_after_s=0.1, freeze_s=0.3, card_fps=25, keep_s=0.06, status_every_s=0.01, close_wait_s=2.0)


@pytest.fixture(autouse=True)
def no_thread_is_left() -> Iterator[None]:
    before = set(threading.enumerate())
    yield
    wait_for(lambda: set(threading.enumerate()) <= before)


class Live:
    """A live run in a thread of its own; leaving the block ends the source."""

    def __init__(
        self,
        source: Source,
        protect: object,
        *consumers: Consumer,
        config: PipelineConfig = FAST,
        **more: object,
    ) -> None:
        self.source, self.statuses = source, []
        self.outcome: LiveOutcome | None = None
        self.fan_out = FanOut(consumers, on_error=lambda *_: None)

        def work() -> None:
            on_status = self.statuses.append
            self.outcome = run_live(source, protect, self.fan_out, config, on_status, **more)

        self.thread = threading.Thread(target=work)

    def __enter__(self) -> Live:
        self.thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self.source.end()
        self.thread.join(10)
        assert not self.thread.is_alive()


def taking(sink: Sink, **more: object) -> Consumer:
    return Consumer(name="sink", write=sink.write, close=sink.close, queue=1000, **more)


def assert_no_raw(sink: Sink) -> None:
    for item in sink.items:
        assert type(item) is SafeFrame
        assert item.image.max() < 255
    times = [item.pts * item.time_base for item in sink.items]
    assert all(before < after for before, after in itertools.pairwise(times))


def feed(source: Source, sink: Sink, n: int, every_s: float = 0.0) -> None:
    """Frames one by one, each only after the one before was written."""
    for _ in range(n):
        before = len(sink.items)
        source.give()
        wait_for(lambda before=before: len(sink.items) > before)
        time.sleep(every_s)


def test_every_frame_goes_through_and_all_is_finished():
    source, sink = Source(), Sink()
    with Live(source, Protector(), taking(sink)) as live:
        wait_for(lambda: live.statuses)
        feed(source, sink, 50)
    assert_no_raw(sink)
    assert [item.index for item in sink.items] == list(range(50))
    assert sink.closed == 1
    assert source.closed >= 1
    assert live.outcome.well
    counters = live.outcome.counters
    assert (counters.read, counters.protected, counters.dropped, counters.blanked, counters.cards) == (50, 50, 0, 0, 0)
    assert [status.state for status in (live.statuses[0], live.statuses[-1])] == [
        StreamState.CONNECTING,
        StreamState.ENDED,
    ]


def test_what_waits_in_the_filter_is_let_go_at_the_end():
    source, sink, protect = Source(), Sink(), Protector(delay=3)
    with Live(source, protect, taking(sink)):
        feed_into_delay(source, protect, 10)
    assert [item.index for item in sink.items] == list(range(10))


def feed_into_delay(source: Source, protect: Protector, n: int) -> None:
    for k in range(n):
        source.give()
        wait_for(lambda k=k: k in protect.pushed)


def test_a_slow_filter_drops_the_oldest_and_counts():
    source, sink = Source(), Sink()
    protect = Protector(act=lambda frame: time.sleep(0.01))
    with Live(source, protect, taking(sink)) as live:
        source.give(60)
        wait_for(lambda: live.fan_out.statuses()[0].written and sink.items[-1].index == 59)
    counters = live.outcome.counters
    assert counters.dropped > 0
    assert counters.read == 60 == counters.dropped + counters.protected
    assert protect.resets == 0  # frames that were dropped are no loss of the source
    assert_no_raw(sink)


def test_sinks_that_sleep_and_break_hold_up_neither_the_source_nor_the_others():
    asleep, sink = Asleep(), Sink()

    def full(item: object) -> None:
        raise OutputError("out.mp4: no space left on device")

    source = Source()
    consumers = (
        Consumer(name="asleep", write=asleep.write),
        Consumer(name="file", write=full),
        taking(sink),
    )
    config = PipelineConfig(card_after_s=9, freeze_s=9, close_wait_s=0.3)
    try:
        with Live(source, Protector(), *consumers, config=config) as live:
            feed(source, sink, 100)
        assert len(sink.items) == 100
        assert live.outcome.counters.dropped == 0
        assert live.outcome.abandoned == ("asleep",)
        assert not live.outcome.well
        states = {status.name: (status.state, status.error) for status in live.outcome.sinks}
        assert states == {
            "asleep": (SinkState.ABANDONED, None),
            "file": (SinkState.FAILED, "out.mp4: no space left on device"),
            "sink": (SinkState.CLOSED, None),
        }
    finally:
        asleep.awake.set()


def test_it_ends_when_no_sink_is_left():
    def full(item: object) -> None:
        raise OutputError("no space left on device")

    source = Source()
    live = Live(source, Protector(), Consumer(name="file", write=full))
    live.thread.start()
    source.give()
    live.thread.join(5)
    assert not live.thread.is_alive()
    assert not live.outcome.well
    assert source.closed


# No signal.


def test_a_silent_source_freezes_the_last_safe_picture_and_then_shows_a_card():
    source, sink = Source(), Sink()
    with Live(source, Protector(), taking(sink)) as live:
        feed(source, sink, 5, every_s=0.005)
        wait_for(lambda: len({id(item.image) for item in sink.items[5:]}) > 1)
        wait_for(lambda: live.statuses[-1].state is StreamState.STALLED)
        feed_after = len(sink.items)
        source.give()
        wait_for(lambda: sink.items[-1].index == 5)
        source.give()
        wait_for(lambda: sink.items[-1].index == 6)
    assert feed_after > 5
    assert_no_raw(sink)
    frozen = [item for item in sink.items[5:] if item.blanked is None and item.index == 4]
    cards = [item for item in sink.items if item.blanked == CARD_TEXT]
    assert len(frozen) >= 2
    assert len(cards) >= 1
    assert all(item.image is sink.items[4].image for item in frozen)
    assert all(item.captured_s is None and item.regions == () for item in frozen + cards)
    assert live.outcome.counters.cards == len(cards)
    assert live.outcome.counters.protected == 7
    span_s = float((cards[0].pts - sink.items[4].pts) * TICKS)
    assert 0.25 < span_s < 2.0  # cards carry the time at which they are shown


def test_nothing_is_shown_before_the_first_frame():
    source, sink = Source(), Sink()
    with Live(source, Protector(), taking(sink)):
        time.sleep(0.25)
    assert sink.items == []


def test_frames_that_wait_in_the_guard_when_the_signal_is_lost_come_out_protected():
    world = World([[Face(30 + 4 * k, 15)] for k in range(8)])
    config = FilterConfig(track=TrackConfig(lookahead_s=0.4))
    sink, source = Sink(), WorldSource(world, stop_at=6)
    with Live(source, Guard(make_filter(world, config)), taking(sink)):
        wait_for(lambda: len(sink.items) >= 6)
        wait_for(lambda: any(item.blanked == CARD_TEXT for item in sink.items))
        source.go_on.set()
        source.all_given.wait()
    assert {item.index for item in sink.items} == set(range(8))
    for item in sink.items:
        assert raw_pixels(item.image) == 0


class WorldSource(Source):
    """The frames of a world, slowly enough that none is dropped, with a silence before `stop_at`."""

    def __init__(self, world: World, stop_at: int) -> None:
        super().__init__()
        self.world, self.stop_at = world, stop_at
        self.go_on, self.all_given = threading.Event(), threading.Event()

    def __iter__(self) -> Iterator[Frame]:
        for index, image in enumerate(self.world.images):
            if index == self.stop_at:
                self.go_on.wait(10)
            yield Frame(image, index, index * 3600, TICKS, captured_s=time.monotonic())
            time.sleep(0.03)
        self.all_given.set()

    def end(self, error: Exception | None = None) -> None:
        self.go_on.set()


def test_a_long_loss_begins_afresh_and_a_short_one_keeps_who_is_who():
    source, sink, protect = Source(), Sink(), Protector(delay=2)
    config = PipelineConfig(card_after_s=5.0, freeze_s=9.0, keep_s=0.3)
    with Live(source, protect, taking(sink), config=config):
        feed_into_delay(source, protect, 5)
        time.sleep(0.1)
        source.give()
        wait_for(lambda: len(sink.items) == 4)
        assert protect.resets == 0
        time.sleep(0.4)
        source.give()
        wait_for(lambda: len(sink.items) == 6)  # all that waited came out first
        assert protect.resets == 1
    assert_no_raw(sink)
    assert [item.index for item in sink.items] == list(range(7))


def test_a_short_loss_is_one_where_the_source_was_connected_anew_or_has_another_size():
    source, sink, protect, signal_ = Source(), Sink(), Protector(delay=2), Signal()
    config = PipelineConfig(card_after_s=5.0, freeze_s=9.0, keep_s=9.0)
    with Live(source, protect, taking(sink), config=config, signal=signal_):
        feed_into_delay(source, protect, 5)
        for state in (StreamState.RECONNECTING, StreamState.LIVE):
            signal_(StreamEvent(state=state, at_s=time.monotonic()))
        for count in (6, 7, 8):
            source.give()
            wait_for(lambda count=count: len(protect.pushed) == count)
        wait_for(lambda: len(sink.items) == 6)  # all that waited came out first
        assert protect.resets == 1
        source.put(Frame(RAW[:12], 8, 10 * 90_000, TICKS, captured_s=time.monotonic()))
        wait_for(lambda: len(sink.items) == 8)
        assert protect.resets == 2
    assert_no_raw(sink)


def test_a_slow_camera_is_not_a_lost_one():
    source, sink, protect = Source(), Sink(), Protector()
    config = PipelineConfig(card_after_s=0.04, freeze_s=0.04, card_fps=50, keep_s=0.05)
    with Live(source, protect, taking(sink), config=config) as live:
        for _ in range(12):
            source.give()
            time.sleep(0.08)
        resets, cards = protect.resets, live.statuses[-1].counters.cards
        for _ in range(6):
            source.give()
            time.sleep(0.08)
        assert protect.resets == resets
        assert live.statuses[-1].counters.cards == cards
    assert resets <= 8


def test_times_of_the_source_that_run_backwards_never_reach_a_sink():
    source, sink = Source(), Sink()
    with Live(source, Protector(), taking(sink)):
        for pts in (9000, 12000, 3000, 3000, 2**33, 5):
            before = len(sink.items)
            source.give(pts=pts)
            wait_for(lambda before=before: len(sink.items) > before)
    assert_no_raw(sink)
    assert len(sink.items) == 6


def test_a_frame_that_comes_after_cards_comes_after_them_in_time():
    source, sink = Source(), Sink()
    with Live(source, Protector(), taking(sink)):
        source.give(pts=0)
        wait_for(lambda: any(item.blanked for item in sink.items))
        source.give(pts=3600)
        wait_for(lambda: sink.items[-1].index == 1)
    assert_no_raw(sink)


# Failures.


def breaks(*_: object, **__: object) -> None:
    raise RuntimeError("broken")


def at(index: int, fault: Callable[..., object] = breaks) -> Callable[[Frame], None]:
    return lambda frame: fault() if frame.index == index else None


class RawProtector(Protector):
    """Returns what it was given."""

    def safe(self, frame: Frame) -> object:
        return frame if frame.index % 2 else super().safe(frame)


class DeadProtector(Protector):
    push = flush = reset = set_effort = breaks


class Odd(Protector):
    def push(self, frame: Frame) -> object:
        return {0: None, 1: 5, 2: [None], 3: "text"}.get(frame.index % 5, [self.safe(frame)])


PROTECTORS = {
    "raises once": lambda: Protector(act=at(5)),
    "raises always": lambda: Protector(act=breaks),
    "raises while frames wait": lambda: Protector(delay=3, act=at(5)),
    "returns raw frames": RawProtector,
    "is dead": DeadProtector,
    "returns oddities": Odd,
}


@pytest.mark.parametrize("protector", PROTECTORS.values(), ids=PROTECTORS)
def test_no_failure_in_the_filter_lets_a_raw_frame_out_or_ends_the_run(protector):
    source, sink = Source(), Sink()
    config = PipelineConfig(card_after_s=0.1, freeze_s=0.15, card_fps=25, shed=ShedConfig(max_latency_ms=1e-6))
    with Live(source, protector(), taking(sink), config=config) as live:
        for _ in range(15):
            source.give()
            time.sleep(0.004)
        time.sleep(0.2)
        assert live.thread.is_alive()
    assert live.outcome.counters.read == 15
    assert_no_raw(sink)


def test_an_exception_in_the_filter_becomes_a_blank_and_the_next_frame_is_fine():
    source, sink = Source(), Sink()
    protect = Protector(act=at(3))
    with Live(source, protect, taking(sink)) as live:
        feed(source, sink, 6)
    assert [item.blanked for item in sink.items] == [None] * 3 + ["filter failed: RuntimeError"] + [None] * 2
    assert live.outcome.counters.blanked == 1
    assert protect.resets == 1


@pytest.mark.parametrize("stage", ["detect", "landmark", "smooth", "anonymizer", "cover"])
def test_a_broken_step_of_the_real_filter_shows_no_face(stage):
    world = World([[Face(30 + 4 * k, 15)] for k in range(8)])
    sink, source = Sink(), WorldSource(world, stop_at=5)
    source.go_on.set()
    inner = make_filter(world, FilterConfig(track=TrackConfig(lookahead_s=0.1)), **{stage: breaks})
    with Live(source, Guard(inner), taking(sink)):
        source.all_given.wait(10)
    assert len(sink.items) >= 4  # a busy machine drops some
    for item in sink.items:
        assert raw_pixels(item.image) == 0


def test_a_source_that_fails_is_told_after_all_that_was_read_was_written():
    source, sink, protect = Source(), Sink(), Protector(delay=2)
    with Live(source, protect, taking(sink)) as live:
        feed_into_delay(source, protect, 6)
        source.end(InputError("camera: gone"))
        live.thread.join(5)
    assert [item.index for item in sink.items] == list(range(6))
    assert str(live.outcome.failure) == "camera: gone"
    assert not live.outcome.well
    assert sink.closed == 1


def test_a_card_that_cannot_be_made_is_left_out(monkeypatch):
    monkeypatch.setattr(guards, "card", breaks)
    source, sink = Source(), Sink()
    with Live(source, Protector(), taking(sink)):
        feed(source, sink, 3)
        time.sleep(0.45)
        feed(source, sink, 1)
    assert_no_raw(sink)
    assert sink.items[-1].index == 3


def test_an_encoder_that_breaks_ends_what_is_behind_it_only():
    packets, page = Sink(), Sink()
    onward = FanOut([Consumer(name="file", write=packets.write, close=packets.close)])

    def encode(safe: SafeFrame) -> list[bytes]:
        if safe.index == 4:
            raise RuntimeError("encoder")
        return [safe.image.tobytes()]

    source = Source()
    with Live(source, Protector(), through("encoder", encode, list, onward), taking(page)) as live:
        feed(source, page, 10)
    assert len(page.items) == 10
    assert packets.items == [np.full_like(RAW, SAFE_GREY).tobytes()] * 4
    assert packets.closed == 1
    assert [status.state for status in live.outcome.sinks] == [SinkState.FAILED, SinkState.CLOSED, SinkState.CLOSED]


class Refusing:
    append = breaks


@pytest.mark.parametrize("callback", ["on_status", "see"])
def test_a_callback_that_fails_costs_nothing(callback):
    source, sink = Source(), Sink()
    if callback == "see":
        live = Live(source, Protector(), taking(sink), see=breaks)
    else:
        live = Live(source, Protector(), taking(sink))
        live.statuses = Refusing()
    with live:
        feed(source, sink, 5)
    assert len(sink.items) == 5


def test_a_source_that_does_not_end_is_named_and_left_alone():
    source, sink, stop = Source(ignores_close=True), Sink(), threading.Event()
    config = PipelineConfig(close_wait_s=0.2)
    with Live(source, Protector(), taking(sink), config=config, stop=stop) as live:
        feed(source, sink, 3)
        stop.set()
        live.thread.join(3)
        assert not live.thread.is_alive()
    assert live.outcome.abandoned == ("source",)
    assert sink.closed == 1


# Ends.


def test_a_stop_finishes_everything():
    source, sink, stop, protect = Source(), Sink(), Stop(), Protector(delay=2)
    with Live(source, protect, taking(sink), stop=stop) as live:
        feed_into_delay(source, protect, 10)
        stop.set()
        live.thread.join(5)
        assert not live.thread.is_alive()
    assert [item.index for item in sink.items] == list(range(10))
    assert live.outcome.well
    assert sink.closed == 1


def test_an_endless_source_that_does_not_listen_is_cut_off():
    def endless() -> Iterator[Frame]:
        index = 0
        while True:
            yield Frame(RAW, index, index, TICKS, captured_s=time.monotonic())
            index += 1
            time.sleep(0.001)

    stop, sink = Stop(), Sink()
    fan_out = FanOut([taking(sink)])
    threading.Timer(0.1, stop.set).start()
    outcome = run_live(endless(), Protector(), fan_out, stop=stop)
    assert outcome.abandoned == ()
    assert sink.closed == 1


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_the_first_signal_finishes_properly(number):
    source, sink = Source(), Sink()
    before = signal.getsignal(number)

    def send() -> None:
        feed(source, sink, 5)
        os.kill(os.getpid(), number)

    sender = threading.Thread(target=send)
    with stopping_on_signals() as stop:
        sender.start()
        outcome = run_live(source, Protector(), FanOut([taking(sink)]), FAST, stop=stop)
    sender.join()
    assert signal.getsignal(number) is before
    assert stop.is_set()
    assert outcome.well
    assert len(sink.items) == 5
    assert sink.closed == 1


def test_a_second_signal_ends_at_once():
    source, asleep = Source(), Asleep()

    def send() -> None:
        source.give()
        wait_for(lambda: asleep.calls)
        os.kill(os.getpid(), signal.SIGTERM)
        wait_for(lambda: source.closed)
        os.kill(os.getpid(), signal.SIGINT)

    sender = threading.Thread(target=send)
    config = PipelineConfig(close_wait_s=30)
    start_s = time.monotonic()
    try:
        with pytest.raises(KeyboardInterrupt), stopping_on_signals() as stop:
            sender.start()
            run_live(source, Protector(), FanOut([Consumer(name="asleep", write=asleep.write)]), config, stop=stop)
        assert time.monotonic() - start_s < 3
    finally:
        sender.join()
        asleep.awake.set()


# Latency and work.


def test_latency_agrees_with_a_consumer_that_stamps():
    source, sink = Source(), Sink()
    protect = Protector(act=lambda frame: time.sleep(0.02))
    with Live(source, protect, taking(sink)) as live:
        feed(source, sink, 30)
    seen_ms = [(at - item.captured_s) * 1e3 for at, item in zip(sink.stamps, sink.items, strict=True)]
    (status,) = live.outcome.sinks
    assert status.latency["calls"] == 30
    assert np.percentile(seen_ms, 50) - 1 <= status.latency["p50_ms"] <= np.percentile(seen_ms, 50) + 20
    assert np.percentile(seen_ms, 95) - 1 <= status.latency["p95_ms"] <= max(seen_ms) + 20  # a busy machine pauses
    told = live.outcome.latency
    assert 20 <= told["protected"]["p50_ms"] <= status.latency["p50_ms"]
    assert told["inbox"]["p50_ms"] < 10
    assert next(iter(told)) == "inbox"


def test_work_is_shed_under_load_and_comes_back():
    source, sink = Source(), Sink()
    slow = [True]
    protect = Protector(act=lambda frame: time.sleep(0.03 if slow[0] else 0.0))
    shed = ShedConfig(max_latency_ms=20, shed_after_s=0.05, recover_after_s=0.1)
    config = PipelineConfig(shed=shed, card_after_s=5, freeze_s=9, status_every_s=0.0)
    with Live(source, protect, taking(sink), config=config) as live:
        wait_for(lambda: (feed(source, sink, 1), live.statuses[-1].level is Level.COVER)[1])
        slow[0] = False
        wait_for(lambda: (feed(source, sink, 1, 0.002), live.statuses[-1].level is Level.FULL)[1])
    stated = [level.effort for level in (*list(Level)[1:], *list(Level)[-2::-1])]
    assert protect.efforts == stated


def test_a_look_ahead_is_no_reason_to_shed():
    source, sink, protect = Source(), Sink(), Protector(delay=4)
    shed = ShedConfig(max_latency_ms=100, shed_after_s=0.0)
    config = PipelineConfig(shed=shed, card_after_s=5, freeze_s=9)
    with Live(source, protect, taking(sink), config=config):
        for _ in range(30):
            source.give()
            time.sleep(0.03)  # 4 frames of look-ahead are 120 ms
    assert protect.efforts == []


def test_the_state_is_that_of_the_source_where_it_tells():
    source, sink, signal_ = Source(), Sink(), Signal()
    with Live(source, Protector(), taking(sink), signal=signal_) as live:
        for state in (StreamState.LIVE, StreamState.RECONNECTING, StreamState.LIVE):
            signal_(StreamEvent(state=state, at_s=time.monotonic(), reason="a reason"))
            wait_for(lambda state=state: live.statuses and live.statuses[-1].state is state)
        assert live.statuses[-1].reason == "a reason"
    assert live.outcome.counters.reconnects == 1


def test_the_rate_is_that_of_the_frames():
    source, sink = Source(), Sink()
    with Live(source, Protector(), taking(sink)) as live:
        start_s = time.monotonic()
        feed(source, sink, 25, every_s=0.02)
        rate = 25 / (time.monotonic() - start_s)
        told: LiveStatus = live.statuses[-1]
    assert told.fps == pytest.approx(rate, rel=0.25)


# Cards.


@pytest.mark.parametrize("size", [(24, 32), (360, 640), (1080, 1920), (1, 1), (16, 2000)])
def test_a_card_is_made_of_size_time_and_text(size):
    made = card(size, "no signal", index=7, pts=123, time_base=Fraction(1, 25))
    again = card(size, "no signal", index=8, pts=124, time_base=Fraction(1, 25))
    assert made.image.shape == (*size, 3)
    assert (made.index, made.pts, made.time_base, made.blanked) == (7, 123, Fraction(1, 25), "no signal")
    assert (made.image == again.image).all()
    if min(size) > 20:
        assert len(np.unique(made.image)) > 2  # there is a text
        assert (made.image != card(size, "gone", index=7, pts=1, time_base=TICKS).image).any()
    with pytest.raises(ValueError, match="read-only"):
        made.image[0] = 1


def test_settings_that_cannot_work():
    for bad in ({"freeze_s": 0.5}, {"card_fps": 0}, {"keep_s": -1}):
        with pytest.raises(ConfigError):
            PipelineConfig(**bad)
