"""`streamfilter audit`: what it prints and writes, and how it ends."""

from __future__ import annotations

import json
from pathlib import Path

import cv2
import pytest
from click.testing import CliRunner

from streamfilter.audit import footage
from streamfilter.cli import main
from streamfilter.cli.exits import Exit
from streamfilter.errors import OutputError
from tests.audit_fakes import film, picture, tools

FRAMES = 70


@pytest.fixture(scope="module")
def films(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("films")
    for name, seed in (("original", 1), ("copy", 1), ("other", 2), ("blurred", None)):
        film(folder / f"{name}.mp4", [seed] * FRAMES)
    return folder


def called(*arguments: object, models: object = None):
    words = ["audit", *(str(argument) for argument in arguments)]
    return CliRunner().invoke(main, words, obj=models or tools(), catch_exceptions=False)


def test_an_untouched_copy_fails(films: Path) -> None:
    result = called(films / "original.mp4", films / "copy.mp4")
    assert result.exit_code == Exit.FAILED
    assert f"can be seen in the result: {FRAMES} of {FRAMES}, on" in " ".join(result.output.split())


def test_an_invented_person_passes_where_only_leaks_count(films: Path) -> None:
    result = called(films / "original.mp4", films / "other.mp4", "--fail-on", "leak")
    assert result.exit_code == Exit.OK


def test_too_little_to_judge_is_no_pass(films: Path) -> None:
    """A clip of three seconds with one person gives too few pairs for re-identification."""
    result = called(films / "original.mp4", films / "other.mp4", "--fail-on", "leak,reid")
    assert result.exit_code == Exit.INCOMPLETE


def test_no_face_is_no_pass(films: Path) -> None:
    result = called(films / "blurred.mp4", films / "blurred.mp4")
    assert result.exit_code == Exit.FAILED  # the same file twice
    other = film(films / "blurred2.mp4", [None] * FRAMES)
    result = called(films / "blurred.mp4", other, "--fail-on", "leak")
    assert result.exit_code == Exit.INCOMPLETE
    assert "not the same as safe" in " ".join(result.output.split())


def test_the_wrong_order_is_one_clear_line(films: Path) -> None:
    result = called(films / "blurred.mp4", films / "original.mp4")
    assert result.exit_code == Exit.FAILED
    assert result.stderr.strip().splitlines()[-1].startswith("error: ")
    assert "wrong order" in result.stderr


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["missing.mp4", "copy.mp4"], "does not exist"),
        (["original.mp4", "copy.mp4", "--fail-on", "privacy"], "choose among"),
        (["original.mp4", "copy.mp4", "--fail-on", ","], "choose among"),
        (["original.mp4", "copy.mp4", "--interval", "0"], "--interval"),
        (["original.mp4", "copy.mp4", "--html", "original.mp4"], "is the input itself"),
    ],
)
def test_a_wrong_command_line_says_what_is_wrong(films: Path, arguments: list[str], message: str) -> None:
    words = [films / word if word.endswith(".mp4") else word for word in arguments]
    result = called(*words)
    assert result.exit_code in (Exit.FAILED, Exit.USAGE)
    assert message in " ".join(result.stderr.split())
    assert "Traceback" not in result.output


def test_missing_models_name_the_command(films: Path, tmp_path: Path) -> None:
    words = ["audit", str(films / "original.mp4"), str(films / "copy.mp4"), "--models", str(tmp_path)]
    result = CliRunner().invoke(main, words, catch_exceptions=False)
    assert result.exit_code == Exit.FAILED
    assert "streamfilter models pull audit" in result.stderr


def test_reports_are_written_and_not_replaced_unasked(films: Path, tmp_path: Path) -> None:
    page, numbers = tmp_path / "report.html", tmp_path / "report.json"
    words = [films / "original.mp4", films / "other.mp4", "--html", page, "--json", numbers, "--quiet"]
    assert called(*words, "--fail-on", "leak").output == ""
    found = json.loads(numbers.read_text("utf-8"))
    assert [section["name"] for section in found["sections"]] == ["leak", "reid", "consistency", "utility"]
    assert found["verdict"] == "passed"
    assert str(films) not in numbers.read_text("utf-8") + page.read_text("utf-8")
    again = called(*words)
    assert again.exit_code == Exit.FAILED
    assert "exists" in again.stderr
    assert called(*words, "--overwrite", "--fail-on", "leak").exit_code == Exit.OK


def test_numbers_are_shown_even_if_they_cannot_be_written(films: Path, tmp_path: Path, monkeypatch) -> None:
    def full(*_arguments: object) -> None:
        raise OutputError("the disk is full")

    monkeypatch.setattr("streamfilter.audit.report.write_json", full)
    for more in ([], ["--quiet"]):
        result = called(films / "original.mp4", films / "other.mp4", "--json", tmp_path / "a.json", *more)
        assert result.exit_code == Exit.FAILED
        assert "can be seen at its place" in " ".join(result.stdout.split())
        assert "the disk is full" in result.stderr


