"""Features of whole pictures for the Frechet distance, and what that distance is then called."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import cv2
import numpy as np
import onnxruntime as ort
import torch

from streamfilter.errors import ModelError
from streamfilter.structures import Floats, Image
from training.evaluation.mobilenet_v2 import MobileNetV2

MOBILENET_FILE = Path("perceptual/mobilenet_v2-b0353104.pth")
MOBILENET_PX = 224
IMAGENET_MEAN = np.array([0.485, 0.456, 0.406], np.float32)
IMAGENET_STD = np.array([0.229, 0.224, 0.225], np.float32)

Extractor = Callable[[Image], Floats]


def distance_name(inception: Path | None) -> str:
    """What the Frechet distance is called with these features."""
    return f"FID ({inception.name})" if inception else "FD (MobileNetV2)"


def load_extractor(weights: Path, inception: Path | None = None) -> Extractor:
    """A function from an RGB picture (S, S, 3) uint8 to features (d,).

    Args:
        weights: Folder with MobileNetV2's weights, used where `inception` is None.
        inception: A TorchScript file, called with (1, 3, S, S) uint8 and, where it has that argument,
            `return_features=True` (so NVIDIA's `inception-2015-12-05.pt` gives its 2048 features), or an ONNX file with
            one input (n, 3, S, S), uint8 or float32 in 0..255. Resizing is the file's own affair.

    Raises:
        ModelError: the file is neither.
    """
    if inception is None:
        return _mobilenet(weights / MOBILENET_FILE)
    return _onnx(inception) if inception.suffix == ".onnx" else _script(inception)


def _mobilenet(path: Path) -> Extractor:
    network = MobileNetV2.load(path)

    def extract(image: Image) -> Floats:
        small = cv2.resize(image, (MOBILENET_PX, MOBILENET_PX), interpolation=cv2.INTER_AREA).astype(np.float32)
        x = torch.from_numpy(np.ascontiguousarray(((small / 255 - IMAGENET_MEAN) / IMAGENET_STD).transpose(2, 0, 1)))
        with torch.inference_mode():
            return np.asarray(network(x[None])[0].numpy(), np.float32)

    return extract


def _script(path: Path) -> Extractor:
    try:
        network = torch.jit.load(str(path), map_location="cpu").eval()
    except RuntimeError as error:
        raise ModelError(
            f"{path} is no TorchScript file: give one (such as NVIDIA's inception-2015-12-05.pt) or an ONNX file; "
            "a bare state dict has no network in it"
        ) from error
    named = any(argument.name == "return_features" for argument in network.forward.schema.arguments)

    def extract(image: Image) -> Floats:
        with torch.inference_mode():
            x = torch.from_numpy(_channels_first(image))
            found = network(x, return_features=True) if named else network(x)
        return np.asarray(found.float().numpy().ravel(), np.float32)

    return extract


def _onnx(path: Path) -> Extractor:
    options = ort.SessionOptions()
    options.intra_op_num_threads = 1
    session = ort.InferenceSession(str(path), options, providers=["CPUExecutionProvider"])
    (given,) = session.get_inputs()
    kind = np.uint8 if given.type == "tensor(uint8)" else np.float32

    def extract(image: Image) -> Floats:
        found = session.run(None, {given.name: _channels_first(image).astype(kind)})[0]
        return np.asarray(found.ravel(), np.float32)

    return extract


def _channels_first(image: Image) -> Image:
    return np.ascontiguousarray(image.transpose(2, 0, 1)[None])
