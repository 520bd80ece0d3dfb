"""No consumer delays, breaks or ends another, and whatever becomes of it is counted and named once."""

from __future__ import annotations

import itertools
import threading
import time
from collections.abc import Iterator
from dataclasses import dataclass

import pytest

from streamfilter.errors import OutputError
from streamfilter.pipeline import Channel, Consumer, FanOut, Retry, SinkState, through
from tests.live_fakes import Asleep, Sink, wait_for

QUICK = Retry(first_s=0.02, most_s=0.05, well_s=10.0)


@dataclass(frozen=True)
class Packet:
    number: int
    key: bool
    captured_s: float | None = None


def packets(n: int, every: int = 5) -> list[Packet]:
    return [Packet(k, k % every == 0) for k in range(n)]


@pytest.fixture(autouse=True)
def no_thread_is_left() -> Iterator[None]:
    before = set(threading.enumerate())
    yield
    wait_for(lambda: set(threading.enumerate()) <= before)


def disk_full(item: object) -> None:
    raise OutputError("out.mp4: no space left on device; free some")


def test_every_consumer_gets_every_item_in_order_and_is_closed():
    sinks = [Sink(), Sink()]
    fan_out = FanOut([Consumer(name=str(k), write=s.write, close=s.close, queue=99) for k, s in enumerate(sinks)])
    fan_out.start()
    for item in range(50):
        fan_out.put(item)
    assert fan_out.close() == ()
    for sink, status in zip(sinks, fan_out.statuses(), strict=True):
        assert sink.items == list(range(50))
        assert sink.closed == 1
        assert (status.state, status.written, status.dropped, status.error) == (SinkState.CLOSED, 50, 0, None)


def test_one_that_sleeps_for_ever_delays_nobody_and_is_named_at_the_end():
    asleep, sink = Asleep(), Sink()
    fan_out = FanOut(
        [Consumer(name="asleep", write=asleep.write), Consumer(name="well", write=sink.write, close=sink.close)],
        stalled_after_s=0.05,
    )
    fan_out.start()
    try:
        slowest_s = 0.0
        for item in range(200):
            start_s = time.monotonic()
            fan_out.put((item, start_s))
            slowest_s = max(slowest_s, time.monotonic() - start_s)
            wait_for(lambda item=item: len(sink.items) > item)
        assert slowest_s < 0.1
        assert [item for item, _ in sink.items] == list(range(200))
        assert max(at - put for (_, put), at in zip(sink.items, sink.stamps, strict=True)) < 0.2
        wait_for(lambda: fan_out.statuses()[0].state is SinkState.STALLED)
        start_s = time.monotonic()
        assert fan_out.close(wait_s=0.3) == ("asleep",)
        assert 0.25 < time.monotonic() - start_s < 1.0
        states = {status.name: status for status in fan_out.statuses()}
        assert states["asleep"].state is SinkState.ABANDONED
        assert (states["asleep"].written, states["asleep"].dropped) == (0, 195)  # one on its way, four in the queue
        assert states["well"].state is SinkState.CLOSED
    finally:
        asleep.awake.set()


@pytest.mark.parametrize("where", ["open", "write", "close"])
def test_one_that_breaks_is_named_once_and_the_others_go_on(where):
    named, sink, broken = [], Sink(), Sink()
    parts = {"open": broken.open, "write": broken.write, "close": broken.close} | {where: lambda *_: disk_full(None)}
    fan_out = FanOut(
        [Consumer(name="file", queue=99, **parts), Consumer(name="page", write=sink.write, queue=99)],
        on_error=lambda name, text: named.append((name, text)),
    )
    fan_out.start()
    for item in range(30):
        fan_out.put(item)
    fan_out.close()
    assert sink.items == list(range(30))
    assert named == [("file", "out.mp4: no space left on device; free some")]
    file, page = fan_out.statuses()
    assert file.state is SinkState.FAILED
    assert file.written == (30 if where == "close" else 0)
    assert page.state is SinkState.CLOSED
    assert page.well
    assert not file.well


def test_what_a_failed_consumer_misses_is_counted():
    sink = Sink(act=disk_full)
    fan_out = FanOut([Consumer(name="file", write=sink.write, close=sink.close)], on_error=lambda *_: None)
    fan_out.start()
    fan_out.put(0)
    wait_for(lambda: not fan_out.alive)
    wait_for(lambda: sink.closed == 1)
    for item in range(10):
        fan_out.put(item)
    assert fan_out.statuses()[0].dropped == 10
    fan_out.close()


