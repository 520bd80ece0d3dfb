"""Work is shed in the stated order and only above the limit, comes back, and no level protects less."""

from __future__ import annotations

import itertools
from collections.abc import Sequence

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from streamfilter.anonymize import Anonymizer
from streamfilter.config import AnonymizeConfig, FilterConfig, TrackConfig
from streamfilter.errors import ConfigError
from streamfilter.face_filter import UNLOOKED, FaceFilter
from streamfilter.guard import Guard
from streamfilter.painter import SHED
from streamfilter.scene import SceneCut
from streamfilter.shedding import Effort, Level, ShedConfig, Shedder
from streamfilter.structures import Action, Detections, SafeFrame
from tests.filter_fakes import Face, Skin, World, make_filter, raw_pixels

CONFIG = ShedConfig(max_latency_ms=200)
STEP_S = 0.04
FILE = FilterConfig(track=TrackConfig(lookahead_s=0.2))
LIVE = FilterConfig(track=TrackConfig(lookahead_s=0))
HALF = Effort(every_second=True)


def levels(latencies_ms: Sequence[float], shedder: Shedder | None = None, start_s: float = 0.0) -> list[Level]:
    shedder = shedder or Shedder(CONFIG)
    return [shedder.decide(latency_ms, start_s + k * STEP_S) for k, latency_ms in enumerate(latencies_ms)]


@given(st.lists(st.floats(0, 200), max_size=300))
def test_nothing_is_shed_within_the_limit(latencies_ms):
    assert set(levels(latencies_ms)) <= {Level.FULL}


@given(st.lists(st.floats(0, 600), max_size=300))
def test_one_step_at_a_time_and_down_only_above_the_limit(latencies_ms):
    told = [Level.FULL, *levels(latencies_ms)]
    for before, after, latency_ms in zip(told, told[1:], latencies_ms, strict=False):
        assert abs(after - before) <= 1
        if after > before:
            assert latency_ms > CONFIG.max_latency_ms
        if after < before:
            assert latency_ms < CONFIG.low_part * CONFIG.max_latency_ms


@given(st.lists(st.floats(0, 2000), max_size=200))
def test_whatever_came_before_it_recovers(latencies_ms):
    shedder = Shedder(CONFIG)
    levels(latencies_ms, shedder)
    longest_s = 5 * CONFIG.recover_most_s
    after = levels([20.0] * round(longest_s / STEP_S), shedder, start_s=len(latencies_ms) * STEP_S)
    assert after[-1] is Level.FULL
    assert after == sorted(after, reverse=True)


def test_the_order_is_the_stated_one():
    told = levels([500.0] * 100)
    assert list(dict.fromkeys(told)) == [
        Level.FULL,
        Level.RUNG_128,
        Level.RUNG_64,
        Level.EVERY_SECOND,
        Level.COVER,
    ]
    efforts = [level.effort for level in Level]
    assert [effort.max_rung_px for effort in efforts] == [None, 128, 64, 64, 64]
    assert [effort.every_second for effort in efforts] == [False, False, False, True, True]
    assert [effort.generate for effort in efforts] == [True, True, True, True, False]


def test_steps_down_leave_time_to_see_what_they_save():
    told = levels([500.0] * 100)
    changes = [k * STEP_S for k, (a, b) in enumerate(itertools.pairwise(told)) if a is not b]
    assert np.diff(changes).min() >= CONFIG.shed_after_s - STEP_S


def test_a_single_late_frame_sheds_nothing_once_the_mean_is_low():
    assert set(levels([50.0] * 20 + [400.0] + [50.0] * 20)) == {Level.FULL}


def test_a_load_between_two_levels_does_not_flap():
    """Level 1 is fast enough and level 0 is not: the tries get rarer."""
    shedder, now_s, tries = Shedder(CONFIG), 0.0, []
    for _ in range(round(600 / STEP_S)):
        before = shedder.level
        after = shedder.decide(300.0 if before is Level.FULL else 60.0, now_s)
        if after < before:
            tries.append(now_s)
        assert after <= Level.RUNG_128
        now_s += STEP_S
    gaps = np.diff(tries)
    assert len(tries) < 25
    assert gaps[-1] > 8 * gaps[0]
    assert gaps.max() <= CONFIG.recover_most_s + 2


