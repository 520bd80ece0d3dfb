"""The edge of a face: what is foreign, what fills it, where it ends hard."""

from __future__ import annotations

import cv2
import numpy as np
import pytest

from streamfilter.crop_grid import GRID, Box, to_grid
from streamfilter.silhouette import edge, foreign

SIZE = 128
SKIN, GREEN = np.array([190, 140, 115]), np.array([40, 160, 50])


def ellipse(across: float, down: float, soft: float = 0.1) -> np.ndarray:
    ys, xs = np.mgrid[:SIZE, :SIZE] / SIZE - 0.5
    return np.clip((1 + soft - np.hypot(xs / across, (ys - 0.03) / down)) / soft, 0, 1).astype(np.float32)


MASK = ellipse(0.24, 0.3)


def share_of(image: np.ndarray) -> tuple[np.ndarray, Box]:
    region = to_grid(MASK)
    box = Box.of(region, SIZE)
    assert box is not None
    return foreign(image, region, box)[box.part], box


def portrait(across: float, down: float, background=GREEN) -> np.ndarray:
    inside = ellipse(across, down, 0.02)[..., None]
    return (inside * SKIN + (1 - inside) * background).astype(np.uint8)


@pytest.mark.parametrize("background", [GREEN, (15, 12, 10), (250, 250, 250)])
def test_background_within_the_region_is_foreign_and_skin_is_not(background):
    share, box = share_of(portrait(0.18, 0.24, background))
    core, rim = ellipse(0.15, 0.2, 0.01)[box.part] > 0, (ellipse(0.21, 0.27, 0.01)[box.part] == 0)
    assert share[core].max() < 0.05
    lower = np.zeros_like(rim)
    lower[rim.shape[0] // 2 :] = True
    assert share[rim & lower & (MASK[box.part] == 1)].mean() > 0.9


def test_a_face_that_fills_its_region_is_left_alone():
    share, box = share_of(portrait(0.3, 0.36))
    assert share[MASK[box.part] == 1].max() < 0.2


def test_eyes_and_mouth_are_not_foreign_though_they_are_not_skin():
    image = portrait(0.18, 0.24, (15, 12, 10))
    for x, y in ((52, 55), (76, 55), (64, 80)):
        cv2.circle(image, (x, y), 4, (15, 12, 10), -1)
    share, box = share_of(image)
    left, top = box.corner
    for x, y in ((52, 55), (76, 55), (64, 80)):
        assert share[y - top, x - left] < 0.1


def fields(frame_colour) -> tuple[np.ndarray, np.ndarray, np.ndarray, np.ndarray]:
    image = portrait(0.18, 0.24)
    region = to_grid(MASK)
    box = Box.of(region, SIZE)
    assert box is not None
    own = 1 - to_grid(foreign(image, region, box))
    behind = np.broadcast_to(np.asarray(frame_colour, np.float32), (GRID, GRID, 3)).copy()
    return to_grid(image), own, region, behind


def test_skin_fills_the_jaw_and_a_wall_ends_it_hard():
    found = edge(*fields((60, 70, 160)))
    assert np.abs(found.fill[44, 20] - SKIN).max() < 12
    assert found.abrupt[44].min() > 0.8
    assert found.abrupt[:12].max() == 0, "the forehead stays soft"
    assert found.shade.min() > 0.4
    assert found.shade.max() <= 1


def test_skin_against_skin_ends_softly_and_undarkened():
    found = edge(*fields(SKIN))
    assert found.abrupt.max() < 0.1
    assert found.shade.min() > 0.99


def test_at_the_temples_the_frame_shows():
    found = edge(*fields((60, 70, 160)))
    assert np.abs(found.fill[20, 12] - (60, 70, 160)).max() < 30


def test_a_forehead_beyond_the_region_is_not_foreign():
    """Skin that goes on above the region, a little brighter, is not filled over, though hair beside it is."""
    image, mask = np.full((128, 128, 3), (30, 22, 20), np.uint8), np.zeros((128, 128), np.float32)
    image[20:104, 30:98] = (200, 150, 130)
    image[20:36, 30:98] = (225, 172, 150)
    mask[36:100, 34:94] = 1
    mask = cv2.GaussianBlur(mask, (0, 0), 2)
    region = to_grid(mask)
    share = foreign(image, region, Box.of(region, 128))
    assert share[33:36, 50:78].max() < 0.2
