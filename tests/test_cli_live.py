"""`streamfilter run` with live sources and sinks: real sockets, real codecs, stand-ins for the networks."""

from __future__ import annotations

import os
import re
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest
from click.testing import CliRunner, Result

from streamfilter.cli import main
from streamfilter.cli.exits import Exit
from streamfilter.cli.live import is_live, sorted_ends
from streamfilter.errors import ConfigError
from streamfilter.media.address import AddressKind
from streamfilter.media.contents import contents
from tests.media_factory import film, make_video, tracks
from tests.scenes import FlatModels

CODE = "from streamfilter.cli import main; from tests.scenes import FlatModels; main(obj=FlatModels())"
ROOT = Path(__file__).parent.parent


def called(*arguments: object) -> Result:
    words = ["run", *(str(argument) for argument in arguments)]
    return CliRunner().invoke(main, words, obj=FlatModels(), catch_exceptions=False)


@pytest.fixture(scope="module")
def recording(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return make_video(tmp_path_factory.mktemp("live") / "in.mp4", frames=50, width=160, height=96, audio=["aac"])


def test_a_recording_taken_for_live_reaches_every_sink_in_its_own_time(recording: Path, tmp_path: Path) -> None:
    began = time.monotonic()
    result = called(recording, tmp_path / "out.mkv", tmp_path / "hls" / "live.m3u8", "page:0", "--live")
    assert result.exit_code == Exit.OK, result.output
    assert time.monotonic() - began > 1.5  # two seconds of film
    times, frames = film(tmp_path / "out.mkv")
    assert 40 <= len(frames) <= 51
    assert 1.5 < times[-1] < 3
    assert tracks(tmp_path / "out.mkv", "audio")
    assert contents(tmp_path / "out.mkv").made_by_streamfilter
    assert (tmp_path / "hls" / "live.m3u8").read_text("utf-8").startswith("#EXTM3U")
    assert "page: http://127.0.0.1:" in result.stderr
    assert "running on cpu" in result.stderr
    assert re.search(r"steps, p50/p95 in ms: .*detect \d+/\d+.*protected \d+/\d+", result.stderr)
    assert re.search(r"from arrival to sink, p50/p95 in ms: .*out.mkv \d+/\d+", result.stderr)


def test_a_source_that_is_not_there_is_one_clear_line_without_its_password(tmp_path: Path) -> None:
    result = called("rtsp://me:hush@127.0.0.1:1/door", tmp_path / "out.mkv")
    assert result.exit_code == Exit.FAILED
    [error] = [line for line in result.stderr.splitlines() if "nothing listens there" in line]  # said once
    assert error.startswith("error: rtsp://127.0.0.1:1/door")
    assert "hush" not in result.output + result.stderr
    assert not (tmp_path / "out.mkv").exists()


def test_a_sink_that_is_refused_does_not_stop_the_others(recording: Path, tmp_path: Path) -> None:
    result = called(recording, "rtsp://me:hush@127.0.0.1:1/out", tmp_path / "out.mkv", "--live")
    assert result.exit_code == Exit.FAILED
    assert len(film(tmp_path / "out.mkv")[1]) >= 40
    assert "127.0.0.1:1/out" in result.stderr
    assert "hush" not in result.output + result.stderr


@pytest.mark.parametrize("arguments", [("http://h/x.mp4", "out.mp4", "--no-live"), ("in.mp4", "rtsp://me:hush@h/out")])
def test_no_url_is_taken_for_the_name_of_a_file(arguments: tuple[str, ...]) -> None:
    result = called(*arguments)
    assert result.exit_code == Exit.USAGE
    assert "is no file on this machine" in result.stderr
    assert "hush" not in result.stderr


def test_an_empty_token_is_one_clear_line(recording: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("STREAMFILTER_TOKEN", "")
    result = called(recording, "page:0", "--live")
    assert result.exit_code == Exit.USAGE
    assert "error: STREAMFILTER_TOKEN is set and empty" in result.stderr


def test_what_cannot_be_a_sink_is_refused_before_anything_starts(recording: Path) -> None:
    result = called(recording, "webcam:0", "--live")
    assert result.exit_code == Exit.USAGE
    assert "source only" in result.stderr


@pytest.mark.parametrize("option", [["--report", "r.jsonl"], ["--keep-metadata"]])
def test_options_that_a_live_run_would_ignore_are_refused(recording: Path, tmp_path: Path, option: list[str]) -> None:
    result = called(recording, tmp_path / "out.mkv", "--live", *option)
    assert result.exit_code == Exit.USAGE
    assert option[0] in result.stderr
    assert not (tmp_path / "out.mkv").exists()


@pytest.mark.skipif(sys.platform != "linux", reason="other systems always have a screen")
def test_a_window_needs_a_screen(recording: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("DISPLAY", "WAYLAND_DISPLAY"):
        monkeypatch.delenv(name, raising=False)
    result = called(recording, "window:", "--live")
    assert result.exit_code == Exit.FAILED
    assert "no screen" in result.stderr


def test_a_virtual_camera_that_is_not_there_is_named(recording: Path, tmp_path: Path) -> None:
    result = called(recording, "camera:", tmp_path / "out.mkv", "--live")
    assert result.exit_code == Exit.FAILED
    assert "camera:" in result.stderr
    assert len(film(tmp_path / "out.mkv")[1]) >= 40


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_a_signal_finishes_the_file(tmp_path: Path, number: signal.Signals) -> None:
    out = tmp_path / "out.mkv"
    words = [sys.executable, "-c", CODE, "run", "test:?size=160x96&rate=25", str(out)]
    running = subprocess.Popen(words, cwd=ROOT, stderr=subprocess.PIPE, text=True, env={**os.environ, "COLUMNS": "200"})
    try:
        deadline = time.monotonic() + 30
        while (not out.exists() or out.stat().st_size < 4000) and time.monotonic() < deadline:
            time.sleep(0.1)
        running.send_signal(number)
        _, said = running.communicate(timeout=20)
    finally:
        running.kill()
    assert running.returncode == Exit.OK, said
    assert "frames protected" in said
    assert len(film(out)[1]) > 5


def test_the_address_tells_what_is_live() -> None:
    assert is_live("rtsp://camera/stream", None)
    assert is_live("webcam:0", None)
    assert not is_live("holiday.mp4", None)
    assert is_live("holiday.mp4", True)
    assert not is_live("rtsp://camera/stream", False)


def test_ends_are_sorted_by_what_takes_the_frames() -> None:
    ends = sorted_ends("webcam:0", ["a.mkv", "page:8080", "window:", "camera:", "rtsp://h/x"])
    assert [each.kind for each in ends.encoded] == [AddressKind.FILE, AddressKind.RTSP]
    assert [each.kind for each in ends.pages] == [AddressKind.PAGE]
    assert [each.kind for each in ends.cameras] == [AddressKind.CAMERA]
    assert ends.window
    with pytest.raises(ConfigError):
        sorted_ends("webcam:0", ["test:"])
