"""Leaks: what is bare is found, on every frame; what is replaced is not, however coarse the coding."""

from __future__ import annotations

from dataclasses import dataclass, replace

import cv2
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from streamfilter.audit.leaks import Leaks
from streamfilter.audit.leaks.pictures import CROP_PX, crop_of, place_of
from streamfilter.audit.leaks.records import Ranking, Runs
from streamfilter.audit.limits import Limits
from streamfilter.audit.sampling import Timeline
from streamfilter.audit.section import Section, Verdict
from streamfilter.audit.showable import Showable
from streamfilter.metrics.survival import coding_floor, survival
from streamfilter.structures import Floats, Image
from tests.audit_kit import SIZE, box_of, face, moment, painted, person, texture

BOX = box_of(70, 50, 80)
ANOTHER = {"fake": (person(1), person(2))}
"""What a recogniser says of a face that was replaced."""
KNOWN = {"fake": (person(1), person(1))}


@dataclass(frozen=True, eq=False)
class Sighted:
    xyxy: Floats


def nobody(_image: Image) -> list[Sighted]:
    return []


def examined(moments, detect=nobody, known_in: tuple[str, ...] | None = ()) -> Section:
    showable = Showable({"fake": 0.5})
    leaks = Leaks(detect, Limits(), showable)
    for one in moments:
        showable.look(one)
        leaks.look(one)
    showable.searched(known_in)
    return leaks.conclude()


def marks(section: Section) -> list[bool]:
    """Of the crops of the result: whether they are shown on demand only."""
    return [picture.original for picture in section.pictures if picture.name.startswith("result")]


def figure(section: Section, name: str):
    return next(item for item in section.figures if item.name == name)


def coded(picture: Image, quality: int) -> Image:
    return cv2.imdecode(cv2.imencode(".jpg", picture, [cv2.IMWRITE_JPEG_QUALITY, quality])[1], cv2.IMREAD_COLOR)


def test_a_replaced_face_does_not_survive():
    shown = moment(0, (face(BOX),))
    assert survival(shown.original, shown.result, BOX, 0).share < 0.2


@pytest.mark.parametrize("quality", [95, 60, 30])
def test_a_bare_face_survives_however_coarse_the_coding(quality):
    original = painted(texture(0, *SIZE), BOX, 1)
    result = coded(original, quality)
    assert survival(original, result, BOX, coding_floor(original, result, [BOX])).bare


@pytest.mark.parametrize("quality", [95, 30])
def test_coarse_coding_does_not_excuse_another_face(quality):
    shown = moment(0, (face(BOX),))
    result = coded(shown.result, quality)
    assert not survival(shown.original, result, BOX, coding_floor(shown.original, result, [BOX])).bare


def test_a_blurred_face_does_not_survive():
    original = painted(texture(0, *SIZE), BOX, 1)
    blurred = cv2.GaussianBlur(original, (0, 0), 6)
    assert survival(original, blurred, BOX, 0).share < 0.2


def test_a_large_cover_elsewhere_does_not_raise_the_floor():
    original = painted(texture(0, *SIZE), BOX, 1)
    covered = original.copy()
    covered[:, 200:] = 0
    assert coding_floor(original, covered, [BOX]) == 0


@given(st.floats(-60, 260), st.floats(-60, 200), st.floats(1, 300))
def test_any_box_can_be_compared(x, y, side):
    original = texture(0, *SIZE)
    box = box_of(x, y, side)
    assert survival(original, original, box, coding_floor(original, original, [box])).share in (0.0, 1.0)
    assert crop_of(original, box).shape == (CROP_PX, CROP_PX, 3)


@given(st.integers(0, 50), st.floats(0, 20))
def test_more_change_never_reveals_more(seed, floor):
    original = painted(texture(0, *SIZE), BOX, seed)
    other = painted(original, BOX, seed + 1000)
    shares = [
        survival(original, cv2.addWeighted(original, 1 - part, other, part, 0), BOX, floor).share
        for part in (0.0, 0.5, 1.0)
    ]
    assert shares == sorted(shares, reverse=True)


