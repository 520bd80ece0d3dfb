"""A trained landmark network -> `landmarks.onnx`: half-precision weights, full-precision arithmetic, parity proven.

python -m export.landmarks_to_onnx RUN OUT.onnx
"""

from __future__ import annotations

import json
import os
import tempfile
import warnings
from dataclasses import asdict
from pathlib import Path

import click
import numpy as np
import onnx
import onnxruntime as ort
import torch
from onnx import TensorProto, helper, numpy_helper

from training.landmarks.network import Network, Runtime
from training.landmarks.teacher import TEMPLATE
from training.landmarks.train import load_average

VERSION = "1"
LICENCE = (
    "research and non-commercial use: taught by dlib's 68-point predictor, which was trained on 300-W "
    "(no commercial use), on photos and clips whose licences cover development only"
)
MOST_PX = 0.05
MOST_CONFIDENCE = 0.01
_SMALLEST = 256


class ParityError(RuntimeError):
    """The exported file does not give what the network gives."""


def to_onnx(network: Network) -> onnx.ModelProto:
    """Trace the network with any batch size; batch normalisation is folded into the convolutions."""
    image = torch.zeros(2, 3, network.config.size, network.config.size)
    with tempfile.TemporaryDirectory() as folder, warnings.catch_warnings():
        warnings.simplefilter("ignore", DeprecationWarning)  # the newer exporter needs one more dependency
        path = Path(folder) / "traced.onnx"
        torch.onnx.export(
            Runtime(network).eval(), (image,), str(path), dynamo=False, opset_version=17,
            input_names=["image"], output_names=["landmarks", "confidence"],
            dynamic_axes={"image": {0: "n"}, "landmarks": {0: "n"}, "confidence": {0: "n"}},
        )  # fmt: skip
        return onnx.load(path)


def halve(model: onnx.ModelProto) -> None:
    """Store large weights as float16, each followed by a Cast to float32: half the size, the same arithmetic."""
    large = [i for i in model.graph.initializer if i.data_type == TensorProto.FLOAT and np.prod(i.dims) >= _SMALLEST]
    casts = []
    for initializer in large:
        name = initializer.name
        half = numpy_helper.from_array(numpy_helper.to_array(initializer).astype(np.float16), f"{name}.half")
        initializer.CopyFrom(half)
        casts.append(helper.make_node("Cast", [half.name], [name], to=TensorProto.FLOAT))
    nodes = [*casts, *model.graph.node]
    del model.graph.node[:]
    model.graph.node.extend(nodes)


def describe(model: onnx.ModelProto, network: Network, training: str) -> None:
    """Write the metadata that the runtime reads."""
    template = {name: getattr(TEMPLATE, name) for name in TEMPLATE.__dataclass_fields__}
    metadata = {
        "kind": "landmarks", "version": VERSION, "licence": LICENCE, "size": str(network.config.size),
        "template": json.dumps(template), "colour": "RGB 0..255", "training": training,
        "outputs": "landmarks (n, 68, 2) in units of the crop, dlib's order; confidence (n,) in [0, 1]",
    }  # fmt: skip
    helper.set_model_props(model, metadata)


def check_parity(model: onnx.ModelProto, network: Network) -> tuple[float, float]:
    """Compare file and network on fixed inputs, one by one and as a batch.

    Raises:
        ParityError: They differ by more than is allowed.
    """
    size = network.config.size
    random = np.random.default_rng(0)
    coarse = torch.from_numpy(random.uniform(0, 255, (8, 3, 9, 9)).astype(np.float32))
    images = torch.nn.functional.interpolate(coarse, size=(size, size), mode="bilinear").numpy()
    with torch.no_grad():
        wanted = [value.numpy() for value in Runtime(network).eval()(torch.from_numpy(images))]
    options = ort.SessionOptions()
    options.intra_op_num_threads = 1
    session = ort.InferenceSession(model.SerializeToString(), options, providers=["CPUExecutionProvider"])
    batch = session.run(["landmarks", "confidence"], {"image": images})
    single = [session.run(["landmarks", "confidence"], {"image": image[None]}) for image in images]
    ones = [np.concatenate(values) for values in zip(*single, strict=True)]
    px = max(float(np.abs(got[0] - wanted[0]).max()) * size for got in (batch, ones))
    confidence = max(float(np.abs(got[1] - wanted[1]).max()) for got in (batch, ones))
    if px > MOST_PX or confidence > MOST_CONFIDENCE:
        raise ParityError(f"refused: the file differs by {px:.3f} px and {confidence:.4f} in confidence")
    return px, confidence


def export(network: Network, out: Path, training: str) -> tuple[float, float]:
    """Write the file, if it gives what the network gives."""
    model = to_onnx(network)
    halve(model)
    describe(model, network, training)
    onnx.checker.check_model(model)
    differences = check_parity(model, network)
    part = out.with_suffix(".part")
    part.write_bytes(model.SerializeToString())
    os.replace(part, out)
    return differences


@click.command()
@click.argument("run", type=click.Path(path_type=Path, exists=True))
@click.argument("out", type=click.Path(path_type=Path))
def main(run: Path, out: Path) -> None:
    """Export the averaged network of RUN to OUT."""
    torch.set_num_threads(1)
    network = load_average(run)
    options = (run / "options.json").read_text() if (run / "options.json").is_file() else "{}"
    px, confidence = export(network, out, options)
    size = out.stat().st_size / 1024
    click.echo(f"{out}: {size:.0f} KiB, {asdict(network.config)}, parity {px:.4f} px, {confidence:.5f} confidence")


if __name__ == "__main__":
    main()
