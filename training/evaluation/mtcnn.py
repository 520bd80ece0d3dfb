"""MTCNN as a judge, with torch's networks; what is done with their answers is the audit's."""

from __future__ import annotations

from pathlib import Path

import torch

from streamfilter.audit.detect import mtcnn
from streamfilter.audit.detect.mtcnn import MtcnnConfig
from streamfilter.structures import Floats
from training.evaluation import mtcnn_networks

__all__ = ["Mtcnn", "MtcnnConfig"]


class Mtcnn(mtcnn.Mtcnn):
    """Finds faces in RGB pictures.

    Args:
        folder: Where `pnet.pt`, `rnet.pt` and `onet.pt` are (the layout of facenet-pytorch).
        config: Thresholds and sizes.
    """

    def __init__(self, folder: Path, config: MtcnnConfig | None = None) -> None:
        propose = mtcnn_networks.load(mtcnn_networks.proposal(), folder / "pnet.pt")
        refine = mtcnn_networks.load(mtcnn_networks.refinement(), folder / "rnet.pt")
        judge = mtcnn_networks.load(mtcnn_networks.output(), folder / "onet.pt")
        super().__init__((_plain(propose), _plain(refine), _plain(judge)), config)


def _plain(network: mtcnn_networks.Stage) -> mtcnn.Stage:
    """The network as a function of arrays."""

    def run(batch: Floats) -> tuple[Floats, Floats]:
        with torch.inference_mode():
            faces, corrections = network(torch.from_numpy(batch.transpose(0, 3, 1, 2).copy()))
        return faces.numpy(), corrections.numpy()

    return run
