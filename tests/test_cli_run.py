"""`streamfilter run` as a user meets it: what is written, what is said, and the exit code."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
from collections.abc import Callable, Sequence
from pathlib import Path

import av
import numpy as np
import pytest
from click.testing import CliRunner, Result

from streamfilter.cli import main
from streamfilter.config import Device
from streamfilter.detect import Detector
from streamfilter.model_files import shipped
from streamfilter.onnx_model import OnnxModel
from streamfilter.structures import Detections, FaceCrop, Image, Patch
from tests.scenes import FlatAnonymizer, FlatModels, write_clip

Run = Callable[..., Result]
ROOT = Path(__file__).parent.parent


@pytest.fixture
def run(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Run:
    """Runs `streamfilter run` in an empty folder, with a flat generator unless told otherwise."""
    monkeypatch.chdir(tmp_path)

    def invoke(*args: str, models: FlatModels | None = None) -> Result:
        return CliRunner().invoke(main, ["run", *args], obj=models or FlatModels(), catch_exceptions=False)

    return invoke


@pytest.fixture
def clip(tmp_path: Path) -> Path:
    return write_clip(tmp_path / "in.mp4", frames=12, sound=True)


def decoded(path: Path) -> list[Image]:
    with av.open(str(path)) as container:
        return [frame.to_ndarray(format="rgb24") for frame in container.decode(video=0)]


def dark_pixels(picture: Image) -> int:
    return int((picture.max(axis=2) < 80).sum())


def names(folder: Path) -> set[str]:
    return {str(path.relative_to(folder)) for path in folder.rglob("*") if path.is_file()}


def one_error_line(result: Result) -> str:
    lines = [line for line in result.stderr.splitlines() if line.startswith("error: ")]
    assert len(lines) == 1, result.stderr
    assert "Traceback" not in result.output
    return lines[0]


# --- the main job -----------------------------------------------------------------------------------------------------


def test_a_clip_is_written_with_other_faces_and_a_summary(run: Run, clip: Path, tmp_path: Path) -> None:
    result = run("in.mp4", "out.mp4")
    assert result.exit_code == 0, result.output
    assert result.stdout == ""
    assert names(tmp_path) == {"in.mp4", "out.mp4"}
    before, after = decoded(clip), decoded(tmp_path / "out.mp4")
    assert len(before) == len(after) == 12
    assert dark_pixels(before[6]) > 100  # eyes, brows and nose are drawn dark
    assert dark_pixels(after[6]) == 0  # the flat generator paints none
    assert "12 frames in" in result.stderr
    assert "1 track: 12 faces replaced, 0 covered" in result.stderr
    assert "1 audio track kept; a voice identifies too: --audio drop leaves it out" in result.stderr
    for stage in ("read", "detect", "generate", "write"):
        assert stage in result.stderr


def test_dropped_sound_is_said_and_gone(run: Run, clip: Path, tmp_path: Path) -> None:
    result = run("in.mp4", "out.mp4", "--audio", "drop")
    assert result.exit_code == 0, result.output
    assert "1 audio track dropped" in result.stderr
    with av.open(str(tmp_path / "out.mp4")) as container:
        assert not container.streams.audio


def test_quiet_says_nothing(run: Run, clip: Path) -> None:
    result = run("in.mp4", "out.mp4", "--quiet")
    assert (result.exit_code, result.stdout, result.stderr) == (0, "", "")


def test_options_reach_the_models(run: Run, clip: Path, tmp_path: Path) -> None:
    models = FlatModels()
    numbers = ["--seed", "7", "--min-face", "33", "--hold", "1.5", "--look-ahead", "0", "--threads", "1"]
    choices = ["--device", "cpu", "--model", "other.onnx"]
    assert run("in.mp4", "out.mp4", *numbers, *choices, models=models).exit_code == 0
    (call,) = models.calls
    config = call["config"]
    assert (config.anonymize.seed, config.anonymize.min_face_px) == (7, 33.0)
    assert (config.track.hold_s, config.track.lookahead_s) == (1.5, 0.0)
    assert (call["device"], call["threads"], call["model"]) == (Device.CPU, 1, Path("other.onnx"))
    assert call["landmarks"] is None


def test_many_sources_go_into_a_folder(run: Run, tmp_path: Path) -> None:
    write_clip(tmp_path / "a.mp4", frames=3)
    write_clip(tmp_path / "b.mp4", frames=4)
    result = run("a.mp4", "b.mp4", "safe/")
    assert result.exit_code == 0, result.output
    assert names(tmp_path / "safe") == {"a.mp4", "b.mp4"}
    assert "2 sources done: 7 frames" in result.stderr
    calls = {
        line.split()[0]: line.split()[1] for line in result.stderr.splitlines() if line.endswith(tuple("0123456789"))
    }
    assert calls["write"] == calls["detect"] == "7"


def test_a_folder_is_mirrored(run: Run, tmp_path: Path) -> None:
    (tmp_path / "in" / "deep").mkdir(parents=True)
    write_clip(tmp_path / "in" / "a.mp4", frames=3)
    write_clip(tmp_path / "in" / "deep" / "b.mkv", frames=3)
    (tmp_path / "in" / "notes.txt").write_text("hello")
    result = run("in", "safe")
    assert result.exit_code == 0, result.output
    assert names(tmp_path / "safe") == {"a.mp4", "deep/b.mkv"}
    assert "notes.txt" in result.stderr


def test_one_source_that_fails_does_not_stop_the_others(run: Run, tmp_path: Path) -> None:
    (tmp_path / "in").mkdir()
    (tmp_path / "in" / "a.mp4").write_bytes(b"no video at all" * 99)
    write_clip(tmp_path / "in" / "b.mp4", frames=3)
    result = run("in", "safe")
    assert result.exit_code == 1
    assert "a.mp4" in one_error_line(result)
    assert names(tmp_path / "safe") == {"b.mp4"}
    assert "1 source failed" in result.stderr


# --- the report -------------------------------------------------------------------------------------------------------


def test_the_report_has_a_line_for_every_frame(run: Run, clip: Path, tmp_path: Path) -> None:
    assert run("in.mp4", "out.mp4", "--report", "out.jsonl", "--seed", "3").exit_code == 0
    lines = [json.loads(line) for line in (tmp_path / "out.jsonl").read_text("utf-8").splitlines()]
    header, source, *frames, summary = lines
    assert header["type"] == "header"
    assert header["settings"]["anonymize"]["seed"] == 3
    assert {model["file"] for model in header["models"]} == {"detector.onnx", "landmarks.onnx"}
    assert all(len(model["sha256"]) == 64 for model in header["models"])
    assert source == {"type": "source", "source": "in.mp4", "sink": "out.mp4"}
    assert [frame["index"] for frame in frames] == list(range(12))
    assert [frame["time_s"] for frame in frames] == pytest.approx([index / 25 for index in range(12)])
    assert all(region["action"] == "generated" for frame in frames for region in frame["regions"])
    assert summary["counts"]["frames"] == summary["counts"]["replaced"] == 12
    assert summary["audio_tracks_kept"] == 1


def test_the_report_is_never_the_source_or_the_target(run: Run, clip: Path, tmp_path: Path) -> None:
    before = clip.read_bytes()
    for taken in ("in.mp4", "out.mp4"):
        result = run("in.mp4", "out.mp4", "--report", taken, "--overwrite")
        assert result.exit_code == 1
        assert taken in one_error_line(result)
    assert clip.read_bytes() == before
    assert names(tmp_path) == {"in.mp4"}


def test_a_failed_run_leaves_no_report(run: Run, clip: Path, tmp_path: Path) -> None:
    result = run("in.mp4", "out.mp4", "--codec", "nonsense", "--report", "out.jsonl")
    assert result.exit_code != 0
    assert names(tmp_path) == {"in.mp4"}


# --- fail-closed ------------------------------------------------------------------------------------------------------


def test_a_generator_that_breaks_leaves_covers_and_the_summary_says_so(run: Run, clip: Path, tmp_path: Path) -> None:
    result = run("in.mp4", "out.mp4", models=FlatModels(anonymizer=FlatAnonymizer(failing=True)))
    assert result.exit_code == 0, result.output
    assert "0 faces replaced, 12 covered (generation failed: RuntimeError 12)" in result.stderr


class BrokenDetector(Detector):
    """The real detector, but its tenth look fails."""

    def __init__(self) -> None:
        super().__init__(OnnxModel(shipped("detector.onnx"), kind="detector", device=Device.CPU, threads=1))
        self._count = 0

    def __call__(self, image: Image, *, long_side_px: int | None = None) -> Detections:
        self._count += 1
        if self._count == 10:
            raise RuntimeError("the detector broke")
        return super().__call__(image, long_side_px=long_side_px)


def test_blanked_frames_are_counted_and_change_the_exit_code(run: Run, clip: Path, tmp_path: Path) -> None:
    result = run("in.mp4", "out.mp4", "--report", "out.jsonl", models=FlatModels(detector=BrokenDetector()))
    assert result.exit_code == 3
    assert "1 frame blanked" in result.stderr
    frames = [json.loads(line) for line in (tmp_path / "out.jsonl").read_text("utf-8").splitlines()]
    blanked = [frame["index"] for frame in frames if frame.get("blanked")]
    assert len(blanked) == 1
    assert decoded(tmp_path / "out.mp4")[blanked[0]].std() < 3


def test_blanked_frames_are_said_even_when_quiet(run: Run, clip: Path) -> None:
    result = run("in.mp4", "out.mp4", "--quiet", models=FlatModels(detector=BrokenDetector()))
    assert result.exit_code == 3
    assert "1 frame blanked" in result.stderr
    assert len(result.stderr.splitlines()) == 1


# --- bad input --------------------------------------------------------------------------------------------------------


def _empty(folder: Path) -> None:
    (folder / "in.mp4").touch()


def _random(folder: Path) -> None:
    (folder / "in.mp4").write_bytes(np.random.default_rng(1).bytes(20000))


def _truncated(folder: Path) -> None:
    whole = write_clip(folder / "whole.mp4", frames=20).read_bytes()
    (folder / "whole.mp4").unlink()
    (folder / "in.mp4").write_bytes(whole[: len(whole) // 3])


def _sound_only(folder: Path) -> None:
    with av.open(str(folder / "in.mp4"), "w") as container:
        stream = container.add_stream("aac", rate=48000, layout="mono")
        frame = av.AudioFrame.from_ndarray(np.zeros((1, 1024), np.float32), format="fltp", layout="mono")
        frame.sample_rate, frame.pts = 48000, 0
        container.mux(stream.encode(frame))
        container.mux(stream.encode(None))


def _folder(folder: Path) -> None:
    (folder / "in.mp4").mkdir()


def _missing(folder: Path) -> None:
    assert not (folder / "in.mp4").exists()


@pytest.mark.parametrize("make", [_missing, _empty, _random, _truncated, _sound_only, _folder])
def test_a_bad_source_gives_one_line_and_leaves_nothing(run: Run, tmp_path: Path, make: Callable[[Path], None]) -> None:
    make(tmp_path)
    source = tmp_path / "in.mp4"
    before = source.read_bytes() if source.is_file() else None
    result = run("in.mp4", "out.mp4", "--report", "out.jsonl")
    assert result.exit_code == 1
    assert "in.mp4" in one_error_line(result)
    assert result.stdout == ""
    assert names(tmp_path) == ({"in.mp4"} if before is not None else set())
    assert (source.read_bytes() if before is not None else None) == before


@pytest.mark.skipif(os.name != "posix" or os.geteuid() == 0, reason="root may read and write everything")
def test_an_unreadable_source_and_an_unwritable_target(run: Run, clip: Path, tmp_path: Path) -> None:
    clip.chmod(0)
    assert "in.mp4" in one_error_line(run("in.mp4", "out.mp4"))
    clip.chmod(0o600)
    (tmp_path / "locked").mkdir(mode=0o500)
    assert "locked" in one_error_line(run("in.mp4", "locked/out.mp4"))


def test_the_source_is_never_the_target(run: Run, clip: Path, tmp_path: Path) -> None:
    before = clip.read_bytes()
    (tmp_path / "link.mp4").symlink_to(clip)
    for target in ("in.mp4", "./in.mp4", "link.mp4"):
        result = run("in.mp4", target, "--overwrite")
        assert result.exit_code == 1
        one_error_line(result)
    assert clip.read_bytes() == before


def test_an_existing_target_is_kept_unless_told_otherwise(run: Run, clip: Path, tmp_path: Path) -> None:
    (tmp_path / "out.mp4").write_text("precious")
    result = run("in.mp4", "out.mp4")
    assert result.exit_code == 1
    assert "--overwrite" in one_error_line(result)
    assert (tmp_path / "out.mp4").read_text() == "precious"
    assert run("in.mp4", "out.mp4", "--overwrite").exit_code == 0
    assert len(decoded(tmp_path / "out.mp4")) == 12


def test_a_device_is_never_replaced_by_the_target(run: Run, clip: Path) -> None:
    for arguments in ((os.devnull,), (os.devnull, "--overwrite")):
        assert run("in.mp4", *arguments).exit_code == 1
    assert not Path(os.devnull).is_file()


@pytest.mark.skipif(sys.platform == "win32", reason="no limits on file sizes")
def test_a_full_target_is_one_line_and_leaves_nothing(tmp_path: Path) -> None:
    write_clip(tmp_path / "in.mp4", frames=30)
    limited = "import resource; resource.setrlimit(resource.RLIMIT_FSIZE, (8192, 8192))"
    code = f"{limited}; from streamfilter.cli import main; from tests.scenes import FlatModels; main(obj=FlatModels())"
    places = [str(tmp_path / name) for name in ("in.mp4", "out.mp4")]
    command = [sys.executable, "-c", code, "run", *places, "--crf", "0", "--quiet"]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=False, timeout=120)
    assert done.returncode == 1
    assert done.stderr.startswith("error: ")
    assert len(done.stderr.splitlines()) == 1
    assert "out.mp4" in done.stderr
    assert names(tmp_path) == {"in.mp4"}


def test_a_damaged_stream_is_written_as_far_as_it_goes_and_said(run: Run, clip: Path, tmp_path: Path) -> None:
    data = bytearray(write_clip(tmp_path / "in.mkv", frames=60).read_bytes())
    middle = len(data) // 2
    data[middle : middle + 200] = np.random.default_rng(2).bytes(200)
    (tmp_path / "in.mkv").write_bytes(data)
    result = run("in.mkv", "out.mkv")
    assert result.exit_code == 3, result.output
    assert "damaged" in result.stderr
    assert len(decoded(tmp_path / "out.mkv")) >= 30


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (["--crf", "99"], "--crf"),
        (["--device", "toaster"], "--device"),
        (["--landmarks", "dlib"], "--landmarks-file"),
        (["--landmarks-file", "x.dat"], "--landmarks dlib"),
        (["--hold", "-1"], "--hold"),
        (["--no-such-option"], "--no-such-option"),
    ],
)
def test_a_wrong_option_is_a_usage_error(run: Run, clip: Path, tmp_path: Path, arguments: list[str], said: str) -> None:
    result = run("in.mp4", "out.mp4", *arguments)
    assert result.exit_code == 2
    assert said in result.stderr
    assert names(tmp_path) == {"in.mp4"}


def test_an_unknown_codec_is_one_line(run: Run, clip: Path, tmp_path: Path) -> None:
    result = run("in.mp4", "out.mp4", "--codec", "nonsense")
    assert result.exit_code == 2
    assert "nonsense" in one_error_line(result)
    assert names(tmp_path) == {"in.mp4"}


def test_a_device_that_is_not_there_is_refused(run: Run, clip: Path, tmp_path: Path) -> None:
    result = run("in.mp4", "out.mp4", "--device", "tensorrt")
    if result.exit_code == 0:
        pytest.skip("this machine has TensorRT")
    assert result.exit_code == 1
    assert "tensorrt" in one_error_line(result)
    assert result.stdout == ""
    assert names(tmp_path) == {"in.mp4"}


# --- errors and interrupts --------------------------------------------------------------------------------------------


def test_verbose_shows_where_an_error_came_from(run: Run) -> None:
    result = run("nothing.mp4", "out.mp4", "--verbose")
    assert result.exit_code == 1
    assert "Traceback" in result.stderr
    assert "error: " in result.stderr


class Interrupting(FlatAnonymizer):
    """Ctrl-C in the middle of the work."""

    def __call__(self, crops: object) -> list[object]:
        raise KeyboardInterrupt


def test_ctrl_c_removes_what_was_begun_and_says_so(run: Run, clip: Path, tmp_path: Path) -> None:
    result = run("in.mp4", "out.mp4", "--report", "out.jsonl", models=FlatModels(anonymizer=Interrupting()))
    assert result.exit_code == 130
    assert "the unfinished out.mp4 was removed" in result.stderr
    assert "interrupted" in result.stderr
    assert names(tmp_path) == {"in.mp4"}


class InterruptingLater(FlatAnonymizer):
    """Ctrl-C once a file is finished."""

    def __init__(self, finished: Path) -> None:
        super().__init__()
        self._finished = finished

    def __call__(self, crops: Sequence[FaceCrop]) -> list[Patch]:
        if self._finished.exists():
            raise KeyboardInterrupt
        return super().__call__(crops)


def test_an_interrupted_run_keeps_the_report_of_what_it_finished(run: Run, tmp_path: Path) -> None:
    write_clip(tmp_path / "a.mp4", frames=3)
    write_clip(tmp_path / "b.mp4", frames=3)
    models = FlatModels(anonymizer=InterruptingLater(tmp_path / "safe" / "a.mp4"))
    result = run("a.mp4", "b.mp4", "safe/", "--report", "out.jsonl", models=models)
    assert result.exit_code == 130
    assert names(tmp_path / "safe") == {"a.mp4"}
    lines = [json.loads(line) for line in (tmp_path / "out.jsonl").read_text("utf-8").splitlines()]
    assert [line["type"] for line in lines].count("summary") == 1
    assert lines[-1] == {"type": "failed", "error": "interrupted"}


@pytest.mark.parametrize("verbose", [[], ["-v"]])
def test_a_mistyped_address_shows_no_password(run: Run, clip: Path, verbose: list[str]) -> None:
    for arguments in (["rtsp:/me:hush@h/x", "out.mp4"], ["rtsp://me:hush@h/x", "out.mp4", "--no-live"]):
        result = run(*arguments, *verbose)
        assert result.exit_code
        assert "hush" not in result.output + result.stderr
    result = run("in.mp4", "rtsp:/me:hush@h/x", *verbose)
    assert "hush" not in result.output + result.stderr


@pytest.mark.skipif(os.name != "posix", reason="signals as POSIX has them")
@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_a_signal_ends_the_process_cleanly(tmp_path: Path, number: signal.Signals) -> None:
    write_clip(tmp_path / "in.mp4", frames=1500)
    # A shell starts background jobs with Ctrl-C ignored, and children inherit that; the suite may run in such a job.
    heed = "import signal; signal.signal(signal.SIGINT, signal.default_int_handler); "
    code = heed + "from streamfilter.cli import main; from tests.scenes import FlatModels; main(obj=FlatModels())"
    command = [sys.executable, "-c", code, "run", str(tmp_path / "in.mp4"), str(tmp_path / "out.mp4"), "-v"]
    with subprocess.Popen(command, cwd=ROOT, stderr=subprocess.PIPE, text=True) as process:
        while not any(path.name.startswith(".out") for path in tmp_path.iterdir()):
            assert process.poll() is None
        process.send_signal(number)
        _, said = process.communicate(timeout=60)
    assert process.returncode == 130, said
    assert "was removed" in said
    assert "Traceback" not in said
    assert names(tmp_path) == {"in.mp4"}