def test_waiting_in_the_look_ahead_is_not_held_against_the_filter():
    """400 of 450 ms are the look-ahead: no level changes these, and the limit of 500 is kept."""
    shedder = Shedder(ShedConfig(max_latency_ms=500))
    assert {shedder.decide(450, k * STEP_S, waited_ms=400) for k in range(100)} == {Level.FULL}
    assert shedder.decide(600, 10.0, waited_ms=400) is Level.FULL  # the mean is low still
    for k in range(20):
        shedder.decide(600, 10.04 + k * STEP_S, waited_ms=400)
    assert shedder.level > Level.FULL
    for k in range(3000):
        shedder.decide(430, 20.0 + k * STEP_S, waited_ms=400)
    assert shedder.level is Level.FULL


def test_a_look_ahead_beyond_the_limit_sheds_nothing():
    shedder = Shedder(ShedConfig(max_latency_ms=100))
    assert {shedder.decide(450, k * STEP_S, waited_ms=400) for k in range(100)} == {Level.FULL}


@pytest.mark.parametrize("bad", [{"max_latency_ms": 0}, {"max_latency_ms": 100, "low_part": 1.0}])
def test_settings_that_cannot_work(bad):
    with pytest.raises(ConfigError):
        ShedConfig(**bad)


# Levels applied.


def walk(n: int = 20) -> World:
    return World([[Face(30 + 4 * k, 15)] for k in range(n)])


def protect(world: World, protector: FaceFilter) -> list[SafeFrame]:
    guard = Guard(protector)
    out = [safe for one in world.frames() for safe in guard.push(one)] + guard.flush()
    assert [safe.index for safe in out] == list(range(len(world.scenes)))
    assert guard.failures == 0
    return out


def assert_hidden(out: list[SafeFrame]) -> None:
    for safe in out:
        assert raw_pixels(safe.image) == 0, f"frame {safe.index} shows a face"


class Counted:
    def __init__(self, step) -> None:
        self.step, self.calls = step, 0

    def __call__(self, *args):
        self.calls += 1
        return self.step(*args)


def test_every_second_frame_is_looked_at_and_faces_stay_replaced():
    world = walk()
    detect, landmark = Counted(world.detect), Counted(world.landmark)
    protector = make_filter(world, FILE, detect=detect, landmark=landmark)
    protector.set_effort(HALF)
    out = protect(world, protector)
    assert_hidden(out)
    assert detect.calls <= 12
    assert landmark.calls <= 14  # also back through the look-ahead, once, for a face that is new
    assert all(len(safe.regions) == 1 for safe in out)
    assert sum(safe.regions[0].action is Action.GENERATED for safe in out) >= 17
    assert not any(safe.blanked for safe in out)


def test_without_look_ahead_every_frame_is_looked_at():
    world = walk()
    detect = Counted(world.detect)
    protector = make_filter(world, LIVE, detect=detect)
    protector.set_effort(HALF)
    assert_hidden(protect(world, protector))
    assert detect.calls == len(world.scenes)


@pytest.mark.parametrize("first", range(4, 9))
def test_whoever_appears_in_a_frame_that_is_passed_over_is_hidden_in_it(first):
    world = World([[Face(60, 20)] if k >= first else [] for k in range(16)])
    protector = make_filter(world, FILE, scene_cut=NoCut())
    protector.set_effort(HALF)
    out = protect(world, protector)
    assert_hidden(out)
    assert not any(safe.blanked for safe in out)


class NoCut(SceneCut):
    def __call__(self, image):
        return False


class CutsAt(SceneCut):
    def __init__(self, world: World, *indices: int) -> None:
        super().__init__()
        self.pictures = [world.images[index].tobytes() for index in indices]

    def __call__(self, image):
        return image.tobytes() in self.pictures


@pytest.mark.parametrize("only", range(4, 9))
def test_whoever_is_only_in_a_frame_that_was_passed_over_before_a_cut_is_not_shown(only):
    world = World([[Face(60 + k, 20)] if k == only else [] for k in range(16)])
    world.images = [image.copy() for image in world.images]
    for k, image in enumerate(world.images):
        image[0, 0] = k  # all pictures differ
    world.index_of = {image.tobytes(): index for index, image in enumerate(world.images)}
    protector = make_filter(world, FILE, scene_cut=CutsAt(world, only + 1))
    protector.set_effort(HALF)
    out = protect(world, protector)
    assert_hidden(out)
    assert {safe.blanked for safe in out} <= {None, UNLOOKED}


