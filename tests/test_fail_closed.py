"""Failures injected at every step: by the pixels, no raw face leaves, whatever breaks."""

from __future__ import annotations

import ast
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

import streamfilter
from streamfilter.composite import Compositor
from streamfilter.config import AnonymizeConfig, FilterConfig, TrackConfig
from streamfilter.containment import attempt
from streamfilter.cover import cover
from streamfilter.errors import InputError
from streamfilter.guard import Guard
from streamfilter.scene import SceneCut
from streamfilter.structures import Action, Detections, FaceCrop, SafeFrame
from streamfilter.track import Tracker
from tests.filter_fakes import Face, Skin, World, frame, make_filter, picture, raw_pixels

LIVE = FilterConfig(track=TrackConfig(lookahead_s=0))
FILE = FilterConfig(track=TrackConfig(lookahead_s=0.2))
BROKEN_AT = 7
FRAMES = 14


class BrokenError(Exception):
    pass


def breaks(*_: object, **__: object) -> object:
    raise BrokenError


def walk() -> World:
    return World([[Face(40 + 4 * k, 15)] for k in range(FRAMES)])


def protect(world: World, guard: Guard) -> list[SafeFrame]:
    out = [safe for one in world.frames() for safe in guard.push(one)]
    return out + guard.flush()


def assert_safe(world: World, out: list[SafeFrame]) -> None:
    assert [safe.index for safe in out] == list(range(len(world.scenes)))
    for safe in out:
        assert raw_pixels(safe.image) == 0, f"frame {safe.index} shows a face"
        if safe.blanked is None:
            assert len(safe.regions) >= len(world.scenes[safe.index])


class Sometimes:
    """A step that works but for the frames from `BROKEN_AT` on, where `fault` stands in for it."""

    def __init__(self, works, fault, times: int = 3) -> None:
        self.works, self.fault, self.left, self.calls = works, fault, times, 0

    def __call__(self, *args):
        self.calls += 1
        if self.calls > BROKEN_AT and self.left > 0:
            self.left -= 1
            return self.fault(*args)
        return self.works(*args)


def test_the_world_shows_faces_and_the_filter_hides_them_by_generation():
    world = walk()
    assert raw_pixels(world.images[0]) > 3000
    out = protect(world, Guard(make_filter(world, FILE)))
    assert_safe(world, out)
    assert all(region.action is Action.GENERATED for safe in out for region in safe.regions)


NAN = np.float32(np.nan)


def boxes(*rows: tuple[float, ...]) -> Detections:
    n = len(rows)
    return Detections(np.array(rows, np.float32), np.full(n, 0.9, np.float32), np.zeros((n, 5, 2), np.float32))


DETECTOR_FAULTS = {
    "raises": breaks,
    "gives nothing at all": lambda image: None,
    "gives no face": lambda image: Detections.empty(),
    "gives NaN": lambda image: boxes((NAN, NAN, NAN, NAN)),
    "gives infinity": lambda image: boxes((0, 0, np.inf, 10)),
    "gives boxes inside out": lambda image: boxes((50, 50, 10, 10)),
    "gives a bare array": lambda image: np.zeros((1, 4), np.float32),
    "gives wrong shapes": lambda image: Detections(
        np.zeros((1, 4), np.float32), np.zeros(2, np.float32), np.zeros((1, 5, 2), np.float32)
    ),
}


@pytest.mark.parametrize("config", [LIVE, FILE], ids=["live", "file"])
@pytest.mark.parametrize("fault", DETECTOR_FAULTS.values(), ids=DETECTOR_FAULTS)
def test_detector(fault, config):
    world = walk()
    out = protect(world, Guard(make_filter(world, config, detect=Sometimes(world.detect, fault))))
    assert_safe(world, out)


class LossyTracker(Tracker):
    """Loses what it is given."""

    def update(self, detections, time_s):
        return super().update(detections, time_s)[1:]


class DeadTracker(Tracker):
    def update(self, detections, time_s):
        raise BrokenError


