"""Between face and cover there is no flicker: short runs are skipped, and changes fade before it gets bad."""

from __future__ import annotations

from itertools import pairwise

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from streamfilter import probe
from streamfilter.config import AnonymizeConfig
from streamfilter.decide import FADE_S, Decider
from streamfilter.pose import turn
from streamfilter.series import Series
from streamfilter.structures import Track

STEP_S = 0.04
AHEAD = 10
CONFIG = AnonymizeConfig()


def turned(degrees: float, size: float = 100) -> np.ndarray:
    """Landmarks of a head turned about its upright axis; the face is modelled as a cylinder with a nose."""
    points = probe.landmarks(1.0).astype(np.float64)
    x = (points[:, 0] - 0.5) / 0.24
    depth = np.sqrt(np.maximum(1 - np.minimum(np.abs(x), 1) ** 2, 0))
    angle = np.radians(degrees)
    out = points.copy()
    out[:, 0] = 0.5 + 0.24 * (x * np.cos(angle) + depth * np.sin(angle))
    return (out * size).astype(np.float32)


def tracks(confidences: list[float], size: float = 100, degrees: float = 0) -> list[Track]:
    points = turned(degrees, size)
    box = np.concatenate([points.min(0) - [0, 0.1 * size], points.max(0)]).astype(np.float32)
    return [Track(1, box, landmarks=points, confidence=c) for c in confidences]


def run(sequence: list[Track], ahead: int = AHEAD, decider: Decider | None = None) -> list[float]:
    """Opacities of a track's frames, each decided with `ahead` frames of its future known."""
    decider = decider or Decider(CONFIG)
    out = []
    for k in range(len(sequence)):
        low, high = max(0, k - 10), min(len(sequence), k + ahead + 1)
        times = [j * STEP_S for j in range(low, high)]
        series = Series.gather(times, sequence[low:high], index=k - low, ends=high == len(sequence) and ahead > 0)
        out.append(decider(1, series).opacity)
    return out


def test_a_good_face_is_generated_from_its_first_frame_to_its_last():
    assert run(tracks([0.9] * 20)) == [1.0] * 20


def test_a_bad_face_is_covered_with_a_reason():
    decider = Decider(CONFIG)
    (one,) = tracks([0.1])
    series = Series.gather([0.0], [one], index=0, ends=True)
    assert decider(1, series).opacity == 0
    assert decider(1, series).reason == "landmarks uncertain"


@pytest.mark.parametrize(("size", "degrees", "reason"), [(10, 0, "too small"), (100, 65, "turned away")])
def test_small_and_turned_faces_are_covered(size, degrees, reason):
    decider = Decider(CONFIG)
    sequence = tracks([0.9] * 3, size, degrees)
    series = Series.gather([0.0, 0.04, 0.08], sequence, index=0, ends=False)
    decision = decider(1, series)
    assert decision.opacity == 0
    assert decision.reason == reason


def test_landmarks_that_fail_are_faded_out_before_they_do():
    opacity = run(tracks([0.9] * 20 + [0.1] * 20))
    assert opacity[20] == pytest.approx(0, abs=0.3)
    assert opacity[25:] == [0.0] * 15
    assert opacity[10] == 1
    steps = np.abs(np.diff(opacity))
    assert steps.max() <= 2 * STEP_S / FADE_S


def test_landmarks_that_come_are_faded_in():
    opacity = run(tracks([0.1] * 20 + [0.9] * 20))
    assert opacity[:20] == [0.0] * 20
    assert opacity[30:] == [1.0] * 10
    assert opacity[20:30] == sorted(opacity[20:30])
    assert 0 < opacity[20] < 0.5


def test_a_short_good_run_is_not_worth_a_change():
    assert run(tracks([0.1] * 12 + [0.9] * 3 + [0.1] * 12)) == [0.0] * 27


def test_confidence_around_the_threshold_does_not_flicker():
    rng = np.random.default_rng(3)
    values = (CONFIG.min_confidence * 0.93 + rng.uniform(-0.05, 0.05, 60)).tolist()
    opacity = run(tracks([0.9] * 10 + values))
    assert opacity == [1.0] * 70


@given(st.lists(st.floats(0, 1), min_size=1, max_size=40), st.sampled_from([0, 3, 10]))
def test_opacity_stays_in_range_and_never_jumps_up(confidences, ahead):
    opacity = run(tracks(confidences), ahead)
    assert all(0 <= value <= 1 for value in opacity)
    assert all(later - earlier <= STEP_S / FADE_S + 1e-6 for earlier, later in pairwise(opacity))


def test_live_decides_from_the_past_alone():
    opacity = run(tracks([0.9] * 20), ahead=0)
    assert opacity[-1] == 1
    assert opacity == sorted(opacity)


def test_unusable_landmarks_cover_at_once():
    sequence = tracks([0.9] * 10, 100)
    sequence += [Track(1, sequence[0].xyxy) for _ in range(5)]
    assert run(sequence, ahead=0)[10:] == [0.0] * 5


def test_forgetting_begins_anew():
    decider = Decider(CONFIG)
    run(tracks([0.1] * 10), decider=decider)
    decider.forget(1)
    assert run(tracks([0.9] * 10), decider=decider)[0] == 1
    decider.reset()


def test_turn_grows_with_the_angle_both_ways_and_under_roll():
    values = [float(turn(turned(degrees)[None])[0]) for degrees in (0, 15, 30, 45, 60)]
    assert values == sorted(values)
    assert values[0] < 0.05
    mirrored = turned(-30)
    assert float(turn(mirrored[None])[0]) == pytest.approx(values[2], abs=0.02)
    angle = np.radians(30)
    roll = np.array([[np.cos(angle), -np.sin(angle)], [np.sin(angle), np.cos(angle)]])
    assert float(turn((turned(30) @ roll.T).astype(np.float32)[None])[0]) == pytest.approx(values[2], abs=1e-3)


def test_what_the_detector_doubts_is_not_given_a_face():
    doubtful = [Track(1, t.xyxy, score=0.3, landmarks=t.landmarks, confidence=t.confidence) for t in tracks([0.9] * 9)]
    assert run(doubtful) == [0.0] * 9


def test_landmarks_that_do_not_fit_the_detection_are_not_used():
    for track in tracks([0.9]):
        beside = [Track(1, track.xyxy, points=track.landmarks[:5] + 40, landmarks=track.landmarks, confidence=0.9)] * 9
        small = [Track(1, track.xyxy + np.float32([-40, -40, 40, 40]), landmarks=track.landmarks, confidence=0.9)] * 9
        assert run(beside) == run(small) == [0.0] * 9
