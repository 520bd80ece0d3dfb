"""Every frame gets its faces: linked from sample to sample, put in between, bridged, and never across a cut."""

from __future__ import annotations

import gc
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from fractions import Fraction
from pathlib import Path

import av
import cv2
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from streamfilter.audit.follow import Follower, moments
from streamfilter.audit.footage import footage_of, pairs_of
from streamfilter.audit.moment import Face, Moment
from streamfilter.audit.paths import Path as FacePath
from streamfilter.audit.paths import Spot, linked
from streamfilter.audit.scout import glances
from streamfilter.structures import Floats, Frame, Image
from tests.audit_kit import box_of, points_of, texture
from tests.media_factory import index_of, make_video, picture

MS = Fraction(1, 1000)
SIZE = (240, 180)


@dataclass(frozen=True)
class Found:
    """What a detector would say."""

    xyxy: Floats
    points: Floats
    score: float = 1.0


def found(x: float, y: float, side: float = 40, score: float = 1.0) -> Found:
    box = box_of(x, y, side)
    return Found(box, points_of(box), score)


Where = Callable[[int], Sequence[Found]]


class Detector:
    """Knows where the faces are by the index that each picture tells; notes what it was shown."""

    def __init__(self, where: Where) -> None:
        self.where = where
        self.asked: list[int] = []

    def __call__(self, image: Image) -> tuple[Found, ...]:
        self.asked.append(index_of(image))
        return tuple(self.where(self.asked[-1]))


@pytest.fixture(scope="module", autouse=True)
def small_heap() -> Iterator[None]:
    """Each closed file is followed by a collection, which need not look at all that pytest imported."""
    gc.collect()
    gc.freeze()
    yield
    gc.unfreeze()


