from __future__ import annotations

import cv2
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from streamfilter import align
from tests.synthetic_face import face_shape, placed


def test_mirror_is_its_own_inverse():
    assert (align.MIRROR[align.MIRROR] == np.arange(68)).all()


@given(angle=st.floats(-np.pi, np.pi), scale=st.floats(0.2, 5), x=st.floats(-500, 500), y=st.floats(-500, 500))
def test_crop_coordinates_do_not_depend_on_where_the_face_is(angle, scale, x, y):
    landmarks = placed(face_shape())
    turn = scale * np.array([[np.cos(angle), -np.sin(angle)], [np.sin(angle), np.cos(angle)]])
    moved = (landmarks @ turn.T + [x, y]).astype(np.float32)
    at_home = align.transform(landmarks, align.ffhq_matrix(landmarks, 256))
    elsewhere = align.transform(moved, align.ffhq_matrix(moved, 256))
    np.testing.assert_allclose(elsewhere, at_home, atol=0.3)


def test_degenerate_landmarks_give_a_finite_matrix():
    assert np.isfinite(align.ffhq_matrix(np.zeros((68, 2), np.float32), 128)).all()


def test_rungs_agree_on_relative_positions():
    landmarks = placed(face_shape())
    places = [(align.transform(landmarks, align.ffhq_matrix(landmarks, s)) + 0.5) / s for s in (64, 128, 256)]
    np.testing.assert_allclose(places[0], places[2], atol=1e-4)
    np.testing.assert_allclose(places[1], places[2], atol=1e-4)


def test_invert_leads_back():
    landmarks = placed(face_shape())
    matrix = align.ffhq_matrix(landmarks, 128)
    back = align.transform(align.transform(landmarks, matrix), align.invert(matrix))
    np.testing.assert_allclose(back, landmarks, atol=0.02)


def crop_landmarks(size: int = 256) -> np.ndarray:
    landmarks = placed(face_shape())
    return align.transform(landmarks, align.ffhq_matrix(landmarks, size))


@pytest.mark.parametrize("size", [64, 128, 256])
def test_mask_is_one_over_every_landmark(size):
    mask = align.face_mask(crop_landmarks(size), size)
    hull = np.zeros((size, size), np.uint8)
    cv2.fillConvexPoly(hull, np.round(cv2.convexHull(crop_landmarks(size))).astype(np.int32), 1)
    assert mask[cv2.erode(hull, np.ones((3, 3), np.uint8)) > 0].min() == 1.0
    assert mask.min() == 0.0


def test_mask_feathers_outward_only():
    landmarks = crop_landmarks()
    core = align.face_mask(landmarks, 256, feather=0.0) >= 1.0
    wide = align.face_mask(landmarks, 256, feather=0.1)
    assert (wide[core] == 1.0).all()
    assert ((wide > 0) & (wide < 1)).sum() > 1000


def test_removed_face_keeps_nothing_of_the_face_and_all_of_the_forehead():
    rng = np.random.default_rng(0)
    image = rng.integers(0, 255, (256, 256, 3), dtype=np.uint8)
    landmarks = crop_landmarks()
    surroundings = align.remove_face(image, landmarks)
    region = align.face_mask(landmarks, 256, feather=0.0) >= 1.0
    assert (surroundings[region] == align.REMOVED).all()
    other = image.copy()
    other[region] = 255 - other[region]
    np.testing.assert_array_equal(align.remove_face(other, landmarks), surroundings)
    forehead = landmarks[19:25].mean(0) + (landmarks[27] - landmarks[8]) * 0.35
    column, row = np.round(forehead).astype(int)
    np.testing.assert_array_equal(surroundings[row, column], image[row, column])


def test_pose_image_is_binary_and_follows_the_landmarks():
    landmarks = crop_landmarks()
    pose = align.pose_image(landmarks, 256)
    assert set(np.unique(pose)) == {0.0, 1.0}
    column, row = np.round(landmarks[8]).astype(int)
    assert pose[max(row - 1, 0) : row + 2, column - 1 : column + 2].max() == 1.0
    assert pose.mean() < 0.05


def test_crop_of_a_large_face_does_not_alias():
    stripes = np.zeros((2000, 2000, 3), np.uint8)
    stripes[:, ::2] = 255
    matrix = np.array([[0.03, 0, 0], [0, 0.03, 0]], np.float32)
    crop = align.crop(stripes, matrix, 32).astype(float)
    assert abs(crop.mean() - 127.5) < 4
    assert crop.std() < 8
