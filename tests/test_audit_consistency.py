"""audit/consistency: one invented person per track, nobody shared, no flicker, no trembling landmarks."""

from __future__ import annotations

import operator
from collections.abc import Callable
from dataclasses import dataclass, replace
from itertools import pairwise

import cv2
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from streamfilter.audit.consistency import Consistency
from streamfilter.audit.consistency.flickering import MOST_PAIRS
from streamfilter.audit.consistency.people import MOST_IDENTITIES, MOST_PEOPLE, People
from streamfilter.audit.consistency.strips import MOST_TRACKS
from streamfilter.audit.crops import Square
from streamfilter.audit.limits import Limits
from streamfilter.audit.moment import Face, Moment
from streamfilter.audit.sampling import Sample, Thinned, Timeline
from streamfilter.audit.section import Figure, Section, Verdict
from streamfilter.audit.showable import Showable
from streamfilter.errors import ShapeError
from streamfilter.metrics.flicker import warped_difference
from streamfilter.metrics.jitter import jitter, tremble
from streamfilter.metrics.track_identity import Course, compare, interval, pairs_within, spread_out
from streamfilter.structures import Floats, Image
from tests.audit_kit import box_of, face, landmarks_of, moment, person, texture, unit

NAME = "sface"
PLACES = (box_of(20, 30, 60), box_of(150, 60, 60))


@dataclass(frozen=True)
class Fixed:
    """A calibration with one threshold."""

    value: float = 0.4

    def threshold(self, far: float) -> float:
        assert far == 1e-3
        return self.value


def seen_as(number: int, moment_number: int, spread: float = 0.25) -> Floats:
    """An embedding of a person, a little different at every moment."""
    return unit(person(number) + spread * person(5000 + 97 * number + moment_number))


Invented = Callable[[int, int], int]  # (track, moment) -> who is shown


def own_person(track: int, _: int) -> int:
    return 100 + track