def test_untouched_footage_is_wholly_bare():
    section = examined(moment(i, (face(BOX),), result=1) for i in range(10))
    assert section.verdict is Verdict.FAILED
    assert figure(section, "bare_faces").value == 10
    assert figure(section, "bare_share").value == 1
    assert figure(section, "longest_run_frames").value == 10
    assert section.tables[0].rows == (("clip.mp4", 0, 9),)


def test_replaced_footage_passes_and_shows_no_original():
    section = examined(moment(i, (face(BOX, identity=ANOTHER),)) for i in range(10))
    assert section.verdict is Verdict.PASSED
    assert marks(section) == [False]
    assert [p.original for p in section.pictures if p.name.startswith("original")] == [True]


def test_a_crop_is_shown_only_where_nothing_says_that_it_may_show_an_original_face():
    replaced = face(BOX, identity=ANOTHER)
    later = [moment(i, (replace(replaced, identity={}),)) for i in range(1, 5)]
    assert marks(examined([moment(0, (replaced,)), *later])) == [False]
    assert marks(examined(later)) == [True]  # no recogniser looked at it
    known_once = moment(5, (face(BOX, identity=KNOWN),))
    assert marks(examined([moment(0, (replaced,)), *later, known_once])) == [True]
    assert marks(examined([moment(0, (replaced,))], known_in=("clip.mp4",))) == [True]
    assert marks(examined([moment(0, (replaced,))], known_in=("other.mp4",))) == [False]
    assert marks(examined([moment(0, (replaced,))], known_in=None)) == [True]  # nobody could tell


@pytest.mark.parametrize("identity", [KNOWN, {}])
def test_a_neighbour_that_was_recognised_or_not_examined_marks_a_crop(identity):
    faces = face(box_of(40, 50, 50), 1, identity=ANOTHER), face(box_of(94, 50, 50), 2, identity=identity)
    assert marks(examined([moment(0, faces)])) == [True, True]
    apart = faces[0], face(box_of(180, 120, 40), 2, identity=identity)
    assert sorted(marks(examined([moment(0, apart)]))) == [False, True]


@given(st.sets(st.integers(0, 29), max_size=12))
def test_every_single_bare_frame_is_found(spliced):
    moments = (moment(i, (face(BOX, seen=i % 5 == 0),), result=1 if i in spliced else 2) for i in range(30))
    section = examined(moments, lambda _image: [Sighted(BOX)])
    rows = section.tables[0].rows if section.tables else ()
    assert {i for _, first, last in rows for i in range(first, last + 1)} == spliced


def test_a_bare_place_between_two_looks_is_looked_at_again():
    """The head was elsewhere: what is untouched there is the wall."""
    true, guessed = box_of(150, 50, 60), box_of(20, 40, 60)
    shown = moment(3, (face(true),))
    shown = replace(shown, faces=(face(guessed, seen=False),))
    section = examined([shown], lambda _image: [Sighted(true)])
    assert figure(section, "bare_faces").value == 0
    doubtful = figure(section, "unconfirmed")
    assert (doubtful.value, doubtful.limit, doubtful.kept) == (1, "<= 0", None)
    assert section.verdict is Verdict.UNKNOWN
    assert "1 doubtful place could not be judged. That is not the same as safe." in section.sentence
    bare = moment(4, (face(true),), result=1)
    section = examined([shown, bare], lambda _image: [Sighted(true)])
    assert section.verdict is Verdict.FAILED
    assert section.sentence.endswith("Besides, 1 doubtful place could not be judged.")
    section = examined([shown], lambda _image: [Sighted(box_of(24, 44, 60))])
    assert figure(section, "bare_faces").value == 1


def test_the_detectors_are_asked_once_about_a_frame_however_many_places_are_in_doubt():
    boxes, asked = [box_of(5 + 60 * i, 60, 50) for i in range(3)], []
    shown = moment(3, tuple(face(box, i, seen=False) for i, box in enumerate(boxes)), result=1)

    def detect(image: Image) -> list[Sighted]:
        asked.append(image)
        return [Sighted(box) for box in boxes]

    section = examined([shown], detect)
    assert figure(section, "bare_faces").value == 3
    assert len(asked) == 1 and asked[0] is shown.original
    examined([moment(0, (face(BOX, seen=False),))], detect)
    assert len(asked) == 1  # nothing is in doubt


