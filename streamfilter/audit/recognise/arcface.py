"""ArcFace-type recognisers in ONNX: 112 px crops in, a vector out; what else they expect, such files do not say."""

from __future__ import annotations

from pathlib import Path
from typing import Self

import numpy as np

from streamfilter.audit.recognise.calibration import Preparation
from streamfilter.audit.recognise.recogniser import ARCFACE_POINTS, ARCFACE_SIDE, aligned, unit_rows
from streamfilter.errors import ModelError
from streamfilter.onnx_model import ForeignModel
from streamfilter.structures import Floats, Image

_CHANNELS_FIRST, _CHANNELS_LAST = (3, ARCFACE_SIDE, ARCFACE_SIDE), (ARCFACE_SIDE, ARCFACE_SIDE, 3)
# What published files take. The first is the guess for a file whose preparation was not found yet.
PREPARATIONS = tuple(
    Preparation(order=order, offset=offset, divisor=divisor)
    for order in ("rgb", "bgr")
    for offset, divisor in ((127.5, 127.5), (127.5, 128.0), (0.0, 1.0))
)


class ArcFace:
    """A recogniser of 112 px crops that are aligned by five points.

    Args:
        model: Takes one picture, NCHW or NHWC (read from its shape); its first output is the vector.
        name: What reports call it.
        preparation: How bytes become the numbers that it takes.

    Raises:
        ModelError: The model takes something else, or fails on a grey picture.
    """

    def __init__(self, model: ForeignModel, *, name: str, preparation: Preparation) -> None:
        self.name = name
        self.preparation = preparation
        self._model = model
        self._channels_last, self._one_by_one = _layout(model)
        grey = np.full((1, ARCFACE_SIDE, ARCFACE_SIDE, 3), 128, np.uint8)
        self._dims = self._vectors(grey).shape[1]

    @classmethod
    def load(cls, path: Path, *, preparation: Preparation = PREPARATIONS[0], threads: int = 1) -> Self:
        """A file of the user's, named after it.

        Raises:
            ModelError: Missing, damaged, or no recogniser of 112 px crops.
        """
        model = ForeignModel(path, name=path.name, threads=threads)
        return cls(model, name=path.stem, preparation=preparation)

    def prepared(self, preparation: Preparation) -> ArcFace:
        """The same model, fed otherwise."""
        return ArcFace(self._model, name=self.name, preparation=preparation)

    def embed(self, image: Image, points: Floats) -> Floats:
        """Embeddings (n, d) of unit length of the faces with these points (n, 5, 2) in an RGB picture."""
        crops = aligned(image, points, ARCFACE_POINTS, ARCFACE_SIDE)
        if not len(crops):
            return np.zeros((0, self._dims), np.float32)
        return unit_rows(self._vectors(crops), self.name)

    def _vectors(self, crops: Image) -> Floats:
        batch = self._numbers(crops)
        parts = [batch[i : i + 1] for i in range(len(batch))] if self._one_by_one else [batch]
        return np.concatenate([self._run(part) for part in parts])

    def _numbers(self, crops: Image) -> Floats:
        how = self.preparation
        ordered = crops[..., ::-1] if how.order == "bgr" else crops
        numbers = (ordered.astype(np.float32) - np.float32(how.offset)) / np.float32(how.divisor)
        return np.ascontiguousarray(numbers if self._channels_last else numbers.transpose(0, 3, 1, 2))

    def _run(self, batch: Floats) -> Floats:
        vectors = np.asarray(self._model(batch)[0], np.float32)
        if vectors.size < len(batch) * 2 or vectors.size % len(batch):
            raise ModelError(f"{self._model.name} gave {vectors.shape} for {len(batch)} crops; needed is (n, d)")
        return vectors.reshape(len(batch), -1)


def _layout(model: ForeignModel) -> tuple[bool, bool]:
    """Whether the channels come last, and whether only one picture is taken at a time."""
    shapes = list(model.input_shapes.values())
    if len(shapes) == 1 and len(shapes[0]) == 4:
        rows, *sizes = shapes[0]
        for channels_last, wanted in enumerate((_CHANNELS_FIRST, _CHANNELS_LAST)):
            if all(have in (want, -1) for have, want in zip(sizes, wanted, strict=True)):
                return bool(channels_last), rows == 1
    needed = f"n pictures {_CHANNELS_FIRST} or {_CHANNELS_LAST}"
    raise ModelError(f"{model.name} takes {shapes or 'nothing'}; a recogniser of the ArcFace type takes {needed}")
