"""A PyTorch network behind the runtime's own `Detector`, so that training measures what users run."""

from __future__ import annotations

import numpy as np
import torch

from streamfilter.config import DetectConfig
from streamfilter.detect import Detector
from streamfilter.structures import Floats
from training.detector.network import STRIDES, YuNet


class TorchModel:
    """Stands in for `OnnxModel`: RGB in, maps out by name."""

    def __init__(self, network: YuNet) -> None:
        self.network = network.eval()

    def __call__(self, *, image: Floats) -> dict[str, Floats]:
        """Run once."""
        with torch.inference_mode():
            maps = self.network(torch.from_numpy(np.ascontiguousarray(image[:, ::-1])))
        return {f"map_{stride}": m.numpy() for stride, m in zip(STRIDES, maps, strict=True)}


def detector(network: YuNet, config: DetectConfig | None = None) -> Detector:
    """The runtime's detector around `network`."""
    return Detector(TorchModel(network), config)  # type: ignore[arg-type]