def swapped_at_random(track: int, number: int) -> int:
    return 100 + (track + number // 2) % 2


def same_for_all(_track: int, _number: int) -> int:
    return 100


def film(invented: Invented = own_person, *, real: Invented = lambda track, _: track, tracks: int = 2) -> list[Moment]:
    """Eight seconds at two moments a second with embeddings, the faces standing still."""
    return [
        moment(
            index * 12,
            tuple(
                face(
                    PLACES[track % 2],
                    track,
                    identity={NAME: (seen_as(real(track, index), index), seen_as(invented(track, index), index))},
                )
                for track in range(tracks)
            ),
        )
        for index in range(16)
    ]


def concluded(moments: list[Moment], *, known_in: tuple[str, ...] = (), **values: object) -> Section:
    showable = Showable({NAME: Fixed().value})
    options: dict[str, object] = {"names": [NAME], "limits": Limits(), "calibrations": {NAME: Fixed()}} | values
    examiner = Consistency(**options, showable=showable)  # type: ignore[arg-type]
    for item in moments:
        showable.look(item)
        examiner.look(item)
    showable.searched(known_in)
    return examiner.conclude()


def figure(section: Section, name: str) -> Figure:
    return {item.name: item for item in section.figures}[name]


def calm(count: int = 4, tracks: int = 2) -> list[Moment]:
    """Neighbouring frames on which nothing moves, without embeddings."""
    still = moment(9, tuple(face(PLACES[track], track) for track in range(tracks)))
    return [replace(still, index=2000 + i, time_s=80 + i / 25, cut=i == 0) for i in range(count)]


# --- identity --------------------------------------------------------------------------------------------------------


def test_one_invented_person_per_track_passes() -> None:
    section = concluded(film() + calm())
    rate = figure(section, f"equal_error_rate_{NAME}")
    assert rate.value == 0 and rate.kept
    assert (rate.low, rate.high) == (None, None)  # two tracks cannot say how sure it is
    assert figure(section, f"within_track_{NAME}").value > 0.9
    assert figure(section, f"shared_{NAME}").value == 0
    assert section.verdict is Verdict.PASSED


def test_identities_that_swap_raise_the_error_and_lower_the_cosines() -> None:
    good, bad = concluded(film() + calm()), concluded(film(swapped_at_random) + calm())
    assert figure(bad, f"equal_error_rate_{NAME}").value > 0.3
    for name in (f"within_track_{NAME}", f"least_in_track_{NAME}"):
        assert figure(bad, name).value < figure(good, name).value - 0.1
    assert bad.verdict is Verdict.FAILED
    assert f"% of comparisons confuse two people (at most 5 %, {NAME})" in bad.sentence
    assert figure(bad, f"original_equal_error_rate_{NAME}").value == 0


def test_a_shared_person_is_named() -> None:
    section = concluded(film(same_for_all) + calm())
    shared = figure(section, f"shared_{NAME}")
    assert (shared.value, shared.n) == (1, 1)
    assert shared.note.startswith("1 of them at one moment")
    table = section.tables[0]
    (row,) = table.rows
    assert row[4] == "yes" and row[2] > 0.9 and row[3] < 0.4
    assert section.verdict is Verdict.FAILED


def test_two_tracks_of_one_real_person_may_share() -> None:
    section = concluded(film(same_for_all, real=lambda _track, _number: 1) + calm())
    assert figure(section, f"shared_{NAME}").n == 0
    assert [table.name for table in section.tables] == [f"tracks_{NAME}"]
    rate = figure(section, f"equal_error_rate_{NAME}")
    assert (rate.value, rate.limit) == (None, None) and "one real person" in rate.note
    assert section.verdict is Verdict.PASSED


def test_tracks_that_any_recogniser_takes_for_one_real_person_may_share() -> None:
    def with_second(item: Moment) -> Moment:
        second = (seen_as(1, item.index), seen_as(100, item.index))
        return replace(item, faces=tuple(replace(f, identity={**f.identity, "dlib": second}) for f in item.faces))

    moments = [with_second(item) for item in film(same_for_all)]
    section = concluded(moments, names=[NAME, "dlib"], calibrations={NAME: Fixed(), "dlib": Fixed()})
    assert figure(section, f"shared_{NAME}").n == 0


def test_the_threshold_is_held_against_the_mean_cosine_of_faces() -> None:
    """Means are nearer to each other than faces are: their noise is gone."""
    people = [unit(person(1) + sign * 0.75 * person(2)) for sign in (-1, 1)]
    angle = float(people[0] @ people[1])

    def noisy(track: int, index: int) -> Floats:
        return unit(people[track] + 0.7 * person(900 + 40 * track + index))

    moments = [
        moment(i * 12, tuple(face(PLACES[t], t, identity={NAME: (person(10 + t), noisy(t, i))}) for t in range(2)))
        for i in range(16)
    ]
    between = np.mean([noisy(0, i) @ noisy(1, j) for i in range(16) for j in range(16)])
    assert between < angle - 0.05
    for threshold, shared in ((between - 0.01, 1), (between + 0.01, 0)):
        section = concluded(moments, calibrations={NAME: Fixed(float(threshold))})
        assert figure(section, f"shared_{NAME}").value == shared


def test_one_label_is_one_person_whatever_its_embeddings_say() -> None:
    labelled = [replace(m, faces=tuple(replace(f, label="Ann") for f in m.faces)) for m in film(same_for_all)]
    assert figure(concluded(labelled), f"shared_{NAME}").n == 0


def test_a_single_track_has_nobody_to_be_confused_with() -> None:
    section = concluded(film(tracks=1) + calm(tracks=1))
    rate = figure(section, f"equal_error_rate_{NAME}")
    assert (rate.value, rate.limit) == (None, None) and "nobody" in rate.note
    assert section.verdict is Verdict.PASSED
    assert section.sentence.startswith("Each track keeps one face")


def test_too_few_faces_are_not_judged() -> None:
    section = concluded(film()[:3] + calm())
    assert figure(section, f"within_track_{NAME}").kept is None
    assert section.verdict is Verdict.UNKNOWN


def test_no_faces_is_not_safe() -> None:
    section = concluded([moment(i, ()) for i in range(3)])
    assert section.verdict is Verdict.UNKNOWN
    assert "No face" in section.sentence


def test_without_recognisers_nothing_passes() -> None:
    section = concluded(film() + calm(), names=[], calibrations={})
    assert section.verdict is Verdict.UNKNOWN


def test_only_the_first_recogniser_decides_on_the_cosine() -> None:
    both = [
        replace(m, faces=tuple(replace(f, identity={**f.identity, "dlib": f.identity[NAME]}) for f in m.faces))
        for m in film()
    ]
    section = concluded(both, names=[NAME, "dlib"])
    assert figure(section, f"within_track_{NAME}").limit
    assert figure(section, "within_track_dlib").limit is None
    assert figure(section, "equal_error_rate_dlib").limit
    assert figure(section, "shared_dlib").value is None  # not calibrated


def test_photos_have_no_time_but_may_share_a_person() -> None:
    photos = [
        replace(
            moment(
                0, (face(PLACES[0], n, label="Ann" if n < 2 else "Ben", identity={NAME: (person(n), person(100))}),)
            ),
            source=f"{n}.jpg",
            still=True,
        )
        for n in range(4)
    ]
    section = concluded(photos)
    assert section.verdict is Verdict.UNKNOWN
    assert "photo" in figure(section, f"equal_error_rate_{NAME}").note
    assert figure(section, "flicker").limit is None
    assert figure(section, f"shared_{NAME}").value == 4  # of six pairs, two of which are of one label
    assert not section.pictures


def test_pairs_lie_a_second_apart_or_are_the_furthest() -> None:
    times = np.arange(0, 4, 0.4)
    i, j = pairs_within(times)
    assert len(i) and (times[j] - times[i] >= 1).all()
    i, j = pairs_within(np.array([0.0, 0.3, 0.6]))
    assert (i.tolist(), j.tolist()) == ([0], [2])
    assert not len(pairs_within(np.zeros(1))[0])


def test_the_interval_holds_the_rate_and_narrows_with_more_tracks() -> None:
    def courses(count: int) -> list[Course]:
        times = np.arange(8.0)
        return [Course(times, np.stack([seen_as(n, k, 1.6) for k in range(8)]).astype(float)) for n in range(count)]

    widths = []
    for count in (4, 16):
        found = compare(courses(count), ~np.eye(count, dtype=bool))
        rate, (low, high) = found.equal_error_rate, interval(found)
        assert rate is not None and 0 < low <= rate <= high
        widths.append(high - low)
    assert widths[1] < widths[0] / 1.5


def test_no_error_in_few_tracks_leaves_much_possible() -> None:
    faces = [Course(np.arange(8.0), np.tile(np.eye(4)[n], (8, 1))) for n in range(4)]
    found = compare(faces, ~np.eye(4, dtype=bool))
    low, high = interval(found) or (None, None)
    assert found.equal_error_rate == low == 0 and high == pytest.approx(0.602, abs=1e-3)


@given(count=st.integers(0, 500), most=st.integers(1, 40))
def test_a_spread_is_even_and_reaches_both_ends(count: int, most: int) -> None:
    chosen = spread_out(count, most)
    assert len(chosen) == min(count, most)
    if count and most > 1:
        assert (chosen[0], chosen[-1]) == (0, count - 1)
        assert np.ptp(np.diff(chosen)) <= 1 if len(chosen) > 1 else True


# --- flicker ---------------------------------------------------------------------------------------------------------

BOX = box_of(60, 40, 100)


def shifted(image: Image, x: int, y: int) -> Image:
    return np.roll(image, (y, x), (0, 1))


def test_a_copy_does_not_flicker_however_it_moves() -> None:
    frames = (texture(1, 180, 240), texture(2, 180, 240))
    assert warped_difference(frames, frames, BOX).flicker == 0


def test_a_still_picture_does_not_flicker() -> None:
    still, other = texture(1, 180, 240), texture(2, 180, 240)
    found = warped_difference((still, still), (other, other), BOX)
    assert (found.original, found.result) == (0, 0)


def test_another_face_that_moves_as_the_original_does_not_flicker() -> None:
    a, b = texture(1, 180, 240, 6.0), texture(2, 180, 240, 6.0)
    moved = warped_difference((a, shifted(a, 3, 2)), (b, shifted(b, 3, 2)), BOX)
    stuck = warped_difference((a, shifted(a, 3, 2)), (b, b), BOX)
    assert abs(moved.flicker) < 2 < stuck.flicker


def test_the_flicker_of_noise_is_what_it_must_be() -> None:
    """Of two independent normal noises: E|n - m| = 2 sigma / sqrt(pi); the window is 128 px, so nothing is scaled."""
    rng, sigma = np.random.default_rng(3), 8.0
    grey = np.full((200, 200, 3), 128, np.uint8)
    noisy = [
        np.repeat((128 + rng.normal(0, sigma, (200, 200, 1))).round().clip(0, 255), 3, 2).astype(np.uint8)
        for _ in range(2)
    ]
    found = warped_difference((grey, grey), (noisy[0], noisy[1]), np.array([48.8, 48.8, 151.2, 151.2], np.float32))
    assert found.flicker == pytest.approx(2 * sigma / np.sqrt(np.pi), rel=0.03)


def test_outside_the_face_nothing_counts() -> None:
    before = texture(1, 180, 240)
    after = texture(2, 180, 240)
    after[35:145, 55:165] = before[35:145, 55:165]
    assert warped_difference((before, before), (before, after), BOX).flicker == 0


@settings(max_examples=10)
@given(x=st.integers(-40, 60), y=st.integers(-25, 25), seed=st.integers(0, 5))
def test_where_in_the_frame_a_face_is_does_not_matter(x: int, y: int, seed: int) -> None:
    def all_at(dx: int, dy: int) -> float:
        original, result = ([shifted(texture(seed + k, 180, 240), dx, dy) for k in (a, a + 1)] for a in (10, 20))
        box = BOX + np.array([dx, dy, dx, dy], np.float32)
        return warped_difference((original[0], original[1]), (result[0], result[1]), box).flicker

    assert all_at(x, y) == pytest.approx(all_at(0, 0), abs=1e-4)


@pytest.mark.parametrize("box", [box_of(-80, -80, 40), box_of(400, 20, 40), box_of(50, 50, 0)])
def test_a_box_outside_the_picture_has_no_flicker(box: Floats) -> None:
    frames = (texture(1, 180, 240), texture(2, 180, 240))
    assert warped_difference(frames, frames, box) is None


def test_a_box_at_the_edge_is_measured_on_what_there_is() -> None:
    frames = (texture(1, 180, 240), texture(2, 180, 240))
    assert warped_difference(frames, frames, box_of(-30, 100, 90)).original > 0


def stream(count: int, result: Callable[[int], int], **values: object) -> list[Moment]:
    faces = (face(PLACES[0], 1),)
    return [replace(moment(i, faces, result=result(i)), **values) for i in range(count)]


def test_an_identity_swap_is_flicker_with_its_time() -> None:
    section = concluded(stream(30, lambda i: 2 if i < 20 else 3))
    assert figure(section, "flicker").n == 29
    assert figure(section, "flicker_jump").value > 20
    assert figure(section, "flicker_jump").note == "clip.mp4, 0.80 s"
    assert figure(section, "flicker").value == pytest.approx(figure(section, "flicker_jump").value / 29)
    assert figure(section, "flicker_jumps").value == pytest.approx(1 / 29)
    (plot,) = (p for p in section.plots if p.name == "flicker")
    assert plot.series[0].x == (0, 1)


def test_a_swap_on_every_frame_breaks_the_limit() -> None:
    section = concluded(stream(8, lambda i: i))
    assert figure(section, "flicker").kept is False
    assert section.verdict is Verdict.FAILED


def test_a_cut_a_gap_and_another_file_are_no_pairs() -> None:
    def pairs(second: Moment) -> int:
        return figure(concluded([stream(1, lambda _: 2)[0], second]), "flicker").n or 0

    after = stream(2, lambda i: i)[1]
    assert pairs(after) == 1
    for change in ({"cut": True}, {"index": 2}, {"source": "other.mp4"}, {"faces": (face(PLACES[0], 2),)}):
        assert pairs(replace(after, **change)) == 0


def test_many_faces_take_turns() -> None:
    faces = tuple(face(box_of(10 + 22 * n, 20, 20), n) for n in range(3 * MOST_PAIRS))
    same = moment(0, faces)
    section = concluded([replace(same, index=i, cut=i == 0) for i in range(7)])
    assert figure(section, "flicker").n == 6 * MOST_PAIRS


# --- jitter ----------------------------------------------------------------------------------------------------------


@settings(max_examples=25)
@given(dx=st.floats(-20, 20), dy=st.floats(-20, 20))
def test_steady_motion_is_no_jitter(dx: float, dy: float) -> None:
    shape = landmarks_of(box_of(50, 50, 80))
    assert tremble(np.stack([shape + k * np.array([dx, dy], np.float32) for k in range(3)])) < 1e-3


def test_jitter_is_the_second_difference_in_widths_less_the_originals() -> None:
    shape = landmarks_of(box_of(50, 50, 80))
    jumped = np.stack([shape, shape + np.array([2, 0], np.float32), shape])
    half = np.stack([shape, shape + np.array([1, 0], np.float32), shape])
    assert jitter(half, jumped, 80).added == pytest.approx(2 / 80, rel=1e-4)
    with pytest.raises(ShapeError, match="three frames"):
        tremble(shape[None])


class Drawn:
    """Landmarks where the five points are; on the result of every second frame they stand aside, in crops."""

    def __init__(self, aside: float = 0.0) -> None:
        self.aside, self.calls = aside, 0

    def pair(self, original: Image, result: Image, points: Floats) -> tuple[Floats, Floats]:
        assert original.shape == result.shape and (points > 0).all() and (points < len(original)).all()
        self.calls += 1
        known = landmarks_of(np.concatenate([points.min(0), points.max(0)]))
        return known, known + (self.aside * len(original) if self.calls % 2 else 0)


def test_trembling_landmarks_are_found_on_bursts_of_three_frames() -> None:
    landmarker = Drawn(aside=0.02)
    section = concluded(stream(60, lambda _: 2), landmarker=landmarker)
    assert landmarker.calls == 3 * 3  # bursts at 0, 1 and 2 s
    assert figure(section, "jitter").n == 3
    side = 1.8  # of the crop, in widths of the face
    assert figure(section, "jitter").value == pytest.approx(2 * np.sqrt(2) * 0.02 * side, rel=0.01)
    assert figure(section, "original_jitter").value == pytest.approx(0, abs=1e-5)


def test_without_a_landmarker_there_is_no_jitter() -> None:
    assert figure(concluded(stream(5, lambda _: 2)), "jitter").value is None


def test_a_burst_is_not_carried_over_a_cut() -> None:
    moments = stream(4, lambda _: 2)
    moments[2] = replace(moments[2], cut=True)
    section = concluded(moments, landmarker=Drawn())
    assert figure(section, "jitter").value is None


# --- pictures and memory ---------------------------------------------------------------------------------------------


def test_strips_show_the_result_over_time() -> None:
    section = concluded(film())
    assert len(section.pictures) == 2
    for picture in section.pictures:
        assert picture.image.shape == (96, 8 * 96, 3)
        assert not picture.original


def test_a_strip_that_shows_an_original_face_says_so() -> None:
    copied = [replace(m, result=m.original) for m in film()]
    recognised = film(real=own_person)
    for moments in (copied, recognised):
        assert [picture.original for picture in concluded(moments).pictures] == [True, True]
    assert [picture.original for picture in concluded(film(), known_in=("clip.mp4",)).pictures] == [True, True]
    assert [picture.original for picture in concluded(film(), known_in=("other.mp4",)).pictures] == [False, False]
    blind = [replace(m, faces=tuple(replace(one, identity={}) for one in m.faces)) for m in film()]
    assert [picture.original for picture in concluded(blind).pictures] == [True, True]


def test_a_neighbour_that_was_recognised_makes_a_strip_original() -> None:
    other, same = (person(1), person(2)), (person(3), person(3))
    for identity, expected in ((other, [False, False]), (same, [True, True])):
        faces = (
            face(box_of(60, 60, 50), 0, identity={NAME: other}),
            face(box_of(112, 60, 50), 1, identity={NAME: identity}),
        )
        assert [picture.original for picture in concluded([moment(0, faces)]).pictures] == expected


def test_a_track_that_was_forgotten_for_others_is_still_known() -> None:
    """The strips hold few tracks at one time; one that comes again does not come with a clean sheet."""
    other, same = {NAME: (person(1), person(2))}, {NAME: (person(3), person(3))}
    crowd = [moment(1 + i, (face(PLACES[0], 10 + i, identity=other),)) for i in range(MOST_TRACKS)]
    first, again = (
        moment(index, (face(PLACES[0], 0, identity=identity),)) for index, identity in ((0, same), (99, other))
    )
    strips = {picture.name: picture.original for picture in concluded([first, *crowd, *([again] * 3)]).pictures}
    assert strips["track_0"] is True
    assert sum(strips.values()) == 1


def test_a_bare_neighbour_in_the_crop_makes_a_strip_original() -> None:
    other = {NAME: (person(1), person(2))}
    hidden, beside = face(box_of(60, 60, 50), 0, identity=other), face(box_of(112, 60, 50), 1, identity=other)
    covered = moment(0, (hidden, beside))
    result = covered.result.copy()
    x0, y0, x1, y1 = beside.xyxy.astype(int)
    result[y0:y1, x0:x1] = covered.original[y0:y1, x0:x1]
    strips = {picture.name: picture.original for picture in concluded([replace(covered, result=result)]).pictures}
    assert strips == {"track_0": True, "track_1": True}
    assert not any(picture.original for picture in concluded([covered]).pictures)


def test_a_person_recognised_once_makes_a_strip_original() -> None:
    one = np.asarray(person(1), np.float32)
    covered = moment(0, (face(box_of(60, 60, 50), 0, identity={NAME: (one, person(2))}),))
    assert [picture.original for picture in concluded([covered]).pictures] == [False]
    known = replace(covered, index=1, time_s=0.5, faces=(replace(covered.faces[0], identity={NAME: (one, one)}),))
    (strip,) = concluded([covered, known]).pictures
    assert strip.original


def test_an_untouched_copy_is_told_apart_from_an_anonymised_one() -> None:
    moments = [moment(25 * i, (face(box_of(60, 60, 50), 0),)) for i in range(4)]
    copies = [replace(item, result=item.original) for item in moments]
    assert "100 % of the faces looked at are still the original ones" in concluded(copies).sentence
    assert "original ones" not in concluded(moments).sentence


def test_one_second_gives_no_interval_of_flicker() -> None:
    short, long = (figure(concluded(calm(count)), "flicker") for count in (4, 80))
    assert short.low is None and "no interval" in short.note
    assert long.low is not None and "no interval" not in long.note


def test_one_bare_crop_makes_a_strip_original() -> None:
    moments = film(tracks=1)
    moments[0] = replace(moments[0], result=moments[0].original)
    (picture,) = concluded(moments).pictures
    assert picture.original


def test_a_crop_repeats_the_edge_of_the_picture() -> None:
    picture = texture(1, 40, 40)
    area = Square.around(box_of(-10, -10, 30), 1.0)
    crop = area.cut(picture, 30)
    assert np.array_equal(crop[10:, 10:], picture[:20, :20])
    assert (crop[:10, :10] == picture[0, 0]).all()
    assert Square.around(box_of(5, 5, 0), 1.4) is None


@given(x=st.integers(-30, 90), y=st.integers(-30, 90), side=st.integers(4, 70), size=st.sampled_from([48, 96]))
def test_points_come_back_from_a_crop(x: int, y: int, side: int, size: int) -> None:
    area, points = Square(x, y, side), landmarks_of(box_of(20, 30, 60))
    assert np.allclose(area.outwards(area.inwards(points, size), size), points, atol=1e-3)


@given(count=st.integers(0, 400), most=st.sampled_from([2, 8, 16]))
def test_thinning_stays_small_and_even(count: int, most: int) -> None:
    kept: Thinned[int] = Thinned(most)
    for number in range(count):
        kept.add(number)
    assert min(count, most // 2) <= len(kept.items) <= most
    assert len(set(np.diff(kept.items).tolist())) <= 1
    assert kept.items[:1] == ([0] if count else [])


def test_numbers_are_remembered_within_bounds() -> None:
    sample, line = Sample(), Timeline[float](operator.add, 1.0, most=600)
    for number in range(3 * Sample.SIZE):
        sample.add(float(number), ("a", float(number)))
        line.add(float(number), 1.0)
    assert sample.mean == pytest.approx((3 * Sample.SIZE - 1) / 2)
    assert sample.place == ("a", 3 * Sample.SIZE - 1)
    assert sample.quantile(0.5) == pytest.approx(1.5 * Sample.SIZE, rel=0.05)
    starts, sums = line.points()
    assert len(starts) <= 600 and sum(sums) == 3 * Sample.SIZE
    assert {after - before for before, after in pairwise(starts)} == {line.width_s}


def test_the_tracks_with_the_fewest_faces_are_forgotten() -> None:
    people, one = People([NAME]), (person(1), person(2))
    plain = moment(0, ())

    def look(track: int) -> None:
        people.look(
            replace(
                plain,
                faces=(Face(track=track, xyxy=PLACES[0], points=np.zeros((5, 2), np.float32), identity={NAME: one}),),
            )
        )

    for _ in range(3 * MOST_IDENTITIES):
        look(0)
    for track in range(1, MOST_PEOPLE + 5):
        look(track)
    assert len(people) == MOST_PEOPLE and people.forgotten == 5
    (first,) = (item for item in people if item.track == 0)
    assert first.faces(NAME) == 3 * MOST_IDENTITIES
    assert len(first.identities[NAME].course().times) <= MOST_IDENTITIES
    assert first.identities[NAME].closeness() == pytest.approx(1)


# --- real footage ----------------------------------------------------------------------------------------------------


@pytest.mark.real
def test_real_footage_ranks_a_copy_a_blur_and_a_swap(real_data) -> None:  # type: ignore[no-untyped-def]
    capture = cv2.VideoCapture(str(real_data / "videos" / "talking" / "webcam_glasses_587f.mp4"))
    frames = [np.ascontiguousarray(capture.read()[1][..., ::-1]) for _ in range(12)]
    height, width = frames[0].shape[:2]
    middle = np.array([0.3 * width, 0.2 * height, 0.7 * width, 0.9 * height], np.float32)
    blurred = [cv2.GaussianBlur(frame, (0, 0), 12) for frame in frames]
    swapped = [frame if i % 2 else np.ascontiguousarray(frame[:, ::-1]) for i, frame in enumerate(frames)]

    def flicker(result: list[Image]) -> float:
        pairs = [
            warped_difference((frames[i - 1], frames[i]), (result[i - 1], result[i]), middle)
            for i in range(1, len(frames))
        ]
        return float(np.mean([pair.flicker for pair in pairs if pair]))

    assert flicker(frames) == 0
    assert flicker(blurred) < 0 < Limits().flicker < flicker(swapped)
