from __future__ import annotations

import copy
import json
import shutil
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import click
import numpy as np
import onnx
import pytest
import torch
from click.testing import CliRunner
from onnx import numpy_helper
from torch import Tensor, nn

from export import parity, to_onnx
from export.inputs import drawn_inputs, faces_in, real_inputs
from export.painters import INPUTS, load_source
from export.parity import Difference, measure, painter_cases, table
from export.precision import Precision, convert, output_axes, store_as_bytes
from export.to_onnx import IDENTITY, ExportConfig, export, install
from export.tracing import input_names, trace, weights_of
from export.weights import ALIGNMENT, WeightFiles
from streamfilter.anonymize import Anonymizer
from streamfilter.config import AnonymizeConfig, Device
from streamfilter.errors import ModelError
from streamfilter.model_files import weights_beside
from streamfilter.probe import SIDE_PX, picture, track
from tests.export_kit import SIDE, closed_form, closed_form_model, light, source, write_decoder
from tests.test_training_stylegan2 import drawn
from training.generator.vet import covariance
from training.networks.encoder import Encoder, EncoderConfig
from training.prepare.faces import Face, encode
from training.prepare.parts import Part
from training.prepare.sources import Picture
from training.train.checkpoint import save_snapshot

TINY = EncoderConfig(
    side=64, stem=8, stem_stride=2, widths=(8, 8, 8), depths=(1, 1, 1), lateral=8, heads="shared", head_width=8,
    read_landmarks=True,
)  # fmt: skip
ONE_RUNG = ExportConfig(sides=(SIDE,))


@pytest.fixture(scope="module", autouse=True)
def quick_vetting() -> Iterator[None]:
    """Vetting measures 20,000 latents, which takes seconds; a few will do for random networks."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("training.generator.vet.covariance", lambda mapping, average: covariance(mapping, average, 600))
        yield


@pytest.fixture(scope="module")
def exported(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A light controller exported by the command line from files: 64 px, halved weights."""
    folder = tmp_path_factory.mktemp("export")
    save_snapshot(folder / "snapshot.pt", model=light(), step=7, kimg=0.5, preset={"packs": ["/home/me"]})
    write_decoder(folder / "decoder.pt")
    done = run_export(folder, "models")
    assert done.exit_code == 0, done.output
    return folder


def run_export(folder: Path, out: str, *options: str, checkpoint: str = "snapshot.pt"):
    command = [folder / checkpoint, folder / out, "--decoder", folder / "decoder.pt", "--rungs", "64", *options]
    return CliRunner().invoke(to_onnx.main, [str(part) for part in command])


def metadata(path: Path) -> dict[str, str]:
    return {entry.key: entry.value for entry in onnx.load(path, load_external_data=False).metadata_props}


def sizes(folder: Path) -> dict[str, int]:
    return {path.name: path.stat().st_size for path in folder.iterdir()}


def test_the_decoder_and_the_latent_model_have_a_file_of_weights_each(exported):
    assert set(sizes(exported / "models")) == {"face_64.onnx", "identity.onnx", "face.weights", "light.weights"}
    assert [path.name for path in weights_beside([exported / "models" / IDENTITY])] == ["face.weights", "light.weights"]
    assert sizes(exported / "models")["face_64.onnx"] < 200_000


def test_a_model_describes_itself_and_no_machine(exported):
    found = metadata(exported / "models" / "face_64.onnx")
    run = json.loads(found.pop("training_run"))
    assert (run["kind"], run["step"], run["kimg"]) == ("light", 7, 0.5)
    assert found.pop("licence").startswith("research")
    assert found == {
        "kind": "anonymizer", "version": "1", "resolution": "64", "n_styles": "23", "precision": "fp16-weights",
        "inputs": "surroundings, landmarks, identity", "colour_order": "RGB", "range": "-1..1", "template": "FFHQ",
        "model": "light",
    }  # fmt: skip
    assert b"/home/me" not in (exported / "models" / "face_64.onnx").read_bytes()
    assert metadata(exported / "models" / IDENTITY)["kind"] == "identity"


def test_only_standard_operators_are_used(exported):
    model = onnx.load(exported / "models" / "face_64.onnx", load_external_data=False)
    assert {node.domain for node in model.graph.node} <= {"", "ai.onnx"}
    onnx.checker.check_model(str(exported / "models" / "face_64.onnx"))


