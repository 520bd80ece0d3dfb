"""The pipeline ends, whatever fails where: the failure is raised, and no thread is left."""

from __future__ import annotations

import threading
import time
from collections.abc import Iterator
from fractions import Fraction

import numpy as np
import pytest

from streamfilter.errors import DamagedStreamError, InputError, OutputError
from streamfilter.pipeline import INBOX_FRAMES, OUTBOX_FRAMES, Cancelled, Channel, run
from streamfilter.structures import Frame, SafeFrame

PICTURE = np.zeros((4, 6, 3), np.uint8)
N = 40


def frames(n: int = N, fail_at: int | None = None, error: BaseException | None = None) -> Iterator[Frame]:
    for index in range(n):
        if index == fail_at:
            raise error or InputError("broken")
        yield Frame(PICTURE, index, index, Fraction(1, 25))


class Delay:
    """A protector that holds two frames back; fails at a frame where asked to."""

    def __init__(self, fail_at: int | None = None, pause_s: float = 0.0, error: BaseException | None = None) -> None:
        self.waiting: list[SafeFrame] = []
        self.fail_at, self.pause_s, self.error = fail_at, pause_s, error or ValueError("filter")

    def push(self, frame: Frame) -> list[SafeFrame]:
        if frame.index == self.fail_at:
            raise self.error
        time.sleep(self.pause_s)
        self.waiting.append(SafeFrame(frame.image, frame.index, frame.pts, frame.time_base))
        return [self.waiting.pop(0)] if len(self.waiting) > 2 else []

    def flush(self) -> list[SafeFrame]:
        rest, self.waiting = self.waiting, []
        return rest


class Sink:
    def __init__(self, fail_at: int | None = None) -> None:
        self.indices: list[int] = []
        self.fail_at = fail_at

    def __call__(self, frame: SafeFrame) -> None:
        if self.fail_at is not None and frame.index >= self.fail_at:
            raise OutputError("disk full")
        self.indices.append(frame.index)


@pytest.fixture(autouse=True)
def no_thread_is_left() -> Iterator[None]:
    before = set(threading.enumerate())
    yield
    assert set(threading.enumerate()) <= before


def test_every_frame_arrives_in_order():
    sink = Sink()
    flow = run(frames(), Delay(), sink)
    assert sink.indices == list(range(N))
    assert (flow.read, flow.written) == (N, N)


def test_an_empty_source_ends():
    assert run(frames(0), Delay(), Sink()).written == 0


@pytest.mark.parametrize("at", [0, 1, 17, N - 1])
@pytest.mark.parametrize(
    ("make", "error"),
    [
        (lambda at: (frames(fail_at=at), Delay(), Sink()), InputError),
        (lambda at: (frames(), Delay(fail_at=at), Sink()), ValueError),
        (lambda at: (frames(), Delay(), Sink(fail_at=at)), OutputError),
    ],
    ids=["reader", "filter", "writer"],
)
def test_a_failure_anywhere_is_raised(make, error, at):
    source, protect, sink = make(at)
    with pytest.raises(error):
        run(source, protect, sink)


def test_a_failure_in_flush_is_raised():
    class Dead(Delay):
        def flush(self) -> list[SafeFrame]:
            raise ValueError("flush")

    with pytest.raises(ValueError, match="flush"):
        run(frames(), Dead(), Sink())


def test_the_first_of_several_failures_is_raised():
    slow = Delay(pause_s=0.01, fail_at=2, error=ValueError("second"))
    with pytest.raises(InputError, match="broken"):
        run(frames(fail_at=0), slow, Sink())


def test_ctrl_c_ends_everything():
    with pytest.raises(KeyboardInterrupt):
        run(frames(), Delay(fail_at=5, error=KeyboardInterrupt()), Sink())


def test_a_damaged_source_is_written_as_far_as_it_goes_and_then_raised():
    sink = Sink()
    with pytest.raises(DamagedStreamError):
        run(frames(fail_at=20, error=DamagedStreamError("cut off")), Delay(), sink)
    assert sink.indices == list(range(20))


@pytest.mark.parametrize("fail_at", [None, 3])
def test_the_source_is_closed(fail_at):
    closed = []

    def source() -> Iterator[Frame]:
        try:
            yield from frames()
        finally:
            closed.append(threading.current_thread().name)

    try:
        run(source(), Delay(fail_at=fail_at), Sink())
    except ValueError:
        assert fail_at is not None
    assert closed == ["streamfilter-reader"]


def test_a_file_waits_for_the_slowest():
    ahead = []

    class Watching(Delay):
        def push(self, frame: Frame) -> list[SafeFrame]:
            ahead.append(read[-1] - frame.index)
            return super().push(frame)

    read = [0]

    def source() -> Iterator[Frame]:
        for frame in frames():
            read.append(frame.index)
            yield frame

    sink = Sink()
    run(source(), Watching(pause_s=0.002), sink)
    assert sink.indices == list(range(N))
    assert max(ahead) <= INBOX_FRAMES + 1


def test_a_slow_writer_holds_the_filter_back():
    written = []
    most = []

    class Watching(Delay):
        def push(self, frame: Frame) -> list[SafeFrame]:
            most.append(frame.index - len(written))
            return super().push(frame)

    def write(frame: SafeFrame) -> None:
        time.sleep(0.002)
        written.append(frame.index)

    run(frames(), Watching(), write)
    assert max(most) <= OUTBOX_FRAMES + 2 + 2


def test_progress_is_told_in_the_callers_thread():
    told, threads = [], set()

    def on_progress(flow) -> None:
        told.append(flow.written)
        threads.add(threading.current_thread())

    run(frames(), Delay(), Sink(), on_progress=on_progress)
    assert told == sorted(told)
    assert told[-1] == N
    assert threads == {threading.current_thread()}


def test_a_failing_progress_callback_ends_everything():
    def on_progress(flow) -> None:
        raise ValueError("display")

    with pytest.raises(ValueError, match="display"):
        run(frames(), Delay(), Sink(), on_progress=on_progress)


def test_a_cancelled_channel_wakes_both_ends():
    channel: Channel[int] = Channel(1)
    channel.put(1)
    seen = []

    def put() -> None:
        try:
            channel.put(2)
        except Cancelled:
            seen.append("put")

    sender = threading.Thread(target=put)
    sender.start()
    channel.cancel()
    sender.join()
    with pytest.raises(Cancelled):
        next(iter(channel))
    assert seen == ["put"]


def test_a_finished_channel_is_drained():
    channel: Channel[int] = Channel(5)
    for item in range(3):
        channel.put(item)
    channel.finish()
    assert list(channel) == [0, 1, 2]
