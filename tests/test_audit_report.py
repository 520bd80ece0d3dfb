"""The report of an audit: its verdict, its JSON, its words on the terminal, its page as text."""

from __future__ import annotations

import io
import json
import math
import re
from dataclasses import replace
from pathlib import Path
from xml.etree import ElementTree

import jsonschema
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as some
from rich.console import Console

from streamfilter.audit.report import AuditedFile, AuditReport, verdict_of, write_json, write_page
from streamfilter.audit.report.as_json import as_json, schema
from streamfilter.audit.report.page import page
from streamfilter.audit.report.plots import draw, thinned
from streamfilter.audit.report.scales import Scale, clock_ticks, ticks
from streamfilter.audit.report.timeline import columns, steps
from streamfilter.audit.section import Figure, Picture, Plot, Section, Series, Table, Verdict
from streamfilter.audit.wording import amount, column_texts, limit, percent, plain
from streamfilter.cli.audit_report import print_report
from streamfilter.errors import OutputError
from tests.audit_report_kit import LONG_NAME, NAUGHTY, drawn_face, example

VALIDATOR = jsonschema.Draft202012Validator(schema(), format_checker=jsonschema.FormatChecker())


def section(name: str, verdict: Verdict, **values: object) -> Section:
    return Section(name=name, title=name.title(), verdict=verdict, sentence=f"About {name}.", **values)


def printed(report: AuditReport, **console: object) -> str:
    stream = io.StringIO()
    print_report(report, Console(file=stream, **({"width": 80} | console)))
    return stream.getvalue()


# The verdict


@pytest.mark.parametrize(
    ("verdicts", "fail_on", "expected"),
    [
        ({"leak": "PASSED", "reid": "PASSED"}, (), Verdict.PASSED),
        ({"leak": "PASSED", "reid": "FAILED"}, (), Verdict.FAILED),
        ({"leak": "PASSED", "reid": "FAILED"}, ("leak",), Verdict.PASSED),
        ({"leak": "PASSED", "reid": "UNKNOWN"}, ("leak", "reid"), Verdict.UNKNOWN),
        ({"leak": "FAILED", "reid": "UNKNOWN"}, ("reid", "leak"), Verdict.FAILED),
        ({"leak": "PASSED"}, ("leak", "reid"), Verdict.UNKNOWN),
        ({}, (), Verdict.UNKNOWN),
    ],
)
def test_only_demanded_sections_decide(verdicts: dict[str, str], fail_on: tuple[str, ...], expected: Verdict) -> None:
    sections = tuple(section(name, Verdict[verdict]) for name, verdict in verdicts.items())
    assert verdict_of(example(sections=sections, fail_on=fail_on)) is expected


def test_a_failure_that_was_not_demanded_is_said_aloud() -> None:
    sections = (section("leak", Verdict.PASSED), section("reid", Verdict.FAILED))
    report = example(sections=sections, fail_on=("leak",))
    assert "Failed as well, though not demanded: Reid." in printed(report)
    assert "Failed as well, though not demanded: Reid." in page(report)


def test_a_demanded_section_that_is_absent_is_named() -> None:
    report = example(sections=(section("leak", Verdict.PASSED),), fail_on=("leak", "reid"))
    assert "Demanded, but not examined: reid." in printed(report)
    assert "could not be judged" in page(report)


# The document


def test_folders_are_cut_off() -> None:
    report = example()
    assert (report.original, report.result) == ("meeting", LONG_NAME)
    absolute = AuditedFile(name="/home/someone/a.mp4", frames=1, duration_s=None, faces=0, tracks=0)
    assert absolute.name == "a.mp4"
    assert replace(absolute, name="person/photo.jpg").name == "person/photo.jpg"


def test_no_folder_reaches_any_report(tmp_path: Path) -> None:
    write_json(example(), tmp_path / "report.json")
    written = (tmp_path / "report.json").read_text("utf-8")
    for text in (written, page(example()), printed(example())):
        assert "someone" not in text


# JSON


def test_json_keeps_to_the_schema(tmp_path: Path) -> None:
    write_json(example(), tmp_path / "report.json")
    VALIDATOR.validate(json.loads((tmp_path / "report.json").read_text("utf-8")))


