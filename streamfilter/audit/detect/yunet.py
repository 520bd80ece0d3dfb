"""YuNet (Wu et al., 2023), as OpenCV Zoo publishes it: strides 8, 16 and 32, one anchor per cell.

Not the detector that ships with streamfilter: that one was trained further, and looks in another way.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Final

import numpy as np

from streamfilter.audit.detect import looking
from streamfilter.model_store.store import Store
from streamfilter.onnx_graph import dequantised
from streamfilter.onnx_model import ForeignModel
from streamfilter.structures import Detections, Floats, Image

FILE: Final = "yunet_int8.onnx"
STRIDES: Final = (8, 16, 32)
MAX_IOU: Final = 0.3
THRESHOLD: Final = 0.4
LONG_SIDES_PX: Final = (1280, 320)
_FREE_AXES: Final = (0, 2, 3)
_MAX_LOG_SIZE: Final = 7.0  # as in `centerface`


class YuNet:
    """Finds faces of RGB pictures.

    Args:
        model: YuNet's network with free sizes.
        long_sides_px: In which sizes it looks at a picture.
        threshold: Least score that is reported.
    """

    def __init__(
        self, model: ForeignModel, *, long_sides_px: Sequence[int] = LONG_SIDES_PX, threshold: float = THRESHOLD
    ) -> None:
        self._model, self._long_sides_px, self._threshold = model, long_sides_px, threshold

    @classmethod
    def load(
        cls,
        store: Store,
        *,
        threads: int = 1,
        long_sides_px: Sequence[int] = LONG_SIDES_PX,
        threshold: float = THRESHOLD,
    ) -> YuNet:
        """From the pulled models; raises ModelError where the file is missing or damaged."""
        graph = dequantised(store.path(FILE), free_axes=_FREE_AXES)
        model = ForeignModel(graph, name=FILE, threads=threads)
        return cls(model, long_sides_px=long_sides_px, threshold=threshold)

    def __call__(self, image: Image) -> Detections:
        """Faces in pixels of the (H, W, 3) uint8 picture, best first; raises ModelError if the network failed."""
        return looking.look(image, self._long_sides_px, self._see, MAX_IOU)

    def _see(self, tensor: Floats) -> Detections:
        outputs = self._model(np.ascontiguousarray(tensor[:, ::-1]))  # it was trained on BGR
        maps = {name: np.asarray(v[0]) for name, v in zip(self._model.output_names, outputs, strict=True)}
        return decode(maps, tensor.shape[3], threshold=self._threshold)


def decode(maps: Mapping[str, Floats], width: int, *, threshold: float) -> Detections:
    """The network's outputs -> everything that reaches the threshold, in pixels of its input.

    Args:
        maps: For each stride s `cls_s` and `obj_s` (n, 1), probabilities; `bbox_s` (n, 4), middle and log size;
            `kps_s` (n, 10), five points; in strides, from the cell's corner; n cells, row by row.
        width: Width of the input in pixels.
        threshold: Least score: the geometric mean of both probabilities.
    """
    levels = [_decode_level(maps, stride, width // stride, threshold) for stride in STRIDES]
    xyxy, score, points = (np.concatenate(parts) for parts in zip(*levels, strict=True))
    return Detections(xyxy, score, points)


def _decode_level(
    maps: Mapping[str, Floats], stride: int, columns: int, threshold: float
) -> tuple[Floats, Floats, Floats]:
    score = np.sqrt(np.clip(maps[f"cls_{stride}"], 0, 1) * np.clip(maps[f"obj_{stride}"], 0, 1))[:, 0]
    cells = np.nonzero(score >= threshold)[0]
    corner = np.stack([cells % columns, cells // columns], -1).astype(np.float32)
    box, points = maps[f"bbox_{stride}"][cells], maps[f"kps_{stride}"][cells].reshape(-1, 5, 2)
    middle, half = corner + box[:, :2], np.exp(np.minimum(box[:, 2:], _MAX_LOG_SIZE)) / 2
    xyxy = np.concatenate([middle - half, middle + half], -1) * stride
    return xyxy.astype(np.float32), score[cells], ((points + corner[:, None]) * stride).astype(np.float32)
