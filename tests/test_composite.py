"""Compositing: nothing of the face within, nothing touched without, no seam between, steady over time."""

from __future__ import annotations

import cv2
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from streamfilter.composite import Compositor, blend
from streamfilter.errors import ProtectionError
from streamfilter.structures import Patch

HEIGHT, WIDTH = 180, 220
SKIN = np.array([190, 140, 115], np.float32)
SEEDS = st.integers(0, 2**16)
SIZES = st.sampled_from([64, 128, 256])


def smooth_noise(height: int, width: int, seed: int, sigma: float = 4.0) -> np.ndarray:
    noise = np.random.default_rng(seed).normal(0, 1, (height, width, 3)).astype(np.float32)
    noise = cv2.GaussianBlur(noise, (0, 0), sigma)
    return noise / noise.std()


def scene(seed: int = 0) -> np.ndarray:
    """A frame with some colours and edges in it."""
    return np.clip(SKIN + 25 * smooth_noise(HEIGHT, WIDTH, seed), 0, 255).astype(np.uint8)


def oval(size: int, feather: float = 0.1) -> np.ndarray:
    ys, xs = np.mgrid[:size, :size] / size - 0.5
    radius = np.hypot(xs / 0.24, (ys - 0.05) / 0.3)
    return np.clip((1 + feather - radius) / feather, 0, 1).astype(np.float32)


def matrix(size: int, centre: tuple[float, float], side: float, angle: float = 0.0) -> np.ndarray:
    """Frame -> crop for a crop of `side` frame pixels around `centre`."""
    scale = size / side
    turn = scale * np.array([[np.cos(angle), np.sin(angle)], [-np.sin(angle), np.cos(angle)]])
    return np.column_stack([turn, (size - 1) / 2 - turn @ centre]).astype(np.float32)


def patch(size: int = 128, centre=(110.0, 90.0), side: float = 150.0, seed: int = 3, track_id: int = 1) -> Patch:
    image = np.clip(SKIN + 15 * smooth_noise(size, size, seed), 0, 255).astype(np.uint8)
    return Patch(track_id, image, matrix(size, centre, side), oval(size))


def masks(face: Patch) -> tuple[np.ndarray, np.ndarray]:
    """Where the frame is wholly protected, and where it is not touched, as the plain warp of the mask says."""
    warped = cv2.warpAffine(face.mask, cv2.invertAffineTransform(face.matrix), (WIDTH, HEIGHT))
    return warped >= 0.9999, warped <= 0


def painted(source: np.ndarray, face: Patch, opacity: float = 1.0, canvas: np.ndarray | None = None) -> np.ndarray:
    out = (source if canvas is None else canvas).copy()
    blend(out, source, face, opacity)
    return out


@settings(max_examples=25, deadline=None, derandomize=True)
@given(SEEDS, SIZES, st.tuples(st.floats(20, 200), st.floats(20, 160)), st.floats(30, 260), st.floats(-1, 1))
def test_no_pixel_of_the_canvas_shows_inside(seed, size, centre, side, angle):
    source = scene(seed)
    face = Patch(1, patch(size).image, matrix(size, centre, side, angle), oval(size))
    solid, _ = masks(face)
    other = source.copy()
    other[solid] = 255 - other[solid]
    assert np.array_equal(painted(source, face)[solid], painted(source, face, canvas=other)[solid])


@settings(max_examples=25, deadline=None, derandomize=True)
@given(SEEDS, SIZES, st.tuples(st.floats(-50, 270), st.floats(-50, 230)), st.floats(10, 500), st.floats(-3, 3))
def test_nothing_is_touched_outside(seed, size, centre, side, angle):
    source = scene(seed)
    face = Patch(1, patch(size).image, matrix(size, centre, side, angle), oval(size))
    _, free = masks(face)
    assert np.array_equal(painted(source, face)[free], source[free])


