"""Landmark errors, head pose, expression, courses of time and PSNR, as pure functions."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from streamfilter.errors import ShapeError
from streamfilter.metrics import head_pose
from streamfilter.metrics.course import correlation_by_track
from streamfilter.metrics.expression import MEASURES, in_face, measures, openings_of_width, sign_agreement
from streamfilter.metrics.landmark_error import PARTS, between_eye_corners, inner_errors, normalised_errors, part_errors
from streamfilter.metrics.pose import angles, degrees_between
from streamfilter.metrics.psnr import IDENTICAL_DB, outside, psnr
from streamfilter.structures import Doubles, Floats
from tests.synthetic_face import face_shape, placed

SMALL = st.floats(-30, 30)


def turned(yaw: float, pitch: float, roll: float) -> Doubles:
    """The rotation that `metrics.pose.angles` takes apart into these degrees."""
    a, b, c = np.radians([yaw, pitch, roll])
    about_z = np.array([[np.cos(c), -np.sin(c), 0], [np.sin(c), np.cos(c), 0], [0, 0, 1]])
    about_y = np.array([[np.cos(a), 0, -np.sin(a)], [0, 1, 0], [np.sin(a), 0, np.cos(a)]])
    about_x = np.array([[1, 0, 0], [0, np.cos(b), -np.sin(b)], [0, np.sin(b), np.cos(b)]])
    return about_z @ about_y @ about_x


def projected(turn: Doubles, *, scale: float = 12.0, distance: float | None = None) -> Floats:
    """68 points of which those of the model are seen by an affine camera, or one at a distance in its units."""
    seen = head_pose.MODEL @ turn.T
    flat = seen[:, :2] if distance is None else seen[:, :2] * distance / (distance + seen[:, 2:])
    landmarks = np.zeros((68, 2), np.float32)
    landmarks[list(head_pose.POINTS)] = flat * scale + [300, 200]
    return landmarks


@given(yaw=SMALL, pitch=SMALL, roll=SMALL)
def test_the_pose_of_the_projected_model_is_recovered(yaw: float, pitch: float, roll: float) -> None:
    turn = turned(yaw, pitch, roll)
    assert angles(turn) == pytest.approx([yaw, pitch, roll], abs=1e-6)
    found = head_pose.rotations(projected(turn)[None])[0]
    assert degrees_between(found, turn) < 0.05


@given(yaw=SMALL, pitch=SMALL)
def test_a_near_camera_changes_the_pose_little(yaw: float, pitch: float) -> None:
    turn = turned(yaw, pitch, 0)
    assert degrees_between(head_pose.rotations(projected(turn, distance=100.0)[None])[0], turn) < 5


def test_a_narrow_face_is_not_a_turned_one() -> None:
    narrow = projected(np.eye(3)) * np.float32([0.8, 1])
    assert degrees_between(head_pose.rotations(narrow[None])[0], np.eye(3)) < 1e-3


def test_a_head_turned_to_the_right_of_the_picture_has_its_nose_there() -> None:
    right = projected(turned(20, 0, 0))
    nose, eyes = right[[31, 35], 0].mean(), right[[36, 45], 0].mean()
    assert (nose > eyes) == (angles(head_pose.rotations(right[None])[0])[0] > 0)
    assert nose != pytest.approx(eyes, abs=5)


def test_no_points_have_no_pose() -> None:
    assert head_pose.rotations(np.zeros((0, 68, 2), np.float32)).shape == (0, 3, 3)
    assert np.isnan(head_pose.rotations(np.zeros((1, 68, 2), np.float32))).all()


def test_every_rotation_is_one() -> None:
    points = np.random.default_rng(0).normal(100, 30, (20, 68, 2)).astype(np.float32)
    found = head_pose.rotations(points)
    assert found @ found.swapaxes(1, 2) == pytest.approx(np.tile(np.eye(3), (20, 1, 1)), abs=1e-9)
    assert np.linalg.det(found) == pytest.approx(np.ones(20))


# --- landmark errors ---


@given(size=st.floats(10, 200), degrees=st.floats(-60, 60))
def test_identical_landmarks_have_no_error(size: float, degrees: float) -> None:
    face = placed(face_shape(mouth=0.4), size=size, degrees=degrees)[None]
    assert (normalised_errors(face, face) == 0).all()


@given(size=st.floats(10, 200), degrees=st.floats(-60, 60), share=st.floats(0.01, 0.5))
def test_the_error_does_not_depend_on_size_and_roll(size: float, degrees: float, share: float) -> None:
    face = placed(face_shape(), size=size, degrees=degrees)[None]
    moved = face + np.float32([0, share * between_eye_corners(face)[0]])
    assert normalised_errors(face, moved) == pytest.approx(np.full((1, 68), share), rel=1e-2)


def test_parts_are_what_they_are_called() -> None:
    face = face_shape()[None]
    moved = face.copy()
    moved[:, PARTS["jaw"]] += 0.5
    errors = normalised_errors(face, moved)
    assert inner_errors(errors) == pytest.approx([0])
    assert (part_errors(errors)[0] > 0).tolist() == [True, False, False, False, False]
    assert sum(part.stop - part.start for part in PARTS.values()) == 68


# --- expression ---


@given(
    size=st.floats(20, 200),
    degrees=st.floats(-80, 80),
    stretch=st.floats(0.5, 1),
    mouth=st.floats(0, 1),
)
def test_expression_does_not_depend_on_where_the_face_is(
    size: float, degrees: float, stretch: float, mouth: float
) -> None:
    face = face_shape(mouth=mouth)
    elsewhere = placed(face * np.float32([stretch, 1]), size=size, degrees=degrees)
    assert measures(elsewhere[None]) == pytest.approx(measures(face[None]), abs=0.01)


def test_each_measure_follows_its_own_movement() -> None:
    calm = face_shape()
    raised, smile = calm.copy(), calm.copy()
    raised[17:27, 1] -= 0.1
    smile[[48, 60, 54, 64]] += np.float32([[-0.08, -0.05], [-0.08, -0.05], [0.08, -0.05], [0.08, -0.05]])
    faces = np.stack([calm, raised, face_shape(eyes=0.2), face_shape(mouth=0.5), smile])
    change = measures(faces)[1:] - measures(faces)[0]
    found = dict(zip(MEASURES, change.T, strict=True))
    assert found["brow raise"] == pytest.approx([0.1 / 0.8, 0, 0, 0], abs=1e-6)
    assert found["eye opening"][1] < -0.1
    assert found["mouth opening"][2] > 0.2
    assert found["mouth width"][3] > 0.05
    assert found["mouth corner lift"][3] > 0.03
    assert np.abs(change[0, 1:]).max() == pytest.approx(0, abs=1e-6)


def test_a_face_without_extent_is_not_measured() -> None:
    assert np.isnan(in_face(np.zeros((1, 68, 2), np.float32))).all()


def test_openings_are_in_widths_of_the_face() -> None:
    small, large = placed(face_shape(mouth=0.5), size=20), placed(face_shape(mouth=0.5), size=80)
    assert openings_of_width(small[None], np.array([50.0])) == pytest.approx(
        openings_of_width(large[None], np.array([200.0])), rel=1e-3
    )


def test_only_clear_changes_count() -> None:
    before = np.array([0.1, 2.0, -2.0, 3.0])
    assert sign_agreement(before, np.array([-1.0, 1.0, -0.1, 0.0]), 1.0) == (2, 3)


# --- courses of time ---


def test_the_correlation_is_within_tracks() -> None:
    rng = np.random.default_rng(0)
    tracks = np.repeat(np.arange(6), 20)
    motion = rng.normal(size=120)
    level = np.repeat(rng.normal(0, 50, 6), 20)
    found = correlation_by_track(motion + level, motion, tracks)
    assert found is not None and found.value == pytest.approx(1)
    opposite = correlation_by_track(motion + level, level - motion, tracks)
    assert opposite is not None and opposite.value == pytest.approx(-1)
    assert found.n == 120 and found.groups == 6


def test_the_interval_holds_the_correlation() -> None:
    rng = np.random.default_rng(1)
    tracks, motion = np.repeat(np.arange(10), 20), rng.normal(size=200)
    found = correlation_by_track(motion, motion + rng.normal(size=200), tracks)
    assert found is not None and found.low is not None and found.high is not None
    assert found.low < found.value < found.high
    assert found.high - found.low < 0.4


def test_short_tracks_and_nan_are_left_out() -> None:
    values = np.arange(7.0)
    assert correlation_by_track(values, values, np.zeros(7)) is None
    assert correlation_by_track(np.full(20, np.nan), np.arange(20.0), np.zeros(20)) is None
    assert correlation_by_track(np.zeros(20), np.arange(20.0), np.zeros(20)) is None
    one = correlation_by_track(np.arange(20.0), np.arange(20.0), np.zeros(20))
    assert one is not None and one.low is None


# --- PSNR ---


@given(amount=st.integers(1, 100))
def test_the_psnr_of_a_known_difference(amount: int) -> None:
    a = np.full((20, 30, 3), 100, np.uint8)
    assert psnr(a, a + np.uint8(amount)) == pytest.approx(20 * np.log10(255 / amount))


def test_the_psnr_of_known_noise() -> None:
    rng = np.random.default_rng(0)
    a = np.full((200, 200, 3), 128, np.uint8)
    noisy = np.clip(np.round(a + rng.normal(0, 8, a.shape)), 0, 255).astype(np.uint8)
    assert psnr(a, noisy) == pytest.approx(20 * np.log10(255 / 8), abs=0.1)


def test_identical_pictures_and_nowhere() -> None:
    a = np.zeros((10, 10, 3), np.uint8)
    assert psnr(a, a) == IDENTICAL_DB
    assert psnr(a, a, np.zeros((10, 10), bool)) is None
    with pytest.raises(ShapeError):
        psnr(a, a[:5])


@given(x=st.integers(-50, 200), y=st.integers(-50, 200), side=st.integers(1, 120), step=st.integers(1, 4))
def test_no_pixel_of_an_enlarged_face_is_outside(x: int, y: int, side: int, step: int) -> None:
    free = outside((150, 180), np.array([[x, y, x + side, y + side]], np.float32), 0.6, step)
    rows, columns = np.nonzero(free)
    low, high = np.array([x, y]) - 0.3 * side, np.array([x, y]) + 1.3 * side
    within = (
        (columns * step >= low[0]) & (columns * step <= high[0]) & (rows * step >= low[1]) & (rows * step <= high[1])
    )
    assert not within.any()
    assert free.shape == (-(-150 // step), -(-180 // step))