@pytest.mark.parametrize("config", [LIVE, FILE], ids=["live", "file"])
@pytest.mark.parametrize("tracker", [LossyTracker, DeadTracker])
def test_tracker(tracker, config):
    world = walk()
    out = protect(world, Guard(make_filter(world, config, tracker=tracker(config.track))))
    assert_safe(world, out)
    assert all(safe.blanked for safe in out)


def test_scene_cut_that_fails_ends_no_scene():
    class DeadCut(SceneCut):
        def __call__(self, image):
            raise BrokenError

    world = walk()
    out = protect(world, Guard(make_filter(world, FILE, scene_cut=DeadCut())))
    assert_safe(world, out)
    assert {region.track_id for safe in out for region in safe.regions} == {1}


def moved(by):
    return lambda world: (
        lambda image, tracks: [
            replace(t, landmarks=None if t.landmarks is None else (t.landmarks + by).astype(np.float32))
            for t in world.landmark(image, tracks)
        ]
    )


def shrunk(by):
    def fault(world):
        def landmark(image, tracks):
            out = world.landmark(image, tracks)
            return [
                t
                if t.landmarks is None
                else replace(t, landmarks=((t.landmarks - t.landmarks.mean(0)) * by + t.landmarks.mean(0)).astype("f4"))
                for t in out
            ]

        return landmark

    return fault


LANDMARK_FAULTS = {
    "raises": lambda world: breaks,
    "NaN": moved(np.nan),
    "infinite": moved(np.inf),
    "outside the frame": moved(5000),
    "beside the face": moved(60),
    "a little beside the face": moved(np.array([0, 25])),
    "a single point": shrunk(0.0),
    "a line": shrunk(np.array([1.0, 0.0])),
    "far too small": shrunk(0.3),
    "huge": shrunk(1e6),
    "inside out": shrunk(-1.0),
    "none": lambda world: lambda image, tracks: [replace(t, landmarks=None) for t in tracks],
    "unsure": lambda world: lambda image, tracks: [replace(t, confidence=0.05) for t in world.landmark(image, tracks)],
    "confidence NaN": lambda world: (
        lambda image, tracks: [replace(t, confidence=float("nan")) for t in world.landmark(image, tracks)]
    ),
    "too few tracks": lambda world: lambda image, tracks: [],
    "tracks of others": lambda world: (
        lambda image, tracks: [replace(t, track_id=99) for t in world.landmark(image, tracks)]
    ),
    "boxes moved": lambda world: (
        lambda image, tracks: [replace(t, xyxy=t.xyxy + 500) for t in world.landmark(image, tracks)]
    ),
}


@pytest.mark.parametrize("config", [LIVE, FILE], ids=["live", "file"])
@pytest.mark.parametrize("fault", LANDMARK_FAULTS.values(), ids=LANDMARK_FAULTS)
def test_landmarks(fault, config):
    world = walk()
    always = protect(world, Guard(make_filter(world, config, landmark=fault(world))))
    assert_safe(world, always)
    sometimes = Sometimes(world.landmark, fault(world))
    assert_safe(world, protect(world, Guard(make_filter(world, config, landmark=sometimes))))


@pytest.mark.parametrize(
    "smooth",
    [
        breaks,
        lambda _, points, __, i: points[i] * np.nan,
        lambda _, points, __, i: points[i] + 80,
        lambda _, points, __, i: points,
        lambda *_: None,
    ],
    ids=["raises", "NaN", "elsewhere", "misshapen", "nothing"],
)
def test_smoothing(smooth):
    world = walk()
    out = protect(world, Guard(make_filter(world, FILE, smooth=smooth)))
    assert_safe(world, out)
    assert not any(region.action is Action.GENERATED for safe in out for region in safe.regions)


class CropRaises(Skin):
    crop = breaks


class NoCrop(Skin):
    def crop(self, image, track):
        return None


class CropElsewhere(Skin):
    def crop(self, image, track):
        crop = super().crop(image, track)
        matrix = crop.matrix + np.array([[0, 0, 40], [0, 0, 0]], np.float32)
        return FaceCrop(crop.track_id, crop.image, crop.landmarks, matrix)


class Raises(Skin):
    __call__ = breaks


