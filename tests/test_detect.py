from __future__ import annotations

from pathlib import Path

import cv2
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from streamfilter.config import DetectConfig, Device
from streamfilter.detect import (
    MAX_ENLARGE,
    MULTIPLE,
    STRIDES,
    Detector,
    Lookout,
    add,
    brightened,
    decode,
    echoes,
    maps_of,
    prepare,
    resize,
    scaled_size,
    second_side,
    suppress,
)
from streamfilter.errors import ConfigError, ModelError, ShapeError
from streamfilter.structures import Detections

CERTAIN = 20.0


@pytest.fixture(scope="module")
def detector() -> Detector:
    return Detector.load(device=Device.CPU, threads=1)


def empty_maps(height: int = 128, width: int = 160) -> list[np.ndarray]:
    maps = [np.zeros((16, height // s, width // s), np.float32) for s in STRIDES]
    for level in maps:
        level[:2] = -CERTAIN
    return maps


def put_face(level: np.ndarray, row: int, column: int, logit: float = CERTAIN) -> None:
    """A face 3 strides wide and 4 high, its centre half a cell right of and below the corner; points 0.1 .. 1.0."""
    level[:2, row, column] = logit
    level[2:6, row, column] = [0.5, 0.5, np.log(3), np.log(4)]
    level[6:, row, column] = np.arange(1, 11) / 10


class FakeModel:
    """Stands in for the network: one sure face at cell (row 2, column 3) of the stride-16 map."""

    def __init__(self) -> None:
        self.shapes: list[tuple[int, ...]] = []

    def __call__(self, *, image: np.ndarray) -> dict[str, np.ndarray]:
        self.shapes.append(image.shape)
        maps = empty_maps(image.shape[2], image.shape[3])
        if min(maps[1].shape[1:]) > 3:
            put_face(maps[1], 2, 3)
        return {f"map_{s}": m[None] for s, m in zip(STRIDES, maps, strict=True)}


def fake(**settings_: object) -> tuple[Detector, FakeModel]:
    model = FakeModel()
    return Detector(model, DetectConfig(**settings_)), model  # type: ignore[arg-type]


@pytest.mark.parametrize("index", range(len(STRIDES)))
def test_decode_places_box_and_points_by_stride(index: int) -> None:
    stride, maps = STRIDES[index], empty_maps()
    put_face(maps[index], 1, 2)
    found = decode(maps, low_threshold=0.25)
    centre = (np.array([2, 1]) + 0.5) * stride
    half = np.array([1.5, 2]) * stride
    np.testing.assert_allclose(found.xyxy, [[*(centre - half), *(centre + half)]], rtol=1e-5)
    np.testing.assert_allclose(found.landmarks[0, 0], np.array([2.1, 1.2]) * stride, rtol=1e-5)
    np.testing.assert_allclose(found.landmarks[0, 4], np.array([2.9, 2.0]) * stride, rtol=1e-5)
    assert found.score[0] == pytest.approx(1, abs=1e-4)


def test_decode_gives_the_best_first_and_keeps_doubtful_ones() -> None:
    maps = empty_maps()
    put_face(maps[0], 1, 1, logit=-0.8)  # score 0.31
    put_face(maps[2], 1, 3)
    put_face(maps[1], 2, 2, logit=-2.0)  # score 0.12
    found = decode(maps, low_threshold=0.25)
    assert found.score.tolist() == sorted(found.score.tolist(), reverse=True)
    assert len(found) == 2


def test_decode_finds_nothing_in_empty_maps() -> None:
    assert len(decode(empty_maps(), low_threshold=0.25)) == 0


@settings(max_examples=30, deadline=None)
@given(seed=st.integers(0, 10_000), spread=st.floats(0.1, 300))
def test_boxes_are_finite_and_ordered_whatever_the_network_says(seed: int, spread: float) -> None:
    rng = np.random.default_rng(seed)
    maps = [(rng.standard_normal(m.shape) * spread).astype(np.float32) for m in empty_maps(64, 64)]
    found = decode(maps, low_threshold=0.25)
    assert np.isfinite(found.xyxy).all() and np.isfinite(found.landmarks).all()
    assert (found.xyxy[:, 2:] >= found.xyxy[:, :2]).all()
    assert ((found.score >= 0.25) & (found.score <= 1)).all()


@settings(max_examples=50, deadline=None)
@given(seed=st.integers(0, 10_000), n=st.integers(0, 40), limit=st.sampled_from([0.2, 0.4, 0.7]))
def test_suppress_leaves_no_pair_above_the_limit_and_drops_nothing_without_cause(
    seed: int, n: int, limit: float
) -> None:
    rng = np.random.default_rng(seed)
    low = rng.uniform(0, 60, (n, 2))
    boxes = np.concatenate([low, low + rng.uniform(5, 40, (n, 2))], -1).astype(np.float32)
    score = rng.uniform(0, 1, n).astype(np.float32)
    keep = suppress(boxes, score, limit)
    overlap = pair_iou(boxes)
    for i in keep:
        assert all(overlap[i, j] <= limit + 1e-5 for j in keep if j != i)
    for i in set(range(n)) - set(keep.tolist()):
        assert any(overlap[i, j] > limit - 1e-5 and score[j] >= score[i] for j in keep)


def pair_iou(boxes: np.ndarray) -> np.ndarray:
    shared = np.clip(
        np.minimum(boxes[:, None, 2:], boxes[None, :, 2:]) - np.maximum(boxes[:, None, :2], boxes[None, :, :2]), 0, None
    ).prod(-1)
    area = (boxes[:, 2:] - boxes[:, :2]).prod(-1)
    return np.asarray(shared / (area[:, None] + area[None] - shared))


@given(height=st.integers(1, 5000), width=st.integers(1, 5000), side=st.sampled_from([320, 640, 960]))
def test_scaled_size_is_the_long_side_or_a_bounded_enlargement(height: int, width: int, side: int) -> None:
    new = scaled_size(height, width, side)
    assert min(new) >= 1
    assert max(new) == min(side, round(MAX_ENLARGE * max(height, width)))


@pytest.mark.parametrize("shape", [(1, 1), (3, 500), (37, 41), (360, 640), (1080, 1920)])
def test_prepare_pads_to_the_multiple_with_the_edge(shape: tuple[int, int]) -> None:
    image = np.random.default_rng(0).integers(0, 255, (*shape, 3), np.uint8)
    height, width = scaled_size(*shape, 640)
    tensor = prepare(image, height, width)
    assert tensor.dtype == np.float32 and tensor.shape[:2] == (1, 3)
    assert tensor.shape[2] % MULTIPLE == 0 and tensor.shape[3] % MULTIPLE == 0
    assert 0 <= tensor.shape[2] - height < MULTIPLE and 0 <= tensor.shape[3] - width < MULTIPLE
    np.testing.assert_array_equal(
        tensor[0, :, height:, :width], np.repeat(tensor[0, :, height - 1 : height, :width], tensor.shape[2] - height, 1)
    )


def test_resize_averages_instead_of_skipping_pixels() -> None:
    image = np.zeros((400, 600, 3), np.uint8)
    image[:, ::4] = 255  # lines that nearest or linear sampling would show as a moire
    small = resize(image, 100, 150)
    assert small.shape == (100, 150, 3)
    assert abs(int(small.mean()) - 64) <= 2 and small.std() < 5


def test_resize_keeps_the_right_and_lower_border() -> None:
    image = np.zeros((99, 149, 3), np.uint8)
    image[-12:, -12:] = 255
    small = resize(image, 40, 60)
    assert small[-1, -1].min() == 255 and small[0, 0].max() == 0


@pytest.mark.parametrize("shape", [(480, 640), (270, 480), (1080, 1920), (1000, 333), (64, 64)])
def test_results_are_in_pixels_of_the_frame(shape: tuple[int, int]) -> None:
    detector, model = fake()
    found = detector(np.zeros((*shape, 3), np.uint8))
    height, width = scaled_size(*shape, 640)
    assert model.shapes[0][2] - height < MULTIPLE
    expected = (np.array([3.5, 2.5]) * 16) * [shape[1] / width, shape[0] / height]
    np.testing.assert_allclose((found.xyxy[0, :2] + found.xyxy[0, 2:]) / 2, expected, rtol=1e-4)


def test_the_resolution_can_be_chosen_for_one_picture() -> None:
    detector, model = fake(long_side_px=320)
    image = np.zeros((720, 1280, 3), np.uint8)
    detector(image)
    detector(image, long_side_px=1280)
    detector(image)
    assert [s[3] for s in model.shapes] == [320, 1280, 320]


def test_a_picture_is_not_enlarged_beyond_the_limit() -> None:
    detector, model = fake()
    detector(np.zeros((72, 96, 3), np.uint8))
    assert model.shapes[0][2:] == (160, 192)


@pytest.mark.parametrize(
    "image",
    [
        np.zeros((10, 10), np.uint8),
        np.zeros((10, 10, 4), np.uint8),
        np.zeros((10, 10, 3), np.float32),
        np.zeros((0, 9, 3), np.uint8),
    ],
)
def test_what_is_no_picture_is_refused(image: np.ndarray) -> None:
    with pytest.raises(ShapeError, match="H, W"):
        fake()[0](image)


def test_a_senseless_resolution_is_refused() -> None:
    with pytest.raises(ConfigError, match="got 8"):
        fake()[0](np.zeros((64, 64, 3), np.uint8), long_side_px=8)


def test_a_model_without_the_right_outputs_is_an_error() -> None:
    with pytest.raises(ModelError, match="map_8"):
        maps_of({"map_8": np.zeros((1, 5, 4, 4), np.float32)}, 8)
    with pytest.raises(ModelError, match="map_16"):
        maps_of({}, 16)


def test_the_shipped_model_says_what_it_is(detector: Detector) -> None:
    assert detector.model.metadata["kind"] == "detector"
    assert "Apache-2.0" in detector.model.metadata["licence"] and "Shiqi Yu" in detector.model.metadata["licence"]
    assert {"version", "training_run"} <= detector.model.metadata.keys()


@pytest.mark.parametrize("shape", [(1, 1), (2, 700), (33, 31), (479, 641), (900, 31)])
def test_any_size_of_frame_works(detector: Detector, shape: tuple[int, int]) -> None:
    image = np.random.default_rng(1).integers(0, 255, (*shape, 3), np.uint8)
    found = detector(image)
    assert np.isfinite(found.xyxy).all() and np.isfinite(found.landmarks).all()


@pytest.mark.parametrize("level", [0, 114, 255])
def test_an_empty_frame_has_no_face(detector: Detector, level: int) -> None:
    assert len(detector(np.full((360, 640, 3), level, np.uint8))) == 0


def test_the_same_frame_gives_the_same_result(detector: Detector) -> None:
    image = np.random.default_rng(2).integers(0, 255, (200, 300, 3), np.uint8)
    first, again = detector(image), detector(image)
    np.testing.assert_array_equal(first.xyxy, again.xyxy)


def portrait(real_data: Path, size: int = 320) -> np.ndarray:
    path = next(iter(sorted((real_data / "faces/london/neutral_front").glob("*.jpg"))))
    image = cv2.imread(str(path))
    return np.ascontiguousarray(cv2.resize(image, (size, size), interpolation=cv2.INTER_AREA)[..., ::-1])


@pytest.mark.real
@pytest.mark.parametrize("quarter_turns", range(4))
def test_a_face_is_found_whichever_way_it_is_turned(detector: Detector, real_data: Path, quarter_turns: int) -> None:
    image = np.ascontiguousarray(np.rot90(portrait(real_data), quarter_turns))
    found = detector(image)
    middle = (found.xyxy[0, :2] + found.xyxy[0, 2:]) / 2
    assert found.score[0] >= detector.config.threshold
    assert np.abs(middle - 160).max() < 60


@pytest.mark.real
def test_points_lie_on_eyes_nose_and_mouth(detector: Detector, real_data: Path) -> None:
    points = detector(portrait(real_data)).landmarks[0]
    left_eye, right_eye, nose, left_mouth, right_mouth = points
    assert left_eye[0] < nose[0] < right_eye[0] and left_mouth[0] < nose[0] < right_mouth[0]
    assert max(left_eye[1], right_eye[1]) < nose[1] < min(left_mouth[1], right_mouth[1])


@pytest.mark.real
def test_one_face_is_one_detection_and_place_does_not_matter(detector: Detector, real_data: Path) -> None:
    face = portrait(real_data, 128)
    for y, x in [(0, 0), (100, 37), (232, 512)]:
        frame = np.full((360, 640, 3), 90, np.uint8)
        frame[y : y + 128, x : x + 128] = face
        found = detector(frame)
        sure = found.xyxy[found.score >= detector.config.threshold]
        assert len(sure) == 1
        assert np.abs((sure[0, :2] + sure[0, 2:]) / 2 - [x + 64, y + 64]).max() < 25


@pytest.mark.real
@pytest.mark.parametrize(("name", "at_least"), [("crowd/imgs_10.jpg", 19), ("groups/in_solvay1927.jpg", 27)])
def test_groups_are_found_whole(detector: Detector, real_data: Path, name: str, at_least: int) -> None:
    image = np.ascontiguousarray(cv2.imread(str(real_data / "wild" / name))[..., ::-1])
    assert len(detector(image)) >= at_least


class Seen:
    """Stands in for a detector: notes at which sides it was asked, and finds what it is told to find there."""

    def __init__(self, faces: dict[int | None, list[list[float]]], **options: int) -> None:
        self.config = DetectConfig(**options)  # type: ignore[arg-type]
        self.faces, self.sides = faces, list[int | None]()

    def __call__(self, image: np.ndarray, *, long_side_px: int | None = None) -> Detections:
        self.sides.append(long_side_px)
        boxes = np.array(self.faces.get(long_side_px, []), np.float32).reshape(-1, 4)
        return Detections(boxes, np.full(len(boxes), 0.6, np.float32), np.zeros((len(boxes), 5, 2), np.float32))


FRAME = np.zeros((720, 1280, 3), np.uint8)


def test_the_second_look_is_larger_and_smaller_in_turn() -> None:
    detector = Seen({}, again_every=2, again_small_px=448, again_large_px=1280)
    lookout = Lookout(detector)  # type: ignore[arg-type]
    for _ in range(5):
        lookout(FRAME)
    assert detector.sides == [None, 1280, None, None, 448, None, None, 1280]
    lookout.reset()
    lookout(FRAME)
    assert detector.sides[-1] == 1280


def test_there_is_no_second_look_where_none_is_wanted() -> None:
    detector = Seen({}, again_every=0)
    lookout = Lookout(detector)  # type: ignore[arg-type]
    for _ in range(4):
        lookout(FRAME)
    assert detector.sides == [None] * 4


def test_the_second_look_adds_what_the_first_has_not_and_moves_nothing() -> None:
    known, same, new = [10.0, 10, 50, 60], [12.0, 11, 53, 62], [200.0, 10, 220, 30]
    found = Lookout(Seen({None: [known], 1280: [same, new]}))(FRAME)  # type: ignore[arg-type]
    assert found.xyxy.tolist() == [known, new]


def test_of_a_dark_frame_the_smaller_look_is_brightened_and_believes_the_sure_only() -> None:
    class Scored(Seen):
        def __call__(self, image: np.ndarray, *, long_side_px: int | None = None) -> Detections:
            if long_side_px == 448:
                means.append(float(image.mean()))
            found = super().__call__(image, long_side_px=long_side_px)
            return Detections(found.xyxy, np.array([0.4, 0.6], np.float32)[: len(found)], found.landmarks)

    for level, wanted, faces in ((16, 64.0, 1), (40, 80.0, 1), (120, 120.0, 2)):
        means: list[float] = []
        lookout = Lookout(Scored({448: [[10, 10, 50, 60], [200, 10, 240, 60]]}, again_every=1))  # type: ignore[arg-type]
        frame = np.full((720, 1280, 3), level, np.uint8)
        lookout(frame)
        assert len(lookout(frame)) == faces
        assert means == [wanted]


@given(level=st.integers(0, 255))
def test_brightening_never_darkens_and_leaves_bright_frames_alone(level: int) -> None:
    frame = np.full((40, 40, 3), level, np.uint8)
    lit = brightened(frame)
    assert (lit >= frame).all()
    assert (lit is frame) == (level >= 48)


@given(long_side=st.integers(1, 8000))
def test_the_larger_look_uses_the_frames_pixels_within_bounds(long_side: int) -> None:
    config = DetectConfig()
    side = second_side(long_side, config, larger=True)
    assert config.long_side_px < side <= config.again_large_px
    assert side >= min(long_side, config.again_large_px)
    assert second_side(long_side, config, larger=False) < config.long_side_px


def boxes(*rows: tuple[float, ...]) -> tuple[np.ndarray, np.ndarray]:
    table = np.array(rows, np.float32)
    return table[:, :4], table[:, 4]


@pytest.mark.parametrize(
    ("other", "echo"),
    [
        ((80, 60, 220, 230, 0.35), True),  # the same face with its hair
        ((130, 160, 170, 190, 0.35), True),  # its mouth alone
        ((190, 90, 230, 130, 0.35), False),  # somebody who peeps out behind it
        ((80, 60, 220, 230, 0.6), False),  # sure enough to be another face
        ((-100, -100, 400, 420, 0.6), True),  # a face that large would hide the sure one
        ((-100, -100, 400, 420, 0.9), False),
        ((140, 100, 640, 600, 0.6), False),  # the sure one at its corner only
    ],
)
def test_a_box_that_repeats_a_sure_face_is_an_echo(other: tuple[float, ...], echo: bool) -> None:
    xyxy, score = boxes((100, 100, 200, 220, 0.92), other)
    assert echoes(xyxy, score, 0.5).tolist() == [False, echo]


def test_a_second_look_adds_middling_boxes_only_where_they_are_small() -> None:
    def found(*rows: tuple[float, ...]) -> Detections:
        xyxy, score = boxes(*rows)
        return Detections(xyxy, score, np.zeros((len(xyxy), 5, 2), np.float32))

    first = found((100, 100, 200, 220, 0.9))
    more = found((300, 300, 340, 340, 0.35), (300, 20, 640, 300, 0.6), (400, 300, 640, 600, 0.8))
    added = add(first, more, DetectConfig(), frame_side_px=720)
    assert added.xyxy[:, 0].tolist() == [100, 300, 400]
