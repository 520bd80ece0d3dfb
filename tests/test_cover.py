"""The cover: holds nothing of the face, leaves nothing of the box, never raises."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from streamfilter.cover import GREY, cover

SIZES = st.integers(1, 90)
SEEDS = st.integers(0, 2**16)
COORDINATES = st.floats(-150, 250, allow_nan=False, width=32)


def picture(height: int, width: int, seed: int) -> np.ndarray:
    return np.random.default_rng(seed).integers(0, 256, (height, width, 3), np.uint8)


def inside(canvas: np.ndarray, xyxy: np.ndarray) -> tuple[slice, slice]:
    """The pixels that the box touches."""
    x0, x1 = sorted((xyxy[0], xyxy[2]))
    y0, y1 = sorted((xyxy[1], xyxy[3]))
    rows = slice(max(0, int(np.floor(y0))), max(0, int(np.ceil(y1))))
    return rows, slice(max(0, int(np.floor(x0))), max(0, int(np.ceil(x1))))


@settings(max_examples=60, deadline=None, derandomize=True)
@given(SIZES, SIZES, SEEDS, st.lists(COORDINATES, min_size=4, max_size=4))
def test_result_does_not_depend_on_what_is_in_the_box(height, width, seed, box):
    xyxy = np.array(box, np.float32)
    one = picture(height, width, seed)
    other = one.copy()
    other[inside(one, xyxy)] ^= 0xFF
    cover(one, xyxy)
    cover(other, xyxy)
    assert np.array_equal(one, other)


@settings(max_examples=60, deadline=None, derandomize=True)
@given(SIZES, SIZES, SEEDS)
def test_a_box_outside_changes_nothing(height, width, seed):
    canvas = picture(height, width, seed)
    before = canvas.copy()
    cover(canvas, (5000, 5000, 5100, 5100))
    assert np.array_equal(canvas, before)


@pytest.mark.parametrize("box", [(-30, 10, -9, 40), (68, 10, 99, 40), (10, -44, 40, -15), (10, 48, 40, 70)])
def test_a_box_just_outside_changes_nothing_but_its_soft_edge(box):
    canvas = picture(40, 60, 9)
    before = canvas.copy()
    cover(canvas, box)
    assert (canvas != before).any(2).mean() < 0.12


@pytest.mark.parametrize("broken", [(np.nan, 0, 9, 9), (0, 0, np.inf, 9), "no box", None, (1, 2, 3), ()])
def test_an_unusable_box_covers_everything(broken):
    canvas = picture(40, 60, 1)
    cover(canvas, broken)
    assert (canvas == GREY).all()


def test_whole_frame_box_gives_constant_grey():
    canvas = picture(40, 60, 1)
    cover(canvas, (0, 0, 60, 40))
    assert (canvas == GREY).all()


@pytest.mark.parametrize("opacity", [np.nan, np.inf, 1.0, 7.0, "x", None])
def test_an_unusable_opacity_is_full(opacity):
    canvas = picture(80, 80, 2)
    wanted = canvas.copy()
    cover(wanted, (30, 30, 50, 50))
    cover(canvas, (30, 30, 50, 50), opacity)
    hidden = np.s_[30:50, 30:50]
    assert canvas[hidden].std((0, 1)).max() < 20, "noise must be gone"


def test_opacity_is_monotone():
    face = picture(80, 80, 3)
    solid = face.copy()
    cover(solid, (30, 30, 50, 50))
    distances = []
    for opacity in (0.0, 0.25, 0.5, 0.75, 1.0):
        canvas = face.copy()
        cover(canvas, (30, 30, 50, 50), opacity)
        distances.append(int(np.abs(canvas.astype(int) - solid).sum()))
    assert distances == sorted(distances, reverse=True)
    assert distances[-1] == 0 < distances[0]


def test_far_pixels_are_untouched_and_the_oval_is_smooth():
    canvas = picture(200, 200, 4)
    before = canvas.copy()
    cover(canvas, (80, 70, 120, 130))
    assert np.array_equal(canvas[:50], before[:50])
    assert np.array_equal(canvas[:, :60], before[:, :60])
    oval = canvas[70:130, 80:120].astype(int)
    assert np.abs(np.diff(oval, axis=0)).max() <= 3
    assert np.abs(np.diff(oval, axis=1)).max() <= 3


def test_colour_follows_the_surroundings():
    canvas = np.full((100, 100, 3), (200, 40, 40), np.uint8)
    canvas[40:60, 40:60] = (0, 255, 0)
    cover(canvas, (40, 40, 60, 60))
    assert np.abs(canvas.astype(int) - (200, 40, 40)).max() <= 2


def test_a_small_shift_of_the_box_hardly_changes_the_colour():
    background = np.dstack([np.tile(np.linspace(20, 220, 160, dtype=np.uint8), (120, 1))] * 3)
    centres = []
    for shift in np.linspace(0, 3, 13):
        canvas = background.copy()
        cover(canvas, (60 + shift, 40, 100 + shift, 90))
        centres.append(canvas[65, 80].astype(int))
    assert np.abs(np.diff(centres, axis=0)).max() <= 4


def test_a_view_and_an_odd_canvas_work():
    big = picture(90, 90, 5)
    cover(big[::2, ::-1], (10, 10, 20, 20))
    empty = np.zeros((0, 10, 3), np.uint8)
    cover(empty, (0, 0, 5, 5))
    assert empty.size == 0
