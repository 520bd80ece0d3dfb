"""streamfilter/audit/detect: decoders say what networks said, detectors agree before a face counts."""

from __future__ import annotations

from dataclasses import dataclass, field
from pathlib import Path

import cv2
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from streamfilter.audit.detect import centerface, looking, windows, yunet
from streamfilter.audit.detect.centerface import CenterFace
from streamfilter.audit.detect.hog import Hog
from streamfilter.audit.detect.mtcnn import Mtcnn, MtcnnConfig
from streamfilter.audit.detect.reference import FIRST, SECOND, THIRD, Agreement, ReferenceDetector, agreed
from streamfilter.audit.detect.yunet import YuNet
from streamfilter.metrics.boxes import areas, intersections
from streamfilter.metrics.matching import match
from streamfilter.model_store.store import Store
from streamfilter.structures import Detections, Doubles, Floats, Image


def detections(*rows: tuple[float, float, float, float]) -> Detections:
    """Square faces (x, y, side, score); all five points lie in the middle."""
    table = np.array(rows, np.float32).reshape(-1, 4)
    corner, side = table[:, :2], table[:, 2:3]
    points = np.repeat((corner + side / 2)[:, None], 5, axis=1)
    return Detections(np.concatenate([corner, corner + side], -1), table[:, 3], points)


NOTHING = detections()
Row = tuple[float, float, float, float] | None


@dataclass
class Witness:
    """Says the same of every box, and remembers which it was asked about."""

    probability: float
    asked: list[list[float]] = field(default_factory=list)

    def __call__(self, boxes: Doubles) -> Doubles:
        self.asked += boxes.tolist()
        return np.full(len(boxes), self.probability)


# --- decoders --------------------------------------------------------------------------------------------------------


def test_centerface_a_cell_of_the_heatmap_is_a_face() -> None:
    heat = np.zeros((6, 8), np.float32)
    sizes, offsets, points = (np.zeros((n, 6, 8), np.float32) for n in (2, 2, 10))
    heat[2, 5] = 0.7
    sizes[:, 2, 5] = np.log([10, 5])  # height and width in strides of 4 px
    offsets[:, 2, 5] = 0.25, -0.5
    points[2:4, 2, 5] = 0.75, 0.5  # the second point: y, x in parts of the box
    found = centerface.decode(heat, sizes, offsets, points, threshold=0.5)
    assert found.xyxy[0].tolist() == pytest.approx([20 - 10, 11 - 20, 20 + 10, 11 + 20], abs=1e-4)
    assert found.score.tolist() == pytest.approx([0.7])
    assert found.landmarks[0, 0].tolist() == pytest.approx([10, -9], abs=1e-4)
    assert found.landmarks[0, 1].tolist() == pytest.approx([20, 21], abs=1e-4)
    assert len(centerface.decode(heat, sizes, offsets, points, threshold=0.71).score) == 0


