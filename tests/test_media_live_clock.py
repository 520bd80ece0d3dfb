"""Output times of live streams: they rise, they follow the source while it can be believed, and arrival otherwise."""

from __future__ import annotations

import itertools
import time
from fractions import Fraction

import numpy as np
import pytest
from av import AudioFrame
from hypothesis import given
from hypothesis import strategies as st

from streamfilter.errors import ConfigError, ShapeError
from streamfilter.live_config import LiveConfig
from streamfilter.media.live_audio import AUDIO_RATE_HZ, AudioChunk, AudioLine
from streamfilter.media.live_clock import BELIEVED_WITHIN_S, TICKS_PER_S, LiveClock, Pacer
from streamfilter.media.reconnecting import BackOff

TICK_S = 1 / TICKS_PER_S


def placed(clock: LiveClock, times: list[tuple[float | None, float]]) -> list[float]:
    """Output times in seconds for (source, arrival)."""
    return [clock.place(source, arrival) * TICK_S for source, arrival in times]


def test_a_punctual_source_keeps_its_own_distances() -> None:
    sources = [7.0, 7.04, 7.081, 7.12, 7.16]
    assert placed(LiveClock(), [(t, t + 93) for t in sources]) == pytest.approx([t - 7 for t in sources], abs=TICK_S)


def test_jitter_of_arrival_does_not_reach_the_output() -> None:
    jitter = itertools.cycle([0.0, 0.031, 0.007, 0.05, 0.012])
    out = placed(LiveClock(), [(n / 25, 50 + n / 25 + next(jitter)) for n in range(500)])
    assert np.abs(np.diff(out[10:]) - 0.04).max() < 0.002


def test_frames_that_piled_up_while_connecting_delay_nothing_after_them() -> None:
    """A second of video comes at once, then punctually: what comes later is shown when it comes."""
    piled = [(n / 25, 10.0) for n in range(25)]
    punctual = [(n / 25, 10 + (n - 24) / 25) for n in range(25, 100)]
    out = placed(LiveClock(), piled + punctual)
    assert np.diff(out).min() > 0
    assert max(shown - (arrival - 10) for shown, (_, arrival) in zip(out, piled + punctual, strict=True)) < 0.001
    assert np.abs(np.array(out[30:]) - [arrival - 10 for _, arrival in punctual[5:]]).max() < 0.002


def test_a_camera_clock_that_runs_slow_or_fast_never_leads_to_a_skip() -> None:
    for drift in (0.9998, 1.0002):
        out = placed(LiveClock(), [(n / 25 * drift, n / 25) for n in range(25 * 3600)])
        assert np.abs(np.diff(out) - 0.04).max() < 0.001
        assert abs(out[-1] - 3600) < 0.3


@pytest.mark.parametrize("jump_s", [3600.0, -3600.0, -0.7, 0.7, -95443.717])
def test_a_jump_is_anchored_at_arrival_and_seen_once(jump_s: float) -> None:
    before = [(n / 25, n / 25) for n in range(50)]
    after = [(n / 25 + jump_s, n / 25) for n in range(50, 100)]
    clock = LiveClock()
    assert placed(clock, before + after) == pytest.approx([n / 25 for n in range(100)], abs=0.001)
    assert clock.anchored == 2


def test_frames_without_a_time_are_shown_when_they_come() -> None:
    assert placed(LiveClock(), [(None, 5.0), (None, 5.1), (9.0, 5.2), (None, 5.3)]) == pytest.approx([0, 0.1, 0.2, 0.3])


def test_a_new_connection_is_not_compared_with_the_old_one() -> None:
    clock = LiveClock()
    placed(clock, [(1.0, 1.0), (1.04, 1.04)])
    clock.restart()
    assert placed(clock, [(1.3, 6.0), (1.34, 6.04)]) == pytest.approx([5.0, 5.04], abs=TICK_S)


SOURCE_TIMES = st.one_of(st.none(), st.floats(-1e6, 1e6), st.integers(0, 50).map(lambda n: n / 25))
STEPS_S = st.floats(0.001, 3.0)


@given(st.lists(st.tuples(SOURCE_TIMES, STEPS_S), min_size=1, max_size=60), st.floats(0, 1e6))
def test_times_rise_and_stay_near_arrival_whatever_the_source_says(
    steps: list[tuple[float | None, float]], start_s: float
) -> None:
    arrivals = list(itertools.accumulate((step for _, step in steps), initial=start_s))[1:]
    ticks = _ticks([source for source, _ in steps], arrivals)
    assert ticks[0] == 0
    assert all(one < other for one, other in itertools.pairwise(ticks))
    off = [tick * TICK_S - (arrival - arrivals[0]) for tick, arrival in zip(ticks, arrivals, strict=True)]
    assert max(map(abs, off)) <= BELIEVED_WITHIN_S + 2 * TICK_S


