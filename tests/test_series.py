"""Gaps are bridged from both sides and nowhere else; the cover's box is steady and never too small."""

from __future__ import annotations

from dataclasses import replace
from itertools import pairwise

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from streamfilter import probe
from streamfilter.motion import inside
from streamfilter.series import BRIDGE_S, Series, bridge, envelope
from streamfilter.structures import Track

STEP_S = 0.04
POINTS = probe.landmarks(100)


def track(k: int, *, missed: float = 0.0, located: bool = True, confidence: float = 0.9) -> Track:
    """A face that moves 5 px to the right with each frame."""
    shift = np.array([5.0 * k, 0], np.float32)
    box = np.concatenate([POINTS.min(0) + shift, POINTS.max(0) + shift]).astype(np.float32)
    if missed:
        box += np.array([-20, -20, 20, 20], np.float32)
    landmarks = (POINTS + shift).astype(np.float32) if located else None
    return Track(
        1,
        box,
        points=None if missed else landmarks[:5] if landmarks is not None else None,
        landmarks=landmarks,
        confidence=confidence if located else 0.0,
        missed_s=missed,
    )


def series(tracks: list[Track], index: int = 0) -> Series:
    return Series.gather([k * STEP_S for k in range(len(tracks))], tracks, index=index, ends=False)


def test_a_whole_series_is_left_as_it_is():
    whole = series([track(k) for k in range(8)])
    assert bridge(whole, 0.5) is whole


def test_boxes_and_landmarks_of_a_short_gap_are_interpolated():
    tracks = [track(k) for k in range(8)]
    for k in (3, 4):
        tracks[k] = track(k, missed=0.04 * (k - 2), located=False)
    bridged = bridge(series(tracks), 0.5)
    truth = series([track(k) for k in range(8)])
    np.testing.assert_allclose(bridged.landmarks, truth.landmarks, atol=0.01)
    for k in (3, 4):
        assert bridged.missed_s[k] == 0
        assert inside(truth.boxes[k : k + 1], bridged.boxes[k : k + 1])[0, 0] > 0.999
        assert np.abs(bridged.boxes[k] - truth.boxes[k]).max() < 5
        assert 0.5 < bridged.confidence[k] < 0.9


def test_doubtful_landmarks_are_replaced():
    tracks = [track(k) for k in range(8)]
    tracks[4] = replace(tracks[4], landmarks=tracks[4].landmarks + 30, confidence=0.2)
    bridged = bridge(series(tracks), 0.5)
    np.testing.assert_allclose(bridged.landmarks[4], track(4).landmarks, atol=0.01)


def test_a_long_gap_stays_open():
    n = int(BRIDGE_S / STEP_S) + 3
    tracks = [track(k, located=k in (0, n - 1)) for k in range(n)]
    bridged = bridge(series(tracks), 0.5)
    assert not bridged.located[1:-1].any()


@pytest.mark.parametrize("end", [slice(0, 3), slice(5, 8)])
def test_nothing_is_invented_at_the_ends(end):
    tracks = [track(k) for k in range(8)]
    tracks[end] = [track(k, located=False) for k in range(8)[end]]
    bridged = bridge(series(tracks), 0.5)
    assert not bridged.located[end].any()


def test_a_box_from_before_the_first_sighting_follows_the_motion():
    tracks = [track(0, missed=0.1, located=False) for _ in range(4)] + [track(k) for k in range(8)]
    tracks[:4] = [replace(t, xyxy=tracks[4].xyxy + np.float32([-3, -3, 3, 3])) for t in tracks[:4]]
    bridged = bridge(series(tracks), 0.5)
    for k in range(4):
        true = track(k - 4).xyxy[None]
        assert inside(true, bridged.boxes[k : k + 1])[0, 0] > 0.999


def test_a_track_never_located_or_seen_is_left_alone():
    hidden = series([track(k, missed=0.1, located=False) for k in range(4)])
    bridged = bridge(hidden, 0.5)
    assert (bridged.boxes == hidden.boxes).all()


numbers = st.floats(-500, 1500, width=32)
jumping = st.lists(st.tuples(numbers, numbers, st.floats(1, 300, width=32)), min_size=1, max_size=20)


@given(jumping, st.integers(0, 19))
def test_the_envelope_holds_the_box(boxes, index):
    tracks = [Track(1, np.array([x, y, x + s, y + s], np.float32)) for x, y, s in boxes]
    one = series(tracks, index % len(tracks))
    assert inside(one.boxes[one.index][None], envelope(one)[None])[0, 0] > 0.999


def test_the_envelope_is_steadier_than_the_boxes():
    rng = np.random.default_rng(0)
    tracks = [Track(1, (np.array([100, 100, 200, 200]) + rng.normal(0, 3, 4)).astype(np.float32)) for _ in range(60)]
    covers = [envelope(series(tracks, k)) for k in range(5, 55)]
    jitter = np.mean([np.abs(b - a).mean() for a, b in pairwise(covers)])
    raw = np.mean([np.abs(b.xyxy - a.xyxy).mean() for a, b in pairwise(tracks)])
    assert jitter < 0.25 * raw
