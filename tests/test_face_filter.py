"""The steps in concert: one identity per track, bridged gaps, cuts, order, time, and what is remembered of whom."""

from __future__ import annotations

from dataclasses import replace
from fractions import Fraction
from itertools import pairwise

import numpy as np
import pytest

from streamfilter.composite import Compositor
from streamfilter.config import AnonymizeConfig, FilterConfig, TrackConfig
from streamfilter.face_filter import FaceFilter, blank
from streamfilter.structures import Action, Detections, Frame, SafeFrame
from tests.filter_fakes import RATE, Face, Skin, World, frame, make_filter, middle, picture, raw_pixels

FILE = FilterConfig(track=TrackConfig(lookahead_s=0.2))
LIVE = FilterConfig(track=TrackConfig(lookahead_s=0))


def run(world: World, face_filter: FaceFilter) -> list[SafeFrame]:
    out = [safe for one in world.frames() for safe in face_filter.push(one)]
    return out + face_filter.flush()


def actions(out: list[SafeFrame]) -> list[list[Action]]:
    return [[region.action for region in safe.regions] for safe in out]


def test_frames_come_out_in_order_with_their_stamps():
    world = World([[Face(40 + 2 * k)] for k in range(12)])
    out = run(world, make_filter(world, FILE))
    assert [(safe.index, safe.pts, safe.time_base) for safe in out] == [(k, k, RATE) for k in range(12)]


def test_live_frames_are_painted_while_the_next_one_is_searched():
    """Nobody is seen less: whoever comes, goes or crosses is hidden in every frame, as in a recording."""
    config = FilterConfig(track=TrackConfig(lookahead_s=0.4))
    world = World([[Face(15 + 9 * k, 20)] if 6 <= k < 22 else [] for k in range(34)])
    searched, painted = [], []

    def detect(image):
        searched.append(image)
        return world.detect(image)

    class Noted(Skin):
        def __call__(self, crops):
            painted.append(len(searched))
            return super().__call__(crops)

    protector = make_filter(world, config, detect=detect, anonymizer=Noted())
    out = [safe for one in world.frames() for safe in protector.push(replace(one, captured_s=5.0 + one.index / 25))]
    early = len(painted)
    out += protector.flush()
    assert [safe.index for safe in out] == list(range(34))
    assert sum(raw_pixels(safe.image) for safe in out) == 0
    assert all(safe.regions for safe in out[6:22])
    assert painted[:early] == list(range(6 + 10, 6 + 10 + early))  # nothing of the frame that comes ten later


def test_frames_without_faces_pass_unchanged():
    world = World([[]] * 5)
    for safe, image in zip(run(world, make_filter(world, FILE)), world.images, strict=True):
        assert (safe.image == image).all()
        assert safe.regions == ()


def test_the_raw_frame_is_never_written_to():
    world = World([[Face()]] * 6)
    frames = world.frames()
    before = [one.image.copy() for one in frames]
    face_filter = make_filter(world, FILE)
    for one in frames:
        face_filter.push(one)
    face_filter.flush()
    for one, image in zip(frames, before, strict=True):
        assert (one.image == image).all()


def test_photos_are_looked_at_by_the_detector_for_photos():
    world = World([[Face()]])
    asked = []
    face_filter = make_filter(world, FILE, detect=lambda image: None, detect_still=asked.append)
    [one] = world.frames()
    face_filter.push(one)
    assert asked == []
    face_filter.push(replace(one, still=True))
    assert len(asked) == 1


def test_live_holds_nothing_back():
    world = World([[Face()]] * 5)
    face_filter = make_filter(world, LIVE)
    for one in world.frames():
        assert [safe.index for safe in face_filter.push(one)] == [one.index]
    assert face_filter.flush() == []


def test_faces_of_a_frame_are_generated_in_one_batch():
    world, skin = World([[Face(0, 10, 140), Face(170, 60, 140)]] * 4), Skin()
    out = run(world, make_filter(world, FILE, anonymizer=skin))
    assert set(skin.batches) == {2}
    assert actions(out) == [[Action.GENERATED] * 2] * 4


def test_far_faces_are_painted_before_near_ones():
    world = World([[Face(150, 60, 160), Face(0, 10, 120)]] * 4)
    for safe in run(world, make_filter(world, FILE)):
        areas = [np.prod(region.xyxy[2:] - region.xyxy[:2]) for region in safe.regions]
        assert areas == sorted(areas)


def test_a_short_loss_is_bridged_and_generation_goes_on():
    world = World([[Face(40 + 3 * k)] for k in range(16)], seen=[k not in (7, 8, 9) for k in range(16)])

    def unlocated(image, tracks):
        """Landmarks only where the detector saw the face."""
        return [t if t.missed_s > 0 else found for t, found in zip(tracks, world.landmark(image, tracks), strict=True)]

    out = run(world, make_filter(world, FilterConfig(), landmark=unlocated))
    assert actions(out) == [[Action.GENERATED]] * 16
    assert {region.track_id for safe in out for region in safe.regions} == {1}
    assert all(raw_pixels(safe.image) == 0 for safe in out)


def test_a_turning_face_fades_to_the_cover_and_back():
    world = World([[Face(40 + k)] for k in range(40)])
    weak = range(15, 25)

    def landmark(image, tracks):
        world.confidence = 0.05 if world.index_of[image.tobytes()] in weak else 0.95
        return world.landmark(image, tracks)

    out = run(world, make_filter(world, FilterConfig(), landmark=landmark))
    kinds = [actions(out)[k][0] for k in range(40)]
    assert kinds[5] is Action.GENERATED
    assert {kinds[k] for k in weak} == {Action.COVERED}
    assert kinds[-1] is Action.GENERATED
    assert sum(a != b for a, b in pairwise(kinds)) == 2
    assert all(raw_pixels(safe.image) == 0 for safe in out)
    assert {safe.regions[0].reason for safe in out} >= {"landmarks uncertain", "fading between cover and face", ""}


