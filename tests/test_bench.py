"""`streamfilter bench`: figures of the real pipeline, with nothing left behind."""

from __future__ import annotations

import json
import tempfile
from pathlib import Path

import pytest
from click.testing import CliRunner

from streamfilter.bench import measure, peak_memory_mb
from streamfilter.cli import main
from streamfilter.config import Device, FilterConfig, MediaConfig
from streamfilter.file_job import Outcome
from tests.scenes import FlatModels, write_clip


@pytest.fixture
def clip(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path))
    return write_clip(tmp_path / "clip.mp4", frames=10)


def test_every_stage_of_every_frame_is_timed(clip: Path, tmp_path: Path) -> None:
    passes: list[Outcome] = []
    config = FilterConfig()
    models = FlatModels()(config, device=Device.CPU)
    figures = measure(clip, models, config, MediaConfig(), passes=3, after_pass=passes.append)
    assert (figures.clip, figures.width, figures.height, figures.frames) == ("clip.mp4", 192, 144, 10)
    assert figures.source_fps == 25
    assert len(passes) == figures.passes == len(figures.durations_s) == 3
    assert figures.duration_s == sorted(figures.durations_s)[1]
    assert figures.fps == pytest.approx(10 / figures.duration_s)
    assert figures.faces_per_frame == 1
    assert (figures.replaced, figures.covered, figures.blanked) == (10, 0, 0)
    for stage in ("detect", "track", "landmarks", "generate", "composite", "write"):
        assert figures.stages[stage]["calls"] == 10
        assert 0 < figures.stages[stage]["p50_ms"] <= figures.stages[stage]["p95_ms"]
    assert figures.providers["detector.onnx"] == "CPUExecutionProvider"
    assert list(tmp_path.iterdir()) == [clip]


def test_peak_memory_is_that_of_this_process() -> None:
    peak = peak_memory_mb()
    if peak is None:
        pytest.skip("this system does not tell")
    assert 20 < peak < 20_000


def test_figures_go_to_a_file_or_to_stdout(clip: Path, tmp_path: Path) -> None:
    arguments = ["bench", str(clip), "--device", "cpu", "--repeat", "2", "--json"]
    to_file = CliRunner().invoke(main, [*arguments, str(tmp_path / "bench.json")], obj=FlatModels())
    assert to_file.exit_code == 0, to_file.output
    figures = json.loads((tmp_path / "bench.json").read_text("utf-8"))
    assert (figures["frames"], figures["passes"]) == (10, 2)
    assert "frames per second" in to_file.stdout
    assert to_file.stderr.count("pass: ") == 2
    to_stdout = CliRunner().invoke(main, [*arguments, "-"], obj=FlatModels())
    assert json.loads(to_stdout.stdout)["frames"] == 10


def test_bad_clips_and_places_are_one_line(clip: Path, tmp_path: Path) -> None:
    missing = CliRunner().invoke(main, ["bench", str(tmp_path / "no.mp4")], obj=FlatModels())
    assert missing.exit_code == 1
    assert missing.stderr.startswith("error: ")
    assert len(missing.stderr.splitlines()) == 1
    nowhere = CliRunner().invoke(
        main, ["bench", str(clip), "--json", str(tmp_path / "no" / "b.json")], obj=FlatModels()
    )
    assert nowhere.exit_code == 1
    assert "error: " in nowhere.stderr
    assert "Traceback" not in nowhere.output