def test_the_runtime_paints_with_an_exported_model(exported):
    config = AnonymizeConfig(seed=1, max_rung_px=SIDE)
    path = exported / "models" / "face_64.onnx"
    anonymizer = Anonymizer.load(config=config, device=Device.CPU, threads=1, model=path)
    crop = anonymizer.crop(picture(), track(SIDE_PX))
    [patch] = anonymizer([crop])
    assert patch.image.shape == (SIDE, SIDE, 3)
    assert patch.image.std() > 0


def test_kept_weights_stay_as_they_are_and_are_referred_to(exported):
    keep = ["--keep", str(exported / "models" / "face.weights"), "--keep", str(exported / "models" / IDENTITY)]
    done = run_export(exported, "again", *keep, "--store", "int8")
    assert done.exit_code == 0, done.output
    for name in ("face.weights", IDENTITY):
        assert (exported / "again" / name).read_bytes() == (exported / "models" / name).read_bytes()
    assert sizes(exported / "again")["light.weights"] < 0.6 * sizes(exported / "models")["light.weights"]


def test_parity_of_a_model_that_agrees_and_of_one_that_does_not(exported, tmp_path):
    arguments = [str(exported / "snapshot.pt"), "--decoder", str(exported / "decoder.pt")]
    for name in ("face_64.onnx", IDENTITY):
        done = CliRunner().invoke(parity.main, [str(exported / "models" / name), *arguments])
        assert done.exit_code == 0, done.output
        assert "FAILS" not in done.output
    save_snapshot(tmp_path / "other.pt", model=light(seed=9), step=7, kimg=0.5, preset={})
    arguments[0] = str(tmp_path / "other.pt")
    done = CliRunner().invoke(parity.main, [str(exported / "models" / "face_64.onnx"), *arguments])
    assert done.exit_code == 1
    assert "FAILS: PSNR >= 40 dB" in done.output
    assert "face_64.onnx differs too much from PyTorch" in done.output


def test_parity_refuses_a_model_of_another_kind(exported):
    detector = Path(to_onnx.__file__).parents[1] / "streamfilter" / "models" / "detector.onnx"
    arguments = [str(detector), str(exported / "snapshot.pt"), "--decoder", str(exported / "decoder.pt")]
    done = CliRunner().invoke(parity.main, arguments)
    assert done.exit_code == 1
    assert "kind 'detector'" in done.output


@pytest.mark.parametrize(
    ("options", "message"),
    [
        (["--rungs", "96"], "does not paint at 96 px; it does at 64, 128, 256"),
        (["--rungs", "small"], "'small' is no list of sides"),
        (["--keep", "snapshot.pt"], "--keep takes files of weights"),
        (["--precision", "int4"], "'int4' is not one of"),
    ],
)
def test_options_that_cannot_work(exported, monkeypatch, options, message):
    monkeypatch.chdir(exported)
    done = run_export(exported, "wrong", *options)
    assert done.exit_code != 0
    assert message in done.output
    assert not (exported / "wrong").exists()


def test_a_checkpoint_that_is_none(exported):
    (exported / "empty").mkdir(exist_ok=True)
    done = run_export(exported, "wrong", checkpoint="empty")
    assert done.exit_code == 1
    assert "holds none" in done.output


def test_a_kept_file_must_be_the_one_that_lies_there(exported, tmp_path):
    (tmp_path / "face.weights").write_bytes(b"other")
    done = run_export(exported, "models", "--keep", str(tmp_path / "face.weights"))
    assert done.exit_code == 1
    assert "is not the face.weights that is to be kept" in done.output


def test_the_closed_form_is_exported_too(exported, tmp_path):
    np.savez(tmp_path / "controller.npz", **closed_form())
    loaded = load_source(tmp_path / "controller.npz", exported / "decoder.pt")
    assert loaded.kind == "closed_form"
    rows = export(source(closed_form_model(), "closed_form"), tmp_path / "out", ONE_RUNG, keep=[], faces=[])
    assert all(row.passed for row in rows)