def yunet_maps(width: int, height: int) -> dict[str, Floats]:
    return {
        f"{name}_{s}": np.zeros(((width // s) * (height // s), n), np.float32)
        for s in yunet.STRIDES
        for name, n in (("cls", 1), ("obj", 1), ("bbox", 4), ("kps", 10))
    }


def test_yunet_a_cell_of_a_stride_is_a_face() -> None:
    maps = yunet_maps(96, 64)
    cell = 3 * 6 + 4  # row 3, column 4 of six columns at stride 16
    maps["cls_16"][cell], maps["obj_16"][cell] = 0.9, 0.4
    maps["bbox_16"][cell] = 0.5, -0.25, np.log(2), np.log(3)
    maps["kps_16"][cell, :2] = 1, -1
    found = yunet.decode(maps, 96, threshold=0.5)
    x, y = 4.5 * 16, 2.75 * 16
    assert found.xyxy[0].tolist() == pytest.approx([x - 16, y - 24, x + 16, y + 24])
    assert found.score.tolist() == pytest.approx([0.6])
    assert found.landmarks[0, 0].tolist() == pytest.approx([80, 32])
    assert found.landmarks[0, 1].tolist() == pytest.approx([64, 48])
    assert len(yunet.decode(maps, 96, threshold=0.61).score) == 0


def test_wild_sizes_do_not_overflow() -> None:
    maps = yunet_maps(32, 32)
    maps["cls_32"][0] = maps["obj_32"][0] = 1
    maps["bbox_32"][0] = 0, 0, 1e6, 1e6
    assert np.isfinite(yunet.decode(maps, 32, threshold=0.5).xyxy).all()
    heat, wild, points = (
        np.ones((1, 1), np.float32),
        np.full((2, 1, 1), 1e6, np.float32),
        np.zeros((10, 1, 1), np.float32),
    )
    assert np.isfinite(centerface.decode(heat, wild, 0 * wild, points, threshold=0.5).xyxy).all()


# --- looking ---------------------------------------------------------------------------------------------------------


@settings(max_examples=40)
@given(st.integers(20, 300), st.integers(20, 300), st.integers(32, 400))
def test_what_is_seen_comes_back_in_pixels_of_the_picture(height: int, width: int, side: int) -> None:
    seen: list[tuple[int, ...]] = []

    def see(tensor: Floats) -> Detections:
        seen.append(tensor.shape)
        # The network sees one face, in the middle fifth of the part that is picture.
        h, w = (max(1, round(s * min(side, max(height, width)) / max(height, width))) for s in (height, width))
        box = np.array([[0.4 * w, 0.4 * h, 0.6 * w, 0.6 * h]], np.float32)
        return Detections(box, np.ones(1, np.float32), box.reshape(1, 2, 2)[:, [0, 1, 0, 1, 0]])

    found = looking.look(np.zeros((height, width, 3), np.uint8), (side,), see, 0.3)
    assert found.xyxy[0] == pytest.approx(np.array([0.4 * width, 0.4 * height, 0.6 * width, 0.6 * height]), abs=1e-2)
    assert found.landmarks[0, :2].ravel() == pytest.approx(found.xyxy[0], abs=1e-3)
    assert all(size % 32 == 0 for size in seen[0][2:])
    assert max(seen[0][2:]) < min(side, max(height, width)) + 32


def test_two_looks_give_each_face_once_and_small_pictures_get_one_look() -> None:
    looks: list[int] = []

    def see(tensor: Floats) -> Detections:
        looks.append(tensor.shape[3])
        x = tensor.shape[3] / 4
        return Detections(
            np.array([[x, 0, 2 * x, x]], np.float32), np.array([x / 100], np.float32), np.zeros((1, 5, 2), np.float32)
        )

    found = looking.look(np.zeros((160, 320, 3), np.uint8), (160, 320), see, 0.3)
    assert found.xyxy.tolist() == [[80, 0, 160, 80]]
    assert found.score.tolist() == pytest.approx([0.8])  # the look that was more sure
    looking.look(np.zeros((64, 64, 3), np.uint8), (160, 320), see, 0.3)
    assert looks == [160, 320, 64]


def test_boxes_end_at_the_edge_of_the_picture() -> None:
    def see(tensor: Floats) -> Detections:
        return detections((-20, 30, 60, 0.9))

    found = looking.look(np.zeros((64, 96, 3), np.uint8), (96,), see, 0.3)
    assert found.xyxy.tolist() == [[0, 30, 40, 64]]


@settings(max_examples=40)
@given(st.floats(-50, 350), st.floats(-50, 250), st.floats(5, 200), st.floats(5, 200))
def test_the_surroundings_show_the_face_at_one_size(x: float, y: float, width: float, height: float) -> None:
    crop, place = looking.surroundings(np.zeros((200, 300, 3), np.uint8), np.array([x, y, x + width, y + height]))
    assert crop.shape == (220, 220, 3)
    assert (place[2:] - place[:2]).max() == pytest.approx(looking.FACE_PX)
    assert (place[:2] + place[2:]) / 2 == pytest.approx([110, 110])


# --- MTCNN -----------------------------------------------------------------------------------------------------------


def test_the_pyramid_begins_at_the_smallest_face_and_ends_at_the_picture() -> None:
    scales = windows.pyramid_scales(360, 24, 0.709)
    assert scales[0] == 0.5
    assert all(360 * scale >= 12 for scale in scales)
    assert 360 * scales[-1] * 0.709 < 12
    assert windows.pyramid_scales(20, 24, 0.709) == []


def test_a_cell_of_the_map_is_a_window_in_the_picture() -> None:
    faces, corrections = np.zeros((5, 7), np.float32), np.zeros((4, 5, 7), np.float32)
    faces[2, 3] = 0.75
    corrections[:, 2, 3] = 0, 0.5, 0, -0.25
    # Window of 12 px, 2 px apart, in a picture reduced to a half.
    assert windows.windows(faces, corrections, 0.5, 0.6).tolist() == [[12, 8 + 12, 36, 32 - 6, 0.75]]
    assert windows.windows(faces, corrections, 0.5, 0.9).shape == (0, 5)


def test_a_box_becomes_the_square_around_its_middle() -> None:
    assert windows.squared(np.array([[0.0, 10, 20, 50, 0.5]])).tolist() == [[-10, 10, 30, 50, 0.5]]


def test_a_cut_is_black_beyond_the_frame() -> None:
    image = np.full((20, 30, 3), 200, np.uint8)
    crop = windows.cut(image, np.array([-10.0, 0, 10, 20]), 20)
    assert crop[:, :10].max() == 0
    assert crop[:, 10:].min() == 200
    assert windows.cut(image, np.array([90.0, 90, 95, 95]), 24).max() == 0
    assert windows.cut(image, np.array([5.0, 5, 5, 5]), 24).shape == (24, 24, 3)


def propose(batch: Floats) -> tuple[Floats, Floats]:
    """A first stage that takes a lamp in the middle two thirds of a window for a face, and corrects nothing."""
    light = (batch.mean(-1) + 1) / 2
    answers = likeness(np.lib.stride_tricks.sliding_window_view(light, (12, 12), (1, 2))[:, ::2, ::2])
    return answers, np.zeros((len(batch), 4, *answers.shape[1:]), np.float32)


def bright(batch: Floats) -> tuple[Floats, Floats]:
    """The same as a second or third stage."""
    return likeness((batch.mean(-1) + 1) / 2), np.zeros((len(batch), 4), np.float32)


def dull(batch: Floats) -> tuple[Floats, Floats]:
    """A stage that is a quarter as sure, and so never sure enough."""
    return bright(batch)[0] / 4, bright(batch)[1]


def likeness(light: Floats) -> Floats:
    """(..., s, s) -> (...): how much lighter the middle is than the rim."""
    rim = light.shape[-1] // 6
    middle = light[..., rim:-rim, rim:-rim]
    around = (light.sum((-1, -2)) - middle.sum((-1, -2))) / (light.shape[-1] ** 2 - middle.shape[-1] ** 2)
    return np.asarray(np.clip(middle.mean((-1, -2)) - around, 0, 1), np.float32)


def lamp() -> Image:
    image = np.zeros((200, 300, 3), np.uint8)
    image[60:120, 100:160] = 250
    return image


LAMP = np.array([85.0, 45, 175, 135])


def test_mtcnn_finds_what_all_three_stages_take_for_a_face() -> None:
    easily = MtcnnConfig(thresholds=(0.3, 0.3, 0.3))
    mtcnn = Mtcnn((propose, bright, bright), easily)
    boxes = mtcnn(lamp())
    assert match(LAMP[None], boxes[:, :4], 0.7) == [0]  # the most probable
    assert mtcnn.near(lamp(), LAMP + 4)
    assert not mtcnn.near(lamp(), LAMP + [100, 0, 100, 0])
    assert Mtcnn((propose, bright, dull), easily)(lamp()).shape == (0, 5)


def test_a_candidate_is_confirmed_by_both_closer_stages() -> None:
    boxes = np.stack([LAMP, LAMP + [100, 0, 100, 0]])

    confirmed = Mtcnn((propose, bright, bright)).confirmed(lamp(), boxes)
    assert confirmed[0] > 0.9
    assert confirmed[1] == 0
    assert Mtcnn((propose, dull, bright)).confirmed(lamp(), boxes).tolist() == [0, 0]
    assert Mtcnn((propose, bright, dull)).confirmed(lamp(), boxes)[0] == pytest.approx(confirmed[0] / 4, abs=0.02)


# --- agreement -------------------------------------------------------------------------------------------------------

scores = st.floats(0, 1, width=32)
faces = st.lists(st.tuples(st.integers(0, 400), st.integers(0, 400), st.integers(10, 200), scores), max_size=8).map(
    lambda rows: detections(*rows)
)


def test_what_both_see_counts_though_neither_is_sure() -> None:
    witness = Witness(0)
    (face,) = agreed(detections((0, 0, 100, 0.4)), detections((4, 0, 100, 0.7)), witness, Agreement())
    assert face.found_by == (FIRST, SECOND)
    assert face.score == pytest.approx(0.7)
    assert face.xyxy.tolist() == [2, 0, 102, 100]
    assert face.points[0].tolist() == [52, 50]
    assert witness.asked == []


def test_two_that_are_both_doubtful_do_not_make_a_face() -> None:
    assert agreed(detections((0, 0, 100, 0.3)), detections((0, 0, 100, 0.55)), Witness(1), Agreement()) == ()


def test_two_that_look_elsewhere_do_not_agree() -> None:
    assert agreed(detections((0, 0, 100, 0.3)), detections((80, 0, 100, 0.55)), Witness(1), Agreement()) == ()


@pytest.mark.parametrize(
    ("first", "second", "name"), [((0, 0, 50, 0.9), None, FIRST), (None, (0, 0, 50, 0.93), SECOND)]
)
def test_one_that_is_very_sure_needs_nobody(first: Row, second: Row, name: str) -> None:
    witness = Witness(0)
    (face,) = agreed(detections(*filter(None, [first])), detections(*filter(None, [second])), witness, Agreement())
    assert (face.found_by, witness.asked) == ((name,), [])


@pytest.mark.parametrize(("first", "second", "name"), [((0, 0, 50, 0.6), None, FIRST), (None, (0, 0, 50, 0.7), SECOND)])
def test_one_that_is_fairly_sure_needs_a_closer_look(first: Row, second: Row, name: str) -> None:
    found = detections(*filter(None, [first])), detections(*filter(None, [second]))
    (face,) = agreed(*found, Witness(0.95), Agreement())
    assert face.found_by == (name, THIRD)
    witness = Witness(0.85)
    assert agreed(*found, witness, Agreement()) == ()
    assert witness.asked == [[0, 0, 50, 50]]


def test_a_face_too_small_to_be_known_does_not_count() -> None:
    both = detections((0, 0, 23, 0.9), (100, 0, 25, 0.9))
    assert [face.xyxy[0] for face in agreed(both, both, Witness(1), Agreement(), least_width_px=24)] == [100]


@settings(max_examples=40)
@given(faces, faces, scores)
def test_no_face_counts_that_nobody_saw_and_none_counts_twice(
    first: Detections, second: Detections, says: float
) -> None:
    rule = Agreement()
    found = agreed(first, second, Witness(says), rule)
    boxes = np.array([face.xyxy for face in found], np.float64).reshape(-1, 4)
    for face in found:
        sure = dict(zip((FIRST, SECOND), rule.alone, strict=True)).get(face.found_by[0], 1)
        assert len(face.found_by) == 2 or face.score >= sure
        assert THIRD not in face.found_by or says >= rule.confirmed
    shared = intersections(boxes, boxes) / np.maximum(np.minimum(areas(boxes)[:, None], areas(boxes)), 1e-9)
    assert (shared[~np.eye(len(boxes), dtype=bool)] <= rule.twice + 1e-6).all()


@settings(max_examples=40)
@given(faces)
def test_one_detector_repeated_is_believed_from_the_lower_scores(found: Detections) -> None:
    everyone = agreed(found, found, Witness(0), Agreement(twice=1))
    wanted = sorted(float(s) for s in found.score if s >= 0.5)
    assert [face.score for face in everyone[::-1]] == pytest.approx(wanted)
    assert agreed(NOTHING, NOTHING, Witness(1), Agreement()) == ()


# --- real ------------------------------------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def store(audit_models: Path) -> Store:
    return Store(audit_models)


def photo(path: Path) -> Image:
    return np.ascontiguousarray(cv2.imread(str(path))[..., ::-1])


def frame(path: Path, index: int) -> Image:
    video = cv2.VideoCapture(str(path))
    for _ in range(index):
        video.grab()
    return np.ascontiguousarray(video.read()[1][..., ::-1])


GROUP = "wild/dlib_boxes/faces_2008_002506.jpg"
BY_HAND = np.array([[329.0, 78, 438, 187], [224, 95, 315, 186], [125, 65, 215, 156]])


@pytest.mark.real
def test_every_detector_finds_three_people_and_their_eyes(real_data: Path, store: Store) -> None:
    image = photo(real_data / GROUP)
    for detector in (CenterFace.load(store), YuNet.load(store)):
        found = detector(image)
        sure = found.score > 0.7
        assert sorted(match(BY_HAND, found.xyxy[sure].astype(np.float64), 0.4)) == [0, 1, 2]
        points = found.landmarks[sure]
        assert (points[:, 0, 0] < points[:, 1, 0]).all()  # the left of the picture first
        assert (points[:, :2, 1].max(1) < points[:, 3:, 1].min(1)).all()  # eyes above the mouth
    for boxes in (Mtcnn.load(store)(image), Hog()(image)):
        assert sorted(match(BY_HAND, boxes[:, :4], 0.4)) == [0, 1, 2]


@pytest.mark.real
def test_looking_near_a_box_finds_the_face_there_and_nothing_elsewhere(real_data: Path, store: Store) -> None:
    image = photo(real_data / GROUP)
    for judge in (Mtcnn.load(store), Hog()):
        assert all(judge.near(image, box) for box in BY_HAND)
        assert not judge.near(image, np.array([20.0, 250, 110, 340]))


@pytest.mark.real
def test_the_profile_at_the_edge_counts_and_bottles_do_not(real_data: Path, store: Store) -> None:
    detector = ReferenceDetector.load(store)
    found = detector(frame(real_data / "videos/multi/shot_cuts_audience_640x360.mp4", 50))
    assert any(face.xyxy[0] > 480 and face.xyxy[2] > 600 and face.xyxy[3] - face.xyxy[1] > 130 for face in found)
    assert detector(frame(real_data / "videos/none/bottles.mp4", 200)) == ()


@pytest.mark.real
def test_the_reference_agrees_with_boxes_drawn_by_hand(real_data: Path, store: Store) -> None:
    found = ReferenceDetector.load(store)(photo(real_data / GROUP))
    assert sorted(match(BY_HAND, np.array([face.xyxy for face in found], np.float64), 0.4)) == [0, 1, 2]
    assert all(set(face.found_by) >= {FIRST, SECOND} for face in found)
