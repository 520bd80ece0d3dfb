from __future__ import annotations

import json
import time
from pathlib import Path

import click
import numpy as np
import onnx
import pytest
from click.testing import CliRunner

from export import to_tensorrt
from export.to_tensorrt import (
    TENSORRT,
    engine_options,
    gpu_count,
    loadable,
    missing,
    parse_batches,
    profile,
    shapes_of,
    ticking,
    warm_ms,
    write_record,
)
from streamfilter import engines
from streamfilter.config import Device
from streamfilter.engines import Engine
from streamfilter.errors import DeviceError
from streamfilter.model_files import MODELS
from streamfilter.onnx_model import OnnxModel

SHAPES = {"surroundings": (3, 64, 64), "landmarks": (68, 2), "identity": (23, 512)}


@pytest.fixture
def model(tmp_path: Path) -> Path:
    """A model that doubles its input (n, 2)."""
    value = [onnx.helper.make_tensor_value_info(name, onnx.TensorProto.FLOAT, ["n", 2]) for name in "xy"]
    graph = onnx.helper.make_graph([onnx.helper.make_node("Add", ["x", "x"], ["y"])], "g", value[:1], value[1:])
    made = onnx.helper.make_model(graph, opset_imports=[onnx.helper.make_opsetid("", 17)], ir_version=8)
    onnx.helper.set_model_props(made, {"kind": "double"})
    onnx.save(made, tmp_path / "double.onnx")
    return tmp_path / "double.onnx"


def engine_of(model: Path, largest_batch: int = 4) -> Engine:
    options = engine_options({"x": (2,)}, [1, largest_batch], tuned_for=1, prefix=model.stem, fp16=True)
    return Engine(fingerprint=engines.fingerprint(model), largest_batch=largest_batch, options=options)


def test_one_profile_reaches_from_one_row_to_the_largest_batch():
    options = engine_options(SHAPES, [2, 4, 8], tuned_for=2, prefix="face_64", fp16=True)
    assert options["trt_profile_min_shapes"] == "surroundings:1x3x64x64,landmarks:1x68x2,identity:1x23x512"
    assert options["trt_profile_opt_shapes"] == "surroundings:2x3x64x64,landmarks:2x68x2,identity:2x23x512"
    assert options["trt_profile_max_shapes"] == "surroundings:8x3x64x64,landmarks:8x68x2,identity:8x23x512"
    assert options["trt_engine_cache_prefix"] == "face_64"
    switches = ("trt_fp16_enable", "trt_engine_cache_enable", "trt_timing_cache_enable")
    assert [options[name] for name in switches] == ["1", "1", "1"]
    assert engine_options(SHAPES, [1], tuned_for=1, prefix="x", fp16=False)["trt_fp16_enable"] == "0"


def test_the_cache_is_named_when_the_options_are_used(tmp_path):
    engine = Engine(fingerprint="0", largest_batch=1, options={"trt_fp16_enable": "1"})
    assert engine.provider_options(tmp_path) == {
        "trt_fp16_enable": "1",
        "trt_engine_cache_path": str(tmp_path),
        "trt_timing_cache_path": str(tmp_path),
    }


@pytest.mark.parametrize("name", ["face_64.onnx", "face_256.onnx", "identity.onnx", "landmarks.onnx"])
def test_shapes_of_the_shipped_models_are_fixed_but_for_the_batch(name):
    shapes = shapes_of(MODELS / name)
    assert shapes
    assert profile(shapes, 3).startswith(f"{next(iter(shapes))}:3x")


def test_a_model_of_free_sizes_is_refused():
    with pytest.raises(click.ClickException, match="'image' has free axes"):
        shapes_of(MODELS / "detector.onnx")


def test_what_a_machine_lacks_is_said_with_what_to_do(monkeypatch):
    monkeypatch.setattr(to_tensorrt, "LIBRARIES", ("libnothing.so.10",))
    monkeypatch.setattr(to_tensorrt, "DRIVERS", ("libnodriver.so.1",))
    provider, library, gpu = missing(["CPUExecutionProvider"])
    assert TENSORRT in provider
    assert "onnxruntime-gpu" in provider
    assert "libnothing.so.10" in library
    assert "LD_LIBRARY_PATH" in library
    assert gpu == "no GPU: the NVIDIA driver cannot be loaded"
    assert len(missing([TENSORRT])) == 2
    assert not loadable("libnothing.so.10")


