"""The audit as a whole, with stand-ins for its models: what was put into a film is what the report says."""

from __future__ import annotations

import random
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from pathlib import Path

import cv2
import numpy as np
import pytest

from streamfilter.audit import in_step
from streamfilter.audit.closer import CloserLook
from streamfilter.audit.consistency.strips import SIDE_PX, SURROUNDINGS
from streamfilter.audit.crops import Square
from streamfilter.audit.detect import centerface, mtcnn, yunet
from streamfilter.audit.leaks.pictures import AROUND, CROP_PX
from streamfilter.audit.limits import Limits
from streamfilter.audit.report.as_json import as_json
from streamfilter.audit.run import audit
from streamfilter.audit.section import Verdict
from streamfilter.audit.settings import AuditConfig
from streamfilter.audit.tools import Tools
from streamfilter.errors import ConfigError, InputError
from streamfilter.media.damage import Damage
from tests.audit_fakes import BOX, Detector, Recogniser, film, picture, tools
from tests.audit_kit import box_of, face, moment, points_of

FRAMES = 60
CONFIG = AuditConfig(limits=Limits(fewest_pairs=2))


@pytest.fixture(scope="module")
def original(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return film(tmp_path_factory.mktemp("audit") / "original.mp4", [1] * FRAMES)


def figures(report) -> dict[str, object]:
    return {figure.name: figure.value for section in report.sections for figure in section.figures}


def tables(report) -> list[object]:
    return [table.rows for section in report.sections for table in section.tables]


def verdicts(report) -> dict[str, Verdict]:
    return {section.name: section.verdict for section in report.sections}


def test_an_untouched_copy_leaks_everywhere_and_everyone_is_known(original, tmp_path):
    report = audit(original, film(tmp_path / "copy.mp4", [1] * FRAMES), tools(), CONFIG)
    assert figures(report)["bare_faces"] == FRAMES
    assert figures(report)["longest_run_frames"] == FRAMES
    assert verdicts(report)["leak"] is Verdict.FAILED
    assert report.verdict is Verdict.FAILED
    assert figures(report)["gallery_tar_1e3_fake"] == 1.0


def test_an_invented_person_is_neither_seen_nor_known(original, tmp_path):
    report = audit(original, film(tmp_path / "other.mp4", [2] * FRAMES), tools(), CONFIG)
    assert figures(report)["bare_faces"] == 0
    assert verdicts(report)["leak"] is Verdict.PASSED
    assert figures(report)["gallery_tar_1e3_fake"] == 0
    [file] = report.files
    assert (file.frames, file.faces, file.tracks) == (FRAMES, FRAMES, 1)
    assert file.duration_s == pytest.approx((FRAMES - 1) / 25)


def test_ten_frames_that_were_put_back_are_found_each_one(original, tmp_path):
    spliced = set(random.Random(3).sample(range(FRAMES), 10))
    result = film(tmp_path / "spliced.mp4", [1 if i in spliced else 2 for i in range(FRAMES)])
    report = audit(original, result, tools(), CONFIG)
    [leak] = [section for section in report.sections if section.name == "leak"]
    [table] = [table for table in leak.tables if table.name == "bare_spans"]
    assert {i for _, first, last in table.rows for i in range(first, last + 1)} == spliced


def test_a_tail_that_stands_beside_nothing_is_no_pass(original, tmp_path):
    report = audit(original, film(tmp_path / "tail.mp4", [2] * FRAMES + [1] * 9), tools(), CONFIG)
    assert (figures(report)["bare_faces"], figures(report)["unseen_frames"]) == (0, 9)
    assert verdicts(report)["leak"] is Verdict.UNKNOWN
    still = audit(original, film(tmp_path / "still.mp4", [2] * (FRAMES + 9)), tools(), CONFIG)
    assert verdicts(still)["leak"] is Verdict.PASSED


def test_the_wrong_order_is_told(original, tmp_path):
    blurred = film(tmp_path / "blurred.mp4", [None] * FRAMES)
    assert audit(original, blurred, tools(), CONFIG).sections[0].verdict is Verdict.PASSED
    with pytest.raises(InputError, match="wrong order"):
        audit(blurred, original, tools(), CONFIG)


def test_no_faces_are_not_safe(tmp_path):
    empty = film(tmp_path / "a.mp4", [None] * 20), film(tmp_path / "b.mp4", [None] * 20)
    report = audit(*empty, tools(), CONFIG)
    assert report.verdict is Verdict.UNKNOWN
    assert verdicts(report)["leak"] is Verdict.UNKNOWN


def test_lengths_and_sizes_that_do_not_fit_are_refused(original, tmp_path):
    with pytest.raises(InputError, match="same video"):
        audit(original, film(tmp_path / "short.mp4", [2] * 20), tools(), CONFIG)
    with pytest.raises(InputError):
        audit(original, film(tmp_path / "wide.mp4", [2] * FRAMES, size=(120, 320), boxes=()), tools(), CONFIG)


def test_folders_of_photos_of_people(tmp_path):
    for folder, shift in (("originals", 0), ("results", 50)):
        for person in (1, 2):
            for number in (1, 2):
                path = tmp_path / folder / f"person{person}" / f"{number}.png"
                path.parent.mkdir(parents=True, exist_ok=True)
                cv2.imwrite(str(path), picture(person + shift)[..., ::-1])
    report = audit(tmp_path / "originals", tmp_path / "results", tools(), CONFIG)
    assert len(report.files) == 4
    assert report.files[0].duration_s is None
    assert figures(report)["bare_faces"] == 0


def test_a_parrot_is_compared_with(original, tmp_path):
    result = film(tmp_path / "other.mp4", [2] * FRAMES)
    again = film(tmp_path / "again.mp4", [2] * FRAMES)
    seen = audit(original, result, tools(), CONFIG, parrot=again)
    without = audit(original, result, tools(), CONFIG)
    assert str([t.rows for s in seen.sections for t in s.tables]) != str(
        [t.rows for s in without.sections for t in s.tables]
    )


def test_progress_is_told_after_every_frame(original, tmp_path):
    told = []
    audit(
        original,
        film(tmp_path / "o.mp4", [2] * FRAMES),
        tools(),
        CONFIG,
        progress=lambda name, n: told.append((name, n)),
    )
    assert told == [("original.mp4", 1)] * FRAMES


def test_the_detectors_look_at_some_frames_only(original, tmp_path):
    detector = Detector()
    audit(original, film(tmp_path / "o.mp4", [2] * FRAMES), tools(detector), CONFIG)
    assert detector.looks < FRAMES


def test_embeddings_are_taken_at_a_pace_and_of_the_largest_faces():
    config = AuditConfig(faces_at_once=1)
    look = CloserLook(tools(), config)
    small, large = face(box_of(5, 5, 40), track=1), face(BOX, track=2)
    taken = [look(moment(i, (small, large)))[0].faces for i in range(50)]
    assert not any(faces[0].identity or faces[0].landmarks for faces in taken)
    assert sum(bool(faces[1].identity) for faces in taken) == 5  # at 0, .48, .96, 1.44 and 1.92 s
    assert all(faces[1].landmarks is not None for faces in taken)


def test_moments_that_were_not_sampled_are_left_alone():
    shown = moment(1, (face(BOX),), sampled=False)
    assert CloserLook(tools(), CONFIG)(shown) == (shown, {})


def test_settings_out_of_range_are_named():
    with pytest.raises(ConfigError, match="interval_s is 0"):
        AuditConfig(interval_s=0)
    with pytest.raises(ConfigError, match="'privacy'"):
        AuditConfig(fail_on=("privacy",))


def likeness(shown: np.ndarray, seed: int) -> float:
    """The largest correlation of a part of a picture of the report with the same crop of the person with this seed."""
    side = shown.shape[0]
    room = {CROP_PX: 1 + 2 * AROUND, SIDE_PX: SURROUNDINGS}[side]
    area = Square.around(BOX, room)
    truth = area.cut(picture(seed), side)
    inner = slice(side // 3, 2 * side // 3)  # well inside the face, away from what is around it
    tiles = [shown[:, x : x + side] for x in range(0, shown.shape[1], side)]
    return max(float(np.corrcoef(tile[inner, inner].ravel(), truth[inner, inner].ravel())[0, 1]) for tile in tiles)


def lists(value: object) -> Iterator[list[object]]:
    """All lists in a JSON value, however deep."""
    inside = value.values() if isinstance(value, dict) else value if isinstance(value, list) else ()
    if isinstance(value, list):
        yield value
    for item in inside:
        yield from lists(item)


def test_nothing_of_an_original_face_is_in_the_report(original, tmp_path):
    """No picture without the mark, and no number list as long as an embedding."""
    other = audit(original, film(tmp_path / "other.mp4", [2] * FRAMES), tools(), CONFIG)
    copy = audit(original, film(tmp_path / "copy.mp4", [1] * FRAMES), tools(), CONFIG)
    shown = [one for section in other.sections for one in section.pictures if not one.original]
    assert len(shown) > 1  # a crop and a strip
    assert all(likeness(one.image, 1) < 0.5 and likeness(one.image, 2) > 0.9 for one in shown)
    hidden = [one for section in copy.sections for one in section.pictures if one.name.startswith(("result", "track"))]
    assert len(hidden) > 1 and all(one.original and likeness(one.image, 1) > 0.9 for one in hidden)
    dims = Recogniser().embed(picture(1), points_of(BOX)[None]).shape[1]
    for report in (other, copy):
        found = list(lists(as_json(report)))
        numbers = [len(one) for one in found if one and all(isinstance(item, int | float) for item in one)]
        assert len(numbers) > 1 and max(numbers) < dims / 2


# --- folders ---------------------------------------------------------------------------------------------------------


def folders(tmp_path: Path, **seeds: tuple[int | None, int | None]) -> tuple[Path, Path]:
    """Two folders with a short film for each name: the seeds of the faces of its original and of its result."""
    for folder in ("in", "out"):
        (tmp_path / folder).mkdir()
    for name, (before, after) in seeds.items():
        film(tmp_path / "in" / f"{name}.mp4", [before] * 20)
        film(tmp_path / "out" / f"{name}.mp4", [after] * 20)
    return tmp_path / "in", tmp_path / "out"


def test_one_bad_file_does_not_end_the_audit_of_a_folder(tmp_path):
    both = folders(tmp_path, a=(1, 2), b=(1, 2), c=(1, 2))
    film(both[1] / "a.mp4", [2] * 60)
    (both[1] / "b.mp4").write_bytes(b"damaged")
    told = []
    config = AuditConfig(limits=CONFIG.limits, fail_on=("leak",))
    report = audit(*both, tools(), config, progress=lambda name, _: told.append(name))
    assert list(dict.fromkeys(told)) == ["a.mp4", "b.mp4", "c.mp4"]
    assert [bool(file.error) for file in report.files] == [True, True, False]
    assert (figures(report)["bare_faces"], verdicts(report)["leak"]) == (0, Verdict.PASSED)
    assert report.verdict is Verdict.FAILED
    first, second = (line for line in report.warnings if "failed" in line)
    assert first == "a.mp4 failed: the original is 0.80 s long and the result 2.40 s; are these the same video?"
    assert second.startswith("b.mp4 failed: the result") and str(tmp_path) not in second


def test_what_is_wrong_with_a_second_result_is_told_without_its_place(tmp_path):
    both = folders(tmp_path, a=(1, 2), b=(1, 2))
    again = tmp_path / "again"
    again.mkdir()
    for name, frames in (("a", 60), ("b", 20)):
        film(again / f"{name}.mp4", [2] * frames)
    report = audit(*both, tools(), CONFIG, parrot=again)
    assert [bool(file.error) for file in report.files] == [True, False]
    assert report.files[0].error == (
        "the original is 0.80 s long and the second result 2.40 s; are these the same video?"
    )


def test_a_folder_of_which_nothing_can_be_compared_is_refused(tmp_path):
    both = folders(tmp_path, a=(1, 2), b=(1, 2))
    for name in ("a", "b"):
        film(both[1] / f"{name}.mp4", [2] * 60)
    with pytest.raises(InputError, match=r"not one of 2 files could be compared; a\.mp4: the original is 0\.80 s long"):
        audit(*both, tools(), CONFIG)


def test_files_without_a_face_are_named(tmp_path):
    report = audit(*folders(tmp_path, a=(None, None), b=(1, 2), c=(None, None)), tools(), CONFIG)
    [warning] = [line for line in report.warnings if "no face" in line]
    assert warning.startswith("The detectors found no face in 2 files of the original")
    assert warning.endswith(": a.mp4, c.mp4.")
    assert verdicts(report)["leak"] is Verdict.PASSED  # of the one that has a face


# --- what cannot be decoded, and what is not done twice --------------------------------------------------------------


def test_a_damaged_result_is_told_and_its_leaks_are_not_judged(original, tmp_path, monkeypatch):
    result = film(tmp_path / "other.mp4", [2] * FRAMES)
    real = in_step.open_source

    @contextmanager
    def lossy(path: Path) -> Iterator[object]:
        with real(path) as source:
            if path != result:
                yield source
                return
            frames = (frame for frame in source if frame.index != 30)
            yield Lossy(frames, Damage(undecodable=1))

    monkeypatch.setattr(in_step, "open_source", lossy)
    report = audit(original, result, tools(), CONFIG)
    assert (report.files[0].frames, figures(report)["bare_faces"]) == (FRAMES - 1, 0)
    assert figures(report)["unseen_frames"] == 1
    assert verdicts(report)["leak"] is Verdict.UNKNOWN
    assert sum("could not be compared" in line or "result is damaged" in line for line in report.warnings) == 2


class Lossy(list):
    """A source of frames that lost some."""

    def __init__(self, frames: Iterable[object], damage: Damage) -> None:
        super().__init__(frames)
        self.damage = damage


def test_a_second_result_that_lacks_a_picture_keeps_step(monkeypatch):
    numbers = [0, 1, 4, 5]
    monkeypatch.setattr(in_step, "frame_pairs", lambda _: ((n, n / 25, None, f"picture {n}") for n in numbers))
    beside = in_step.Beside(object())
    found = [beside.at(index) for index in (0, 2, 3, 4, 5, 6)]
    assert found == ["picture 0", None, None, "picture 4", "picture 5", None]
    assert in_step.Beside(None).at(0) is None


def test_each_network_is_loaded_once(monkeypatch):
    loaded = []

    def counted(kind: str) -> Callable[..., str]:
        return lambda *_, **__: loaded.append(kind) or kind

    for where, name in ((mtcnn.Mtcnn, "mtcnn"), (centerface.CenterFace, "centerface"), (yunet.YuNet, "yunet")):
        monkeypatch.setattr(where, "load", counted(name))
    monkeypatch.setattr("streamfilter.audit.tools.load_recognisers", lambda *_: ())
    monkeypatch.setattr("streamfilter.audit.tools.Landmarks68", type("None68", (), {"load": staticmethod(str)}))
    store = type("Empty", (), {"path": staticmethod(Path), "state": staticmethod(list)})()
    found = Tools.load(store)
    assert sorted(loaded) == ["centerface", "mtcnn", "yunet"]
    assert found.near["mtcnn"] == "mtcnn"
