"""The examiner of utility, on drawn moments and made-up facts."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from streamfilter.audit.container_facts import ContainerFacts, Fate, TrackFacts
from streamfilter.audit.landmarks import Landmarks68, dlib_square
from streamfilter.audit.limits import Limits
from streamfilter.audit.moment import Face, Moment
from streamfilter.audit.sampling import Pace, Reservoir
from streamfilter.audit.section import Figure, Section, Verdict
from streamfilter.audit.utility import NearDetector, Utility
from streamfilter.audit.utility.background import background_psnr
from streamfilter.errors import ModelError
from streamfilter.structures import Doubles, Floats, Image
from tests import audit_kit
from tests.synthetic_face import face_shape, placed

FACTS = ContainerFacts(
    original_frames=250,
    result_frames=250,
    unpaired_frames=0,
    unexamined_frames=0,
    shift_ms=0.0,
    time_error_ms=0.0,
    original_size=(240, 180),
    result_size=(240, 180),
    tracks=(TrackFacts(kind="audio", codec="aac", fate=Fate.IDENTICAL),),
    added_tracks=0,
    still=False,
    matched_by="number",
)
BOX = audit_kit.box_of(80, 50, 60)
SAME = [("clip.mp4", FACTS)]


class Finds:
    """Finds a face where the answer for the original or the result says so; counts how often it was asked."""

    def __init__(self, original: bool = True, result: bool | Callable[[int], bool] = True) -> None:
        self.original, self.result = original, result
        self.asked = 0

    def near(self, image: Image, box: Doubles) -> bool:
        assert box.shape == (4,)
        self.asked += 1
        if image[0, 0, 0] == ORIGINAL:
            return self.original
        return self.result(self.asked) if callable(self.result) else self.result


ORIGINAL, RESULT = 7, 9


def marked(moment: Moment) -> Moment:
    """The first pixel tells the detectors of these tests which picture they see."""
    before, after = moment.original.copy(), moment.result.copy()
    before[0, 0], after[0, 0] = ORIGINAL, RESULT
    return replace(moment, original=before, result=after)


DRAWN = marked(audit_kit.moment(0, (audit_kit.face(BOX),)))


def talking(time_s: float, *, still: bool = False) -> Floats:
    """Landmarks of a face that opens its mouth twice a second and blinks."""
    if still:
        return placed(face_shape(), x=110, y=70, size=25)
    mouth = 0.5 + 0.5 * np.sin(4 * np.pi * time_s)
    return placed(face_shape(eyes=0.2 + 0.8 * abs(np.cos(3 * time_s)), mouth=mouth), x=110, y=70, size=25)


def shown(
    landmarks: Callable[[float], tuple[Floats, Floats] | None] = lambda t: (talking(t), talking(t)),
    *,
    frames: Sequence[int] = range(0, 250, 5),
    detectors: dict[str, NearDetector] | None = None,
    facts: Sequence[tuple[str, ContainerFacts]] = SAME,
    drawn: Moment = DRAWN,
) -> Section:
    """What an examiner says of one face over ten seconds."""
    finds: dict[str, NearDetector] = {"dlib": Finds(), "mtcnn": Finds()}
    utility = Utility(finds if detectors is None else detectors, Limits(), facts)
    for index in frames:
        face = audit_kit.face(BOX, landmarks=landmarks(index / 25))
        utility.look(replace(drawn, index=index, time_s=index / 25, faces=(face,)))
    return utility.conclude()


def figure(section: Section, name: str) -> Figure:
    return next(figure for figure in section.figures if figure.name == name)


def value(section: Section, name: str) -> float | None:
    return figure(section, name).value


def test_a_face_that_does_the_same_passes() -> None:
    section = shown()
    assert section.verdict is Verdict.PASSED
    assert value(section, "redetected_dlib") == value(section, "redetected_mtcnn") == 1
    assert value(section, "nme") == value(section, "yaw_difference") == 0
    assert value(section, "eyes_correlation") == pytest.approx(1)
    assert value(section, "mouth_correlation") == pytest.approx(1)
    assert value(section, "expression_agreement") == 1
    assert value(section, "background_psnr") > 60
    assert value(section, "frames_identical") == value(section, "times_identical") == value(section, "audio_kept") == 1


def test_detectors_look_at_a_track_once_a_second() -> None:
    finds = Finds()
    section = shown(detectors={"dlib": finds, "mtcnn": Finds()})
    assert figure(section, "redetected_dlib").n == 10
    assert finds.asked == 20


def test_two_faces_are_looked_at_independently() -> None:
    finds = Finds()
    utility = Utility({"dlib": finds}, Limits(), SAME)
    for index in range(0, 50, 5):
        faces = (audit_kit.face(BOX, 1), audit_kit.face(audit_kit.box_of(10, 100, 50), 2))
        utility.look(replace(DRAWN, time_s=index / 25, faces=faces))
    assert finds.asked == 8


def test_each_detector_has_its_own_denominator() -> None:
    section = shown(detectors={"dlib": Finds(), "mtcnn": Finds(original=False)})
    assert value(section, "redetected_dlib") == 1
    assert value(section, "redetected_mtcnn") is None
    assert figure(section, "redetected_mtcnn").kept is None
    assert section.verdict is Verdict.UNKNOWN


def test_a_covered_face_fails_and_its_landmarks_say_nothing() -> None:
    section = shown(detectors={"dlib": Finds(result=False), "mtcnn": Finds(result=False)})
    assert section.verdict is Verdict.FAILED
    assert value(section, "redetected_dlib") == 0
    assert value(section, "landmarks_measured") == 0
    assert value(section, "nme") is value(section, "mouth_correlation") is None
    assert "dlib's detector" in section.sentence
    assert "on 0 % of the faces only" in section.sentence


def test_a_missing_detector_is_not_a_pass() -> None:
    section = shown(detectors={"dlib": Finds()})
    assert section.verdict is Verdict.UNKNOWN
    assert figure(section, "redetected_mtcnn").kept is None


def test_few_faces_are_not_judged() -> None:
    section = shown(frames=range(0, 75, 5))
    assert value(section, "redetected_dlib") == 1
    assert figure(section, "redetected_dlib").kept is None
    assert section.verdict is Verdict.UNKNOWN


def test_nothing_at_all_is_not_a_pass() -> None:
    section = Utility({"dlib": Finds(), "mtcnn": Finds()}, Limits()).conclude()
    assert section.verdict is Verdict.UNKNOWN
    assert all(figure.kept is None for figure in section.figures)
    assert not section.plots and not section.tables


def test_frames_that_were_not_sampled_and_faces_put_between_are_passed_over() -> None:
    finds = Finds()
    utility = Utility({"dlib": finds}, Limits())
    utility.look(marked(audit_kit.moment(0, (audit_kit.face(BOX),), sampled=False)))
    utility.look(marked(audit_kit.moment(1, (audit_kit.face(BOX, seen=False),))))
    assert finds.asked == 0


def test_a_frozen_face_does_not_follow() -> None:
    section = shown(lambda t: (talking(t), talking(t, still=True)))
    assert value(section, "mouth_correlation") is None  # one of the two does not move
    assert value(section, "expression_agreement") == 0
    assert value(section, "nme") > 0


def test_a_mouth_that_does_the_opposite_is_found() -> None:
    section = shown(lambda t: (talking(t), talking(t + 0.25)))
    assert value(section, "mouth_correlation") < -0.9


def test_a_moved_face_has_its_landmark_error() -> None:
    # The outer eye corners of the drawn face are 1.44 of its size apart.
    section = shown(lambda t: (talking(t), talking(t) + np.float32([3.6, 0])))
    assert value(section, "nme") == pytest.approx(3.6 / (1.44 * 25), rel=1e-3)
    assert value(section, "nme_inner_p95") == pytest.approx(0.1, rel=1e-3)
    assert value(section, "rotation_difference") == pytest.approx(0, abs=1e-3)


def test_photos_are_one_course_and_draw_no_timeline() -> None:
    utility = Utility({}, Limits(), [(f"{i}.jpg", replace(FACTS, still=True, tracks=())) for i in range(20)])
    for i in range(20):
        points = talking(i / 9)
        face = audit_kit.face(BOX, i, landmarks=(points, points))
        utility.look(replace(DRAWN, faces=(face,), source=f"{i}.jpg", still=True))
    section = utility.conclude()
    assert value(section, "mouth_correlation") == pytest.approx(1)
    assert figure(section, "mouth_correlation").n == 20
    assert value(section, "expression_agreement") is None
    assert [plot.name for plot in section.plots] == ["nme"]
    assert figure(section, "audio_kept").limit is figure(section, "times_identical").limit is None


def test_the_timeline_shows_the_track_with_most_looks() -> None:
    section = shown()
    eyes, mouth, _ = section.plots
    assert (eyes.name, mouth.name) == ("eyes_opening", "mouth_opening")
    assert [series.name for series in mouth.series] == ["original", "result"]
    assert len(mouth.series[0].x) == 50
    assert mouth.series[0].y == mouth.series[1].y
    assert np.ptp(mouth.series[0].y) > 5


@pytest.mark.parametrize(
    ("change", "broken"),
    [
        ({"result_frames": 249}, {"frames_identical", "times_identical"}),
        ({"unpaired_frames": 3}, {"frames_identical", "times_identical"}),
        ({"time_error_ms": 20.0}, {"times_identical"}),
        ({"shift_ms": -40.0}, {"times_identical"}),
        ({"result_size": (240, 184)}, {"size_identical"}),
        ({"tracks": (TrackFacts(kind="audio", codec="aac", fate=Fate.MISSING),)}, {"audio_kept"}),
        ({"tracks": (TrackFacts(kind="audio", codec="aac", fate=Fate.ALTERED),)}, {"audio_kept"}),
        ({"tracks": (TrackFacts(kind="audio", codec="aac", fate=Fate.REENCODED),)}, set()),
        ({"tracks": (TrackFacts(kind="subtitle", codec="mov_text", fate=Fate.MISSING),)}, set()),
    ],
)
def test_what_became_of_the_file(change: dict[str, object], broken: set[str]) -> None:
    section = shown(facts=[*SAME, ("other.mp4", replace(FACTS, **change))])
    found = {figure.name for figure in section.figures if figure.kept is False}
    assert found == broken
    assert section.verdict is (Verdict.FAILED if broken else Verdict.PASSED)
    table = next(table for table in section.tables if table.name == "container")
    assert len(table.rows) == 2
    if broken:
        assert table.rows[0][0] == "other.mp4"


def test_facts_may_come_last() -> None:
    facts: list[tuple[str, ContainerFacts]] = []
    utility = Utility({}, Limits(), facts)
    facts += SAME
    assert value(utility.conclude(), "frames_identical") == 1


def test_a_changed_background_fails() -> None:
    def noisy(moment: Moment) -> Moment:
        noise = np.random.default_rng(0).normal(0, 20, moment.result.shape)
        return replace(moment, result=np.clip(moment.result + noise, 0, 255).astype(np.uint8))

    utility, changed = Utility({}, Limits(), SAME), noisy(DRAWN)
    for index in range(0, 50, 5):
        utility.look(replace(changed, time_s=index / 25))
    section = utility.conclude()
    assert value(section, "background_psnr") == pytest.approx(22.1, abs=0.4)
    assert figure(section, "background_psnr").kept is False
    assert figure(section, "background_psnr").n == 2


def test_the_background_ends_where_faces_begin() -> None:
    face = audit_kit.face(BOX)
    assert background_psnr(audit_kit.moment(0, (face,))) == 100
    assert background_psnr(audit_kit.moment(0, ())) == 100
    assert background_psnr(replace(audit_kit.moment(0, (face,)), faces=())) < 40
    assert background_psnr(replace(DRAWN, faces=(audit_kit.face(audit_kit.box_of(-40, -40, 350)),))) is None


def test_one_track_gives_no_interval_and_says_so() -> None:
    found = figure(shown(detectors={"dlib": Finds(), "mtcnn": Finds()}), "redetected_dlib")
    assert found.value == 1 and found.low is None and found.high is None
    assert "One track: no interval." in found.note and found.counted == "face"


def test_an_untouched_copy_says_nothing_about_an_anonymiser() -> None:
    assert "still the original ones" in shown(drawn=replace(DRAWN, result=DRAWN.original)).sentence
    assert "original ones" not in shown().sentence


def test_a_pace_lets_each_track_through_once_in_a_while() -> None:
    pace = Pace(1.0)
    assert [t for t in range(16) if pace.due("a", t / 4, 1)] == [0, 4, 8, 12]
    assert pace.due("a", 3.9, 2) and not pace.due("a", 4.0, 2)
    assert pace.due("b", 0.0, 2), "another file has other tracks"


def test_memory_is_bounded() -> None:
    pool = Reservoir(np.dtype([("n", "f8")]), most=100)
    for n in range(10_000):
        pool.add(n)
    assert pool.seen == 10_000
    assert len(pool.rows) == 100
    assert 4000 < pool.rows["n"].mean() < 6000


def test_fewer_rows_are_all_kept() -> None:
    pool = Reservoir(np.dtype([("n", "f8")]))
    for n in range(200):
        pool.add(n)
    assert pool.rows["n"].tolist() == list(range(200))


def test_the_square_of_a_face_goes_with_it() -> None:
    points = audit_kit.points_of(BOX)
    square = dlib_square(points)
    assert square[2] - square[0] == pytest.approx(square[3] - square[1])
    assert dlib_square(points + [10, 20]) == pytest.approx(square + [10, 20, 10, 20])
    assert (square[2] - square[0]) * 2 == pytest.approx(np.ptp(dlib_square(points * 2)[[0, 2]]))
    # About as large as the face itself, eyes above its middle.
    assert 0.8 < (square[2] - square[0]) / 60 < 1.3
    assert square[1] < points[:2, 1].mean() < (square[1] + square[3]) / 2


def test_a_file_that_is_no_predictor_is_named(tmp_path: Path) -> None:
    path = tmp_path / "points.dat"
    path.write_bytes(b"nothing of the kind")
    with pytest.raises(ModelError, match=r"points\.dat.*models pull audit"):
        Landmarks68.load(path)


@pytest.mark.real
def test_a_photo_and_its_blurred_copy(real_data: Path, audit_models: Path) -> None:
    import cv2

    from streamfilter.audit.detect.hog import Hog

    path = next((real_data / "faces" / "lfw" / "Aaron_Sorkin").glob("*.jpg"))
    original = np.ascontiguousarray(cv2.imread(str(path))[..., ::-1])
    result = cv2.GaussianBlur(original, (0, 0), 1.0)
    box = Hog()(original)[0, :4]
    points = audit_kit.points_of(np.asarray(box, np.float32))
    landmarks = Landmarks68.load(audit_models / "shape_predictor_68_face_landmarks.dat").pair(original, result, points)
    face = Face(track=1, xyxy=np.asarray(box, np.float32), points=points, landmarks=landmarks)
    utility = Utility({"dlib": Hog()}, Limits())
    utility.look(Moment(source="a.jpg", index=0, time_s=0, original=original, result=result, faces=(face,), still=True))
    section = utility.conclude()
    assert value(section, "redetected_dlib") == 1
    assert 0 < value(section, "nme") < 0.05
    assert (box[:2] < landmarks[0].mean(0)).all() and (landmarks[0].mean(0) < box[2:]).all()
