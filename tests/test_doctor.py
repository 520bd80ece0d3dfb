"""`streamfilter doctor`: the truth about this machine, and an exit code that scripts can use."""

from __future__ import annotations

import json
import shutil
from pathlib import Path

import pytest
from click.testing import CliRunner

from streamfilter.cli import main
from streamfilter.config import Device, FilterConfig
from streamfilter.doctor import NEEDED_ENCODER, examine
from streamfilter.errors import DeviceError, ModelError
from streamfilter.model_files import MODELS, sha256
from tests.scenes import FlatModels


def test_a_healthy_machine_is_ready() -> None:
    found = examine(device=Device.CPU, load=FlatModels())
    assert found.ok
    assert found.problems == ()
    assert {"python", "numpy", "av", "libavcodec"} <= found.versions.keys()
    cpu = next(fact for fact in found.devices if fact.device == Device.CPU)
    assert cpu.usable
    assert found.encoders[NEEDED_ENCODER]
    assert found.decoders["h264"]


def test_every_device_is_usable_or_says_why_not() -> None:
    found = examine(load=FlatModels())
    assert [fact.device for fact in found.devices] == ["cpu", "cuda", "tensorrt"]
    assert all(fact.usable or fact.detail for fact in found.devices)


def test_every_model_file_is_named_with_its_hash_and_licence() -> None:
    found = examine(device=Device.CPU, load=FlatModels())
    files = {path.name for path in MODELS.iterdir() if path.suffix in (".onnx", ".weights")}
    assert {model.file for model in found.models} == files
    detector = next(model for model in found.models if model.file == "detector.onnx")
    assert detector.sha256 == sha256(MODELS / "detector.onnx")
    assert detector.bytes == (MODELS / "detector.onnx").stat().st_size
    assert detector.runs_on == "CPUExecutionProvider"
    assert "Apache-2.0" in detector.licence


def test_a_damaged_model_is_a_fatal_problem(tmp_path: Path) -> None:
    shutil.copy(MODELS / "detector.onnx", tmp_path)
    (tmp_path / "other.onnx").write_bytes(b"damaged")
    found = examine(device=Device.CPU, models=tmp_path, load=FlatModels())
    assert not found.ok
    assert any("other.onnx" in problem.what for problem in found.problems)


def test_models_that_do_not_load_are_a_fatal_problem_with_a_remedy() -> None:
    def load(config: FilterConfig, *, device: Device, threads: int = 0) -> None:
        raise ModelError("face_64.onnx is missing")

    found = examine(load=load)
    assert not found.ok
    assert "face_64.onnx" in found.problems[0].what
    assert "reinstall" in found.problems[0].remedy
    assert all(model.runs_on is None for model in found.models)


class NoCuda(FlatModels):
    def __call__(self, config: FilterConfig, *, device: Device = Device.AUTO, threads: int = 0) -> None:
        raise DeviceError(f"--device {device}: not here")


@pytest.mark.parametrize("as_json", [False, True])
def test_the_exit_code_says_whether_the_main_job_could_run(as_json: bool) -> None:
    arguments = ["doctor", *(["--json"] if as_json else [])]
    assert CliRunner().invoke(main, arguments, obj=FlatModels()).exit_code == 0
    failed = CliRunner().invoke(main, [*arguments, "--device", "cuda"], obj=NoCuda())
    assert failed.exit_code == 1
    assert "--device cuda: not here" in failed.stdout


def test_json_is_all_that_stdout_holds() -> None:
    result = CliRunner().invoke(main, ["doctor", "--json"], obj=FlatModels())
    found = json.loads(result.stdout)
    assert found["ok"] is True
    assert found["problems"] == []
    assert {"versions", "devices", "decoders", "encoders", "models"} <= found.keys()
    assert result.stderr == ""


def test_tables_name_what_matters() -> None:
    result = CliRunner().invoke(main, ["doctor"], obj=FlatModels())
    for word in ("detector.onnx", "libx264", "cuda", "numpy", "licence", "ready: streamfilter run would work here"):
        assert word in result.stdout