class TooFew(Skin):
    def __call__(self, crops):
        return []


class NotAList(Skin):
    def __call__(self, crops):
        return None


class Remade(Skin):
    """Spoils one part of each patch."""

    def __init__(self, **parts) -> None:
        super().__init__()
        self.parts = parts

    def patch(self, crop):
        good = super().patch(crop)
        return replace(good, **{name: spoil(getattr(good, name), crop) for name, spoil in self.parts.items()})


ANONYMIZERS = {
    "crop raises": CropRaises,
    "no crop": NoCrop,
    "crop elsewhere": CropElsewhere,
    "raises": Raises,
    "too few patches": TooFew,
    "nothing": NotAList,
    "black mask": lambda: Remade(mask=lambda mask, crop: np.zeros_like(mask)),
    "faint mask": lambda: Remade(mask=lambda mask, crop: mask * np.float32(0.9)),
    "NaN mask": lambda: Remade(mask=lambda mask, crop: mask * np.float32(np.nan)),
    "mask with a hole": lambda: Remade(mask=lambda mask, crop: mask * (np.indices(mask.shape).sum(0) != 128)),
    "matrix NaN": lambda: Remade(matrix=lambda matrix, crop: matrix * np.float32(np.nan)),
    "matrix zero": lambda: Remade(matrix=lambda matrix, crop: matrix * 0),
    "matrix elsewhere": lambda: Remade(matrix=lambda matrix, crop: matrix + np.float32([[0, 0, 30], [0, 0, 0]])),
    "matrix too small": lambda: Remade(matrix=lambda matrix, crop: matrix * np.float32(2)),
    "another track": lambda: Remade(track_id=lambda track_id, crop: track_id + 1),
    "the face itself": lambda: Remade(image=lambda image, crop: crop.image),
}


@pytest.mark.parametrize("config", [LIVE, FILE], ids=["live", "file"])
@pytest.mark.parametrize("anonymizer", ANONYMIZERS.values(), ids=ANONYMIZERS)
def test_anonymizer(anonymizer, config):
    world = walk()
    out = protect(world, Guard(make_filter(world, config, anonymizer=anonymizer())))
    assert_safe(world, out)
    for safe in out:
        for region in safe.regions:
            assert region.action is Action.COVERED
            assert region.reason


def test_one_bad_face_does_not_cost_the_others_theirs():
    class Picky(Skin):
        def __call__(self, crops):
            if any(crop.track_id == 1 for crop in crops):
                raise BrokenError
            return super().__call__(crops)

    world = World([[Face(0, 10, 140), Face(170, 60, 140)]] * 6)
    out = protect(world, Guard(make_filter(world, FILE, anonymizer=Picky())))
    assert_safe(world, out)
    for safe in out:
        assert {r.track_id: r.action for r in safe.regions} == {1: Action.COVERED, 2: Action.GENERATED}


class HalfwayCompositor(Compositor):
    """Fails after it has painted the upper half."""

    def blend(self, canvas, source, patch, opacity=1.0):
        below = canvas[90:].copy()
        super().blend(canvas, source, patch, opacity)
        canvas[90:] = below
        raise BrokenError

    dissolve = breaks


def test_compositor_that_fails_halfway():
    world = walk()
    out = protect(world, Guard(make_filter(world, FILE, compositor=HalfwayCompositor())))
    assert_safe(world, out)
    assert {region.reason for safe in out for region in safe.regions} == {"compositing failed: BrokenError"}


def test_cover_that_fails_blanks_the_frame():
    world = walk()
    out = protect(world, Guard(make_filter(world, FILE, anonymizer=NoCrop(), cover=breaks)))
    assert_safe(world, out)
    assert all(safe.blanked for safe in out)


@pytest.mark.parametrize(
    "xyxy", [(-500, -500, -400, -400), (1000, 0, 1100, 50), (-50, -50, 400, 300), (319, 239, 900, 900), (5, 5, 5, 5)]
)
def test_boxes_beyond_the_edge(xyxy):
    world = World([[Face()]] * 3)

    def detect(image):
        found = world.detect(image)
        more = np.array([xyxy], np.float32)
        return Detections(
            np.concatenate([found.xyxy, more]), np.float32([0.9, 0.3]), np.concatenate([found.landmarks] * 2)
        )

    out = protect(world, Guard(make_filter(world, FILE, detect=detect)))
    assert_safe(world, out)
    assert all(safe.blanked is None for safe in out)