def test_no_face_is_not_safe():
    section = examined(moment(i, ()) for i in range(5))
    assert section.verdict is Verdict.UNKNOWN
    assert figure(section, "bare_faces").value is None
    assert "not the same as safe" in section.sentence


@pytest.mark.parametrize("beside", [{"unseen_frames": 9}, {"further_pictures": 1}])
def test_what_nobody_compared_is_not_safe(beside: dict[str, int]):
    for result, verdict in ((2, Verdict.UNKNOWN), (1, Verdict.FAILED)):
        leaks = Leaks(nobody, Limits(), Showable({}))
        leaks.look(moment(0, (face(BOX),), result=result))
        leaks.beside(**{"unseen_frames": 0, "further_pictures": 0} | beside)
        section = leaks.conclude()
        assert section.verdict is verdict
        [(name, count)] = beside.items()
        told = figure(section, name)
        assert (told.value, told.limit, told.kept) == (count, "<= 0", None)
        assert told.note
        assert f"{count} further" in section.sentence and "could not be judged" in section.sentence


def test_a_bare_crop_is_marked_as_an_original_and_its_place_is_hidden():
    section = examined([moment(0, (face(BOX),), result=1)])
    by_name = {picture.name: picture for picture in section.pictures}
    assert by_name["result_1"].original
    place = by_name["place_1"]
    assert not place.original
    inner = place.image[70:110, 90:130].reshape(-1, 3)  # well inside the face, away from the red frame
    assert len(np.unique(inner, axis=0)) <= 9


def test_the_place_hides_every_face():
    picture = painted(texture(0, *SIZE), BOX, 1)
    assert len(np.unique(place_of(picture, BOX, [BOX])[60:120, 80:140].reshape(-1, 3), axis=0)) < 30


def test_runs_end_with_the_file():
    runs = Runs()
    for source, index in (("a", 1), ("a", 2), ("b", 3), ("b", 4), ("b", 5)):
        runs.add(source, index, index / 25, 1 / 25)
    assert (runs.count, runs.longest_frames, runs.longest_at) == (2, 3, ("b", 3 / 25))
    assert runs.longest_s == pytest.approx(3 / 25)


@given(st.lists(st.tuples(st.floats(0, 10_000), st.floats(0, 1)), min_size=1))
def test_the_course_keeps_the_largest_and_stays_short(values):
    course = Timeline[float](max, 0.25, most=20)
    for time_s, share in values:
        course.add(time_s, share)
    times, shares = course.points()
    assert len(times) <= 20
    assert max(shares) == max(share for _, share in values)


def test_a_bare_neighbour_in_a_crop_marks_it_as_original():
    hidden = face(box_of(40, 50, 50), identity=ANOTHER)
    beside = face(box_of(94, 50, 50), 2, identity=ANOTHER)
    covered = moment(0, (hidden, beside))
    result = covered.result.copy()
    result[50:100, 94:144] = covered.original[50:100, 94:144]
    assert marks(examined([replace(covered, result=result)])) == [True, True]
    assert marks(examined([covered])) == [False, False]


def test_sentences_count_in_words():
    one = examined([moment(0, (face(BOX),), result=1)]).sentence
    assert one.startswith("100 % of the faces can be seen in the result: 1 of 1, on 1 of 1 frame;")
    assert "the longest run is 1 frame, from 0.00 s on in clip.mp4" in one
    assert examined([moment(0, (face(BOX),))]).sentence == (
        "None of 1 face on 1 frame can be seen at its place in the result."
    )


def test_the_ranking_shows_different_moments():
    section = examined(moment(i, (face(BOX),), result=1) for i in range(60))
    shown = [picture for picture in section.pictures if picture.name.startswith("result")]
    assert 2 <= len(shown) <= 3
    assert Ranking(3).wants(0.0)