class Drifting(nn.Module):
    """Gives something else when it is traced: an export gone wrong."""

    n_styles = 23

    def forward(self, surroundings: Tensor, pose: Tensor, landmarks: Tensor, identity: Tensor) -> Tensor:
        return identity * (1.5 if torch.jit.is_tracing() else 1.0)


def test_a_model_that_differs_is_refused_and_nothing_is_written(tmp_path):
    with pytest.raises(click.ClickException, match=r"face_64\.onnx differs too much"):
        export(source(Drifting()), tmp_path / "out", ONE_RUNG, keep=[], faces=[])
    assert list(tmp_path.iterdir()) == []


def test_files_in_use_by_other_models_are_not_replaced(tmp_path):
    out = tmp_path / "out"
    export(source(), out, ONE_RUNG, keep=[], faces=[])
    (out / "face_64.onnx").rename(out / "old_64.onnx")
    before = sizes(out)
    with pytest.raises(click.ClickException, match=r"old_64\.onnx needs the face\.weights that would be replaced"):
        export(source(light(seed=5)), out, ONE_RUNG, keep=[], faces=[])
    assert sizes(out) == before


def test_finished_files_are_moved_weights_first(tmp_path, monkeypatch):
    (tmp_path / "work").mkdir()
    for name in ("a.onnx", "b.weights"):
        (tmp_path / "work" / name).write_bytes(b"")
    moved = []
    monkeypatch.setattr("os.replace", lambda source, target: moved.append(Path(target).name))
    install(tmp_path / "work", tmp_path / "out", ())
    assert moved == ["b.weights", "a.onnx"]


@pytest.mark.parametrize(("precision", "least_db"), [(Precision.FP32, 90), (Precision.FP16, 40)])
def test_precisions(tmp_path, precision, least_db):
    rows = export(source(), tmp_path, ExportConfig(sides=(SIDE,), precision=precision), keep=[], faces=[])
    assert all(row.passed and row.precision is precision for row in rows)
    assert min(row.psnr_db for row in rows if row.model == "face_64.onnx") > least_db
    model = onnx.load(tmp_path / "face_64.onnx", load_external_data=False)
    types = {value.type.tensor_type.elem_type for value in (*model.graph.input, *model.graph.output)}
    assert types == {onnx.TensorProto.FLOAT}


@pytest.mark.parametrize("precision", Precision)
def test_bytes_lose_little_in_any_precision(tmp_path, precision):
    config = ExportConfig(sides=(SIDE,), precision=precision, int8=True)
    work = to_onnx.Export(source(), config, tmp_path)
    rows = [row for row in work.write([], identity=False) if row.model == "face_64.onnx"]
    assert min(row.psnr_db for row in rows) > 40
    model = onnx.load(tmp_path / "face_64.onnx", load_external_data=False)
    stored = {tensor.name for tensor in model.graph.initializer if tensor.data_type == onnx.TensorProto.INT8}
    assert "latent.leave.weight.int8" in stored
    assert not any("decoder" in name for name in stored)


def test_an_encoder_is_given_all_four_inputs_and_a_foreign_start(tmp_path):
    torch.manual_seed(0)
    encoder = Encoder(TINY, light()).eval().requires_grad_(False)
    for module in encoder.map2style:
        nn.init.normal_(module.linear.weight, std=0.1)
    rows = export(source(encoder, "encoder"), tmp_path, ONE_RUNG, keep=[], faces=[])
    assert all(row.passed for row in rows)
    assert metadata(tmp_path / "face_64.onnx")["inputs"] == ", ".join(INPUTS)
    assert "encoder.weights" in sizes(tmp_path)


