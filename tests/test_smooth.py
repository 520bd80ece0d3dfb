"""smooth.py: steadier, but never late and never flat."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from streamfilter.errors import ShapeError
from streamfilter.smooth import CausalSmoother, smooth_window
from streamfilter.structures import Floats
from tests.synthetic_face import face_shape, opening, placed

NOISE_PX = 0.35


def causal(clip: Floats, rate: float = 30.0) -> Floats:
    smoother = CausalSmoother()
    return np.stack([smoother.update(1, shape, index / rate) for index, shape in enumerate(clip)])


def windowed(clip: Floats, rate: float = 30.0) -> Floats:
    times = np.arange(len(clip)) / rate
    return np.stack([smooth_window(times, clip, np.ones(len(clip), np.float32), index) for index in range(len(clip))])


BOTH = pytest.mark.parametrize("smooth", [causal, windowed])


def still_clip(length: int, noise_px: float = 0.0) -> Floats:
    noise = np.random.default_rng(7).normal(size=(length, 68, 2)) * noise_px
    return (placed(face_shape())[None] + noise).astype(np.float32)


def blink_clip(noise_px: float = 0.0) -> Floats:
    """Open for 20 frames, half shut, shut, half shut, open again."""
    openness = np.ones(41)
    openness[20:23] = [0.4, 0.0, 0.4]
    clip = np.stack([placed(face_shape(eyes=value)) for value in openness])
    return (clip + np.random.default_rng(3).normal(size=clip.shape) * noise_px).astype(np.float32)


@BOTH
@settings(max_examples=20, deadline=None)
@given(x=st.floats(-50, 2000), size=st.floats(5, 600), degrees=st.floats(-180, 180))
def test_what_stands_still_stays(smooth, x, size, degrees):
    clip = np.repeat(placed(face_shape(mouth=0.3), x=x, size=size, degrees=degrees)[None], 8, axis=0)
    assert np.abs(smooth(clip) - clip).max() < 1e-3 * size


@BOTH
@pytest.mark.parametrize("degrees", [0.0, 75.0, 179.0])
def test_steady_motion_has_no_lag(smooth, degrees):
    clip = np.stack([placed(face_shape(), x=100 + 6 * t, y=200 - 3 * t, degrees=degrees + t) for t in range(40)])
    late = np.abs(smooth(clip) - clip)[20:].max()
    assert late < 0.6, "one frame of lag would be 6.7 px"


@BOTH
def test_growth_has_no_lag(smooth):
    clip = np.stack([placed(face_shape(), size=40 * 1.02**t) for t in range(40)])
    assert np.abs(smooth(clip) - clip)[20:].max() < 0.01 * 40


@pytest.mark.parametrize(("smooth", "most"), [(causal, 0.65), (windowed, 0.55)])
def test_noise_is_reduced(smooth, most):
    clip = still_clip(120, NOISE_PX)
    truth = placed(face_shape())
    before, after = np.std(clip - truth), np.std(smooth(clip)[10:] - truth)
    assert after < most * before


@BOTH
def test_a_blink_of_three_frames_keeps_its_depth(smooth):
    for noise_px in (0.0, NOISE_PX):
        clip = blink_clip(noise_px)
        smoothed = [opening(shape) for shape in smooth(clip)]
        depth = np.median([opening(shape) for shape in clip]) - opening(clip[21])
        kept = np.median(smoothed) - smoothed[21]
        assert kept >= 0.8 * depth


@BOTH
def test_a_mouth_that_opens_in_one_frame_is_followed(smooth):
    clip = np.stack([placed(face_shape(mouth=float(t >= 15))) for t in range(30)])
    gap = smooth(clip)[15, 66, 1] - smooth(clip)[15, 62, 1]
    assert gap > 0.85 * (clip[15, 66, 1] - clip[15, 62, 1])


@BOTH
def test_a_jump_is_believed_within_a_frame(smooth):
    clip = np.concatenate([still_clip(15), still_clip(15) + np.float32(80)])
    assert np.abs(smooth(clip)[16:] - clip[16:]).max() < 2.0


def test_uneven_times_are_no_motion():
    smoother, shape = CausalSmoother(), placed(face_shape())
    for time_s in (0.0, 0.01, 0.08, 0.09, 0.3):
        assert np.abs(smoother.update(1, shape, time_s) - shape).max() < 1e-3


def test_a_pause_a_step_back_forget_and_reset_start_anew():
    smoother, a, b = CausalSmoother(), placed(face_shape()), placed(face_shape(), x=322)
    for begin in (lambda: None, lambda: smoother.forget(1), smoother.reset):
        smoother.update(1, a, 1.0)
        begin()
        time_s = 9.0 if begin.__name__ == "<lambda>" else 1.03
        assert np.array_equal(smoother.update(1, b, time_s), b)
    assert np.array_equal(smoother.update(1, a, 0.5), a)
    smoother.forget("never seen")


def test_tracks_do_not_mix():
    smoother = CausalSmoother()
    a, b = placed(face_shape()), placed(face_shape(), x=900, size=20)
    for index in range(5):
        assert np.allclose(smoother.update("a", a, index / 30), a, atol=1e-3)
        assert np.allclose(smoother.update("b", b, index / 30), b, atol=1e-3)


@BOTH
def test_unusable_landmarks_come_back_and_spoil_nothing(smooth):
    clip = still_clip(9)
    clip[4] = 0
    result = smooth(clip)
    assert np.array_equal(result[4], clip[4])
    assert np.abs(result[5:] - clip[5:]).max() < 1e-2


def test_the_window_trusts_confident_neighbours_more():
    clip = still_clip(11)
    clip[5] += np.random.default_rng(0).normal(size=(68, 2)).astype(np.float32) * 2
    confidence = np.ones(11, np.float32)
    confidence[5] = 0.1
    wrong = np.abs(smooth_window(np.arange(11) / 30, clip, confidence, 5) - placed(face_shape())).mean()
    assert wrong < 0.25 * np.abs(clip[5] - placed(face_shape())).mean()


def test_the_window_says_what_does_not_fit():
    with pytest.raises(ShapeError, match="index 3"):
        smooth_window(np.zeros(3), np.zeros((3, 68, 2), np.float32), np.ones(3, np.float32), 3)
    with pytest.raises(ShapeError, match=r"\(5, 2\)"):
        CausalSmoother().update(1, np.zeros((5, 2), np.float32), 0.0)
