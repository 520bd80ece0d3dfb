"""The delay line returns all frames in order, covers faces before they were found, and carries nothing over a cut."""

from __future__ import annotations

from fractions import Fraction

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from streamfilter.config import TrackConfig
from streamfilter.lookahead import MAX_BYTES, MAX_FRAMES, Lookahead, Moment
from streamfilter.motion import inside
from streamfilter.structures import Frame, Track
from tests.filter_fakes import Face

RATE = Fraction(1, 25)
PICTURE = np.zeros((24, 32, 3), np.uint8)


def frame(index: int) -> Frame:
    return Frame(PICTURE, index, index, RATE)


def track(track_id: int, x: float = 10.0, missed_s: float = 0.0) -> Track:
    return Track(track_id, np.array([x, 10, x + 20, 30], np.float32), missed_s=missed_s)


def unlocated(image, tracks):
    return list(tracks)


def line(lookahead_s: float = 0.2, locate=unlocated) -> Lookahead:
    return Lookahead(TrackConfig(lookahead_s=lookahead_s), locate)


def run(delay: Lookahead, tracks: list[list[Track]], cuts: tuple[int, ...] = ()) -> list[Moment]:
    out = []
    for index, present in enumerate(tracks):
        out += delay.push(frame(index), index * 0.04, present, cut=index in cuts)
    return out + delay.flush()


def ids(moments: list[Moment]) -> list[set[int]]:
    return [{track.track_id for track in moment.tracks} for moment in moments]


@given(
    st.floats(0, 0.6),
    st.lists(st.tuples(st.sets(st.integers(1, 3)), st.booleans(), st.floats(0, 0.3)), max_size=30),
)
def test_every_frame_comes_out_once_and_in_order_with_its_tracks(lookahead_s, sequence):
    delay, out, time_s, waiting = line(lookahead_s), [], 0.0, []
    for index, (present, cut, step_s) in enumerate(sequence):
        time_s += step_s
        out += delay.push(frame(index), time_s, [track(i) for i in sorted(present)], cut=cut)
        waiting.append(len(delay))
    out += delay.flush()
    assert [moment.frame.index for moment in out] == list(range(len(sequence)))
    assert max(waiting, default=0) <= MAX_FRAMES
    for found, (present, _, _) in zip(ids(out), sequence, strict=True):
        assert found >= present
    for moment in out:
        for track_id, series in moment.series.items():
            assert series.times[series.index] == moment.time_s
            assert (series.boxes[series.index] == {t.track_id: t for t in moment.tracks}[track_id].xyxy).all()


def test_without_lookahead_each_frame_leaves_at_once():
    delay = line(0.0)
    for index in range(5):
        assert [moment.frame.index for moment in delay.push(frame(index), index * 0.04, [track(1)])] == [index]


def test_a_new_face_is_filled_back_over_the_window_enlarged():
    moments = run(line(0.2), [[]] * 10 + [[track(1)]] * 5)
    covered = [index for index, found in enumerate(ids(moments)) if found]
    assert covered[0] in (4, 5)  # 0.2 s are five frames; rounding may make them six
    assert covered == list(range(covered[0], 15))
    earlier = [moments[index].tracks[0] for index in range(5, 10)]
    for one in earlier:
        assert one.missed_s > 0
        assert inside(track(1).xyxy[None], one.xyxy[None])[0, 0] > 0.999
    assert earlier[0].xyxy[0] < earlier[-1].xyxy[0] < track(1).xyxy[0]


def test_nothing_is_filled_back_over_a_cut():
    moments = run(line(0.4), [[]] * 10 + [[track(1)]] * 3, cuts=(8,))
    assert [index for index, found in enumerate(ids(moments)) if found] == list(range(8, 13))
    moments = run(line(0.4), [[]] * 10 + [[track(1)]] * 3, cuts=(10,))
    assert [index for index, found in enumerate(ids(moments)) if found] == list(range(10, 13))