def test_a_network_sink_is_tried_again_and_named_once_while_it_fails():
    named, down = [], [True]

    def refuse() -> None:
        sink.open()
        if down[0]:
            raise OutputError("the server refused the connection")

    sink = Sink()
    fan_out = FanOut(
        [Consumer(name="rtmp", write=sink.write, open=refuse, close=sink.close, retry=QUICK)],
        on_error=lambda name, text: named.append(text),
    )
    fan_out.start()
    wait_for(lambda: sink.opened >= 4)
    assert fan_out.alive
    assert fan_out.statuses()[0].state is SinkState.RETRYING
    down[0] = False
    wait_for(lambda: fan_out.put("x") or sink.items)
    wait_for(lambda: fan_out.statuses()[0].state is SinkState.OPEN)
    assert named == ["the server refused the connection"]
    assert fan_out.close() == ()
    assert fan_out.statuses()[0].state is SinkState.CLOSED
    assert sink.closed == sink.opened


def test_pauses_grow_and_an_end_does_not_wait_for_them():
    opened = []

    def refuse() -> None:
        opened.append(time.monotonic())
        raise OutputError("refused")

    retry = Retry(first_s=0.03, most_s=60.0, well_s=60.0)
    fan_out = FanOut([Consumer(name="x", write=print, open=refuse, retry=retry)], on_error=lambda *_: None)
    fan_out.start()
    wait_for(lambda: len(opened) == 4)
    gaps = [after - before for before, after in itertools.pairwise(opened)]
    assert gaps[0] < gaps[1] < gaps[2]
    start_s = time.monotonic()
    assert fan_out.close() == ()
    assert time.monotonic() - start_s < 0.15
    assert fan_out.statuses()[0].state is SinkState.FAILED


def test_a_secret_in_a_foreign_error_is_not_named():
    named = []

    def leak(item: object) -> None:
        raise RuntimeError("cannot reach rtsp://admin:hunter2@10.0.0.1/x")

    fan_out = FanOut([Consumer(name="rtsp", write=leak)], on_error=lambda name, text: named.append(text))
    fan_out.start()
    fan_out.put(1)
    wait_for(lambda: named)
    fan_out.close()
    assert "hunter2" not in named[0] + str(fan_out.statuses())


def test_a_slow_consumer_of_packets_goes_on_at_a_key_frame():
    gate, taken, asked = threading.Event(), [], []

    def write(packet: Packet) -> None:
        taken.append(packet)
        gate.wait()

    consumer = Consumer(
        name="slow", write=write, queue=7, starts=lambda packet: packet.key, on_drop=lambda: asked.append(1)
    )
    fan_out: FanOut[Packet] = FanOut([consumer])
    fan_out.start()
    all_of_them = packets(43)
    fan_out.put(all_of_them[0])
    wait_for(lambda: taken)
    for packet in all_of_them[1:]:
        fan_out.put(packet)
    gate.set()
    fan_out.close()
    numbers = [packet.number for packet in taken]
    assert numbers[0] == 0
    for before, after in itertools.pairwise(taken):
        assert after.number == before.number + 1 or after.key, numbers
    assert numbers[-1] == 42
    assert asked
    assert fan_out.statuses()[0].dropped == 43 - len(taken)


def test_after_a_failure_packets_begin_at_a_key_frame_again():
    taken, failing = [], [True]

    def write(packet: Packet) -> None:
        if packet.number == 7 and failing[0]:
            failing[0] = False
            raise OutputError("broken pipe")
        taken.append(packet)

    asked: list[int] = []
    consumer = Consumer(
        name="rtsp",
        write=write,
        queue=50,
        starts=lambda packet: packet.key,
        retry=QUICK,
        on_drop=lambda: asked.append(1),
    )
    fan_out: FanOut[Packet] = FanOut([consumer], on_error=lambda *_: None)
    fan_out.start()
    for packet in packets(43):
        fan_out.put(packet)
    wait_for(lambda: asked)
    for packet in packets(60)[43:]:
        fan_out.put(packet)
    fan_out.close()
    numbers = [packet.number for packet in taken]
    assert numbers[:7] == list(range(7))
    assert numbers[7] % 5 == 0
    assert numbers[7:] == list(range(numbers[7], 60))


