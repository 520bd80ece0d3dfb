"""The audit as a whole, with stand-ins for its models: what was put into a film is what the report says."""

from __future__ import annotations

import random
from pathlib import Path

import cv2
import numpy as np
import pytest

from streamfilter.audit.closer import CloserLook
from streamfilter.audit.limits import Limits
from streamfilter.audit.run import audit
from streamfilter.audit.section import Verdict
from streamfilter.audit.settings import AuditConfig
from streamfilter.errors import ConfigError, InputError
from tests.audit_fakes import BOX, Detector, film, picture, tools
from tests.audit_kit import box_of, face, moment

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


def test_nothing_of_an_original_face_is_in_the_report(original, tmp_path):
    """No picture without the mark, and no number list as long as an embedding."""
    report = audit(original, film(tmp_path / "o.mp4", [2] * FRAMES), tools(), CONFIG)
    truth = picture(1)
    for section in report.sections:
        for shown in section.pictures:
            if not shown.original:
                found = cv2.matchTemplate(truth, shown.image[40:120, 40:120], cv2.TM_CCOEFF_NORMED)
                assert np.max(found) < 0.9, shown.name
