"""Photos: what one look takes for a face must be sure, what two see need not be; nothing is lost of the first look."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import cv2
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from streamfilter.config import DetectConfig, Device
from streamfilter.detect import Detector
from streamfilter.still import LOOKS, StillDetector, believed
from streamfilter.structures import Detections

PHOTO = np.full((200, 300, 3), 128, np.uint8)
Seen = Sequence[tuple[list[float], float]]


def detections(faces: Seen) -> Detections:
    boxes = np.array([box for box, _ in faces], np.float32).reshape(-1, 4)
    score = np.array([score for _, score in faces], np.float32)
    return Detections(boxes, score, np.zeros((len(boxes), 5, 2), np.float32))


class Told:
    """A detector that sees what it is told, by resolution and by whether there is a border."""

    def __init__(self, first: Seen, **looks: Seen) -> None:
        self.config = DetectConfig()
        self._first, self._looks = first, looks

    def __call__(self, image: np.ndarray, *, long_side_px: int | None = None) -> Detections:
        if long_side_px is None:
            return detections(self._first)
        border = "b" if image.shape != PHOTO.shape else "s"
        return detections(self._looks.get(f"{border}{long_side_px}", []))


def found(first: Seen, **looks: Seen) -> list[list[float]]:
    return StillDetector(Told(first, **looks))(PHOTO).xyxy.tolist()  # type: ignore[arg-type]


A, B = [10.0, 10, 60, 70], [200.0, 20, 240, 70]


def test_the_first_look_stays_whatever_the_others_say() -> None:
    assert found([(A, 0.35)]) == [A]
    assert found([(A, 0.35)], s320=[([12, 11, 61, 72], 0.99)]) == [A]


def test_a_sure_face_of_one_look_counts() -> None:
    assert found([], s448=[(A, 0.7)]) == [A]


def test_a_doubtful_face_counts_if_two_looks_see_it() -> None:
    assert found([], s448=[(A, 0.4)]) == []
    assert len(found([], s448=[(A, 0.4)], s320=[(A, 0.45)])) == 1
    assert len(found([(B, 0.9)], s448=[(A, 0.4)], s320=[(B, 0.45)])) == 1


def test_the_mirrored_border_is_taken_off_again() -> None:
    edge = 50  # a quarter of the shorter side
    shifted = [value + edge for value in A]
    assert found([], b448=[(shifted, 0.9)]) == [A]
    assert found([], b448=[([5, 60, 45, 100], 0.9)]) == []  # wholly in the border: its mirror image


FACES = st.lists(
    st.builds(
        lambda x, y, side, score: ([x, y, x + side, y + side], score),
        st.floats(0, 200, width=32),
        st.floats(0, 100, width=32),
        st.floats(10, 190, width=32),
        st.floats(0.3125, 1, width=32),
    ),
    max_size=6,
)


@given(first=FACES, near=FACES, far=FACES)
def test_no_face_of_the_first_look_is_lost(first: Seen, near: Seen, far: Seen) -> None:
    kept = found(first, s320=near, s448=far)
    assert kept[: len(first)] == detections(first).xyxy.tolist()


def test_a_sure_box_within_a_doubtful_face_does_not_replace_it() -> None:
    whole, mouth = [10.0, 10, 190, 190], [85.0, 85, 115, 115]
    assert whole in found([(whole, 0.35)], s320=[(mouth, 0.95)])


def test_dark_photos_are_brightened_for_all_looks_but_the_first() -> None:
    class Watching(Told):
        def __call__(self, image: np.ndarray, *, long_side_px: int | None = None) -> Detections:
            means.append(float(image.mean()))
            return super().__call__(image, long_side_px=long_side_px)

    means: list[float] = []
    StillDetector(Watching([]))(np.full_like(PHOTO, 20))  # type: ignore[arg-type]
    assert means == [20.0, *[80.0] * len(LOOKS)]


def test_nothing_is_believed_of_nothing() -> None:
    assert len(believed(detections([]), [detections([(A, 0.9)])])) == 0
    assert len(believed(detections([(A, 0.6)]), [detections([(B, 0.9)])])) == 0


def test_looks_are_near_and_far() -> None:
    assert {look.long_side_px for look in LOOKS} >= {320, 1280}
    assert any(look.border for look in LOOKS)
    assert len({look for look in LOOKS}) + 1 == 6


@pytest.mark.real
def test_a_photo_is_not_searched_worse_than_a_frame(real_data: Path) -> None:
    detector = Detector.load(device=Device.CPU, threads=1)
    photo = np.ascontiguousarray(cv2.imread(str(real_data / "faces/lfw/Kate_Winslet/Kate_Winslet_0003.jpg"))[..., ::-1])
    assert len(StillDetector(detector)(photo)) > len(detector(photo))  # half a face at the left edge
