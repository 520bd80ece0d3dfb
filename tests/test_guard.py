"""The guard returns every frame once, in order, safe or blank, whatever the filter within does."""

from __future__ import annotations

from dataclasses import replace
from fractions import Fraction

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from streamfilter.guard import MAX_WAITING, Guard
from streamfilter.structures import Frame, SafeFrame
from streamfilter.timing import StageTimes

PICTURE = np.full((4, 6, 3), 200, np.uint8)


def frame(index: int) -> Frame:
    return Frame(PICTURE, index, index * 2, Fraction(1, 50))


def safe(one: Frame) -> SafeFrame:
    return SafeFrame(one.image, one.index, one.pts, one.time_base)


SPOIL = {
    "none": lambda due: None,
    "lose": lambda due: [],
    "twice": lambda due: due * 2,
    "raw": lambda due: [Frame(one.image, one.index, one.pts, one.time_base) for one in due],
    "index": lambda due: [replace(one, index=one.index + 1) for one in due],
    "pts": lambda due: [replace(one, pts=None) for one in due],
    "size": lambda due: [replace(one, image=one.image[:2]) for one in due],
}
ACTS = ["raise", *SPOIL]


class Inner:
    """Holds `delay` frames back; `acts[k]` replaces what the k-th push does with the frames that are due."""

    def __init__(self, delay: int = 2, acts: dict[int, str] | None = None) -> None:
        self.times = StageTimes()
        self.delay, self.acts, self.calls, self.resets = delay, acts or {}, 0, 0
        self.waiting: list[Frame] = []

    def push(self, one: Frame) -> list[SafeFrame]:
        self.calls += 1
        self.waiting.append(one)
        due = [safe(self.waiting.pop(0))] if len(self.waiting) > self.delay else []
        return self.act(self.acts.get(self.calls - 1, ""), due)

    def act(self, name: str, due: list[SafeFrame]) -> list[SafeFrame]:
        if name == "raise":
            raise ValueError(name)
        return SPOIL.get(name, lambda frames: frames)(due)

    def flush(self) -> list[SafeFrame]:
        rest, self.waiting = [safe(one) for one in self.waiting], []
        return self.act(self.acts.get(-1, ""), rest)

    def reset(self) -> None:
        self.resets += 1
        self.waiting = []


def run(guard: Guard, n: int) -> list[SafeFrame]:
    out = [one for index in range(n) for one in guard.push(frame(index))]
    return out + guard.flush()


def assert_complete(out: list[SafeFrame], n: int) -> None:
    assert [one.index for one in out] == list(range(n))
    for one in out:
        assert isinstance(one, SafeFrame)
        assert (one.pts, one.time_base, one.image.shape) == (one.index * 2, Fraction(1, 50), PICTURE.shape)


def test_a_filter_that_works_is_left_alone():
    inner = Inner()
    guard = Guard(inner)
    out = run(guard, 10)
    assert_complete(out, 10)
    assert not any(one.blanked for one in out)
    assert guard.failures == inner.resets == 0
    assert guard.times is inner.times


@pytest.mark.parametrize("act", ACTS)
def test_one_failure_blanks_the_frames_concerned_and_no_others(act):
    inner = Inner(delay=2, acts={5: act})
    guard = Guard(inner)
    out = run(guard, 20)
    assert_complete(out, 20)
    blanked = [one.index for one in out if one.blanked]
    assert blanked
    assert all(one.image.max() < 200 for one in out if one.blanked)
    assert guard.failures == inner.resets == 1
    if act == "raise":
        assert blanked == [3, 4, 5]


@pytest.mark.parametrize("act", ACTS)
def test_a_failure_in_flush_blanks_the_rest(act):
    out = run(Guard(Inner(delay=3, acts={-1: act})), 6)
    assert_complete(out, 6)
    assert (out[-1].blanked is None) == (act == "twice")  # there, all had come out when too many came


@given(st.integers(0, 6), st.dictionaries(st.integers(-1, 29), st.sampled_from(ACTS)), st.integers(0, 30))
def test_every_frame_comes_out_once_whatever_fails(delay, acts, n):
    assert_complete(run(Guard(Inner(delay, acts)), n), n)


def test_a_filter_that_keeps_everything_is_stopped():
    guard = Guard(Inner(delay=10**6))
    out = run(guard, MAX_WAITING + 10)
    assert_complete(out, MAX_WAITING + 10)
    assert guard.failures >= 1


def test_a_filter_that_cannot_be_reset_is_blanked_again():
    class Dead(Inner):
        def reset(self) -> None:
            raise ValueError("reset")

    assert_complete(run(Guard(Dead(acts={2: "raise", 3: "raise"})), 8), 8)


def test_reset_drops_what_waits():
    inner = Inner()
    guard = Guard(inner)
    guard.push(frame(0))
    guard.reset()
    assert guard.flush() == []
    assert inner.resets == 1
