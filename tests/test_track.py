"""The tracker loses nobody: what comes in goes out, with an id of its own, for as long as it was promised."""

from __future__ import annotations

from itertools import pairwise

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from streamfilter.config import TrackConfig
from streamfilter.errors import ProtectionError
from streamfilter.motion import inside, iou
from streamfilter.structures import Detections
from streamfilter.track import Tracker

STEP_S = 0.04
DOUBTFUL_S = TrackConfig().doubtful_hold_s


def detections(*boxes: tuple[float, float, float, float], score: float = 0.9) -> Detections:
    n = len(boxes)
    xyxy = np.array(boxes, np.float32).reshape(n, 4)
    return Detections(xyxy, np.full(n, score, np.float32), np.zeros((n, 5, 2), np.float32))


def box(x: float, y: float = 100.0, size: float = 50.0) -> tuple[float, float, float, float]:
    return (x, y, x + size, y + size)


coordinate = st.floats(-200, 1500, width=32)
boxes = st.lists(
    st.tuples(coordinate, coordinate, st.floats(1, 400, width=32), st.floats(1, 400, width=32)), max_size=8
).map(lambda found: [(x, y, x + w, y + h) for x, y, w, h in found])
moments = st.lists(
    st.tuples(st.one_of(st.none(), boxes), st.floats(0.02, 0.9), st.floats(-1, 3)), min_size=1, max_size=12
)


@given(moments)
def test_every_detection_lies_inside_a_track_and_ids_are_unique(sequence):
    tracker, time_s = Tracker(TrackConfig()), 0.0
    for found, score, step_s in sequence:
        time_s += step_s
        tracks = tracker.update(None if found is None else detections(*found, score=score), time_s)
        ids = [track.track_id for track in tracks]
        assert len(set(ids)) == len(ids)
        if found:
            part = inside(np.array(found, np.float32), np.stack([track.xyxy for track in tracks]))
            assert (part.max(axis=1) > 0.999).all()


@given(moments, st.floats(0, 1))
def test_nothing_is_lost_before_the_hold_is_over(sequence, hold_s):
    tracker, time_s, before, best = Tracker(TrackConfig(hold_s=hold_s)), 0.0, {}, {}
    for found, score, step_s in sequence:
        earlier_s, time_s = time_s, time_s + step_s
        tracks = {t.track_id: t for t in tracker.update(detections(*(found or []), score=score), time_s)}
        for lost in before.keys() - tracks.keys():
            step = time_s - earlier_s if time_s > earlier_s else 1 / 30
            assert before[lost].missed_s + min(step, 0.5) > min(hold_s, DOUBTFUL_S if best[lost] < 0.5 else hold_s)
        for track in tracks.values():
            best[track.track_id] = max(track.score, best.get(track.track_id, 0.0))
            assert track.missed_s <= hold_s + 1e-5
        before = tracks


@given(moments)
def test_a_coasting_track_still_covers_where_the_face_was_last_seen(sequence):
    tracker, time_s, seen = Tracker(TrackConfig()), 0.0, {}
    for found, score, step_s in sequence:
        time_s += step_s
        for track in tracker.update(None if found is None else detections(*found, score=score), time_s):
            if track.missed_s == 0:
                seen[track.track_id] = track.xyxy
            else:
                assert inside(seen[track.track_id][None], track.xyxy[None])[0, 0] > 0.999


def test_a_faint_detection_opens_a_track_at_once_and_says_so():
    (track,) = Tracker(TrackConfig()).update(detections(box(10), score=0.26), 0.0)
    assert track.score == pytest.approx(0.26)


def test_a_moving_face_keeps_its_id_and_box():
    tracker = Tracker(TrackConfig())
    for index in range(40):
        (track,) = tracker.update(detections(box(20 + 18 * index)), index * STEP_S)
        assert track.track_id == 1
        assert tuple(track.xyxy) == box(20 + 18 * index)


def test_two_people_who_cross_keep_their_ids():
    tracker = Tracker(TrackConfig())
    for index in range(60):
        found = detections(box(10 + 8 * index, 100), box(490 - 8 * index, 112, 56))
        tracks = {t.track_id: t.xyxy for t in tracker.update(found, index * STEP_S)}
        assert len(tracks) == 2
    assert tracks[1][0] > 400
    assert tracks[2][0] < 100