@pytest.fixture(scope="module")
def stylegan2(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A StyleGAN2 of 256 px with random weights and an encoder for it, as files."""
    folder = tmp_path_factory.mktemp("stylegan2")
    torch.save({"g_ema": drawn(256, [4] * 7, layers=1), "latent_avg": torch.zeros(512)}, folder / "decoder.pt")
    torch.manual_seed(0)
    config = replace(TINY, n_styles=14, first_medium=3, first_fine=7)
    encoder = Encoder(config).eval()
    for module in encoder.map2style:
        nn.init.normal_(module.linear.weight, std=0.1)
    save_snapshot(folder / "snapshot.pt", model=encoder, step=1, kimg=0.1, preset={})
    return folder


def test_an_encoder_for_a_stylegan2_runs_in_the_runtime_with_its_own_identities(stylegan2, tmp_path):
    done = run_export(stylegan2, "models")
    assert done.exit_code == 0, done.output
    path = stylegan2 / "models" / "face_64.onnx"
    assert metadata(path)["n_styles"] == "14"
    assert metadata(path)["inputs"] == ", ".join(INPUTS)
    assert metadata(path)["licence"].startswith("not stated")
    anonymizer = Anonymizer.load(config=AnonymizeConfig(seed=1), device=Device.CPU, threads=1, model=path)
    [patch] = anonymizer([anonymizer.crop(picture(), track(SIDE_PX))])
    assert patch.image.std() > 0
    for name in ("face_64.onnx", "face.weights", "encoder.weights"):
        shutil.copy(stylegan2 / "models" / name, tmp_path)
    with pytest.raises(ModelError, match=r"identities of 14 styles, .* gives 23; put the identity\.onnx"):
        Anonymizer.load(device=Device.CPU, threads=1, model=tmp_path / "face_64.onnx")


def test_a_model_and_a_decoder_that_do_not_belong_together(exported, stylegan2):
    (exported / "mixed").mkdir()
    shutil.copy(stylegan2 / "decoder.pt", exported / "mixed")
    shutil.copy(exported / "snapshot.pt", exported / "mixed")
    done = run_export(exported / "mixed", "models")
    assert done.exit_code == 1
    assert "snapshot.pt steers 23 styles, but decoder.pt has 14" in done.output


def example(module: nn.Module) -> onnx.ModelProto:
    made = drawn_inputs(source().identities, SIDE, 2)
    return trace(module, {name: made[name] for name in INPUTS}, "face")


def test_unused_inputs_and_unit_matrices_leave_the_graph():
    folded = source().painter(SIDE).folded()
    assert torch.equal(folded.latent.metric, torch.eye(512))
    model = example(folded)
    assert input_names(model) == ["surroundings", "landmarks", "identity"]
    assert not any(tuple(t.dims) == (512, 512) and "latent" in t.name for t in model.graph.initializer)


def test_the_owner_of_a_weight_is_told_by_its_readers():
    model = example(source(closed_form_model()).painter(SIDE))
    own, others = weights_of(model, "latent"), weights_of(model, "decoder")
    assert any(name.endswith("predict") for name in own)
    assert any("MatMul" in name for name in own), "folded constants have no module in their name"
    assert any(name.endswith("const") for name in others)
    assert not own & others


def test_weights_are_stored_once_and_aligned():
    files, traced = WeightFiles(), example(source().painter(SIDE))
    files.move_out(copy.deepcopy(traced), lambda name: "x.weights")
    size = len(files.new["x.weights"])
    model = files.move_out(traced, lambda name: "x.weights")
    assert len(files.new["x.weights"]) == size > 0
    offsets = [int(e.value) for t in model.graph.initializer for e in t.external_data if e.key == "offset"]
    assert offsets
    assert all(offset % ALIGNMENT == 0 for offset in offsets)


def test_kept_weights_are_found_only_where_they_are_aligned():
    data = np.random.default_rng(0).bytes(2000)
    assert WeightFiles({"a": bytes(64) + data}).holds(data)
    assert not WeightFiles({"a": bytes(63) + data}).holds(data)
    assert WeightFiles({"a": bytes(63) + data + bytes(-(63 + 2000) % 64) + data}).holds(data)
    tensor = numpy_helper.from_array(np.frombuffer(np.random.default_rng(1).bytes(4096), np.float32), "w")
    model = onnx.helper.make_model(onnx.helper.make_graph([], "g", [], [], [tensor]))
    with pytest.raises(ValueError, match="a is kept"):
        WeightFiles({"a": data}).move_out(model, lambda name: "a")


def test_a_weight_too_large_for_halves_is_refused():
    tensor = numpy_helper.from_array(np.full(2048, 1e6, np.float32), "w")
    model = onnx.helper.make_model(onnx.helper.make_graph([], "g", [], [], [tensor]))
    with pytest.raises(ValueError, match="weight w does not fit the range of fp16"):
        convert(model, Precision.FP16_WEIGHTS)


@pytest.mark.parametrize(("operator", "turned", "axis"), [("MatMul", 0, 1), ("Gemm", 1, 0), ("Conv", 0, 0)])
def test_bytes_have_a_scale_per_output_channel(operator, turned, axis):
    value = np.random.default_rng(0).normal(size=(8, 6)).astype(np.float32) * (10.0 ** np.arange(6))
    attributes = {"transB": turned} if turned else {}
    node = onnx.helper.make_node(operator, ["x", "w"], ["y"], **attributes)
    model = onnx.helper.make_model(
        onnx.helper.make_graph([node], "g", [], [], [numpy_helper.from_array(value.astype(np.float32), "w")])
    )
    assert output_axes(model) == {"w": axis}
    store_as_bytes(model, "w", value.astype(np.float32), 1)
    parts = {t.name: numpy_helper.to_array(t) for t in model.graph.initializer}
    error = np.abs(parts["w.int8"] * parts["w.scale"] - value)
    assert (error <= 0.51 * np.abs(value).max(0) / 127).all()


def test_what_counts_as_a_difference():
    want = np.linspace(-1, 1, 100).reshape(1, 100)
    assert measure(want, want) == (0.0, 200.0)
    largest, psnr_db = measure(want + 0.002, want)
    assert largest == pytest.approx(1e-3)
    assert psnr_db == pytest.approx(60)
    for broken in (want[:, 1:], np.full_like(want, np.nan)):
        assert measure(broken, want) == (float("inf"), float("-inf"))
    assert measure(np.zeros((1, 3)), np.zeros((1, 3)))[0] == float("inf"), "a constant proves nothing"


@pytest.mark.parametrize(
    ("precision", "largest", "psnr_db", "passed"),
    [("fp32", 9e-4, 10, True), ("fp32", 2e-3, 90, False), ("fp16", 0.1, 41, True), ("fp16-weights", 0.0, 39, False)],
)
def test_what_a_model_must_reach(precision, largest, psnr_db, passed):
    row = Difference(
        model="m", inputs="drawn", count=1, precision=Precision(precision), largest=largest, psnr_db=psnr_db
    )
    assert row.passed is passed
    assert ("FAILS" in table([row])) is not passed


def test_without_photos_the_faces_come_from_the_sample_clip():
    faces = faces_in(None, most=3)
    assert len(faces) == 3
    for crop, points in faces:
        assert crop.shape == (256, 256, 3)
        assert ((points > -0.05) & (points < 1.05)).all()


def test_real_inputs_come_from_a_pack(tmp_path):
    crop, points = picture(256), track(256).landmarks
    face = Face(jpeg=encode(crop), landmarks=(points + 0.5) / 256, matrix=np.eye(2, 3, dtype=np.float32))
    part = Part(source="drawn", key="k")
    for i in range(3):
        part.add(face, Picture(name=f"{i}", person="p", image=crop), follows_last=False)
    part.save(tmp_path / "part_0000.npz")
    faces = faces_in(tmp_path, most=2)
    assert len(faces) == 2
    made = real_inputs(faces, source().identities, SIDE)
    shapes = [(2, 3, SIDE, SIDE), (2, 1, SIDE, SIDE), (2, 68, 2), (2, 23, 512)]
    assert [tuple(made[name].shape) for name in INPUTS] == shapes
    assert made["surroundings"].min() >= -1
    assert made["surroundings"].max() <= 1
    assert made["pose"].sum() > 0


def test_a_folder_without_faces_is_refused(tmp_path):
    with pytest.raises(click.ClickException, match="no face found"):
        faces_in(tmp_path, most=2)


@pytest.mark.real
def test_real_inputs_come_from_photos(real_data):
    faces = faces_in(real_data / "faces" / "lfw", most=3)
    image, points = faces[0]
    assert image.shape == (256, 256, 3)
    eyes = points[36:48].mean(0)
    assert np.abs(eyes - [0.5, 0.48]).max() < 0.06
    work = source()
    painter = work.painter(SIDE)
    cases = painter_cases(work, SIDE, faces)
    assert [name for name, _ in cases] == ["drawn", "drawn", "drawn", "real"]
    assert painter(*(cases[-1][1][name] for name in INPUTS)).shape == (3, 3, SIDE, SIDE)