def test_the_schema_is_one_and_is_strict() -> None:
    jsonschema.Draft202012Validator.check_schema(schema())
    report = as_json(example())
    assert not VALIDATOR.is_valid(report | {"more": 1})
    assert not VALIDATOR.is_valid(report | {"verdict": "fine"})
    assert not VALIDATOR.is_valid(report | {"original": "/home/someone/a.mp4"})
    assert not VALIDATOR.is_valid({key: value for key, value in report.items() if key != "schema_version"})


def test_nothing_but_finite_numbers(tmp_path: Path) -> None:
    odd = Figure(name="odd", label="odd", value=math.nan, low=-math.inf, high=np.float32(np.inf), n=np.int64(3))
    table = Table(name="odd", title="odd", columns=("a",), rows=((np.float32("nan"),), (math.inf,)))
    report = example(sections=(section("leak", Verdict.UNKNOWN, figures=(odd,), tables=(table,)),))
    write_json(report, tmp_path / "report.json")
    text = (tmp_path / "report.json").read_text("utf-8")
    found = json.loads(text, parse_constant=pytest.fail)
    VALIDATOR.validate(found)
    figure = found["sections"][0]["figures"][0]
    assert (figure["value"], figure["low"], figure["high"], figure["n"]) == (None, None, None, 3)
    assert not re.search(r"\b(nan|inf)\b", page(report), re.IGNORECASE)


def test_json_has_no_pictures() -> None:
    assert all("pictures" not in part for part in as_json(example())["sections"])