def test_the_series_ends_at_a_cut():
    moments = run(line(0.4), [[track(1)]] * 6 + [[track(2)]] * 6, cuts=(6,))
    assert len(moments[5].series[1].times) == 6
    assert moments[5].series[1].ends
    assert len(moments[6].series[2].times) == 6
    assert not moments[0].series[1].ends or moments[0].series[1].times[-1] == pytest.approx(0.2)


def test_a_track_that_goes_on_beyond_the_window_does_not_end():
    delay = line(0.2)
    out = [moment for k in range(12) for moment in delay.push(frame(k), k * 0.04, [track(1)])]
    assert not any(moment.series[1].ends for moment in out)
    assert all(moment.series[1].ends for moment in delay.flush())


def test_landmarks_lead_the_way_back():
    """The face moved while it was not detected: its box is found by its landmarks, frame by frame."""
    faces = [Face(20 + 4 * k, 10, 100) for k in range(12)]
    pictures = {k: np.full((8, 8, 3), k, np.uint8) for k in range(12)}

    def locate(image, tracks):
        landmarks = faces[int(image[0, 0, 0])].landmarks
        return [Track(t.track_id, t.xyxy, landmarks=landmarks, confidence=0.9, missed_s=t.missed_s) for t in tracks]

    delay, out = line(0.4, locate), []
    for k in range(12):
        here = [Track(1, faces[k].xyxy, landmarks=faces[k].landmarks, confidence=0.9)] if k >= 6 else []
        out += delay.push(Frame(pictures[k], k, k, RATE), k * 0.04, here)
    out += delay.flush()
    for k in range(6):
        (found,) = out[k].tracks
        centre = (found.xyxy[:2] + found.xyxy[2:]) / 2
        np.testing.assert_allclose(centre, (faces[k].xyxy[:2] + faces[k].xyxy[2:]) / 2, atol=0.1)


def test_memory_is_bounded_by_frames_and_by_bytes():
    delay = line(1e9)
    for index in range(200):
        delay.push(frame(index), index * 0.04, [])
    assert len(delay) == MAX_FRAMES
    large = np.zeros((2160, 3840, 3), np.uint8)
    delay = line(1e9)
    for index in range(20):
        delay.push(Frame(large, index, index, RATE), index * 0.04, [])
    assert len(delay) * large.nbytes <= MAX_BYTES


def test_who_is_in_a_hurry_has_frames_before_the_next_one_is_searched():
    delay, out = line(0.4), []
    for index in range(20):
        hurried = delay.overdue(index * 0.04)
        assert [moment.frame.index for moment in hurried] == ([index - 10] if index >= 10 else [])
        out += hurried
        assert delay.push(frame(index), index * 0.04, [track(1)]) == []
    assert len(out[0].series[1].times) == 10  # itself and nine after it


@pytest.mark.parametrize("step_s", [0.1, 1.0])
def test_at_a_low_rate_nothing_leaves_before_the_next_frame_is_known(step_s):
    delay = line(0.4)
    for index in range(20):
        assert delay.overdue(index * step_s) == []
        due = delay.push(frame(index), index * step_s, [track(1)])
    assert len(due) == 1


def test_people_are_those_who_may_still_be_painted():
    delay = line(0.2)
    moments = [m for k in range(12) for m in delay.push(frame(k), k * 0.04, [track(1)] if k < 5 else [])]
    moments += delay.flush()
    assert [moment.people for moment in moments] == [{1}] * 5 + [set()] * 7


def test_a_failure_stays_with_its_frame():
    delay = line(0.2)
    out = [m for k in range(9) for m in delay.push(frame(k), k * 0.04, [], failure="broken" if k == 4 else None)]
    out += delay.flush()
    assert [m.frame.index for m in out if m.failure] == [4]


def test_reset_forgets_everything():
    delay = line(0.2)
    delay.push(frame(0), 0.0, [track(1)])
    delay.reset()
    assert delay.flush() == []