@pytest.fixture(scope="module")
def films(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A steady film of 28 frames at 25 fps, an uneven one, and a copy of each."""
    folder = tmp_path_factory.mktemp("films")
    for name in ("steady", "steady_copy"):
        make_video(folder / f"{name}.mp4", frames=28)
    for name in ("uneven", "uneven_copy"):
        make_video(folder / f"{name}.mkv", pts=[852 + time for time in UNEVEN], time_base=MS)
    return folder


UNEVEN = [0, 40, 80, 200, 210, 250, 390, 400, 700, 740, 780]


def followed(folder: Path, where: Where, name: str = "steady", **values: float) -> tuple[list[Moment], Detector]:
    suffix = "mp4" if name == "steady" else "mkv"
    (pair,) = pairs_of(folder / f"{name}.{suffix}", folder / f"{name}_copy.{suffix}")
    detector = Detector(where)
    return list(moments(pair, detector, **values)), detector


def only(moment: Moment) -> Face:
    (face,) = moment.faces
    return face


# --- sampling --------------------------------------------------------------------------------------------------------


def test_the_detector_is_asked_at_intervals_and_at_both_ends(films: Path) -> None:
    all_, detector = followed(films, lambda i: [])
    assert detector.asked == [0, 5, 10, 15, 20, 25, 27]
    assert [moment.index for moment in all_ if moment.sampled] == detector.asked
    assert [moment.index for moment in all_] == list(range(28))
    assert [moment.cut for moment in all_] == [True] + [False] * 27
    assert not any(moment.still for moment in all_)


def test_intervals_are_in_seconds_and_not_in_frames(films: Path) -> None:
    all_, detector = followed(films, lambda i: [], "uneven")
    assert [UNEVEN[i] for i in detector.asked] == [0, 200, 400, 700, 780]
    assert [moment.time_s for moment in all_] == pytest.approx([0.852 + time / 1000 for time in UNEVEN])


def scenes(first: int, second: int) -> list[Frame]:
    images = [texture(1, 90, 160)] * first + [255 - texture(5, 90, 160) // 2 * np.uint8([1, 0, 1])] * second
    return [Frame(image, i, i, Fraction(1, 25)) for i, image in enumerate(images)]


def test_both_sides_of_a_cut_are_sampled() -> None:
    found_ = list(glances(scenes(7, 9), lambda image: (), 0.2))
    assert [glance.index for glance in found_ if glance.sightings is not None] == [0, 5, 6, 7, 12, 15]
    assert [glance.index for glance in found_ if glance.cut] == [0, 7]


# --- between samples -------------------------------------------------------------------------------------------------


def test_linear_motion_is_followed_exactly(films: Path) -> None:
    all_, _ = followed(films, lambda i: [found(10 + 3 * i, 20 + i, 40 + i)])
    assert {only(moment).track for moment in all_} == {0}
    for moment in all_:
        truth = found(10 + 3 * moment.index, 20 + moment.index, 40 + moment.index)
        assert only(moment).xyxy == pytest.approx(truth.xyxy, abs=1e-4)
        assert only(moment).points == pytest.approx(truth.points, abs=1e-4)
        assert only(moment).seen == moment.sampled


def test_uneven_times_are_followed_by_time(films: Path) -> None:
    all_, _ = followed(films, lambda i: [found(10 + UNEVEN[i] / 10, 20)], "uneven")
    for moment in all_:
        assert only(moment).xyxy[0] == pytest.approx(10 + UNEVEN[moment.index] / 10, abs=1e-4)


def test_two_people_who_pass_each_other_keep_their_tracks(films: Path) -> None:
    all_, _ = followed(films, lambda i: [found(10 + 5 * i, 20), found(150 - 5 * i, 75)][:: (-1) ** (i // 5)])
    for moment in all_:
        first, second = moment.faces
        assert (first.track, second.track) == (0, 1)
        assert first.xyxy[0] == pytest.approx(10 + 5 * moment.index, abs=1e-3)
        assert second.xyxy[0] == pytest.approx(150 - 5 * moment.index, abs=1e-3)


# --- losing and finding ----------------------------------------------------------------------------------------------


def test_a_face_that_comes_back_within_a_second_is_bridged(films: Path) -> None:
    lost = range(8, 27)
    all_, detector = followed(films, lambda i: [] if i in lost else [found(10 + i, 20, score=0.9 if i else 0.4)])
    assert detector.asked[-1] == 27
    assert [only(moment).track for moment in all_] == [0] * 28
    assert [moment.index for moment in all_ if only(moment).seen] == [0, 5, 27]
    for moment in all_:
        assert only(moment).xyxy[0] == pytest.approx(10 + moment.index, abs=1e-4)
    assert only(all_[2]).score == pytest.approx(0.4)
    assert only(all_[12]).score == pytest.approx(0.9)


def test_a_lost_face_behind_a_larger_one_is_hidden_and_no_face(films: Path) -> None:
    def where(i: int) -> list[Found]:
        behind, before = found(60, 40, 30), found(10 * i - 120, 0, 120)
        return [before] if 8 <= i <= 12 else [before, behind]

    all_, _ = followed(films, where)
    tracks = [[face.track for face in moment.faces] for moment in all_]
    assert tracks == [[0, 1]] * 6 + [[0, 1] if i < 7 or i >= 15 else [0] for i in range(6, 28)]


def test_a_face_is_expected_where_its_pace_leads(films: Path) -> None:
    all_, _ = followed(films, lambda i: [] if i == 15 else [found(10 + 6 * i, 20, 50)])
    assert [only(moment).track for moment in all_] == [0] * 28
    assert only(all_[15]).xyxy[0] == pytest.approx(100, abs=1e-4)
    assert not only(all_[15]).seen


def test_a_face_that_stays_away_longer_is_another_track(films: Path) -> None:
    all_, _ = followed(films, lambda i: [] if 0 < i < 27 else [found(10, 20)])
    assert [[face.track for face in moment.faces] for moment in all_] == [[0]] * 3 + [[]] * 24 + [[1]]


def test_a_face_elsewhere_or_of_another_size_is_another_track(films: Path) -> None:
    for other in (found(120, 90), found(0, 10, side=80)):
        all_, _ = followed(films, lambda i, other=other: [found(10, 20)] if i < 8 else [other])
        tracks = [[face.track for face in moment.faces] for moment in all_]
        assert tracks == [[0]] * 8 + [[]] * 2 + [[1]] * 18


def test_a_lost_face_is_carried_on_for_half_an_interval(films: Path) -> None:
    all_, _ = followed(films, lambda i: [found(10, 20)] if i <= 10 else [])
    assert [len(moment.faces) for moment in all_] == [1] * 13 + [0] * 15
    assert not only(all_[12]).seen
    all_, _ = followed(films, lambda i: [found(10, 20)] if i <= 10 else [], interval_s=0.4)
    assert [len(moment.faces) for moment in all_] == [1] * 16 + [0] * 12


def test_rare_samples_are_linked_all_the_same(tmp_path: Path) -> None:
    for name in ("a.mkv", "b.mkv"):
        make_video(tmp_path / name, pts=[0, 1500, 3000, 4500], time_base=MS)
    (pair,) = pairs_of(tmp_path / "a.mkv", tmp_path / "b.mkv")
    all_ = list(moments(pair, Detector(lambda i: [found(10 + i, 20)])))
    assert [only(moment).track for moment in all_] == [0] * 4


def write(path: Path, frames: list[Frame]) -> Path:
    with av.open(str(path), "w") as output:
        stream = output.add_stream("libx264", rate=25, options={"preset": "ultrafast", "bf": "0"})
        stream.height, stream.width = frames[0].image.shape[:2]
        stream.pix_fmt = "yuv420p"
        for frame in frames:
            output.mux(stream.encode(av.VideoFrame.from_ndarray(frame.image, format="rgb24")))
        output.mux(stream.encode(None))
    return path


def test_nothing_is_followed_across_a_cut(tmp_path: Path) -> None:
    a, b = (write(tmp_path / name, scenes(7, 9)) for name in ("a.mp4", "b.mp4"))
    all_ = list(moments(pairs_of(a, b)[0], lambda image: [found(10, 20)], first_track=5))
    assert [only(moment).track for moment in all_] == [5] * 7 + [6] * 9
    assert [moment.index for moment in all_ if moment.cut] == [0, 7]
    calls = iter([True, False, False, *[True] * 9])
    all_ = list(moments(pairs_of(a, b)[0], lambda image: [found(10, 20)] if next(calls) else []))
    assert [[face.track for face in moment.faces] for moment in all_] == [[0]] * 3 + [[]] * 4 + [[1]] * 9


# --- several files, and photos ---------------------------------------------------------------------------------------


def test_track_numbers_go_on_from_file_to_file(films: Path) -> None:
    footage = footage_of(pairs_of(films / "steady.mp4", films / "steady_copy.mp4")[0])
    follower = Follower(Detector(lambda i: [found(10, 20), found(100, 20)]), first_track=3)
    for expected in ({3, 4}, {5, 6}):
        assert {face.track for moment in follower.moments(footage) for face in moment.faces} == expected
    assert follower.next_track == 7


def test_a_photo_is_one_still_moment_and_its_main_face_is_named(tmp_path: Path) -> None:
    for name in ("in/Ada/1.png", "out/Ada/1.png"):
        (tmp_path / name).parent.mkdir(parents=True)
        cv2.imwrite(str(tmp_path / name), picture(4, *SIZE))
    (pair,) = pairs_of(tmp_path / "in", tmp_path / "out")
    faces = [found(0, 0, 60), found(100, 70, 50), found(0, 100, 30)]
    (moment,) = moments(pair, Detector(lambda i: faces), first_track=2)
    assert (moment.still, moment.sampled, moment.cut, moment.index, moment.source) == (True, True, True, 0, "Ada/1.png")
    assert [(face.track, face.label, face.seen) for face in moment.faces] == [
        (2, "", True),
        (3, "Ada", True),
        (4, "", True),
    ]


# --- invariants ------------------------------------------------------------------------------------------------------

numbers = st.floats(-200, 2000, width=32)
sides = st.floats(8, 500, width=32)
moments_ms = st.lists(st.integers(0, 5000), min_size=1, max_size=6, unique=True).map(sorted)


@given(moments_ms, st.integers(0, 6000), st.randoms(use_true_random=False))
def test_a_face_lies_between_its_neighbours(times: list[int], at: int, random: object) -> None:
    draw = np.random.default_rng(random.getrandbits(32))  # type: ignore[attr-defined]
    spots = [Spot(time / 1000, found(*draw.uniform(0, 500, 2), draw.uniform(10, 90), draw.uniform())) for time in times]
    path = FacePath(0, list(spots))
    face = path.face(at / 1000, 0.1)
    before, after = [s for s in spots if s.time_s <= at / 1000], [s for s in spots if s.time_s >= at / 1000]
    if not before or (not after and at - times[-1] > 100):
        assert face is None
        return
    assert face is not None
    ends = [before[-1], after[0] if after else before[-1]]
    boxes = np.stack([spot.sighting.xyxy for spot in ends])
    assert (boxes.min(0) - 1e-3 <= face.xyxy).all()
    assert (face.xyxy <= boxes.max(0) + 1e-3).all()
    assert face.score == pytest.approx(min(spot.sighting.score for spot in ends))
    assert face.seen == (at in times)
    path.forget(at / 1000)
    again = path.face(at / 1000, 0.1)
    assert again is not None
    assert again.xyxy.tolist() == face.xyxy.tolist()


@given(
    st.lists(st.tuples(numbers, numbers, sides), max_size=5), st.lists(st.tuples(numbers, numbers, sides), max_size=5)
)
def test_links_are_one_to_one_and_plausible(
    before: list[tuple[float, float, float]], after: list[tuple[float, float, float]]
) -> None:
    paths = [FacePath(i, [Spot(0.0, found(*place))]) for i, place in enumerate(before)]
    spots = [Spot(0.2, found(*place)) for place in after]
    links = linked(paths, spots)
    assert len(set(links.values())) == len(links)
    for i, j in links.items():
        a, b = paths[i].last, spots[j]
        assert np.hypot(*(a.middle - b.middle)) <= min(a.side, b.side) + 1e-3
        assert 1 / 1.6 - 1e-6 <= a.side / b.side <= 1.6 + 1e-6
    assert linked(paths, [Spot(0.2, path.last.sighting) for path in paths]).keys() == set(range(len(paths)))