def test_a_failed_write_leaves_nothing_behind(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def full(*args: object, **kwargs: object) -> int:
        raise OSError(28, "No space left on device")

    (tmp_path / "report.json").write_text("old")
    monkeypatch.setattr(Path, "write_text", full)
    with pytest.raises(OutputError, match="No space left"):
        write_json(example(), tmp_path / "report.json")
    assert [path.name for path in tmp_path.iterdir()] == ["report.json"]
    assert (tmp_path / "report.json").read_bytes() == b"old"


# The page as text


def test_every_text_is_escaped() -> None:
    evil = '<img src=x onerror="alert(1)">'
    figure = Figure(name=evil, label=evil, value=1, unit=evil, limit=evil, kept=True, note=evil)
    line = Plot(
        name=evil,
        title=evil,
        kind="timeline",
        x_label=evil,
        y_label=evil,
        series=(Series(name=evil, x=(0, 1), y=(0, 1)), Series(name=evil, x=(0, 1), y=(0, 1))),
        marks=((evil, 0.5), (evil, 0.6)),
        note=evil,
    )
    part = Section(
        name=evil,
        title=evil,
        verdict=Verdict.FAILED,
        sentence=evil,
        figures=(figure, replace(figure, limit=None)),
        tables=(Table(name=evil, title=evil, columns=(evil, evil), rows=((evil, evil),), note=evil),),
        plots=(line, replace(line, kind="line"), replace(line, kind="bars")),
        pictures=(Picture(name=evil, caption=evil, image=drawn_face(1)),),
        notes=(evil,),
    )
    report = example(original=NAUGHTY, sections=(part,), warnings=(evil,), fail_on=(evil, "absent" + evil))
    text = page(report)
    assert "<script" not in text and "&lt;script&gt;" in text
    assert "<img src=x" not in text and "&lt;img src=x" in text


def test_the_page_is_well_formed() -> None:
    body = page(example(), include_originals=True).removeprefix("<!doctype html>")
    root = ElementTree.fromstring(body)
    names = [element.get("id") for element in root.iter() if element.get("id")]
    assert len(names) == len(set(names))
    linked = [element.get("href", "")[1:] for element in root.iter("a")]
    assert linked and set(linked) <= set(names)


def test_the_page_needs_nothing_else() -> None:
    text = page(example())
    policy = text.split("Content-Security-Policy", 1)[1].split("/>")[0]
    assert "default-src &#x27;none&#x27;" in policy and "unsafe" not in policy
    assert "http://" not in text and "https://" not in text and "<script" not in text


def test_originals_are_left_out_unless_asked_for() -> None:
    pictures = sum(len(part.pictures) for part in example().sections)
    originals = sum(picture.original for part in example().sections for picture in part.pictures)
    without, with_them = page(example()), page(example(), include_originals=True)
    assert without.count("<img") == pictures - originals
    assert f"{originals} pictures may show original faces and were left out" in without
    assert "--include-originals" in without and "Do not publish it" not in without
    assert with_them.count("<img") == pictures
    assert "Do not publish it" in with_them and "left out" not in with_them
    assert with_them.index("Do not publish it") < with_them.index("<h1")


def test_pictures_of_one_moment_stay_together() -> None:
    names = ("result_1", "original_1", "result_2", "strip")
    pictures = tuple(Picture(name=name, caption=name, image=drawn_face(1)) for name in names)
    text = page(example(sections=(section("leak", Verdict.PASSED, pictures=pictures),)))
    (together,) = re.findall(r'<div class="set">(.*?)</div>', text)
    assert re.findall(r'alt="(\w+)"', together) == ["result_1", "original_1"]


def test_no_warning_where_no_original_is_shown() -> None:
    report = example(sections=(section("leak", Verdict.PASSED),))
    assert "Do not publish it" not in page(report, include_originals=True)


def test_warnings_stand_before_the_sections() -> None:
    text = page(example())
    assert text.index("2 frames shorter") < text.index('id="section-leak"')


def test_long_tables_are_cut_and_say_so(tmp_path: Path) -> None:
    rows = tuple((f"file {at}", at) for at in range(1000))
    table = Table(name="files", title="Files", columns=("file", "n"), rows=rows)
    text = page(example(sections=(section("leak", Verdict.PASSED, tables=(table,)),)))
    assert "file 299" in text and "file 300" not in text
    assert "700 more rows in the JSON report." in text


def test_the_page_is_written(tmp_path: Path) -> None:
    write_page(example(), tmp_path / "new" / "page.html")
    assert (tmp_path / "new" / "page.html").read_text("utf-8") == page(example())


def test_a_title_that_asks_is_not_asked_twice() -> None:
    part = replace(section("leak", Verdict.PASSED), title="Leaks: can a face be seen?")
    text = page(example(sections=(part,)))
    assert "<h2>Leaks</h2>" in text and "Can an original face still be seen?" in text


def test_figures_without_a_limit_are_all_there_many_of_them_folded() -> None:
    figures = tuple(Figure(name=f"f{at}", label=f"number {at}", value=at) for at in range(9))
    few, many = (
        page(example(sections=(section("leak", Verdict.PASSED, figures=part),))) for part in (figures[:5], figures)
    )
    assert "number 4" in few and "Further numbers" not in few
    assert "number 8" in many and "Further numbers" in many


# Drawings


@pytest.mark.parametrize("kind", ["line", "bars", "timeline"])
@pytest.mark.parametrize(
    "points",
    [(), ((0.0, 0.0),), ((3.0, 2.0), (3.0, 2.0)), ((0.0, math.nan), (1.0, math.inf)), ((0.0, -5.0), (1e9, 1e-9))],
)
def test_any_points_can_be_drawn(kind: str, points: tuple[tuple[float, float], ...]) -> None:
    series = Series(name="a", x=tuple(x for x, _ in points), y=tuple(y for _, y in points))
    plot = Plot(name="p", title="p", kind=kind, x_label="x", y_label="y", series=(series,))
    text = draw(plot, "key")
    ElementTree.fromstring(text)
    assert "nan" not in text and "inf" not in text


def test_one_leaked_frame_of_an_hour_is_seen() -> None:
    y = np.zeros(90_000)
    y[45_000] = 1
    series = Series(name="bare", x=tuple(np.arange(90_000) / 25), y=tuple(y))
    found = columns(series, Scale(low=0, high=3600, start=0, end=380))
    assert len(found) <= 381
    (shown,) = [column for column in found if column[2] > 0]
    assert shown[2] == 1 and shown[1] - shown[0] >= 1


def test_nothing_is_claimed_across_a_gap() -> None:
    series = Series(name="a", x=(0, 1, 2, 10, 11, 12), y=(0, 0, 1, 0, math.nan, 0))
    assert steps(series) == [(0, 1, 0), (1, 2, 0), (2, 5, 1), (10, 11, 0), (12, 13, 0)]


@given(some.lists(some.floats(-1e6, 1e6), min_size=2, max_size=3000), some.integers(10, 500))
def test_thinning_keeps_the_extremes(values: list[float], most: int) -> None:
    kept = thinned(list(enumerate(values)), most)
    assert len(kept) <= max(most, 2) and kept == sorted(kept)
    assert {min(values), max(values)} <= {value for _, value in kept}


@given(some.floats(-1e6, 1e6), some.floats(1e-6, 1e6), some.integers(3, 8))
def test_ticks_are_few_rising_and_inside(low: float, span: float, about: int) -> None:
    high = low + span
    if high - low < 1e-9 * max(abs(low), abs(high)):
        return
    found = ticks(low, high, about)
    assert 1 <= len(found) <= 2 * about + 2 and list(found) == sorted(set(found))
    assert all(low - 1e-6 * span - 1e-9 <= tick <= high + 1e-6 * span + 1e-9 for tick in found)


def test_times_have_the_ticks_of_a_clock() -> None:
    assert clock_ticks(0, 613, 9) == (0, 60, 120, 180, 240, 300, 360, 420, 480, 540, 600)


# The terminal


def test_the_terminal_says_it_in_80_columns_without_colours() -> None:
    text = printed(example())
    lines = text.splitlines()
    assert max(map(len, lines)) <= 80
    assert "\x1b" not in text
    assert lines[-1].startswith("overall: FAILED")
    assert any(line.startswith("FAILED  Bare faces") for line in lines)
    assert any(line.startswith("NOT JUDGED  Consistency  (not demanded)") for line in lines)
    assert "kept: at most 1 %" in text and "broken: at most 0" in text and "(0.19 to 0.72 %)" in text


def test_colours_follow_the_verdict() -> None:
    text = printed(example(), force_terminal=True, color_system="standard")
    assert "\x1b[1;31mFAILED" in text and "\x1b[1;32mPASSED" in text and "\x1b[1;33mNOT JUDGED" in text


def test_names_can_neither_colour_nor_move_the_terminal() -> None:
    report = example(original="[red]a\x1b[2Jb\n\u202ec.mp4", warnings=("[bold]x[/]",))
    text = printed(report)
    assert "[red]a" in text and "[bold]x[/]" in text
    assert "\x1b" not in text and "\u202e" not in text


@pytest.mark.parametrize("width", [40, 60, 200])
def test_other_widths_hold_too(width: int) -> None:
    assert max(map(len, printed(example(), width=width).splitlines())) <= width


# Words


@pytest.mark.parametrize(
    ("share", "words"),
    [(0, "0"), (1, "100"), (0.00001, "0.001"), (0.99999, "99.99"), (0.5, "50"), (0.01234, "1.23"), (0.00324, "0.32")],
)
def test_per_cent_is_never_rounded_to_all_or_nothing(share: float, words: str) -> None:
    assert percent(share) == words


@pytest.mark.parametrize(
    ("value", "unit", "words"),
    [(1, "faces", "1 face"), (1200, "faces", "1,200 faces"), (2.5, "degrees", "2.5°"), (None, "dB", "–")],
)
def test_amounts(value: float | None, unit: str, words: str) -> None:
    assert amount(value, unit) == words


@pytest.mark.parametrize(
    ("words", "unit", "expected"),
    [("<= 0.01", "share", "at most 1 %"), (">= 30.0", "dB", "at least 30 dB"), ("the same", "", "the same")],
)
def test_limits_are_told_in_words(words: str, unit: str, expected: str) -> None:
    assert limit(Figure(name="a", label="a", value=0, unit=unit, limit=words)) == expected


def test_fractions_of_a_column_have_equal_decimals() -> None:
    assert column_texts([0.5, 0.125, None, 3, "x"]) == ["0.500", "0.125", "–", "3", "x"]


@given(some.text(alphabet="aé<\n\r\x00\x1b\x9b\u200e\u202e\ud800\U0001f600", max_size=8))
def test_plain_text_is_one_line_that_can_be_encoded(text: str) -> None:
    assert set(plain(text)) <= set("aé< \ufffd\U0001f600")
    assert len(plain(text)) == len(text)
    plain(text).encode("utf-8")