def test_a_spent_budget_leaves_the_cover():
    config = FilterConfig(anonymize=AnonymizeConfig(frame_budget_s=1e-9), track=TrackConfig(lookahead_s=0))
    world = walk()
    out = protect(world, Guard(make_filter(world, config)))
    assert_safe(world, out)
    assert out[-1].regions[0].reason == "no time left in this frame"


@pytest.mark.parametrize("step", ["push", "flush"])
def test_filter_itself(step):
    world = walk()
    inner = make_filter(world, FILE)
    works = getattr(inner, step)
    setattr(inner, step, Sometimes(works, breaks, times=2) if step == "push" else breaks)
    guard = Guard(inner)
    out = protect(world, guard)
    assert_safe(world, out)
    assert any(safe.blanked for safe in out)
    assert guard.failures > 0


def test_guard_within_a_guard():
    world = walk()
    inner = Guard(make_filter(world, FILE))
    inner._accept = breaks
    assert_safe(world, protect(world, Guard(inner)))


def test_a_face_that_is_found_late_is_covered_before():
    hidden = 5
    world = World([[Face(60 + k, 20)] for k in range(FRAMES)], seen=[k >= hidden for k in range(FRAMES)])
    out = protect(world, Guard(make_filter(world, FilterConfig(track=TrackConfig(lookahead_s=0.4)))))
    assert_safe(world, out)


def test_a_face_that_is_lost_in_between_stays_hidden():
    for gap in (1, 4, 9):
        seen = [not 4 <= k < 4 + gap for k in range(FRAMES)]
        for config in (LIVE, FILE):
            world = World([[Face(40 + 4 * k, 15)] for k in range(FRAMES)], seen=seen)
            assert_safe(world, protect(world, Guard(make_filter(world, config))))


def test_two_faces_in_front_of_each_other():
    world = World([[Face(70, 10, 130), Face(100, 40, SIDE)] for SIDE in [170] * 8])
    assert_safe(world, protect(world, Guard(make_filter(world, FILE))))
    covered = protect(world, Guard(make_filter(world, FILE, anonymizer=NoCrop())))
    assert_safe(world, covered)


def test_safe_frames_are_made_in_two_places_only():
    makers = set()
    for path in Path(streamfilter.__file__).parent.rglob("*.py"):
        for node in ast.walk(ast.parse(path.read_text())):
            name = getattr(node.func, "id", getattr(node.func, "attr", None)) if isinstance(node, ast.Call) else None
            if name == "SafeFrame":
                makers.add(path.name)
    assert makers
    assert makers <= {"face_filter.py", "guard.py"}


def test_a_blank_frame_holds_nothing_of_the_picture():
    world = walk()
    first, second = frame(world.images[0], 0), frame(picture([]), 0)
    one, other = (Guard(make_filter(world, LIVE, detect=breaks)).push(f)[0] for f in (first, second))
    assert one.blanked
    assert (one.image == other.image).all()
    assert len(np.unique(one.image)) == 1


def test_what_a_failed_step_says_is_logged_without_a_password(caplog):
    def fails(error):
        raise error

    _, error = attempt(fails, OSError("cannot open rtsp://me:hush@host/x"))
    assert isinstance(error, OSError)
    attempt(fails, InputError("no picture came"))
    assert "OSError" in caplog.text
    assert "InputError: no picture came" in caplog.text
    assert "hush" not in caplog.text


def test_no_option_switches_protection_off():
    names = {name for config in (AnonymizeConfig, TrackConfig, FilterConfig) for name in config.__dataclass_fields__}
    assert not [name for name in names if "pass" in name or "raw" in name or "disable" in name]


def test_the_cover_leaves_nothing_of_the_face():
    image = picture([Face()])
    cover(image, Face().xyxy)
    assert raw_pixels(image) == 0
