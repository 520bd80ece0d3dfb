"""landmarks.py: crops that are upright, results that do not depend on company, honesty about what is no face."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path

import cv2
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from streamfilter.config import Device
from streamfilter.errors import ConfigError, ModelError
from streamfilter.landmarks import (
    MAX_BATCH,
    CropTemplate,
    DlibLandmarker,
    Landmarker,
    cut,
    five_points,
    to_frame,
    to_unit,
)
from streamfilter.structures import Floats, Image, Track
from tests.synthetic_face import face_shape, placed

TEMPLATE = CropTemplate(eye_distance=0.315, eyes_y=0.27, mouth_y=0.606, box_side=1.06, box_down=0.13)


@pytest.fixture(scope="module")
def landmarker() -> Landmarker:
    return Landmarker.load(device=Device.CPU, threads=1)


def track_of(shape: Floats, **changes: object) -> Track:
    low, high = shape.min(axis=0), shape.max(axis=0)
    track = Track(1, np.concatenate([low, high]).astype(np.float32), points=five_points(shape))
    return replace(track, **changes)


def drawn_face(landmarks: Floats, shape: tuple[int, int] = (480, 640)) -> Image:
    """A face as a child draws it: enough for a network to run on."""
    image = np.full((*shape, 3), 90, np.uint8)
    cv2.fillConvexPoly(image, cv2.convexHull(np.round(landmarks).astype(np.int32)), (205, 160, 130))
    for part in (slice(36, 42), slice(42, 48), slice(48, 60)):
        cv2.fillPoly(image, [np.round(landmarks[part]).astype(np.int32)], (70, 40, 40))
    return image


@given(x=st.floats(0, 1000), size=st.floats(8, 500), degrees=st.floats(-180, 180), mirror=st.sampled_from([-1.0, 1.0]))
def test_the_crop_is_upright_at_any_angle(x, size, degrees, mirror):
    shape = placed(face_shape(), x=x, size=size, degrees=degrees)
    unit = to_unit(shape, TEMPLATE.quad_of_points(five_points(shape)))
    eyes, mouth = unit[36:48].mean(axis=0), unit[[48, 54]].mean(axis=0)
    assert np.allclose([eyes[0], mouth[0]], 0.5, atol=0.02)
    assert eyes[1] < mouth[1]
    assert unit.min() > 0
    assert unit.max() < 1


@given(degrees=st.floats(-180, 180), size=st.floats(8, 500))
def test_units_and_frame_pixels_are_inverse(degrees, size):
    shape = placed(face_shape(), size=size, degrees=degrees)
    quad = TEMPLATE.quad_of_points(five_points(shape))
    assert np.allclose(to_frame(to_unit(shape, quad), quad), shape, atol=1e-2)


def test_a_profile_keeps_its_size():
    frontal, side = placed(face_shape()), placed(face_shape() * np.float32([0.15, 1]))
    quads = [TEMPLATE.quad_of_points(five_points(shape)) for shape in (frontal, side)]
    assert np.hypot(*quads[1][1]) > 0.9 * np.hypot(*quads[0][1])


def test_cut_puts_each_pixel_where_the_units_say():
    image = np.zeros((200, 300, 3), np.uint8)
    image[80, 120] = 255
    for size, side in ((100, 100.0), (100, 50.0), (50, 150.0)):
        quad = np.array([[120 - 0.37 * side, 80 - 0.61 * side], [side, 0], [0, side]], np.float32)
        light = cut(image, quad, size)[..., 0].astype(np.float64)
        rows, columns = np.indices(light.shape)
        middle = [(light * (axis + 0.5)).sum() / light.sum() / size for axis in (columns, rows)]
        assert np.allclose(middle, [0.37, 0.61], atol=0.7 / size)


def test_cut_beyond_the_frame_is_black():
    quad = np.array([[500, 500], [80, 0], [0, 80]], np.float32)
    assert cut(np.full((100, 100, 3), 255, np.uint8), quad, 32).max() == 0


def test_a_large_face_is_shrunk_without_aliasing():
    stripes = np.zeros((900, 900, 3), np.uint8)
    stripes[:, ::2] = 255
    crop = cut(stripes, np.array([[0, 0], [900, 0], [0, 900]], np.float32), 100)
    assert np.abs(crop[10:-10, 10:-10].astype(int) - 127).max() < 25


def test_points_are_preferred_and_a_coasting_track_uses_its_landmarks():
    now, before = placed(face_shape()), placed(face_shape(), x=335, degrees=20)
    seen = track_of(now, landmarks=before)
    coasting = replace(seen, missed_s=0.1)
    assert np.allclose(TEMPLATE.quad(seen), TEMPLATE.quad_of_points(five_points(now)))
    assert np.allclose(TEMPLATE.quad(coasting), TEMPLATE.quad_of_points(five_points(before)))


@pytest.mark.parametrize("points", [np.zeros((5, 2)), np.full((5, 2), np.nan), np.full((5, 2), 5000.0), None])
def test_points_that_contradict_the_box_are_not_believed(points):
    track = track_of(placed(face_shape()), points=None if points is None else points.astype(np.float32))
    assert np.allclose(TEMPLATE.quad(track), TEMPLATE.quad_of_box(track.xyxy))


def test_no_tracks_no_results(landmarker):
    assert landmarker(np.zeros((10, 10, 3), np.uint8), []) == []


@pytest.mark.parametrize("xyxy", [[5, 5, 5, 5], [9, 9, 2, 2], [np.nan, 0, 10, 10], [0, 0, np.inf, 9]])
def test_a_track_without_extent_keeps_what_it_has_at_confidence_zero(landmarker, xyxy):
    old = placed(face_shape())
    track = Track(3, np.array(xyxy, np.float32), landmarks=old, confidence=0.8)
    (result,) = landmarker(np.zeros((50, 50, 3), np.uint8), [track])
    assert result.confidence == 0.0
    assert result.landmarks is old


def test_results_keep_order_and_identity_and_lie_in_the_frame(landmarker):
    shapes = [placed(face_shape(), x=150), placed(face_shape(), x=480, degrees=170)]
    tracks = [replace(track_of(shape), track_id=i, score=0.5 + i / 4) for i, shape in enumerate(shapes)]
    results = landmarker(drawn_face(np.concatenate(shapes)), tracks)
    assert [(r.track_id, r.score) for r in results] == [(0, 0.5), (1, 0.75)]
    for result, shape in zip(results, shapes, strict=True):
        assert result.landmarks.dtype == np.float32
        assert 0 <= result.confidence <= 1
        assert np.hypot(*(result.landmarks.mean(axis=0) - shape.mean(axis=0))) < 40


def test_one_by_one_is_the_same_as_together_and_again(landmarker):
    shapes = [placed(face_shape(), x=60 + 9 * i, size=20 + i, degrees=7 * i) for i in range(MAX_BATCH + 3)]
    image = drawn_face(placed(face_shape()))
    tracks = [track_of(shape) for shape in shapes]
    together, again = landmarker(image, tracks), landmarker(image, tracks)
    for track, a, b in zip(tracks, together, again, strict=True):
        (alone,) = landmarker(image, [track])
        assert np.array_equal(a.landmarks, b.landmarks)
        assert np.allclose(a.landmarks, alone.landmarks, atol=0.02)
        assert abs(a.confidence - alone.confidence) < 1e-3


def test_noise_and_flat_colour_are_not_trusted(landmarker):
    track = track_of(placed(face_shape()))
    noise = np.random.default_rng(0).integers(0, 256, (480, 640, 3), dtype=np.uint8)
    for image in (noise, np.zeros_like(noise), np.full_like(noise, 200)):
        assert landmarker(image, [track])[0].confidence < 0.5


def test_a_model_without_template_is_refused():
    for metadata in ({}, {"template": "not JSON"}, {"template": json.dumps({"eyes_y": 0.3})}, {"template": "[1]"}):
        with pytest.raises(ModelError, match="template"):
            CropTemplate.from_metadata(metadata)


def test_dlib_without_its_file_says_where_to_get_it(tmp_path: Path):
    with pytest.raises(ConfigError, match=r"face-recognition-models.*PyPI"):
        DlibLandmarker(tmp_path / "none.dat")
    (tmp_path / "bad.dat").write_bytes(b"not a predictor")
    with pytest.raises(ConfigError, match=r"not a dlib shape predictor"):
        DlibLandmarker(tmp_path / "bad.dat")


@pytest.fixture(scope="module")
def portrait(real_data: Path) -> tuple[Image, Track]:
    """A frontal photo of a consenting adult, and the detector's points of it, once and for all."""
    path = sorted((real_data / "faces" / "london" / "neutral_front").glob("*.jpg"))[0]
    image = cv2.cvtColor(cv2.imread(str(path)), cv2.COLOR_BGR2RGB)
    weights = real_data.parent / "weights" / "detector" / "yunet_n_dynamic.onnx"
    finder = cv2.FaceDetectorYN.create(str(weights), "", (image.shape[1], image.shape[0]))
    row = finder.detect(cv2.cvtColor(image, cv2.COLOR_RGB2BGR))[1][0].astype(np.float32)
    return image, Track(1, np.concatenate([row[:2], row[:2] + row[2:4]]), points=row[4:14].reshape(5, 2))