@settings(max_examples=15, deadline=None, derandomize=True)
@given(SEEDS, SEEDS)
def test_detail_of_the_raw_face_has_no_influence(seed, other_seed):
    """Of the raw face only nine median colours count: fine detail of any kind changes next to nothing."""
    face = patch()
    solid, _ = masks(face)
    core = cv2.erode(solid.astype(np.uint8), np.ones((9, 9), np.uint8)) > 0
    results = []
    for detail in (seed, other_seed):
        source = scene(7)
        generator = np.random.default_rng(detail)
        signs = generator.choice(np.array([-60, 60]), (HEIGHT // 2, WIDTH // 2, 1)).repeat(2, 0).repeat(2, 1)
        signs[::2], signs[1::2] = signs[::2], -signs[::2]
        flat = np.broadcast_to(SKIN, source.shape)
        source[core] = np.clip(flat + signs, 0, 255).astype(np.uint8)[core]
        results.append(painted(source, face)[solid].astype(int))
    assert np.abs(results[0] - results[1]).mean() < 1.5
    correlation = np.corrcoef(results[0].ravel(), results[1].ravel())[0, 1]
    assert correlation > 0.98


def test_a_raw_face_of_another_shape_leaves_no_trace():
    """Eyes and a mouth drawn into the raw face are not to be found in the result."""
    face = patch()
    plain = np.broadcast_to(SKIN.astype(np.uint8), (HEIGHT, WIDTH, 3)).copy()
    marked = plain.copy()
    for x, y in ((95, 85), (125, 85), (110, 115)):
        cv2.circle(marked, (x, y), 4, (10, 10, 10), -1)
    difference = painted(marked, face).astype(int) - painted(plain, face)
    assert np.abs(difference).max() <= 2


@pytest.mark.parametrize("level", [0.12, 0.35, 0.7, 1.0, 1.25])
@pytest.mark.parametrize("tint", [(1, 1, 1), (1.1, 1, 0.7), (0.8, 0.9, 1.2)])
def test_light_follows_the_surroundings(level, tint):
    colour = np.clip(SKIN * level * np.array(tint), 2, 250)
    source = np.broadcast_to(colour.astype(np.uint8), (HEIGHT, WIDTH, 3)).copy()
    face = patch()
    solid, _ = masks(face)
    got = np.median(painted(source, face)[solid], axis=0)
    assert np.abs(got - colour).max() < 4 + 0.06 * colour.max()


def test_contrast_is_smaller_in_the_dark():
    face = patch()
    solid, _ = masks(face)
    spread = [
        painted(np.broadcast_to((SKIN * level).astype(np.uint8), (HEIGHT, WIDTH, 3)).copy(), face)[solid].std()
        for level in (1.0, 0.2)
    ]
    assert spread[1] < 0.45 * spread[0]


def test_shading_from_left_to_right_follows():
    ramp = np.linspace(0.5, 1.3, WIDTH, dtype=np.float32)[None, :, None]
    source = np.clip(np.broadcast_to(SKIN, (HEIGHT, WIDTH, 3)) * ramp, 0, 255).astype(np.uint8)
    out = painted(source, patch()).astype(float)
    left, right = out[70:120, 80:95].mean(), out[70:120, 125:140].mean()
    wanted = source[70:120, 125:140].mean() / source[70:120, 80:95].mean()
    assert right / left == pytest.approx(wanted, rel=0.12)


def test_no_seam_on_even_skin():
    source = np.broadcast_to((SKIN * 0.6).astype(np.uint8), (HEIGHT, WIDTH, 3)).copy()
    face = Patch(1, np.broadcast_to(SKIN.astype(np.uint8), (128, 128, 3)).copy(), patch().matrix, oval(128))
    out = painted(source, face).astype(int)
    assert np.abs(out - source).max() <= 3


def test_the_crops_own_background_stays_behind():
    """A face narrower than the region, before a wall that glows green: no green arrives in the frame."""
    size = 128
    ys, xs = np.mgrid[:size, :size] / size - 0.5
    narrow = np.hypot(xs / 0.19, (ys - 0.02) / 0.27) < 1
    image = np.where(narrow[..., None], SKIN, (20, 230, 20)).astype(np.uint8)
    source = np.broadcast_to((SKIN * 0.7).astype(np.uint8), (HEIGHT, WIDTH, 3)).copy()
    out = painted(source, Patch(1, image, patch().matrix, oval(size))).astype(int)
    assert (out[..., 1] - out[..., 0]).max() < -10


def test_grain_of_the_frame_is_given_to_the_face_and_changes_with_every_frame():
    generator = np.random.default_rng(5)
    face = Patch(1, np.broadcast_to(SKIN.astype(np.uint8), (128, 128, 3)).copy(), patch().matrix, oval(128))
    solid, _ = masks(face)
    compositor, results = Compositor(), []
    for _ in range(2):
        source = np.clip(SKIN + generator.normal(0, 5, (HEIGHT, WIDTH, 1)), 0, 255).astype(np.uint8)
        out = source.copy()
        compositor.blend(out, source, face)
        results.append(out[solid].astype(float).mean(1))
    assert 2 < results[0].std() < 8
    assert abs(np.corrcoef(results[0], results[1])[0, 1]) < 0.3


def test_a_soft_frame_softens_the_face():
    face = patch(256, side=150, seed=9)
    sharp = np.random.default_rng(1).choice(np.array([60, 200], np.uint8), (HEIGHT // 6, WIDTH // 6 + 1))
    sharp = np.dstack([sharp.repeat(6, 0).repeat(6, 1)[:HEIGHT, :WIDTH]] * 3)
    soft = cv2.GaussianBlur(sharp, (0, 0), 4)
    checks = np.indices((256, 256)).sum(0) // 4 % 2
    face = Patch(1, (SKIN * (0.7 + 0.3 * checks[..., None])).astype(np.uint8), face.matrix, face.mask)
    solid, _ = masks(face)
    energy = [np.abs(cv2.Laplacian(painted(frame, face), cv2.CV_32F))[solid].mean() for frame in (sharp, soft)]
    assert energy[1] < 0.4 * energy[0]


def test_opacity_goes_from_the_canvas_to_the_face():
    source, face = scene(2), patch()
    canvas = 255 - source
    full = painted(source, face, canvas=canvas).astype(int)
    gaps = [int(np.abs(painted(source, face, opacity, canvas) - full).sum()) for opacity in (0.0, 0.25, 0.5, 0.75, 1.0)]
    assert gaps == sorted(gaps, reverse=True)
    assert gaps[-1] == 0
    assert np.array_equal(painted(source, face, 0.0, canvas), canvas)
    assert np.array_equal(painted(source, face, float("nan"), canvas), full)


def test_dissolve_starts_as_the_cover_and_ends_as_the_face():
    source, face = scene(2), patch()
    box = (75.0, 50.0, 145.0, 140.0)
    solid, _ = masks(face)
    results = {}
    for opacity in (0.0, 0.5, 1.0):
        canvas = source.copy()
        Compositor().dissolve(canvas, source, face, box, opacity)
        results[opacity] = canvas.astype(int)
    assert np.array_equal(results[1.0], painted(source, face))
    assert np.abs(np.diff(results[0.0][60:130, 85:135], axis=1)).max() <= 3, "a cover is smooth"
    assert np.abs(results[0.5] - (results[0.0] + results[1.0]) / 2)[solid].max() <= 1


def test_light_is_steady_while_little_changes_and_follows_at_once_when_much_does():
    face, compositor = patch(), Compositor()
    solid, _ = masks(face)

    def level(brightness: float) -> float:
        source = np.broadcast_to((SKIN * brightness).astype(np.uint8), (HEIGHT, WIDTH, 3)).copy()
        out = source.copy()
        compositor.blend(out, source, face)
        return float(out[solid].mean())

    first = level(1.0)
    assert abs(level(0.95) - first) < 0.03 * first
    assert level(0.2) == pytest.approx(first * 0.2, rel=0.1)
    compositor.forget(1)
    assert level(0.9) == pytest.approx(first * 0.9, rel=0.03)
    compositor.reset()
    assert level(0.8) == pytest.approx(first * 0.8, rel=0.03)


def test_what_is_filled_at_the_edge_is_filled_at_once_and_comes_back_slowly():
    """Crops whose jaw is narrower in every other frame; a mark on the cheek is where the background was before."""
    source = np.broadcast_to((SKIN * 0.7).astype(np.uint8), (HEIGHT, WIDTH, 3)).copy()
    whole = np.broadcast_to(SKIN.astype(np.uint8), (128, 128, 3)).copy()
    whole[oval(128) == 0] = (60, 60, 90)
    narrow, marked = whole.copy(), whole.copy()
    narrow[:, :44] = (60, 60, 90)
    marked[70:76, 38:43] = (90, 40, 30)
    compositor, darkest = Compositor(), []
    for image in (marked, narrow, marked):
        canvas = source.copy()
        compositor.blend(canvas, source, Patch(1, image, patch().matrix, oval(128)))
        darkest.append(int((canvas.astype(int) - source).min()))
    assert darkest[1] > -10, "no background shows, though there was none in the frame before"
    assert 0.6 * darkest[0] < darkest[2] < -5


def test_a_moving_face_moves_by_fractions_of_a_pixel():
    source = np.broadcast_to(SKIN.astype(np.uint8), (HEIGHT, WIDTH, 3)).copy()
    image = patch().image
    image[60:70, 60:70] = 0
    centres = []
    for shift in np.linspace(0, 2, 9):
        out = painted(source, Patch(1, image, matrix(128, (110 + shift, 90), 150), oval(128)))
        dark = np.maximum(0, 90 - out[70:115, 90:135].astype(float).mean(2))
        centres.append(float((dark * np.arange(45)).sum() / dark.sum()))
    assert np.abs(np.diff(centres) - 0.25).max() < 0.12


def test_the_same_frames_give_the_same_result():
    def run() -> np.ndarray:
        compositor, frames = Compositor(), []
        for index in range(3):
            canvas = scene(index)
            compositor.blend(canvas, scene(index), patch(64))
            frames.append(canvas)
        return np.stack(frames)

    assert np.array_equal(run(), run())


def test_overlapping_faces_are_painted_in_order():
    source = scene(3)
    behind, front = patch(track_id=1, seed=1), patch(track_id=2, seed=2, centre=(130.0, 95.0))
    canvas = source.copy()
    compositor = Compositor()
    compositor.blend(canvas, source, behind)
    compositor.blend(canvas, source, front)
    solid, _ = masks(front)
    assert np.array_equal(canvas[solid], painted(source, front)[solid])


@pytest.mark.parametrize("centre", [(-400.0, 90.0), (110.0, 900.0), (5000.0, -5000.0)])
def test_a_face_outside_the_frame_changes_nothing(centre):
    source = scene(4)
    assert np.array_equal(painted(source, patch(centre=centre)), source)


@pytest.mark.parametrize("side", [0.5, 3.0, 8.0, 4000.0])
@pytest.mark.parametrize("centre", [(0.0, 0.0), (219.0, 179.0), (110.0, 90.0)])
def test_tiny_huge_and_cut_faces_work(side, centre):
    source = scene(5)
    face = patch(centre=centre, side=side)
    out = painted(source, face)
    _, free = masks(face)
    assert np.array_equal(out[free], source[free])


def test_a_crop_of_odd_size_is_placed_alike():
    source = scene(6)
    even, odd = patch(128), patch(100)
    difference = painted(source, even).astype(int) - painted(source, odd)
    solid, _ = masks(even)
    assert np.abs(difference[solid].mean(0)).max() < 6


@pytest.mark.parametrize("broken", [np.nan, np.inf, 0.0])
def test_a_face_without_a_place_is_refused_and_nothing_is_painted(broken):
    source = scene(4)
    canvas = source.copy()
    with pytest.raises(ProtectionError, match="cover it instead"):
        blend(canvas, source, Patch(1, patch().image, np.full((2, 3), broken, np.float32), oval(128)))
    assert np.array_equal(canvas, source)


def test_an_empty_mask_is_refused():
    with pytest.raises(ProtectionError):
        blend(scene(), scene(), Patch(1, patch().image, patch().matrix, np.zeros((128, 128), np.float32)))
