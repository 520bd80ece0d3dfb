"""The crop grid: sampling at the right place, filling in, boxes."""

from __future__ import annotations

import numpy as np
import pytest

from streamfilter.crop_grid import GRID, Box, extend, grid_matrix, ring, sample, to_grid


def gradient(height: int, width: int) -> np.ndarray:
    ys, xs = np.mgrid[:height, :width]
    return np.dstack([xs, ys, 0 * xs]).clip(0, 255).astype(np.uint8)


def crop_matrix(size: int, side: float, left: float, top: float) -> np.ndarray:
    scale = size / side
    return np.array([[scale, 0, (0.5 - left) * scale - 0.5], [0, scale, (0.5 - top) * scale - 0.5]], np.float32)


@pytest.mark.parametrize("side", [40.0, 64.0, 100.0, 190.0])
@pytest.mark.parametrize("size", [64, 128, 256])
def test_cells_lie_where_the_crop_has_them(side, size):
    colour, visible = sample(gradient(240, 250), grid_matrix(crop_matrix(size, side, 20, 30), size))
    assert visible.all()
    centres = (np.arange(GRID) + 0.5) * side / GRID - 0.5
    inner = slice(4, -4)
    assert np.abs(colour[32, inner, 0] - (20 + centres)[inner]).max() < 1.1
    assert np.abs(colour[inner, 32, 1] - (30 + centres)[inner]).max() < 1.1


def test_cells_outside_the_frame_are_told():
    _, visible = sample(gradient(100, 100), grid_matrix(crop_matrix(64, 64, -32, 10), 64))
    assert visible[:, :31].max() == 0
    assert visible[:, 34:].min() == 1


def test_a_crop_far_outside_sees_nothing():
    _, visible = sample(gradient(50, 50), grid_matrix(crop_matrix(64, 64, 4000, -9000), 64))
    assert not visible.any()


def test_ring_keeps_its_distance():
    region = np.zeros((GRID, GRID), np.float32)
    region[20:40, 20:40] = 1
    around = ring(region, 6)
    assert around[18:42, 18:42].max() == 0
    assert around[15, 30] == 1
    assert around[5, 30] == 0


def test_extend_keeps_what_is_known_and_stays_in_its_range():
    weight = np.zeros((GRID, GRID), np.float32)
    weight[:, :16] = 1
    weight[:, 48:] = 1
    values = np.zeros((GRID, GRID, 3), np.float32)
    values[:, 48:] = 100
    values[:, 16:48] = 9e5
    field = extend(values, weight)
    assert np.abs(field[:, :12]).max() < 4
    assert np.abs(field[:, 52:] - 100).max() < 4
    assert -1e-3 <= field.min() <= field.max() <= 100.001
    assert 30 < field[32, 32, 0] < 70


def test_extend_of_nothing_is_finite():
    nothing = np.zeros((GRID, GRID), np.float32)
    assert np.isfinite(extend(np.ones((GRID, GRID, 3), np.float32), nothing)).all()


def test_box_holds_the_mask_and_enlarges_fields():
    mask = np.zeros((256, 256), np.float32)
    mask[100:140, 60:90] = 1
    box = Box.of(to_grid(mask), 256)
    assert box is not None
    assert mask[box.part].sum() == mask.sum()
    field = np.arange(GRID * GRID, dtype=np.float32).reshape(GRID, GRID)
    assert box.enlarge(field).shape == mask[box.part].shape
    assert box.at(2).size == (box.size[0] // 2, box.size[1] // 2)
    assert box.at(9) == box
    assert Box.of(to_grid(0 * mask), 256) is None