@pytest.mark.parametrize("target", ["originals/y.png", "results/y.png", "again/y.png", "model.onnx.calibration.json"])
def test_no_report_replaces_what_is_read(tmp_path: Path, target: str) -> None:
    for name in ("originals", "results", "again"):
        (tmp_path / name).mkdir()
        for photo in ("x.png", "y.png"):
            cv2.imwrite(str(tmp_path / name / photo), picture(len(name))[..., ::-1])
    for name in ("model.onnx", "model.onnx.calibration.json"):
        (tmp_path / name).write_text("{}")
    before = (tmp_path / target).read_bytes()
    words = [tmp_path / "originals", tmp_path / "results", "--parrot", tmp_path / "again"]
    words += ["--recogniser", tmp_path / "model.onnx", "--json", tmp_path / target, "--overwrite"]
    result = called(*words)
    assert result.exit_code == Exit.FAILED and "is the input itself" in " ".join(result.stderr.split())
    assert (tmp_path / target).read_bytes() == before


def test_no_report_looks_like_a_picture(films: Path) -> None:
    result = called(films / "original.mp4", films / "other.mp4", "--html", films / "new.png")
    assert result.exit_code == Exit.FAILED and ".json or .html" in " ".join(result.stderr.split())


@pytest.mark.parametrize(
    ("parrot", "message"),
    [
        ("other.mp4", "is the result that is audited"),
        ("original.mp4", "given twice"),
        ("none.mp4", "does not exist"),
        ("short.mp4", "s long and"),
    ],
)
def test_a_parrot_is_checked_before_models_are_loaded(films: Path, tmp_path: Path, parrot: str, message: str) -> None:
    film(films / "short.mp4", [2] * 10)
    words = ["audit", films / "original.mp4", films / "other.mp4", "--parrot", films / parrot, "--models", tmp_path]
    result = CliRunner().invoke(main, [str(word) for word in words], catch_exceptions=False)
    assert result.exit_code == Exit.FAILED
    said = " ".join(result.stderr.split())
    assert "--parrot" in said and message in said and "models pull" not in said


def test_originals_are_shown_on_demand_only(films: Path, tmp_path: Path) -> None:
    page = tmp_path / "report.html"
    words = [films / "original.mp4", films / "copy.mp4", "--html", page, "--overwrite"]
    called(*words)
    without = page.stat().st_size
    shown = called(*words, "--include-originals")
    assert page.stat().st_size > without
    assert "do not publish" in shown.stderr


def test_one_name_for_both_reports_is_refused(films: Path) -> None:
    both = films / "both.report"
    result = called(films / "original.mp4", films / "copy.mp4", "--html", both, "--json", both)
    assert result.exit_code == Exit.USAGE and "two names" in result.output
    assert not both.exists()


def test_two_files_are_looked_at_once(films: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    read = []
    real = footage.contents
    monkeypatch.setattr(footage, "contents", lambda path: read.append(path.name) or real(path))
    again = film(films / "again.mp4", [2] * FRAMES)
    called(films / "original.mp4", films / "other.mp4", "--parrot", again, "--fail-on", "leak")
    assert read == ["original.mp4", "other.mp4", "original.mp4", "again.mp4"]


def test_a_folder_with_a_bad_file_ends_in_failure_and_tells_of_the_rest(films: Path, tmp_path: Path) -> None:
    for folder, kind in (("in", "original"), ("out", "other")):
        (tmp_path / folder).mkdir()
        for name in ("a.mp4", "b.mp4"):
            (tmp_path / folder / name).write_bytes((films / f"{kind}.mp4").read_bytes())
    film(tmp_path / "out" / "a.mp4", [2] * 10)
    page, numbers = tmp_path / "report.html", tmp_path / "report.json"
    words = [tmp_path / "in", tmp_path / "out", "--fail-on", "leak", "--html", page, "--json", numbers]
    result = called(*words)
    assert result.exit_code == Exit.FAILED
    said = " ".join(result.stdout.split())
    assert "warning: a.mp4 failed: the original is 2.80 s long" in said
    assert "1 file of 2 could not be compared" in said and "None of 70 faces on 70 frames can be seen" in said
    assert said.endswith("overall: FAILED Not every file could be compared. (decided by: leak)")
    found = json.loads(numbers.read_text("utf-8"))
    assert [bool(file["error"]) for file in found["files"]] == [True, False]
    assert found["verdict"] == "failed"
    assert "Not every file could be compared." in page.read_text("utf-8")
    assert str(tmp_path) not in numbers.read_text("utf-8") + page.read_text("utf-8")
