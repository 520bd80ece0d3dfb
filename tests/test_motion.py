"""A box is predicted along its motion, and a lost one stays within reason."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from streamfilter.motion import Motion, area, centre_distance, inside, intersection, iou, size_ratio


def box(x: float, y: float = 0.0, w: float = 50.0, h: float = 50.0) -> np.ndarray:
    return np.array([x, y, x + w, y + h], np.float32)


def test_a_steady_motion_is_predicted():
    motion = Motion(box(0))
    for k in range(1, 25):
        motion.advance(0.04, coasting=False)
        motion.correct(box(4 * k))
    motion.advance(0.04, coasting=False)
    assert motion.box[0] == pytest.approx(4 * 25, abs=0.5)


number = st.floats(-2000, 4000, width=32)
side = st.floats(1, 1500, width=32)
sighting = st.tuples(number, number, side, side)


@given(st.lists(sighting, min_size=1, max_size=8), st.integers(1, 20))
def test_a_lost_face_keeps_its_last_place_and_a_sane_size(sightings, steps):
    motion = Motion(box(*sightings[0]))
    for seen in sightings:
        motion.advance(0.04, coasting=False)
        motion.correct(box(*seen))
    for _ in range(steps):
        motion.advance(0.04, coasting=True)
    last = box(*sightings[-1])
    grown = motion.uncertain_box(steps * 0.04, 0.6)
    assert inside(last[None], grown[None])[0, 0] > 0.999
    longest = max(last[2:] - last[:2])
    assert (grown[2:] - grown[:2]).max() <= longest * (1 + 2 * 0.8 + 0.15 + 0.6 * steps * 0.04) + 1


def test_measures_of_two_boxes():
    a, b = box(0)[None], box(25)[None]
    assert intersection(a, b)[0, 0] == pytest.approx(25 * 50)
    assert iou(a, b)[0, 0] == pytest.approx(1 / 3)
    assert inside(a, b)[0, 0] == pytest.approx(0.5)
    assert centre_distance(a, b)[0, 0] == pytest.approx(0.5)
    assert size_ratio(a, box(0, 0, 100, 100)[None])[0, 0] == pytest.approx(2)
    assert area(box(5, 5, -3, 4)) == 0