@pytest.mark.parametrize("n", [7, 8])
def test_the_last_frame_is_looked_at_when_no_other_follows(n):
    world = World([[]] * (n - 1) + [[Face(60, 20)]])
    protector = make_filter(world, FILE, scene_cut=NoCut())
    protector.set_effort(HALF)
    out = protect(world, protector)
    assert_hidden(out)


def test_a_pause_after_a_frame_that_was_passed_over_does_not_show_a_doubtful_face():
    world = World([[]] * 4 + [[Face(60, 20)]] + [[Face(60, 21)]])

    def doubtful(image):
        found = world.detect(image)
        return Detections(found.xyxy, found.score * np.float32(0.4), found.landmarks)

    protector = make_filter(world, FilterConfig(track=TrackConfig(lookahead_s=1.0)), detect=doubtful, scene_cut=NoCut())
    frames = world.frames()
    late = [*frames[:5], type(frames[5])(frames[5].image, 5, 4 + 10, frames[5].time_base)]
    for passed in (0, 1):  # whichever of both is passed over
        protector.reset()
        protector.set_effort(Effort())
        if passed:
            protector.push(frames[0])
        protector.set_effort(HALF)
        out = [safe for one in late[passed:] for safe in protector.push(one)] + protector.flush()
        assert_hidden(out)


def test_a_detector_that_fails_when_it_looks_back_blanks_the_frame():
    world = World([[]] * 6 + [[Face(60, 20)]])
    calls = []

    def detect(image):
        calls.append(1)
        if len(calls) > 3:
            raise RuntimeError
        return world.detect(image)

    protector = make_filter(world, FILE, detect=detect, scene_cut=NoCut())
    protector.set_effort(HALF)
    out = [safe for one in world.frames() for safe in protector.push(one)] + protector.flush()
    assert_hidden(out)
    assert out[-1].blanked == UNLOOKED


def test_covering_takes_no_generator_and_no_landmarks():
    world = walk()
    skin, landmark = Skin(), Counted(world.landmark)
    protector = make_filter(world, FILE, anonymizer=skin, landmark=landmark)
    protector.set_effort(Effort(generate=False))
    out = protect(world, protector)
    assert_hidden(out)
    assert skin.batches == []
    assert landmark.calls <= 8  # back through the look-ahead only
    assert {(region.action, region.reason) for safe in out for region in safe.regions} == {(Action.COVERED, SHED)}


def test_levels_may_change_at_any_frame():
    world = walk(40)
    protector = make_filter(world, FILE)
    guard = Guard(protector)
    out = []
    for k, one in enumerate(world.frames()):
        guard.set_effort(Level((k * 7) % 5 if k % 3 == 0 else (k // 3) % 5).effort)
        out += guard.push(one)
    out += guard.flush()
    assert guard.failures == 0
    assert len(out) == 40
    assert_hidden(out)
    assert not any(safe.blanked for safe in out)


def test_full_effort_comes_back():
    world = walk(40)
    protector = make_filter(world, FILE)
    protector.set_effort(Level.COVER.effort)
    frames = world.frames()
    out = [safe for one in frames[:20] for safe in protector.push(one)]
    protector.set_effort(Level.FULL.effort)
    out += [safe for one in frames[20:] for safe in protector.push(one)] + protector.flush()
    assert_hidden(out)
    assert out[-1].regions[0].action is Action.GENERATED


class Generator:
    """What the ladder needs of a model."""

    def __init__(self, side: int) -> None:
        self.side = side


@pytest.mark.parametrize(("limit_px", "side"), [(None, 256), (256, 256), (128, 128), (64, 64), (32, 64)])
def test_the_rung_limit_is_met_and_lifted(limit_px, side):
    rungs = {px: Generator(px) for px in (64, 128, 256)}
    anonymizer = Anonymizer(rungs, Generator(0), AnonymizeConfig(seed=1))  # type: ignore[arg-type]
    assert anonymizer._side(1, 400.0) == 256
    anonymizer.limit_rung(limit_px)
    assert anonymizer._side(1, 400.0) == side
    anonymizer.limit_rung(None)
    assert anonymizer._side(1, 400.0) == 256


def test_a_filter_that_cannot_do_less_goes_on_as_it_is():
    class Plain:
        def push(self, frame):
            return []

    Guard(Plain()).set_effort(HALF)  # type: ignore[arg-type]
