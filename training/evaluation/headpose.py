"""Head pose by 3DDFA (Guo et al., 2020): a MobileNet that gives an affine camera, and the angles in it."""

from __future__ import annotations

import pickle
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn

from streamfilter.audit.detect.windows import cut
from streamfilter.structures import Doubles, Floats, Image

NETWORK_FILE = Path("utility/mb05_120x120.pth")
SCALE_FILE = Path("utility/param_mean_std_62d_120x120.pkl")
SIDE_PX = 120
PARAMETERS, CAMERA = 62, 12
# Name, channels out and stride of each block, before the width factor.
BLOCKS = (
    ("dw2_1", 64, 1), ("dw2_2", 128, 2), ("dw3_1", 128, 1), ("dw3_2", 256, 2), ("dw4_1", 256, 1), ("dw4_2", 512, 2),
    ("dw5_1", 512, 1), ("dw5_2", 512, 1), ("dw5_3", 512, 1), ("dw5_4", 512, 1), ("dw5_5", 512, 1), ("dw5_6", 1024, 2),
    ("dw6", 1024, 1),
)  # fmt: skip


class Separable(nn.Module):
    """Depthwise and pointwise convolution, each with batch normalisation and ReLU."""

    def __init__(self, i: int, o: int, stride: int) -> None:
        super().__init__()
        self.conv_dw = nn.Conv2d(i, i, 3, stride, 1, groups=i, bias=False)
        self.bn_dw = nn.BatchNorm2d(i)
        self.conv_sep = nn.Conv2d(i, o, 1, bias=False)
        self.bn_sep = nn.BatchNorm2d(o)

    def forward(self, x: Tensor) -> Tensor:
        """Features -> features."""
        x = self.bn_dw(self.conv_dw(x)).relu()
        return self.bn_sep(self.conv_sep(x)).relu()


class PoseNetwork(nn.Module):
    """Pictures (N, 3, 120, 120), BGR, (x - 127.5) / 128 -> 62 standardised parameters (N, 62), the camera first."""

    def __init__(self, width: float = 0.5) -> None:
        super().__init__()
        channels = int(32 * width)
        self.conv1 = nn.Conv2d(3, channels, 3, 2, 1, bias=False)
        self.bn1 = nn.BatchNorm2d(channels)
        for name, wide, stride in BLOCKS:
            self.add_module(name, Separable(channels, int(wide * width), stride))
            channels = int(wide * width)
        self.fc_param = nn.Linear(channels, PARAMETERS)

    def forward(self, x: Tensor) -> Tensor:
        """The parameters."""
        x = self.bn1(self.conv1(x)).relu()
        for name, _, _ in BLOCKS:
            x = self.get_submodule(name)(x)
        return self.fc_param(x.mean((2, 3)))


class HeadPose:
    """How a head is turned, from a picture and where its face is.

    Args:
        weights: Folder with the network and the scale of its parameters.
    """

    def __init__(self, weights: Path) -> None:
        self._network = _load_network(weights / NETWORK_FILE)
        self._mean, self._std = _load_scale(weights / SCALE_FILE)

    def __call__(self, image: Image, landmarks: Floats) -> Doubles:
        """Rotation (3, 3) of the head in an RGB picture; its face lies around the landmarks (68, 2)."""
        crop = cut(image, roi(landmarks), SIDE_PX)[..., ::-1].astype(np.float32)
        x = torch.from_numpy(np.ascontiguousarray((crop - 127.5).transpose(2, 0, 1) / 128))
        with torch.inference_mode():
            found = self._network(x[None])[0, :CAMERA].double().numpy()
        return rotation(found * self._std + self._mean)


def roi(landmarks: Floats) -> Doubles:
    """The square (x0, y0, x1, y1) that 3DDFA looks at: root of two times the longer side of the landmarks' box."""
    low, high = landmarks.min(0).astype(np.float64), landmarks.max(0).astype(np.float64)
    half = (high - low).max() / np.sqrt(2)
    middle = (low + high) / 2
    return np.concatenate([middle - half, middle + half])


def rotation(camera: Doubles) -> Doubles:
    """The rotation (3, 3) nearest to the first two rows of an affine camera (12,) = (3, 4), without their scale."""
    rows = camera.reshape(3, 4)[:2, :3]
    rows = rows / np.linalg.norm(rows, axis=1, keepdims=True)
    left, _, right = np.linalg.svd(rows, full_matrices=False)
    rows = left @ right
    return np.concatenate([rows, np.cross(rows[0], rows[1])[None]])


def _load_network(path: Path) -> PoseNetwork:
    network = PoseNetwork()
    state = torch.load(path, map_location="cpu", weights_only=True)["state_dict"]
    state = {name.removeprefix("module."): value for name, value in state.items()}
    # A second head, of landmarks, was used in training only.
    network.load_state_dict({name: value for name, value in state.items() if not name.startswith("fc_lm")})
    return network.eval().requires_grad_(False)


def _load_scale(path: Path) -> tuple[Doubles, Doubles]:
    with path.open("rb") as file:
        found = _ArraysOnly(file).load()
    return np.asarray(found["mean"][:CAMERA], np.float64), np.asarray(found["std"][:CAMERA], np.float64)


class _ArraysOnly(pickle.Unpickler):
    """Reads pickled arrays and nothing else: a pickle from elsewhere must not run code."""

    _ALLOWED = {"_reconstruct": np.zeros(0).__reduce__()[0], "ndarray": np.ndarray, "dtype": np.dtype}  # noqa: RUF012

    def find_class(self, module: str, name: str) -> Any:
        if module.partition(".")[0] != "numpy" or name not in self._ALLOWED:
            raise pickle.UnpicklingError(f"{module}.{name} has no place in a file of arrays")
        return self._ALLOWED[name]
