"""Progress as a user sees it, with a clock that the test turns."""

from __future__ import annotations

import io
from itertools import pairwise

import pytest
from rich.console import Console

from streamfilter.cli.exits import Exit, exit_code, one_line, severest
from streamfilter.cli.progress import LINE_INTERVAL_S, Meter, clock_time, progress
from streamfilter.errors import ConfigError, DeviceError, InputError


class Clock:
    def __init__(self) -> None:
        self.now = 100.0

    def __call__(self) -> float:
        return self.now


def shown(*, terminal: bool, quiet: bool = False, expected: int | None = 40, frames: int = 20) -> str:
    """Everything printed over `frames` frames at two a second."""
    out = io.StringIO()
    console = Console(file=out, force_terminal=terminal, width=100)
    clock = Clock()
    with progress(console, "in.mp4", expected, quiet=quiet, clock=clock) as advance:
        for _ in range(frames):
            clock.now += 0.5
            advance(2)
    return out.getvalue()


def test_without_a_terminal_there_is_a_plain_line_now_and_then() -> None:
    lines = shown(terminal=False).splitlines()
    assert lines == [
        "in.mp4: 10 of 40 frames, 2.0 fps, 2 faces",
        "in.mp4: 20 of 40 frames, 2.0 fps, 2 faces, 0:10 left",
    ]
    assert LINE_INTERVAL_S == 5.0


def test_long_jobs_report_more_seldom() -> None:
    lines = shown(terminal=False, expected=20000, frames=7200).splitlines()
    done = [int(line.split()[1]) for line in lines]
    assert 40 < len(lines) < 100
    assert max(after - before for before, after in pairwise(done)) <= 2 * 61


@pytest.mark.parametrize(("frames", "pace_s"), [(19, 1.0), (30, 0.1), (49, 0.1)])
def test_the_first_seconds_and_frames_promise_no_end(frames: int, pace_s: float) -> None:
    clock = Clock()
    meter = Meter(1000, clock)
    for _ in range(frames):
        clock.now += pace_s
        meter.count(0)
    assert meter.left_s is None
    clock.now += 1.1
    meter.count(0)
    assert (meter.left_s is None) is (frames == 30)


def test_an_unknown_length_promises_no_end() -> None:
    assert shown(terminal=False, expected=None, frames=10) == "in.mp4: 10 frames, 2.0 fps, 2 faces\n"


def test_more_frames_than_announced_are_no_trouble() -> None:
    assert shown(terminal=False, expected=5).splitlines()[-1].endswith("0:00 left")
    assert "20/5" in shown(terminal=True, expected=5)


def test_on_a_terminal_there_is_a_bar_with_pace_and_faces() -> None:
    text = shown(terminal=True)
    assert "20/40" in text
    assert "2.0 fps, 2 faces, 0:10 left" in text


def test_quiet_shows_nothing() -> None:
    assert shown(terminal=True, quiet=True) == shown(terminal=False, quiet=True) == ""


def test_a_name_that_looks_like_markup_is_shown_as_it_is() -> None:
    out = io.StringIO()
    clock = Clock()
    with progress(Console(file=out), "[red]a.mp4", 2, clock=clock) as advance:
        clock.now += LINE_INTERVAL_S
        advance(1)
    assert out.getvalue() == "[red]a.mp4: 1 of 2 frames, 0.2 fps, 1 face\n"


def test_other_units_than_frames_can_be_counted() -> None:
    out = io.StringIO()
    clock = Clock()
    with progress(Console(file=out), "photos", 2, unit="files", clock=clock) as advance:
        clock.now += LINE_INTERVAL_S
        advance(3)
    assert out.getvalue() == "photos: 1 of 2 files, 0.2 files/s, 3 faces\n"


@pytest.mark.parametrize(("seconds", "text"), [(0, "0:00"), (59.6, "1:00"), (61, "1:01"), (3725, "1:02:05")])
def test_clock_time(seconds: float, text: str) -> None:
    assert clock_time(seconds) == text


def test_the_worst_of_several_codes_counts() -> None:
    assert severest([]) is Exit.OK
    assert severest([Exit.OK, Exit.INCOMPLETE]) is Exit.INCOMPLETE
    assert severest([Exit.INCOMPLETE, Exit.FAILED, Exit.OK]) is Exit.FAILED
    assert severest([Exit.FAILED, Exit.INTERRUPTED]) is Exit.INTERRUPTED


def test_errors_have_codes_and_one_line() -> None:
    assert exit_code(ConfigError("x")) is Exit.USAGE
    assert exit_code(InputError("x")) is exit_code(DeviceError("x")) is Exit.FAILED
    assert one_line(InputError("two\n  lines\r\n")) == "two lines"
    assert one_line(InputError()) == "InputError"
