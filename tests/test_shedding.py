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
from streamfilter.face_filter import FaceFilter
from streamfilter.guard import Guard
from streamfilter.painter import SHED
from streamfilter.shedding import Effort, Level, ShedConfig, Shedder
from streamfilter.structures import Action, SafeFrame
from tests.filter_fakes import Face, Skin, World, make_filter, raw_pixels

CONFIG = ShedConfig(max_latency_ms=200)
STEP_S = 0.04
FILE = FilterConfig(track=TrackConfig(lookahead_s=0.2))
LIVE = FilterConfig(track=TrackConfig(lookahead_s=0))


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
        Level.REUSE,
        Level.RUNG_128,
        Level.RUNG_64,
        Level.COVER,
    ]
    efforts = [level.effort for level in Level]
    assert [effort.reuse for effort in efforts] == [False, True, True, True, True]
    assert [effort.max_rung_px for effort in efforts] == [None, None, 128, 64, 64]
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
        assert after <= Level.REUSE
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


def test_frames_that_are_dropped_shed_work_however_low_the_latency():
    shedder = Shedder(CONFIG)
    told = [shedder.decide(60.0, k * STEP_S, dropped=k % 2) for k in range(100)]
    assert told[-1] > Level.FULL
    assert told == sorted(told)
    later = [shedder.decide(60.0, (100 + k) * STEP_S) for k in range(3000)]
    assert later[-1] is Level.FULL


def test_a_frame_that_is_dropped_now_and_then_sheds_nothing():
    shedder = Shedder(CONFIG)
    assert {shedder.decide(60.0, k * STEP_S, dropped=k % 25 == 0) for k in range(500)} == {Level.FULL}


def test_faces_are_covered_only_when_nothing_else_helps():
    """250 ms late at every level: too late to paint at full size, not so late that nobody should be painted."""
    shedder = Shedder(ShedConfig(max_latency_ms=200, cover_latency_ms=500))
    assert [shedder.decide(250, k * STEP_S) for k in range(200)][-1] is Level.RUNG_64
    assert [shedder.decide(250, 8 + k * STEP_S, dropped=k % 8 == 0) for k in range(200)][-1] is Level.RUNG_64
    assert [shedder.decide(600, 16 + k * STEP_S) for k in range(200)][-1] is Level.COVER


def test_whoever_is_covered_is_soon_tried_again():
    """However often it proved too much before."""
    shedder, now_s, tries = Shedder(CONFIG), 0.0, []
    for _ in range(round(300 / STEP_S)):
        before = shedder.level
        after = shedder.decide(50.0 if before is Level.COVER else 300.0, now_s)
        if after < before:
            tries.append(now_s)
        now_s += STEP_S
    assert np.diff(tries)[-3:].max() < 13


def test_what_waited_when_the_level_changed_is_not_held_against_the_new_one():
    shedder, now_s = Shedder(CONFIG), 0.0
    while shedder.level is Level.FULL:
        shedder.decide(300.0, now_s := now_s + STEP_S)
    told = [shedder.decide(60.0, now_s + k * STEP_S, dropped=k < 10) for k in range(1, 60)]
    assert set(told) == {Level.REUSE}


def test_without_a_limit_of_its_own_it_is_the_look_ahead_and_some_room():
    assert ShedConfig.beyond(0.4).max_latency_ms == 550
    assert ShedConfig.beyond(0.4).cover_latency_ms == 900
    assert ShedConfig.beyond(0.4, 500.0).cover_latency_ms is None
    assert ShedConfig.beyond(0.4, 500.0).max_latency_ms == 500


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


@pytest.mark.parametrize("level", Level)
@pytest.mark.parametrize("config", [FILE, LIVE])
def test_every_frame_is_looked_at_at_every_level(level, config):
    world = walk()
    detect = Counted(world.detect)
    protector = make_filter(world, config, detect=detect)
    protector.set_effort(level.effort)
    assert_hidden(protect(world, protector))
    assert detect.calls == len(world.scenes)


@pytest.mark.parametrize("level", Level)
@pytest.mark.parametrize("only", range(4, 9))
def test_whoever_is_in_one_frame_only_is_hidden_in_it(level, only):
    world = World([[Face(60 + k, 20)] if k == only else [] for k in range(16)])
    protector = make_filter(world, FILE)
    protector.set_effort(level.effort)
    assert_hidden(protect(world, protector))


@pytest.mark.parametrize("level", Level)
@pytest.mark.parametrize("step", [10, 20, 40])
def test_whoever_crosses_fast_is_hidden_all_the_way(level, step):
    world = World([[Face(5 + step * (k - 3), 20)] if k >= 3 and 5 + step * (k - 3) < 100 else [] for k in range(16)])
    protector = make_filter(world, FILE)
    protector.set_effort(level.effort)
    assert_hidden(protect(world, protector))


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
    anonymizer.set_effort(Effort(max_rung_px=limit_px))
    assert anonymizer._side(1, 400.0) == side
    anonymizer.set_effort(Effort())
    assert anonymizer._side(1, 400.0) == 256


def test_a_filter_that_cannot_do_less_goes_on_as_it_is():
    class Plain:
        def push(self, frame):
            return []

    Guard(Plain()).set_effort(Effort(generate=False))  # type: ignore[arg-type]