def test_a_machine_that_lacks_nothing(monkeypatch):
    monkeypatch.setattr(to_tensorrt, "loadable", lambda name: True)
    monkeypatch.setattr(to_tensorrt, "gpu_count", lambda: 1)
    assert missing([TENSORRT]) == []
    monkeypatch.setattr(to_tensorrt, "gpu_count", lambda: 0)
    assert missing([TENSORRT]) == ["no GPU: the NVIDIA driver shows none"]


def test_the_command_says_what_is_missing_and_fails(model, monkeypatch):
    monkeypatch.setattr(to_tensorrt, "missing", lambda: ["no GPU: the NVIDIA driver shows none"])
    done = CliRunner().invoke(to_tensorrt.main, [str(model)])
    assert done.exit_code == 1
    assert "no engine can be built here" in done.output
    assert "no GPU: the NVIDIA driver shows none" in done.output
    assert not engines.cache_of(model).exists()


def test_here_an_engine_is_built_or_the_lack_is_named(model):
    lacks = missing()
    done = CliRunner().invoke(to_tensorrt.main, [str(model), "--batch", "1,2"])
    if lacks:
        assert done.exit_code == 1
        assert all(what in done.output for what in lacks)
        assert not engines.record_path(model, engines.cache_of(model)).exists()
    else:
        assert done.exit_code == 0, done.output
        assert engines.read(model).largest_batch == 2


@pytest.mark.parametrize(
    ("options", "message"),
    [
        (["--batch", "many"], "'many' is no list of batch sizes"),
        (["--batch", "0,2"], "'0,2' is no list of batch sizes"),
        (["--batch", "1,4", "--tune-for", "8"], "8 is not between 1 and 4"),
    ],
)
def test_options_that_cannot_work(model, options, message):
    done = CliRunner().invoke(to_tensorrt.main, [str(model), *options])
    assert done.exit_code == 2
    assert message in done.output


def test_batches_are_read_in_order():
    assert parse_batches("4,1,4,2") == (1, 2, 4)


def test_gpus_are_counted_or_there_is_no_driver():
    assert gpu_count() is None or gpu_count() >= 0


def test_a_long_build_reports_its_time(capsys):
    with ticking("engine", every_s=0.01):
        time.sleep(0.1)
    captured = capsys.readouterr()
    assert "engine: 0 s so far" in captured.err
    assert "engine: done in 0." in captured.out


def test_warm_runs_take_any_batch(model):
    assert warm_ms(to_tensorrt.open_model(model), {"x": (2,)}, 3) > 0


def test_the_runtime_reads_the_record_of_an_engine(model):
    assert engines.read(model) is None
    cache = engines.cache_of(model)
    cache.mkdir()
    write_record(model, engine_of(model), cache)
    assert engines.read(model) == engine_of(model)
    assert sorted(path.name for path in cache.iterdir()) == ["double.json"]


def test_an_engine_of_another_model_is_refused(model):
    cache = engines.cache_of(model)
    cache.mkdir()
    write_record(model, engine_of(model), cache)
    model.write_bytes(model.read_bytes() + b" ")
    with pytest.raises(DeviceError, match=r"belongs to another double\.onnx; build it again"):
        engines.read(model)
    engines.record_path(model, cache).write_text(json.dumps({"largest_batch": 1}))
    with pytest.raises(DeviceError, match="is damaged"):
        engines.read(model)


def test_more_rows_than_the_engine_takes_are_run_in_parts(model, monkeypatch):
    loaded = OnnxModel(model, kind="double", device=Device.CPU, threads=1)
    monkeypatch.setattr(loaded, "_largest_batch", 4)
    sizes = []
    run = loaded._run
    monkeypatch.setattr(loaded, "_run", lambda inputs: sizes.append(len(inputs["x"])) or run(inputs))
    x = np.arange(20, dtype=np.float32).reshape(10, 2)
    np.testing.assert_array_equal(loaded(x=x)["y"], 2 * x)
    assert sizes == [4, 4, 2]
