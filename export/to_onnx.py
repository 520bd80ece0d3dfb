"""Writes the models that the runtime loads: a latent model and a decoder in one graph per rung, and the identity model.

    python -m export.to_onnx CHECKPOINT OUT_FOLDER --decoder DECODER.pt

CHECKPOINT is a training snapshot, or the closed form (`.npz`). The rungs share their weights: the decoder's lie in one
file, the latent model's in another. `--keep FILE` leaves a file of weights in OUT_FOLDER as it is and refers into it.
Every model is compared with PyTorch; nothing is written if one differs too much.
"""

from __future__ import annotations

import os
import shutil
import tempfile
from collections.abc import Collection, Sequence
from dataclasses import dataclass
from pathlib import Path

import click
import numpy as np
import onnx
from onnx import numpy_helper
from torch import nn

from export.inputs import drawn_inputs, faces_in
from export.painters import INPUTS, Source, load_source
from export.parity import REAL_COUNT, Difference, Faces, check_identity, check_painter, painter_cases, refuse_failures
from export.precision import Precision, convert
from export.tracing import describe, input_names, trace, weights_of
from export.weights import WeightFiles
from streamfilter.errors import StreamFilterError
from training.generator.networks import seeded_z
from training.networks.decoders import MobileDecoder

IDENTITY = "identity.onnx"
WEIGHTS = ".weights"
FILE = click.Path(exists=True, dir_okay=False, path_type=Path)
MIB = 2**20
LICENCE = (
    "research and non-commercial use only: derived from MobileStyleGAN / StyleGAN2 (NVIDIA, non-commercial) trained on"
    " FFHQ (CC BY-NC-SA 4.0)"
)
UNSTATED = "not stated; that of the decoder's weights applies"


@dataclass(frozen=True, kw_only=True)
class ExportConfig:
    """What is written.

    `name` names the rungs (`NAME_64.onnx`) and the decoder's weights (`NAME.weights`); `int8` stores the latent model's
    own large matrices as bytes; without `sides`, all rungs are written that a face in a video needs.
    """

    name: str = "face"
    version: str = "1"
    licence: str | None = None
    precision: Precision = Precision.FP16_WEIGHTS
    int8: bool = False
    sides: tuple[int, ...] = ()


