"""Times of frames: what the container says, mended only where nothing could play it."""

from __future__ import annotations

import itertools

from hypothesis import given
from hypothesis import strategies as st

from streamfilter.media.timeline import Timeline

STEP = 10
ticks = st.integers(-1000, 100_000)


@given(st.lists(ticks, unique=True, min_size=1).map(sorted))
def test_rising_times_are_left_alone(pts: list[int]) -> None:
    line = Timeline(step=STEP, jump=1000)
    assert [line.place(time, None) for time in pts] == pts
    assert line.notices == []


@given(st.lists(st.tuples(st.none() | ticks, st.none() | ticks), min_size=1), st.booleans())
def test_whatever_comes_the_times_rise(pairs: list[tuple[int | None, int | None]], prefer_dts: bool) -> None:
    line = Timeline(step=STEP, jump=1000, prefer_dts=prefer_dts)
    placed = [line.place(*pair) for pair in pairs]
    assert all(late > early for early, late in itertools.pairwise(placed))


def test_missing_times_are_derived_and_said() -> None:
    line = Timeline(step=STEP, jump=1000)
    assert [line.place(pts, None) for pts in (0, None, None, 35)] == [0, 10, 20, 35]
    assert line.notices == ["2 frames carried no time stamp; theirs was derived from the frame rate"]


def test_a_double_moves_by_one_tick_and_the_rest_stays() -> None:
    line = Timeline(step=STEP, jump=1000)
    assert [line.place(pts, None) for pts in (0, 10, 10, 20)] == [0, 10, 11, 20]
    assert "1 time stamps did not rise" in line.notices[0]


def test_joined_recordings_run_on() -> None:
    line = Timeline(step=STEP, jump=1000)
    assert [line.place(pts, None) for pts in (5000, 5010, 0, 10, 20)] == [5000, 5010, 5020, 5030, 5040]


def test_faulty_presentation_times_give_way_to_decoding_times() -> None:
    line = Timeline(step=STEP, jump=1000)
    wrong = [(50, 0), (40, 10), (30, 20), (20, 30), (10, 40)]
    assert line.place(*wrong[0]) == 50
    # From the first step back on the decoding times are believed; they must only not lie before what was shown.
    assert [line.place(*pair) for pair in wrong[1:]] == [51, 52, 53, 54]


def test_a_container_without_presentation_times_counts_by_decoding() -> None:
    line = Timeline(step=STEP, jump=1000, prefer_dts=True)
    assert [line.place(*pair) for pair in [(0, 0), (30, 10), (10, 20), (20, None)]] == [0, 10, 20, 30]
