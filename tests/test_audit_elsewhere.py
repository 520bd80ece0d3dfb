"""The search for people of the original anywhere in the result: moved, turned, pasted, early or late."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from statistics import NormalDist

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from streamfilter.audit.elsewhere import Anywhere, Elsewhere, Look, Looks
from streamfilter.audit.elsewhere.people import FAR, People, passing, stricter
from streamfilter.audit.elsewhere.records import MOST_LISTED, MOST_PICTURES, Known, Place, Records, Waiting
from streamfilter.audit.limits import Limits
from streamfilter.audit.moment import Moment
from streamfilter.audit.recognise import Calibration, OperatingPoint
from streamfilter.audit.reidentify.findings import Findings
from streamfilter.audit.reidentify.wording import sentence
from streamfilter.audit.report import AuditReport
from streamfilter.audit.run import audit
from streamfilter.audit.section import Figure, Picture, Section, Verdict
from streamfilter.audit.settings import AuditConfig
from streamfilter.structures import Floats, Image
from tests.audit_fakes import BOX, SIZE, Detector, Recogniser, Sighting, tools, written
from tests.audit_kit import box_of, face, moment, painted, person, points_of, unit

FRAMES, LOOKS = 30, 7
CORNER = box_of(2, 2, 44)
MOVED = box_of(90, 50, 80)
GREY = np.full((*SIZE, 3), 128, np.uint8)
CONFIG = AuditConfig(limits=Limits(fewest_pairs=2))
NORMAL = NormalDist(sigma=0.1)
PLACE = Place(source="a.mp4", time_s=1.0, turned=0)


def calibrated(name: str = "fake") -> Calibration:
    """Of a recogniser in whose eyes the cosines of strangers are normal with a deviation of .1."""
    rates = (1e-2, 1e-3, 1e-4)
    points = tuple(
        OperatingPoint(false_accepts=rate, threshold=-NORMAL.inv_cdf(rate), true_accepts=1.0) for rate in rates
    )
    return replace(Recogniser.calibration, model=name, points=points)


class Named(Recogniser):
    """One of several recognisers."""

    def __init__(self, name: str) -> None:
        self.name, self.calibration = name, calibrated(name)


def at(*boxes: Floats, turned: int = 0, image: Image = GREY) -> Look:
    return Look(image=image, turned=turned, sightings=tuple(Sighting(box, points_of(box)) for box in boxes))


def known_as(number: int, time_s: float) -> Moment:
    """A moment at which the original shows the face with this texture."""
    whole = painted(GREY, BOX, number)
    vector = Recogniser().embed(whole, points_of(BOX)[None])[0]
    return replace(moment(round(time_s * 25), (face(BOX, identity={"fake": (vector, -vector)}),)), time_s=time_s)


def searched(*moments: tuple[Moment, tuple[Look, ...]]) -> Anywhere | None:
    search = Elsewhere([Recogniser()], Limits())
    for shown, looks in moments:
        search.look(shown, looks)
    return search.conclude()


def audited(tmp_path: Path, results: list[Image], boxes: tuple[Floats, ...] = (BOX, CORNER, MOVED)) -> AuditReport:
    original = written(tmp_path / "original.mp4", [painted(GREY, BOX, 1)] * FRAMES)
    return audit(original, written(tmp_path / "result.mp4", results), tools(Seeing(boxes)), CONFIG)


class Seeing(Detector):
    """Finds a face where a box is filled to its edges: on grey, no box that lies half beside it."""

    def __call__(self, image: Image) -> tuple[Sighting, ...]:
        found = super().__call__(image)
        return tuple(seen for seen in found if filled(image, seen.xyxy))


def filled(image: Image, box: Floats) -> bool:
    x0, y0, x1, y1 = box.round().astype(int)
    edges = [image[y0:y1, x0 : x0 + 6], image[y0:y1, x1 - 6 : x1], image[y0 : y0 + 6, x0:x1], image[y1 - 6 : y1, x0:x1]]
    return all(edge.std() > 20 for edge in edges)


def found(report: AuditReport) -> tuple[Figure, Section]:
    section = next(section for section in report.sections if section.name == "reid")
    return next(figure for figure in section.figures if figure.name == "recognised_anywhere"), section


def crops_of_the_result(report: AuditReport) -> list[Picture]:
    """Those in the section on leaks, and the strips in that on consistency."""
    pictures = [picture for section in report.sections for picture in section.pictures]
    return [picture for picture in pictures if picture.name.startswith(("result_", "track_"))]


# --- a whole audit ---------------------------------------------------------------------------------------------------


def test_a_face_that_was_moved_is_recognised(tmp_path):
    report = audited(tmp_path, [painted(GREY, MOVED, 1)] * FRAMES)
    figure, section = found(report)
    assert report.sections[0].verdict is Verdict.PASSED  # nothing of it is left at its place
    assert (figure.value, figure.kept) == (LOOKS, False)
    assert section.verdict is Verdict.FAILED
    assert section.sentence.startswith(f"In {figure.value} of {figure.n} faces that were found in the result")
    crops = crops_of_the_result(report)
    assert len(crops) > 1 and all(crop.original for crop in crops)


def test_a_face_that_was_pasted_into_a_corner_is_recognised(tmp_path):
    small = painted(painted(GREY, BOX, 2), CORNER, 1)
    scaled = painted(GREY, BOX, 1)[50:130, 70:150][::2, ::2]
    small[2:46, 2:46] = np.pad(scaled, ((2, 2), (2, 2), (0, 0)), mode="edge")
    figure, section = found(audited(tmp_path, [small] * FRAMES))
    assert figure.value == LOOKS
    [table] = [table for table in section.tables if table.name == "recognised_anywhere"]
    assert {row[0] for row in table.rows} == {"original.mp4"}
    assert section.pictures and all(shown.original for shown in section.pictures)


def test_a_picture_that_was_turned_is_recognised(tmp_path):
    turned = np.rot90(painted(GREY, BOX, 1), 2).copy()
    figure, section = found(audited(tmp_path, [turned] * FRAMES, boxes=(BOX,)))
    assert figure.value
    [table] = [table for table in section.tables if table.name == "recognised_anywhere"]
    assert {row[2] for row in table.rows} == {"turned by 180°"}


def test_an_invented_person_is_not_recognised(tmp_path):
    report = audited(tmp_path, [painted(GREY, BOX, 2)] * FRAMES)
    figure, section = found(report)
    assert (figure.value, figure.kept) == (0, True)
    crops = crops_of_the_result(report)
    assert len(crops) > 1 and not any(crop.original for crop in crops)
    assert figure.n and not section.pictures
    assert not [table for table in section.tables if table.name == "recognised_anywhere"]


def test_a_result_without_faces_was_searched_too(tmp_path):
    figure, _ = found(audited(tmp_path, [GREY] * FRAMES))
    assert (figure.value, figure.n, figure.kept) == (0, 0, True)
    assert "pictures of the result searched for 1 person" in figure.note


def test_nobody_to_compare_with_is_not_safe(tmp_path):
    pair = written(tmp_path / "a.mp4", [GREY] * 10), written(tmp_path / "b.mp4", [painted(GREY, BOX, 1)] * 10)
    figure, section = found(audit(*pair, tools(Seeing((BOX,))), CONFIG))
    assert (figure.value, figure.kept) == (None, None)
    assert section.verdict is Verdict.UNKNOWN


# --- who is known ----------------------------------------------------------------------------------------------------


def test_the_order_in_time_does_not_matter():
    early = at(CORNER, image=painted(GREY, CORNER, 7))
    nobody, somebody = replace(moment(0, ()), time_s=0.0), known_as(7, 5.0)
    vector = Recogniser().embed(early.image, points_of(CORNER)[None])[0]
    somebody = replace(somebody, faces=(replace(somebody.faces[0], identity={"fake": (vector, vector)}),))
    late = searched((somebody, ()), (nobody, (early,)))
    first = searched((nobody, (early,)), (somebody, ()))
    assert late and first and late.figure.value == first.figure.value == 1
    assert len(late.pictures) == 1 and not first.pictures


def test_where_nothing_was_looked_at_nothing_is_said():
    assert searched((known_as(1, 0.0), ())) is None


def test_two_recognisers_must_know_the_same_person():
    one, other = person(1, 128), person(2, 128)
    people = People([Named("a"), Named("b")])
    people.add("one", {"a": one, "b": one})
    people.add("other", {"a": other, "b": other})
    faces = [{"a": one, "b": one}, {"a": one, "b": other}, {"a": one, "b": person(3, 128)}]
    known = people.known(faces)
    assert known[0] == {"a": pytest.approx(1), "b": pytest.approx(1)}
    assert known[1:] == [None, None]


def test_of_three_recognisers_two_suffice():
    people = People([Named("a"), Named("b"), Named("c")])
    people.add("one", dict.fromkeys("abc", person(1, 128)))
    two = {"a": person(1, 128), "b": person(2, 128), "c": person(1, 128)}
    assert people.known([two])[0] is not None


@given(st.integers(1, 4000))
def test_the_more_people_the_more_is_asked_for(count: int):
    threshold = stricter(calibrated(), FAR / count)
    assert threshold == pytest.approx(-NORMAL.inv_cdf(FAR / count), abs=1e-6)


def test_strangers_among_many_people_are_nobody():
    """Of 20,000 strangers one recogniser alone would take about 2 for somebody, however many people there are."""
    random = np.random.default_rng(0)
    people = People([Named("a")])
    for number in range(100):
        people.add(str(number), {"a": person(number, 100)})  # cosines have a deviation of .1
    strangers = [{"a": unit(random.normal(size=100).astype(np.float32))} for _ in range(20_000)]
    assert sum(one is not None for one in people.known(strangers)) <= 8
    assert all(people.known([{"a": person(number, 100)}])[0] for number in range(100))


def crowd(count: int, spread: float, each: int = 2) -> People:
    people = People([Named("a"), Named("b")])
    for number in range(count * each):
        vector = unit(person(number % count, 128) + spread * person(number + 50_000, 128))
        people.add(str(number % count), {"a": vector, "b": vector})
    return people


def test_the_more_people_the_fewer_of_their_own_faces_would_be_known():
    """Cosines of about .5 within a person: 1 of 10,000 strangers reaches .37, 1 of 10,000 among 4,000 people .55."""
    powers = [crowd(count, spread=1.0).power() for count in (2, 100, 2000)]
    assert powers[0] > 0.9 and powers[-1] < 0.5
    assert powers == sorted(powers, reverse=True)
    assert crowd(2000, spread=0.2).power() == 1.0


def test_where_nobody_was_shown_twice_the_calibration_tells_the_power():
    weak = calibrated()
    shares = {1e-2: 0.9, 1e-3: 0.6, 1e-4: 0.3}
    weak = replace(weak, points=tuple(replace(p, true_accepts=shares[p.false_accepts]) for p in weak.points))
    assert passing(weak, weak.threshold(1e-4)) == pytest.approx(0.3)
    assert passing(weak, weak.threshold(1e-3)) == pytest.approx(0.6)
    assert passing(weak, stricter(weak, FAR / 1000)) < 0.1
    assert passing(Recogniser.calibration, 0.5) > 0.99  # of one threshold for all rates
    one = Named("a")
    one.calibration = weak
    people = People([one])
    people.add("one", {"a": person(1, 128)})
    assert people.power() == pytest.approx(0.3)
    assert crowd(1, 0.0, each=1).power() > 0.99


def test_a_search_that_would_find_nobody_is_not_judged():
    recogniser = Named("a")
    search = Elsewhere([recogniser], Limits())
    for number in range(40):  # nobody is like himself
        shown = replace(moment(0, (face(BOX, identity={"a": (person(number, 128),) * 2}, label=str(number % 20)),)))
        search.look(shown, ())
    search.look(replace(moment(1, ())), (at(),))
    weak = search.conclude()
    assert weak and (weak.figure.value, weak.figure.kept, weak.known_in) == (0, None, None)
    assert "could not be judged: among 20 people only 0 % of the originals" in weak.sentence
    strong = searched((known_as(1, 0.0), (at(),)))
    assert strong and (strong.figure.kept, strong.known_in, strong.sentence) == (True, frozenset(), "")


# --- when it looks ---------------------------------------------------------------------------------------------------


def test_the_result_is_looked_at_often_at_first_then_once_a_second():
    detector = Detector()
    looks, times = Looks(detector), {}
    for index in range(500):  # 20 s
        shown = moment(index, (), sampled=index % 5 == 0)
        if seen := looks(shown):
            times[index] = [look.turned for look in seen]
    assert list(times)[:8] == list(range(0, 40, 5))
    assert np.diff(list(times)[8:]).tolist() == [25] * (len(times) - 9)
    turns = [turned for look in times.values() for turned in look[1:]]
    assert turns[:4] == [180, 90, 270, 180]
    assert [index for index, look in enumerate(times.values()) if len(look) > 1] == list(range(0, len(times), 5))
    assert detector.looks == len(times) + len(turns)


def test_every_film_is_turned_at_its_beginning_and_every_fifth_photo():
    looks = Looks(Detector())
    first = [looks(replace(moment(0, ()), source=str(number))) for number in range(3)]
    assert [[look.turned for look in seen] for seen in first] == [[0, 180]] * 3
    looks = Looks(Detector())
    photos = [looks(replace(moment(0, ()), source=str(number), still=True)) for number in range(11)]
    assert [[look.turned for look in seen][1:] for seen in photos] == [[180], *[[]] * 4, [90], *[[]] * 4, [270]]


def test_faces_where_the_original_has_none_go_first():
    places = [box_of(5 + 45 * i, 60, 40) for i in range(5)]
    home = replace(moment(0, tuple(face(box, track=i) for i, box in enumerate(places))), source="x")
    search = Elsewhere([Recogniser()], Limits())
    search.look(home, (at(*places, box_of(5, 5, 20), image=home.result),))
    assert search.records.faces == 4
    boxes = [box_of(5, 5, 20), *places[:3]]
    expected = Recogniser().embed(home.result, np.stack([points_of(box) for box in boxes]))
    got = np.stack([waiting.embeddings["fake"] for waiting in search.records.waiting])
    np.testing.assert_array_equal(got, expected)


# --- memory ----------------------------------------------------------------------------------------------------------


def test_memory_is_bounded():
    records, vector = Records(most_waiting=10), person(1)
    for _ in range(1000):
        crop = GREY if records.room_for_a_picture else None
        records.recognised(Known(place=PLACE, cosines={}, crop=crop))
        records.wait(Waiting(place=PLACE, embeddings={"fake": vector}))
    assert records.count == 1000
    assert len(records.known) == MOST_LISTED and len(records.waiting) == 10
    assert sum(one.crop is not None for one in records.known) == MOST_PICTURES


def test_of_too_many_people_those_who_were_shown_least_are_forgotten():
    people = People([Named("a")], most=5)
    for number in range(50):
        people.add("host", {"a": person(0, 128)})
        people.add(f"guest {number}", {"a": person(number + 1, 128)})
    assert (len(people), people.forgotten) == (5, 46)
    assert people.known([{"a": person(0, 128)}, {"a": person(1, 128)}])[0] is not None


# --- what is said ----------------------------------------------------------------------------------------------------


def test_a_weak_search_does_not_hide_what_was_judged_at_the_place():
    found = Findings(recogniser="a", thresholds={}, scores=(), ranks=())
    safe = Figure(name="tar", label="TAR", value=0.0, unit="share", n=30, limit="<= 0.01", kept=True)
    said = sentence(Verdict.UNKNOWN, [(found, safe)], "Elsewhere is not judged.")
    assert said.startswith("Elsewhere is not judged. At its place a person can be recognised in 0 % of 30 comparisons")
    short = replace(safe, value=None, kept=None, note="3 pairs; 20 are needed")
    assert "could not be judged: a: 3 pairs" in sentence(Verdict.UNKNOWN, [(found, short)])
    assert "there was no recogniser" in sentence(Verdict.UNKNOWN, [])