@pytest.mark.real
@pytest.mark.parametrize("degrees", [30.0, 90.0, 180.0])
def test_landmarks_turn_with_the_face(landmarker, portrait, degrees):
    image, track = portrait
    height, width = image.shape[:2]
    matrix = cv2.getRotationMatrix2D((width / 2, height / 2), degrees, 0.7)
    turned = cv2.warpAffine(image, matrix, (width, height))
    corners = cv2.transform(track.xyxy[[0, 1, 2, 1, 2, 3, 0, 3]].reshape(1, 4, 2), matrix)[0]
    moved = replace(
        track,
        xyxy=np.concatenate([corners.min(axis=0), corners.max(axis=0)]).astype(np.float32),
        points=cv2.transform(track.points[None], matrix)[0].astype(np.float32),
    )
    expected = cv2.transform(landmarker(image, [track])[0].landmarks[None], matrix)[0]
    (result,) = landmarker(turned, [moved])
    eyes = np.hypot(*(expected[36] - expected[45]))
    assert np.hypot(*(result.landmarks - expected).T).mean() < 0.02 * eyes
    assert result.confidence > 0.5


@pytest.mark.real
def test_a_real_face_is_trusted_and_its_middle_found(landmarker, portrait):
    image, track = portrait
    (result,) = landmarker(image, [track])
    assert result.confidence > 0.8
    away = np.hypot(*(five_points(result.landmarks) - track.points).T)
    assert away.mean() < 0.12 * np.hypot(*(track.points[0] - track.points[1]))
