"""Light: curves that meet their cells, keep white white, and stay within bounds."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from streamfilter.crop_grid import GRID
from streamfilter.light import LARGEST_CONTRAST, LARGEST_RATIO, Light, measure, redness

TAN, PALE = np.array([180.0, 112.0, 85.0]), np.array([210.0, 160.0, 150.0])
COLOURS = st.tuples(*[st.floats(0, 255)] * 3)


def plain(colour) -> np.ndarray:
    return np.broadcast_to(np.asarray(colour, np.float32), (GRID, GRID, 3)).copy()


def region() -> np.ndarray:
    out = np.zeros((GRID, GRID), np.float32)
    out[18:48, 18:46] = 1
    return out


def lit(frame, face) -> Light:
    ones = np.ones((GRID, GRID), np.float32)
    return measure(plain(frame), ones, plain(face), ones, region())


@pytest.mark.parametrize(("frame", "face"), [(PALE, TAN), (TAN, PALE), (TAN * 0.2, PALE), (PALE * 0.5, TAN)])
def test_skin_becomes_the_frames_skin(frame, face):
    assert np.abs(lit(frame, face)(plain(face))[32, 32] - frame).max() < 3


def test_white_stays_white_when_skin_changes_but_dims_with_the_light():
    white = plain((250, 250, 250))
    assert lit(PALE, TAN)(white)[32, 32].min() > 225
    assert np.ptp(lit(PALE, TAN)(white)[32, 32]) < 12
    assert lit(PALE * 0.2, PALE)(white)[32, 32].max() < 70


def test_dark_hair_does_not_turn_blue():
    hair = lit(PALE, TAN)(plain((30, 30, 30)))[32, 32]
    assert np.ptp(hair) < 14


@settings(max_examples=60, deadline=None, derandomize=True)
@given(COLOURS, COLOURS, COLOURS)
def test_any_light_gives_finite_bounded_levels(frame, face, level):
    light = lit(frame, face)
    out = light(plain(level))
    assert np.isfinite(out).all()
    assert out.min() >= 0
    assert out.max() <= 255 * LARGEST_RATIO * 2


def test_background_of_the_crop_does_not_count():
    face = plain(TAN)
    face[18:48, 18:26] = (20, 230, 20)
    own = np.ones((GRID, GRID), np.float32)
    own[18:48, 18:26] = 0
    light = measure(plain(PALE), np.ones((GRID, GRID), np.float32), face, own, region())
    assert np.abs(light(plain(TAN))[32, 36] - PALE).max() < 4


def test_hair_around_the_face_does_not_count():
    frame = plain(PALE)
    frame[region() == 0] = (20, 15, 10)
    ones = np.ones((GRID, GRID), np.float32)
    light = measure(frame, ones, plain(TAN), ones, region())
    assert np.abs(light(plain(TAN))[20:46, 20:44] - PALE).max() < 12


def test_nothing_visible_changes_nothing():
    none = np.zeros((GRID, GRID), np.float32)
    light = measure(plain(PALE), none, plain(TAN), none + 1, region())
    assert np.allclose(light(plain(TAN)), plain(TAN))


def test_a_crop_that_is_all_foreign_still_gives_a_finite_light():
    ones = np.ones((GRID, GRID), np.float32)
    assert np.isfinite(measure(plain(PALE), ones, plain(TAN), 0 * ones, region())(plain(TAN))).all()


def test_mix_and_change():
    one, other = lit(PALE, TAN), lit(PALE * 0.5, TAN)
    assert one.mix(other, 0.0).change(one) < 1e-6
    assert one.mix(other, 1.0).change(other) < 1e-6
    assert one.change(one.mix(other, 0.5)) < one.change(other)


def test_redness_tells_skin_from_grey():
    assert redness(plain(TAN))[0, 0] > 0.2
    assert abs(redness(plain((90, 90, 90)))[0, 0]) < 0.01


def test_a_forehead_of_another_level_is_met_where_it_begins():
    """Skin above the brows that is far brighter than the face below it: no step may be left between them."""
    frame, ones = plain(TAN * 0.7), np.ones((GRID, GRID), np.float32)
    frame[:18] = TAN
    light = measure(frame, ones, plain(TAN), ones, region())
    edge = light(plain(TAN))[18, 28:36].mean(0)
    assert np.abs(edge / TAN - 1).max() < 0.12
    assert np.abs(light(plain(TAN))[40, 32] / (TAN * 0.7) - 1).max() < 0.06


def test_lids_in_shadow_take_the_skins_tint():
    """Skin that is a little less red than the rest would turn blue beside a cheek that became warm."""
    light = lit(np.array([170.0, 110.0, 70.0]), np.array([210.0, 160.0, 150.0]))
    lid = np.array([120.0, 97.0, 95.0])
    assert 0.6 < redness(plain(lid))[0, 0] / redness(plain([210.0, 160.0, 150.0]))[0, 0] < 0.9
    before, after = lid[0] / lid[2], np.divide(*light(plain(lid))[32, 32][[0, 2]])
    assert after > 1.65 * before


def with_features(skin, features) -> np.ndarray:
    """A face whose features, a sixth of it, are as dark as told."""
    out = plain(skin)
    out[24:29, 18:46] = features
    return out


@pytest.mark.parametrize(("dark", "contrast"), [(TAN * 0.2, True), (TAN * 0.6, False), (TAN, False)])
def test_features_become_as_deep_as_the_frames_and_never_paler(dark, contrast):
    ones, face = np.ones((GRID, GRID), np.float32), with_features(TAN, TAN * 0.5)
    light = measure(with_features(TAN, dark), ones, face, ones, region())
    out = light(face)
    assert (light.contrast > 0.1) == contrast
    assert light.contrast <= LARGEST_CONTRAST
    assert np.abs(out[40, 32] / TAN - 1).max() < 0.05, "the skin stays"
    depth = out[26, 32].sum() / (TAN * 0.5).sum()
    assert depth < 0.85 if contrast else depth > 0.9


def test_contrast_is_mixed_like_the_rest():
    light = lit(PALE, TAN)
    assert replace(light, contrast=0.4).mix(replace(light, contrast=0.2), 0.25).contrast == pytest.approx(0.35)
