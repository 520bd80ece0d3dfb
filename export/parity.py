"""Whether an exported model gives what PyTorch gives, on drawn and on real inputs.

    python -m export.parity MODEL.onnx CHECKPOINT --decoder DECODER.pt [--images PACK_OR_FOLDER]

The export runs the same check and writes nothing that fails it.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

import click
import numpy as np
import onnxruntime as ort
import torch
from torch import Tensor

from export.inputs import Inputs, drawn_inputs, faces_in, real_inputs
from export.painters import Painter, Source, load_source, paint
from export.precision import Precision
from streamfilter.errors import StreamFilterError
from streamfilter.structures import Floats, Image
from training.generator.networks import seeded_z

MOST_ERROR = 1e-3  # of the range, where computed and stored in fp32
LEAST_PSNR_DB = 40.0
DRAWN_COUNTS = (3, 1, 2)
REAL_COUNT = 8
Reference = Callable[[Inputs], Tensor]
Cases = Sequence[tuple[str, Inputs]]
Faces = Sequence[tuple[Image, Floats]]
COMPARED = ("anonymizer", "identity")


@dataclass(frozen=True, kw_only=True)
class Difference:
    """How far a model is from PyTorch: the largest error as a share of the range, and the PSNR relative to it."""

    model: str
    inputs: str
    count: int
    precision: Precision
    largest: float
    psnr_db: float

    @property
    def passed(self) -> bool:
        """Whether the model may be used; anything that is not finite fails."""
        return self.largest <= MOST_ERROR if self.precision is Precision.FP32 else self.psnr_db >= LEAST_PSNR_DB

    @property
    def demand(self) -> str:
        """What must hold."""
        exact = self.precision is Precision.FP32
        return f"error <= {MOST_ERROR:g} of the range" if exact else f"PSNR >= {LEAST_PSNR_DB:.0f} dB"


def compare(path: Path, wanted: Reference, cases: Cases) -> list[Difference]:
    """Run a model file on every case, at once and one by one, and compare with `wanted`."""
    session = open_model(path)
    names = [value.name for value in session.get_inputs()]
    return [_compare(path.name, session, wanted, case, inputs, names) for case, inputs in cases]


def _compare(
    model: str, session: ort.InferenceSession, wanted: Reference, case: str, inputs: Inputs, names: Sequence[str]
) -> Difference:
    arrays = {name: inputs[name].numpy() for name in names}
    count = len(arrays[names[0]])
    singles = [session.run(None, {name: a[i : i + 1] for name, a in arrays.items()})[0] for i in range(count)]
    want = wanted(inputs).numpy()
    errors = [measure(got, want) for got in (session.run(None, arrays)[0], np.concatenate(singles))]
    return Difference(
        model=model, inputs=case, count=count, precision=precision_of(session),
        largest=max(error for error, _ in errors), psnr_db=min(psnr for _, psnr in errors),
    )  # fmt: skip


def open_model(path: Path) -> ort.InferenceSession:
    """A model file on the CPU.

    Raises:
        click.ClickException: it cannot be loaded.
    """
    options = ort.SessionOptions()
    options.intra_op_num_threads = torch.get_num_threads()
    options.log_severity_level = 4
    try:
        return ort.InferenceSession(str(path), options, providers=["CPUExecutionProvider"])
    except Exception as error:  # ONNX Runtime's exceptions share no base class
        raise click.ClickException(f"{path} could not be loaded: {error}") from error


def precision_of(session: ort.InferenceSession) -> Precision:
    """What a model says of itself; those that say nothing were written with halved weights."""
    return Precision(session.get_modelmeta().custom_metadata_map.get("precision", Precision.FP16_WEIGHTS))


def measure(got: np.ndarray, want: np.ndarray) -> tuple[float, float]:
    """Largest error as a share of the range of `want`, and the PSNR in dB relative to that range."""
    span = float(want.max()) - float(want.min())
    if got.shape != want.shape or not np.isfinite(got).all() or not np.isfinite(span) or span == 0:
        return float("inf"), float("-inf")
    error = np.abs(got.astype(np.float64) - want) / span
    return float(error.max()), float(-10 * np.log10(max(float(np.square(error).mean()), 1e-20)))


def painter_cases(
    source: Source, side: int, faces: Sequence[tuple[np.ndarray, np.ndarray]]
) -> list[tuple[str, Inputs]]:
    """The inputs that a rung is compared on."""
    identify = source.identities
    cases = [("drawn", drawn_inputs(identify, side, count)) for count in DRAWN_COUNTS]
    return [*cases, ("real", real_inputs(faces, identify, side))] if faces else cases


def check_painter(path: Path, painter: Painter, cases: Cases) -> list[Difference]:
    """Compare the model file of a rung with PyTorch."""
    return compare(path, lambda inputs: paint(painter, inputs), cases)


def check_identity(path: Path, source: Source) -> list[Difference]:
    """Compare the identity model with PyTorch."""
    return compare(path, lambda inputs: source.identities(inputs["z"]), identity_cases())


def identity_cases() -> Cases:
    """The inputs that the identity model is compared on."""
    return [("drawn", {"z": seeded_z(count, count)}) for count in (4, 1)]


def table(rows: Sequence[Difference]) -> str:
    """The differences as a small table."""
    head = f"{'model':24} {'inputs':7} {'n':>2} {'precision':13} {'largest error':>13} {'PSNR':>9}"
    lines = [
        f"{r.model:24} {r.inputs:7} {r.count:2} {r.precision:13} {r.largest:13.1e} {r.psnr_db:6.1f} dB"
        + ("" if r.passed else f"   FAILS: {r.demand}")
        for r in rows
    ]
    return "\n".join([head, *lines])


def refuse_failures(rows: Sequence[Difference]) -> None:
    """Print the table, and stop if a model differs too much.

    Raises:
        click.ClickException: a model failed.
    """
    click.echo(table(rows))
    failed = sorted({row.model for row in rows if not row.passed})
    if failed:
        raise click.ClickException(f"{', '.join(failed)} differs too much from PyTorch")


@click.command()
@click.argument("model", type=click.Path(exists=True, dir_okay=False, path_type=Path))
@click.argument("checkpoint", type=click.Path(exists=True, path_type=Path))
@click.option("--decoder", required=True, type=click.Path(exists=True, dir_okay=False, path_type=Path))
@click.option(
    "--images",
    type=click.Path(exists=True, file_okay=False, path_type=Path),
    help="Pack, or photos.  [default: the sample clip]",
)
def main(model: Path, checkpoint: Path, decoder: Path, images: Path | None) -> None:
    """Compare MODEL, a rung or the identity model, with the CHECKPOINT that it was made from."""
    metadata = open_model(model).get_modelmeta().custom_metadata_map
    kind = metadata.get("kind")
    if kind not in COMPARED:
        raise click.ClickException(f"{model.name} is of kind {kind!r}; compared are {', '.join(COMPARED)}")
    try:
        source = load_source(checkpoint, decoder)
    except StreamFilterError as error:
        raise click.ClickException(str(error)) from error
    if kind == "identity":
        refuse_failures(check_identity(model, source))
        return
    side = int(metadata["resolution"])
    faces = faces_in(images, REAL_COUNT)
    refuse_failures(check_painter(model, source.painter(side), painter_cases(source, side, faces)))


if __name__ == "__main__":
    main()