class Export:
    """One export into `folder`: the models, then the files of weights, then the comparison with PyTorch.

    Args:
        source: Checkpoints.
        config: What is written.
        folder: Where; files that are kept lie there already.
    """

    def __init__(self, source: Source, config: ExportConfig, folder: Path) -> None:
        self.source, self.config, self.folder = source, config, folder
        self.kept = {path.name: path.read_bytes() for path in sorted(folder.glob(f"*{WEIGHTS}"))}
        self.weights = WeightFiles(self.kept)

    def rung(self, side: int) -> onnx.ModelProto:
        """The model of one rung, its weights moved out."""
        painter = self.source.painter(side).folded()
        example = drawn_inputs(self.source.identities, side, 2)
        model = trace(painter, {name: example[name] for name in INPUTS}, "face")
        names, own = input_names(model), weights_of(model, "latent")
        model = convert(model, self.config.precision, self._bytes(model, own))
        self.weights.move_out(model, lambda name: self._file_of(name, own))
        return describe(model, {
            "kind": "anonymizer", **self._common(), "resolution": str(side), "colour_order": "RGB", "range": "-1..1",
            "template": "FFHQ", "inputs": ", ".join(names), "model": self.source.kind,
        })  # fmt: skip

    def identity(self) -> onnx.ModelProto:
        """The identity model: z -> identity."""
        module: nn.Module = self.source.identities
        model = convert(trace(module, {"z": seeded_z(2, 1)}, "identity"), self.config.precision)
        return describe(model, {"kind": "identity", **self._common(), "inputs": "z"})

    def write(self, faces: Faces, *, identity: bool) -> list[Difference]:
        """Write all models and compare them with PyTorch."""
        rows = []
        models = {f"{self.config.name}_{side}.onnx": self.rung(side) for side in self.sides}
        for name, blob in self.weights.new.items():
            (self.folder / name).write_bytes(blob)
        for name, model in models.items():
            (self.folder / name).write_bytes(model.SerializeToString())
        for side, name in zip(self.sides, models, strict=True):
            cases = painter_cases(self.source, side, faces)
            painter = self.source.painter(side)
            rows += check_painter(self.folder / name, painter, cases)
        if identity:
            (self.folder / IDENTITY).write_bytes(self.identity().SerializeToString())
        if (self.folder / IDENTITY).is_file():
            rows += check_identity(self.folder / IDENTITY, self.source)
        return rows

    @property
    def sides(self) -> tuple[int, ...]:
        """The rungs to write."""
        return self.config.sides or self.source.sides()

    @property
    def licence(self) -> str:
        """As configured; else that of our own decoder, and none is claimed for another one."""
        ours = LICENCE if isinstance(self.source.decoder, MobileDecoder) else UNSTATED
        return self.config.licence or ours

    def _common(self) -> dict[str, str]:
        return {
            "version": self.config.version, "licence": self.licence, "precision": str(self.config.precision),
            "n_styles": str(self.source.decoder.n_styles), "training_run": self.source.run,
        }  # fmt: skip

    def _file_of(self, name: str, own: set[str]) -> str:
        """The latent model's weights, and what a kept file of the decoder lacks, go to the latent model's file."""
        decoders = f"{self.config.name}.weights"
        parts = {name, name.rpartition(".")[0]}  # a weight that was converted has a suffix
        return f"{self.source.kind}.weights" if parts & own or decoders in self.kept else decoders

    def _bytes(self, model: onnx.ModelProto, own: set[str]) -> set[str]:
        """Names of the weights to store as bytes: the latent model's, but for those that a kept file has."""
        if not self.config.int8:
            return set()
        values = {t.name: numpy_helper.to_array(t) for t in model.graph.initializer if t.name in own}
        stored = np.float32 if self.config.precision is Precision.FP32 else np.float16
        return {name for name, value in values.items() if not self.weights.holds(value.astype(stored).tobytes())}


def export(source: Source, out: Path, config: ExportConfig, *, keep: Sequence[Path], faces: Faces) -> list[Difference]:
    """Write all models into the folder `out`, or nothing.

    Args:
        source: Checkpoints.
        out: Made if need be; files of the same name are replaced, all others left alone.
        config: What is written.
        keep: Files of weights, or an identity model, that stay as they are (copied to `out` if they lie elsewhere).
        faces: Real faces to compare on, besides drawn inputs.

    Raises:
        click.ClickException: a model differs too much from PyTorch, or a file that is to be kept cannot be.
    """
    kept = {path.name: path for path in keep}
    out.parent.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(prefix=".export-", dir=out.parent) as name:
        folder = Path(name)
        for path in keep:
            shutil.copyfile(path, folder / path.name)
        job = Export(source, config, folder)
        rows = job.write(faces, identity=IDENTITY not in kept)
        refuse_failures(rows)
        install(folder, out, kept)
    return rows


def install(folder: Path, out: Path, kept: Collection[str]) -> None:
    """Move finished files to where they belong, weights first; a kept file that lies there stays.

    Raises:
        click.ClickException: a model in `out` would lose the weights that it refers to.
    """
    files = sorted(folder.iterdir(), key=lambda path: path.suffix != WEIGHTS)
    new = [path for path in files if not (path.name in kept and (out / path.name).exists())]
    replaced = {path.name for path in new}
    for model in sorted(out.glob("*.onnx")):
        lost = sorted(locations(model) & replaced) if model.name not in replaced else []
        if lost:
            raise click.ClickException(
                f"{model} needs the {lost[0]} that would be replaced; give --keep {out / lost[0]}, or another --name"
            )
    out.mkdir(exist_ok=True)
    for path in new:
        os.replace(path, out / path.name)