def test_one_encoder_serves_many_outlets_and_a_broken_outlet_hurts_none():
    whole, named = Sink(), []
    onward: FanOut[Packet] = FanOut(
        [
            Consumer(name="disk", write=disk_full, queue=99),
            Consumer(name="push", write=whole.write, close=whole.close, queue=99),
        ],
        on_error=lambda name, text: named.append(name),
    )
    stage = through("encoder", lambda n: [(n, "a"), (n, "b")], lambda: ["rest"], onward, queue=99)
    fan_out = FanOut([stage])
    fan_out.start()
    for item in range(20):
        fan_out.put(item)
    assert fan_out.close() == ()
    assert whole.items == [(n, part) for n in range(20) for part in "ab"] + ["rest"]
    assert whole.closed == 1
    assert named == ["disk"]
    assert [(s.name, s.state) for s in fan_out.statuses()] == [
        ("encoder", SinkState.CLOSED),
        ("disk", SinkState.FAILED),
        ("push", SinkState.CLOSED),
    ]


def test_a_stage_is_dead_when_all_behind_it_are():
    onward = FanOut([Consumer(name="disk", write=disk_full)], on_error=lambda *_: None)
    fan_out = FanOut([through("encoder", lambda n: [n], list, onward)])
    fan_out.start()
    assert fan_out.alive
    fan_out.put(1)
    wait_for(lambda: not fan_out.alive)
    fan_out.close()


def test_an_outlet_asleep_behind_the_encoder_is_named_and_abandoned():
    asleep = Asleep()
    onward = FanOut([Consumer(name="asleep", write=asleep.write)])
    fan_out = FanOut([through("encoder", lambda n: [n], list, onward, close_wait_s=0.1)])
    fan_out.start()
    try:
        fan_out.put(1)
        wait_for(lambda: asleep.calls)
        assert fan_out.close(1.0) == ()
        assert [status.state for status in fan_out.statuses()] == [SinkState.CLOSED, SinkState.ABANDONED]
    finally:
        asleep.awake.set()


def test_latency_is_what_a_stamping_consumer_sees():
    sink = Sink(act=lambda item: time.sleep(0.01))
    fan_out: FanOut[Packet] = FanOut([Consumer(name="x", write=sink.write, queue=99)])
    fan_out.start()
    for k in range(20):
        fan_out.put(Packet(k, True, captured_s=time.monotonic() - 0.1))
        wait_for(lambda k=k: len(sink.items) > k)
    fan_out.close()
    seen_ms = sorted((at - item.captured_s) * 1e3 for at, item in zip(sink.stamps, sink.items, strict=True))
    told = fan_out.statuses()[0].latency
    assert told["calls"] == 20
    assert told["p50_ms"] == pytest.approx((seen_ms[9] + seen_ms[10]) / 2, abs=5)
    assert seen_ms[18] - 1 <= told["p95_ms"] <= seen_ms[19] + 20  # a busy machine pauses between both stamps


def test_cancelling_waits_for_nobody():
    asleep = Asleep()
    fan_out = FanOut([Consumer(name="asleep", write=asleep.write)])
    fan_out.start()
    try:
        fan_out.put(1)
        wait_for(lambda: asleep.calls)
        start_s = time.monotonic()
        assert fan_out.cancel() == ("asleep",)
        assert time.monotonic() - start_s < 0.2
    finally:
        asleep.awake.set()


def test_a_channel_drops_to_the_next_key_item():
    channel: Channel[Packet] = Channel(4, drop_oldest=True, starts=lambda packet: packet.key)
    for packet in packets(7, every=5):  # 0 1 2 3 | 4 tears, 5 begins anew
        channel.put(packet)
    channel.finish()
    assert [packet.number for packet in channel] == [5, 6]
    assert channel.dropped == 5


def test_taking_from_a_channel_does_not_wait_for_ever():
    channel: Channel[int] = Channel(2)
    start_s = time.monotonic()
    assert channel.take(0.03) is None
    assert 0.02 < time.monotonic() - start_s < 0.3
    assert not channel.drained
    channel.finish()
    assert channel.take(9.0) is None
    assert channel.drained
