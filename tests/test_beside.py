"""Work beside the caller's: in order, with its failures, and no thread left; the filter shows the same pictures."""

from __future__ import annotations

import threading
import time

import numpy as np
import pytest

from streamfilter.config import FilterConfig, TrackConfig
from streamfilter.guard import Guard
from streamfilter.pipeline.beside import Beside
from streamfilter.structures import SafeFrame
from tests.filter_fakes import Face, Skin, World, make_filter, raw_pixels

CONFIG = FilterConfig(track=TrackConfig(lookahead_s=0.2))
NAME = "streamfilter-painter"


def painters() -> list[str]:
    return [thread.name for thread in threading.enumerate() if thread.name.startswith(NAME)]


def test_work_is_done_in_order_in_one_other_thread_which_ends():
    beside, done = Beside(), []
    jobs = [beside(lambda k=k: done.append((k, threading.current_thread().name))) for k in range(20)]
    assert jobs[-1].result() is None
    assert [k for k, _ in done] == list(range(20))
    assert {name for _, name in done} == set(painters())
    beside.rest()
    assert painters() == []
    assert beside(lambda: 5).result() == 5
    beside.rest()
    beside.rest()


def test_a_failure_is_told_with_the_result():
    def breaks() -> None:
        raise ValueError("broken")

    beside = Beside()
    with pytest.raises(ValueError, match="broken"):
        beside(breaks).result()
    assert beside(lambda: 1).result() == 1
    beside.rest()


def walk(n: int = 20) -> World:
    return World([[Face(30 + 4 * k, 15)] if k > 4 else [] for k in range(n)])


def through(world: World, beside: Beside | None) -> list[SafeFrame]:
    guard = Guard(make_filter(world, CONFIG, beside=beside))
    out = [safe for one in world.frames() for safe in [*guard.push(one), *guard.ready()]]
    return [*out, *guard.flush()]


def test_the_frames_are_the_same_as_without():
    alone, beside = through(walk(), None), through(walk(), Beside())
    assert [safe.index for safe in beside] == list(range(20))
    for one, other in zip(alone, beside, strict=True):
        np.testing.assert_array_equal(one.image, other.image)
        assert [region.track_id for region in one.regions] == [region.track_id for region in other.regions]
    assert painters() == []


class Slow(Skin):
    def __call__(self, crops):
        time.sleep(0.02)
        return super().__call__(crops)


def test_faces_are_found_while_others_are_painted():
    world = walk()
    guard = Guard(make_filter(world, CONFIG, anonymizer=Slow(), beside=Beside()))
    late = 0
    for one in world.frames():
        guard.push(one)
        late += guard.painting
    assert late > 5
    out = guard.ready()
    while guard.painting:
        out += guard.ready()
    assert out
    guard.flush()
    assert not guard.painting


class Breaking(Beside):
    """Loses every fifth frame."""

    count = 0

    def __call__(self, work):
        self.count += 1
        return super().__call__(work if self.count % 5 else lambda: 1 / 0)


def test_whatever_happens_beside_shows_no_face():
    guard = Guard(make_filter(world := walk(), CONFIG, beside=Breaking()))
    out = [safe for one in world.frames() for safe in guard.push(one)]
    out += guard.flush()
    assert [safe.index for safe in out] == list(range(20))
    assert sum(raw_pixels(safe.image) for safe in out) == 0
    assert guard.failures
    assert painters() == []


def test_a_reset_in_the_middle_leaves_no_frame_of_before():
    world = walk()
    guard = Guard(make_filter(world, CONFIG, anonymizer=Slow(), beside=Beside()))
    frames = world.frames()
    for one in frames[:12]:
        guard.push(one)
    guard.reset()
    assert painters() == []
    out = [safe for one in frames[12:] for safe in guard.push(one)] + guard.flush()
    assert [safe.index for safe in out] == list(range(12, 20))
    assert sum(raw_pixels(safe.image) for safe in out) == 0