def locations(path: Path) -> set[str]:
    """Names of the files of weights that a model refers to."""
    model = onnx.load(path, load_external_data=False)
    return {entry.value for t in model.graph.initializer for entry in t.external_data if entry.key == "location"}


def check_kept(keep: Sequence[Path], out: Path) -> None:
    """Look at the files to be kept before the work begins.

    Raises:
        click.ClickException: one is of no kind that can be kept, or `out` has another of the same name.
    """
    for path in keep:
        if path.suffix != WEIGHTS and path.name != IDENTITY:
            raise click.ClickException(f"--keep takes files of weights (*{WEIGHTS}) or {IDENTITY}, got {path.name}")
        there = out / path.name
        if there.exists() and there.read_bytes() != path.read_bytes():
            raise click.ClickException(f"{there} is not the {path.name} that is to be kept; remove it or keep that one")


def parse_sides(text: str | None) -> tuple[int, ...]:
    """`64,128` -> (64, 128).

    Raises:
        click.BadParameter: that is no list of sides.
    """
    try:
        sides = tuple(int(part) for part in text.split(",")) if text else ()
    except ValueError:
        raise click.BadParameter(f"{text!r} is no list of sides such as 64,128,256", param_hint="--rungs") from None
    return sides


@click.command()
@click.argument("checkpoint", type=click.Path(exists=True, path_type=Path))
@click.argument("out", type=click.Path(file_okay=False, path_type=Path))
@click.option("--decoder", required=True, type=FILE, help="Checkpoint of the decoder.")
@click.option("--rungs", help="Sides in px, such as 64,128,256.  [default: all up to 256]")
@click.option("--precision", type=click.Choice([str(p) for p in Precision]), default="fp16-weights", show_default=True)
@click.option("--store", type=click.Choice(["plain", "int8"]), default="plain", show_default=True,
              help="int8: the latent model's own large matrices as one byte a weight.")  # fmt: skip
@click.option("--keep", multiple=True, type=FILE, help="File of weights, or identity.onnx, that stays as it is.")
@click.option("--images", type=click.Path(exists=True, file_okay=False, path_type=Path),
              help="Compare on these faces: a pack, or a folder of photos.  [default: the sample clip]")  # fmt: skip
@click.option("--name", default="face", show_default=True, help="First part of the files' names.")
@click.option("--version", default="1", show_default=True, help="Version written into the metadata.")
@click.option(
    "--licence", help="Licence written into the metadata.  [default: that of our own decoder, where it is used]"
)
def main(
    checkpoint: Path, out: Path, decoder: Path, rungs: str | None, precision: str, store: str, keep: tuple[Path, ...],
    images: Path | None, name: str, version: str, licence: str | None,
) -> None:  # fmt: skip
    """Export the latent model of CHECKPOINT with its decoder at all rungs, and the identity model, to OUT."""
    config = ExportConfig(
        name=name, version=version, licence=licence, precision=Precision(precision), int8=store == "int8",
        sides=parse_sides(rungs),
    )  # fmt: skip
    check_kept(keep, out)
    try:
        source = load_source(checkpoint, decoder)
        export(source, out, config, keep=keep, faces=faces_in(images, REAL_COUNT))
    except (StreamFilterError, ValueError) as error:
        raise click.ClickException(str(error)) from error
    for path in sorted(p for p in out.iterdir() if p.suffix in (".onnx", WEIGHTS)):
        click.echo(f"{path.name:24} {path.stat().st_size / MIB:7.2f} MiB" + ("  kept" if is_kept(path, keep) else ""))


def is_kept(path: Path, keep: Sequence[Path]) -> bool:
    """Whether this file was to be kept."""
    return path.name in {kept.name for kept in keep}


if __name__ == "__main__":
    main()