def test_a_scene_cut_brings_new_people():
    def scene(image):
        return world.index_of[image.tobytes()] == 6

    scene.reset = lambda: None
    world = World([[Face(40 + k)] for k in range(12)])
    skin = Skin()
    out = run(world, make_filter(world, FILE, scene_cut=scene, anonymizer=skin))
    people = [{region.track_id for region in safe.regions} for safe in out]
    assert people == [{1}] * 6 + [{2}] * 6
    assert skin.forgotten == [1]


def test_the_identity_of_someone_who_left_is_forgotten_but_not_before():
    world, skin = World([[Face(40)]] * 5 + [[]] * 40), Skin()
    face_filter = make_filter(world, FilterConfig(), anonymizer=skin)
    for one in world.frames():
        for safe in face_filter.push(one):
            assert not {region.track_id for region in safe.regions} & set(skin.forgotten)
    assert skin.forgotten == [1]


def test_a_face_that_left_stays_covered_for_the_hold():
    hold_s = 0.4
    world = World([[Face(40)]] * 5 + [[]] * 20)
    config = FilterConfig(track=TrackConfig(hold_s=hold_s, lookahead_s=0.2))
    counts = [len(safe.regions) for safe in run(world, make_filter(world, config))]
    assert counts == [1] * 15 + [0] * 10


@pytest.mark.parametrize("pts", [[None] * 10, [5] * 10, list(range(10, 0, -1)), [0, 1, 2, 1000, 1001, 3, 4, 5, 6, 7]])
def test_strange_times_keep_order_and_identity(pts):
    world = World([[Face(40 + k)] for k in range(10)])
    face_filter, out = make_filter(world, FILE), []
    for index, (image, stamp) in enumerate(zip(world.images, pts, strict=True)):
        out += face_filter.push(Frame(image, index, stamp, Fraction(1, 25)))
    out += face_filter.flush()
    assert [(safe.index, safe.pts) for safe in out] == list(enumerate(pts))
    assert {region.track_id for safe in out for region in safe.regions} == {1}


def test_a_detector_that_skips_frames_is_allowed():
    world = World([[Face(40 + k)] for k in range(12)])
    calls = iter(range(100))

    def every_third(image):
        return world.detect(image) if next(calls) % 3 == 0 else None

    out = run(world, make_filter(world, FILE, detect=every_third))
    assert all(raw_pixels(safe.image) == 0 for safe in out)
    assert {region.track_id for safe in out for region in safe.regions} == {1}


def test_a_faint_flash_is_covered():
    world = World([[]] * 12)
    flash = np.array([[100, 100, 140, 150]], np.float32)
    calls = iter(range(100))

    def detect(image):
        if next(calls) != 6:
            return Detections.empty()
        return Detections(flash, np.float32([0.26]), np.zeros((1, 5, 2), np.float32))

    world.index_of[world.images[0].tobytes()] = 0
    out = run(world, make_filter(world, FILE, detect=detect))
    assert actions(out)[6] == [Action.COVERED]


def test_the_smoother_sees_the_window_around_the_frame():
    seen = []

    def smooth(times, landmarks, confidence, index):
        seen.append((len(times), index, landmarks.shape[1:], len(confidence)))
        return middle(times, landmarks, confidence, index)

    world = World([[Face(40 + k)] for k in range(20)])
    run(world, make_filter(world, FILE, smooth=smooth))
    assert len(seen) == 20
    assert seen[0][1] == 0
    assert max(n for n, *_ in seen) > 8
    assert all(0 <= index < n == length for n, index, _, length in seen)


def test_small_faces_are_not_located_at_all():
    tiny = Face(100, 100, 12)
    world = World([[tiny]] * 3)
    asked = []

    def landmark(image, tracks):
        asked.extend(tracks)
        return list(tracks)

    out = run(world, make_filter(world, FilterConfig(anonymize=AnonymizeConfig(min_face_px=20)), landmark=landmark))
    assert asked == []
    assert actions(out) == [[Action.COVERED]] * 3


def test_reset_drops_frames_and_people():
    world, skin, compositor = World([[Face(40 + k)] for k in range(6)]), Skin(), Compositor()
    face_filter = make_filter(world, FILE, anonymizer=skin, compositor=compositor)
    for one in world.frames()[:3]:
        face_filter.push(one)
    face_filter.reset()
    assert face_filter.flush() == []
    out = [safe for one in world.frames()[3:] for safe in face_filter.push(one)] + face_filter.flush()
    assert [safe.index for safe in out] == [3, 4, 5]
    assert {region.track_id for safe in out for region in safe.regions} == {2}


def test_every_stage_is_timed():
    world = World([[Face(40)]] * 6)
    face_filter = make_filter(world, FILE)
    run(world, face_filter)
    assert set(face_filter.times.summary()) >= {"detect", "track", "landmarks", "align", "generate", "composite"}


def test_blank_keeps_the_stamps():
    one = frame(picture([Face()]), 7)
    card = blank(one, "because")
    assert (card.index, card.pts, card.time_base, card.blanked) == (7, 7, RATE, "because")
    assert card.image.shape == one.image.shape
    assert raw_pixels(card.image) == 0
