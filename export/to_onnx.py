"""Writes the models that the runtime ships: one anonymizer per rung and the identity model.

    python -m export.to_onnx DECODER.pt CONTROLLER.npz OUT_FOLDER

The rungs share one file of weights. Every model is checked against PyTorch; nothing is written if one differs too much.
"""

from __future__ import annotations

import tempfile
import warnings
from collections.abc import Sequence
from pathlib import Path

import click
import numpy as np
import onnx
import onnxruntime as ort
import torch
from torch import Tensor, nn

from export.compact import SharedWeights, describe, halve_weights
from training.generator.networks import RUNGS, STYLES, seeded_z
from training.generator.sample import load_decoder_checkpoint
from training.generator.steered import Anonymizer, load_controller
from training.generator.vet import IdentityModel

OPSET = 17
WEIGHTS = "face.weights"
LEAST_PSNR_DB = 40.0
LICENCE = (
    "research and non-commercial use only: derived from MobileStyleGAN / StyleGAN2 (NVIDIA, non-commercial) trained on"
    " FFHQ (CC BY-NC-SA 4.0)"
)


def trace(module: nn.Module, inputs: dict[str, Tensor], output: str) -> onnx.ModelProto:
    """A traced ONNX graph with a dynamic first axis on every input and on the output."""
    with tempfile.TemporaryDirectory() as folder, warnings.catch_warnings():
        warnings.simplefilter("ignore")  # the exporter's own deprecation notes
        path = Path(folder) / "model.onnx"
        torch.onnx.export(
            module.eval(), tuple(inputs.values()), str(path), opset_version=OPSET, dynamo=False,
            input_names=list(inputs), output_names=[output],
            dynamic_axes={name: {0: "n"} for name in (*inputs, output)},
        )  # fmt: skip
        return onnx.load(path)


def parity_psnr(model: onnx.ModelProto, module: nn.Module, inputs: dict[str, Tensor]) -> float:
    """PSNR in dB between ONNX Runtime and PyTorch, relative to the range of PyTorch's output."""
    session = ort.InferenceSession(model.SerializeToString(), providers=["CPUExecutionProvider"])
    got = session.run(None, {name: value.numpy() for name, value in inputs.items()})[0]
    with torch.no_grad():
        want = module(*inputs.values()).numpy()
    error = float(np.square(got - want).mean())
    return float(10 * np.log10((want.max() - want.min()) ** 2 / max(error, 1e-20)))


def checked(
    module: nn.Module, inputs: Sequence[dict[str, Tensor]], output: str, meta: dict[str, str], name: str
) -> onnx.ModelProto:
    """Export `module` and check it on all `inputs` (of different batch sizes).

    Raises:
        click.ClickException: the exported model differs from PyTorch.
    """
    model = describe(halve_weights(trace(module, inputs[0], output)), meta)
    onnx.checker.check_model(model)
    worst = min(parity_psnr(model, module, item) for item in inputs)
    if worst < LEAST_PSNR_DB:
        raise click.ClickException(f"{name}: {worst:.1f} dB against PyTorch, needed are {LEAST_PSNR_DB:.0f}")
    click.echo(f"{name}: {worst:.1f} dB against PyTorch")
    return model


def face_inputs(identity: IdentityModel, side: int, count: int) -> dict[str, Tensor]:
    """Random but plausible inputs of an anonymizer."""
    rng = np.random.default_rng(count)
    mean = torch.from_numpy(rng.normal(0.5, 0.02, (count, 68, 2)).astype(np.float32))
    surroundings = torch.from_numpy(rng.uniform(-1, 1, (count, 3, side, side)).astype(np.float32))
    with torch.no_grad():
        return {"surroundings": surroundings, "landmarks": mean, "identity": identity(seeded_z(count, 3)).contiguous()}


@click.command()
@click.argument("checkpoint", type=click.Path(exists=True, dir_okay=False, path_type=Path))
@click.argument("controller", type=click.Path(exists=True, dir_okay=False, path_type=Path))
@click.argument("out", type=click.Path(file_okay=False, path_type=Path))
@click.option("--version", default="1", show_default=True, help="Version written into the metadata.")
def main(checkpoint: Path, controller: Path, out: Path, version: str) -> None:
    """Export all rungs and the identity model."""
    decoder, mapping, average = load_decoder_checkpoint(checkpoint)
    identity, steer = IdentityModel(mapping, average).eval(), load_controller(controller)
    models, shared = {}, SharedWeights(WEIGHTS)
    common = {"version": version, "licence": LICENCE, "n_styles": str(STYLES)}
    for side in RUNGS:
        meta = {
            "kind": "anonymizer", **common, "resolution": str(side), "colour_order": "RGB", "range": "-1..1",
            "template": "FFHQ", "inputs": "surroundings, landmarks, identity", "training_run": checkpoint.stem,
        }  # fmt: skip
        inputs = [face_inputs(identity, side, count) for count in (2, 1, 3)]
        name = f"face_{side}.onnx"
        models[name] = shared.move_out(checked(Anonymizer(steer, decoder, side).eval(), inputs, "face", meta, name))
    meta = {"kind": "identity", **common, "inputs": "z", "training_run": checkpoint.stem}
    draws = [{"z": seeded_z(count, count)} for count in (4, 1)]
    models["identity.onnx"] = checked(identity, draws, "identity", meta, "identity.onnx")
    out.mkdir(parents=True, exist_ok=True)
    (out / WEIGHTS).write_bytes(shared.blob)
    for name, model in models.items():
        (out / name).write_bytes(model.SerializeToString())
    total = sum((out / name).stat().st_size for name in (*models, WEIGHTS))
    click.echo(f"{len(models)} models, {total / 2**20:.1f} MiB")


if __name__ == "__main__":
    main()
