"""The closing words: true, short, and in plain language."""

from __future__ import annotations

from pathlib import Path

import pytest

from streamfilter.cli.summary import face_line, job_lines, plural, short_line, skipped_line, total_line
from streamfilter.file_job import Outcome
from streamfilter.report import Summary

DONE = Summary(frames=1200, replaced=2400, covered=60, tracks=2, reasons={"too small": 40, "turned away": 20})


def outcome(summary: Summary = DONE, **changes: object) -> Outcome:
    values = {"source": Path("in.mp4"), "sink": Path("out.mp4"), "duration_s": 60.0, "times": {}, "summary": summary}
    return Outcome(**(values | changes))


def test_one_job_is_told_in_full() -> None:
    lines = job_lines(outcome(audio_tracks=2, audio_kept=True, notices=("subtitles were converted",)))
    assert lines == [
        "in.mp4 -> out.mp4",
        "  1,200 frames in 1:00 (20.0 fps)",
        "  2 tracks: 2,400 faces replaced, 60 covered (too small 40, turned away 20)",
        "  2 audio tracks kept; a voice identifies too: --audio drop leaves it out",
        "  note: subtitles were converted",
    ]


def test_what_went_wrong_is_told_in_one_line_too() -> None:
    wrong = outcome(Summary(frames=9, blanked=1), damage="3 packets could not be decoded")
    assert not wrong.complete
    line = short_line(wrong)
    assert "\n" not in line
    assert "1 frame blanked" in line
    assert "damaged source: 3 packets could not be decoded" in line


def test_dropped_sound_and_silent_sources_are_told_apart() -> None:
    assert any("1 audio track dropped" in line for line in job_lines(outcome(audio_tracks=1)))
    assert not any("audio" in line for line in job_lines(outcome()))


def test_no_face_is_said() -> None:
    assert face_line(Summary(frames=5)) == "no face found"


def test_many_sources_add_up() -> None:
    assert total_line([outcome(), outcome()], failed=1) == (
        "2 sources done: 2,400 frames, 4 tracks: 4,800 faces replaced, 120 covered "
        "(too small 80, turned away 40); 1 source failed"
    )


def test_a_long_list_of_left_out_files_is_cut() -> None:
    names = [Path(f"{number}.txt") for number in range(1007)]
    assert skipped_line(names[:2]) == "left out, no media by name: 0.txt, 1.txt"
    assert skipped_line(names).endswith("4.txt and 1,002 more")


@pytest.mark.parametrize(("count", "text"), [(0, "0 faces"), (1, "1 face"), (1200, "1,200 faces")])
def test_plural(count: int, text: str) -> None:
    assert plural(count, "face") == text
