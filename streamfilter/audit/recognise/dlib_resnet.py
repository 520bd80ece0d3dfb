"""dlib's face recogniser (King, 2017): a ResNet of 29 layers that gives 128 numbers; public domain."""

from __future__ import annotations

from pathlib import Path
from typing import Self

import dlib
import numpy as np

from streamfilter.audit.recognise.recogniser import aligned, unit_rows
from streamfilter.errors import ModelError
from streamfilter.model_store.store import Store
from streamfilter.structures import Floats, Image

NAME, FILE = "dlib", "dlib_face_recognition_resnet_model_v1.dat"
CHIP_SIDE, CHIP_PADDING, DIMS = 150, 0.25, 128
# Where dlib's mean face has its eyes, the tip of its nose and the corners of its mouth, in sides of that face.
_MEAN_FACE = np.array(
    [[0.225492, 0.215990], [0.754761, 0.215990], [0.490127, 0.515625], [0.254149, 0.780233], [0.726104, 0.780233]]
)
CHIP_POINTS = np.asarray((_MEAN_FACE + CHIP_PADDING) / (1 + 2 * CHIP_PADDING) * CHIP_SIDE, np.float32)


class DlibResNet:
    """dlib's recogniser on chips that are cut by five points: as good as with its 68 (measured on LFW), and faster.

    As here, without jittered copies of each chip, its author states 99.13 % on LFW, and 99.38 % with a hundred of them
    (dlib's example dnn_face_recognition_ex).
    """

    name = NAME

    def __init__(self, path: Path) -> None:
        try:
            self._model = dlib.face_recognition_model_v1(str(path))
        except RuntimeError as error:
            raise ModelError(f"{path} is no face recogniser of dlib's: {error}") from error

    @classmethod
    def load(cls, store: Store) -> Self:
        """From the store.

        Raises:
            ModelError: It is not there or damaged.
        """
        return cls(store.path(FILE))

    def embed(self, image: Image, points: Floats) -> Floats:
        """Embeddings (n, 128) of unit length of the faces with these points (n, 5, 2) in an RGB picture.

        dlib compares by distance; its vectors have nearly one length, so the cosine ranks pairs as the distance does.
        """
        chips = aligned(image, points, CHIP_POINTS, CHIP_SIDE)
        if not len(chips):
            return np.zeros((0, DIMS), np.float32)
        vectors = self._model.compute_face_descriptor(list(chips), 0)
        return unit_rows(np.array([list(vector) for vector in vectors], np.float32), self.name)