def test_a_face_that_went_behind_something_comes_back_with_its_id():
    tracker = Tracker(TrackConfig(hold_s=0.6))
    for index in range(30):
        hidden = 15 <= index < 25
        tracks = tracker.update(Detections.empty() if hidden else detections(box(20 + 5 * index)), index * STEP_S)
        assert [t.track_id for t in tracks] == [1]
        assert (tracks[0].missed_s > 0) == hidden


def test_a_coasting_box_grows_and_follows_the_motion():
    tracker = Tracker(TrackConfig(hold_s=0.6))
    for index in range(10):
        tracker.update(detections(box(20 + 10 * index)), index * STEP_S)
    coasting = [tracker.update(None, (10 + k) * STEP_S)[0].xyxy for k in range(8)]
    areas = [(b[2] - b[0]) * (b[3] - b[1]) for b in coasting]
    assert all(later > earlier for earlier, later in pairwise(areas))
    for k, grown in enumerate(coasting[:4]):
        true = np.array([box(20 + 10 * (10 + k))], np.float32)
        assert inside(true, grown[None])[0, 0] > 0.9


def test_two_detections_of_one_face_make_one_track_that_holds_both():
    found = detections(box(100), (95, 95, 145, 148))
    (track,) = Tracker(TrackConfig()).update(found, 0.0)
    assert inside(found.xyxy, track.xyxy[None]).min() > 0.999


def test_a_small_face_in_front_of_a_large_one_stays_a_person():
    assert len(Tracker(TrackConfig()).update(detections(box(100, 100, 200), box(150, 150, 60)), 0.0)) == 2


def test_faint_double_does_not_take_the_identity():
    tracker = Tracker(TrackConfig())
    tracker.update(detections(box(100)), 0.0)
    both = Detections(
        np.array([box(125), box(103)], np.float32), np.array([0.3, 0.95], np.float32), np.zeros((2, 5, 2), np.float32)
    )
    tracks = {t.track_id: t for t in tracker.update(both, STEP_S)}
    assert tracks[1].xyxy[0] == 103


def test_ids_are_per_tracker_and_not_reused_after_a_reset():
    first, second = Tracker(TrackConfig()), Tracker(TrackConfig())
    assert first.update(detections(box(1)), 0.0)[0].track_id == second.update(detections(box(1)), 0.0)[0].track_id
    first.reset()
    assert first.update(detections(box(1)), 0.0)[0].track_id == 2


def test_after_a_reset_nobody_coasts():
    tracker = Tracker(TrackConfig())
    tracker.update(detections(box(1)), 0.0)
    tracker.reset()
    assert tracker.update(None, STEP_S) == []


@pytest.mark.parametrize("times", [[0.0] * 40, [1.0 - 0.04 * k for k in range(40)]])
def test_where_time_stands_still_or_runs_backwards_a_lost_face_still_expires(times):
    tracker = Tracker(TrackConfig(hold_s=0.6))
    tracker.update(detections(box(1)), 5.0)
    counts = [len(tracker.update(None, time_s)) for time_s in times]
    assert counts[0] == 1
    assert counts[-1] == 0


def test_a_jump_in_time_keeps_the_place():
    tracker = Tracker(TrackConfig(hold_s=0.6))
    for index in range(5):
        tracker.update(detections(box(20 + 10 * index)), index * STEP_S)
    (track,) = tracker.update(None, 100.0)
    assert iou(track.xyxy[None], np.array([box(60)], np.float32))[0, 0] > 0.1


@pytest.mark.parametrize("bad", [(np.nan, 0, 1, 1), (0, 0, np.inf, 1), (10, 0, 5, 1)])
def test_a_box_that_means_nothing_is_refused(bad):
    with pytest.raises(ProtectionError):
        Tracker(TrackConfig()).update(detections(bad), 0.0)


def test_a_score_that_is_no_number_is_refused():
    with pytest.raises(ProtectionError):
        Tracker(TrackConfig()).update(detections(box(0), score=float("nan")), 0.0)


def test_a_doubtful_face_is_held_for_a_shorter_time_until_it_was_seen_clearly():
    counts = []
    for best in (0.3, 0.8):
        tracker = Tracker(TrackConfig(hold_s=0.6, doubtful_hold_s=0.2))
        tracker.update(detections(box(1), score=best), 0.0)
        tracker.update(detections(box(1), score=0.3), STEP_S)
        counts.append(sum(bool(tracker.update(None, (2 + k) * STEP_S)) for k in range(30)))
    assert counts == [5, 15]