def _ticks(sources: list[float | None], arrivals: list[float]) -> list[int]:
    clock = LiveClock()
    return [clock.place(source, arrival) for source, arrival in zip(sources, arrivals, strict=True)]


# --- holding back what comes too fast ---


def test_a_pacer_holds_frames_until_they_are_due() -> None:
    waited: list[float] = []
    pacer = Pacer(waited.append)
    start_s = time.monotonic()
    for n in range(4):
        pacer.hold(100 + n)
    spent_s = time.monotonic() - start_s
    assert waited == pytest.approx([1, 2, 3], abs=spent_s + 0.001)


def test_a_pacer_waits_for_no_time_that_cannot_be_meant() -> None:
    waited: list[float] = []
    pacer = Pacer(waited.append)
    for source_s in (0.0, 5000.0, 3.0, None):
        pacer.hold(source_s)
    assert waited == []


# --- sound on the same clock ---


def sound(pts_s: float, samples: int, *, rate: int = AUDIO_RATE_HZ, layout: str = "stereo") -> AudioFrame:
    channels = {"mono": 1, "stereo": 2}[layout]
    frame = AudioFrame.from_ndarray(np.full((1, samples * channels), 1000, np.int16), format="s16", layout=layout)
    frame.sample_rate, frame.pts, frame.time_base = rate, round(pts_s * rate), Fraction(1, rate)
    return frame


def heard(frames: list[AudioFrame]) -> list[AudioChunk]:
    clock, chunks = LiveClock(), []
    clock.place(10.0, 500.0)
    line = AudioLine(clock, chunks.append)
    for frame in frames:
        line.take(frame, 500.0)
    return chunks


def test_sound_is_heard_beside_the_picture_of_its_time() -> None:
    (chunk,) = heard([sound(10.5, 1024)])
    assert (chunk.pts, len(chunk.samples), chunk.time_base) == (45_000, 1024, Fraction(1, 90_000))
    assert chunk.captured_s == 500.0


def test_sound_goes_on_without_a_seam_through_jitter() -> None:
    jitter = itertools.cycle([0.0, 0.02, -0.02])
    chunks = heard([sound(11 + n * 0.02 + next(jitter), 960) for n in range(50)])
    assert len(chunks) == 50
    assert {b.pts - a.pts for a, b in itertools.pairwise(chunks)} == {1800}


def test_chunks_never_overlap_and_a_gap_stays_a_gap() -> None:
    times = [10.0, 10.5, 11.0, 10.2, 11.02, 13.0]
    chunks = heard([sound(t, 24_000) for t in times])
    ends = [chunk.pts + round(chunk.duration_s * TICKS_PER_S) for chunk in chunks]
    assert all(end <= chunk.pts for end, chunk in zip(ends, chunks[1:], strict=False))
    assert chunks[-1].pts == 3 * TICKS_PER_S


def test_sound_of_any_form_becomes_48_khz_stereo() -> None:
    chunks = heard([sound(10 + n / 10, 800, rate=8000, layout="mono") for n in range(10)])
    total = sum(len(chunk.samples) for chunk in chunks)
    assert abs(total - AUDIO_RATE_HZ) < 1000
    assert chunks[5].samples.shape[1] == 2
    assert np.abs(chunks[5].samples.astype(int) - 1000).max() < 300


def test_sound_before_the_first_picture_is_left_out() -> None:
    chunks: list[AudioChunk] = []
    AudioLine(LiveClock(), chunks.append).take(sound(1.0, 100), 1.0)
    assert chunks == []


def test_a_chunk_checks_its_shape() -> None:
    with pytest.raises(ShapeError, match=r"\(n, 2\) int16"):
        AudioChunk(samples=np.zeros((5, 1), np.int16), pts=0, captured_s=0.0)


# --- waits and settings ---


def test_waits_double_up_to_the_longest_and_begin_again() -> None:
    back_off = BackOff(LiveConfig(reconnect_first_s=0.25, reconnect_most_s=1.0))
    assert [back_off.next_s() for _ in range(4)] == [0.25, 0.5, 1.0, 1.0]
    back_off.reset()
    assert back_off.next_s() == 0.25


def test_a_refused_password_is_tried_seldom() -> None:
    assert BackOff(LiveConfig(denied_wait_s=20)).next_s(denied=True) == 20


@pytest.mark.parametrize(
    ("settings", "word"),
    [
        ({"open_timeout_s": 0}, "above 0"),
        ({"stall_s": 5, "read_timeout_s": 3}, "stall"),
        ({"reconnect_first_s": 3}, "longest wait"),
        ({"give_up_s": -1}, "give_up_s"),
        ({"size": (0, 5)}, "0x5"),
        ({"rate": Fraction(0)}, "rate"),
    ],
)
def test_settings_that_cannot_work_are_refused(settings: dict[str, object], word: str) -> None:
    with pytest.raises(ConfigError, match=word):
        LiveConfig(**settings)  # type: ignore[arg-type]
