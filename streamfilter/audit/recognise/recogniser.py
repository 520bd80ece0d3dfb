"""What a recogniser is, and how a face is laid under its template: a similarity through five points."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Protocol

import numpy as np

from streamfilter import align
from streamfilter.audit.recognise.calibration import Calibration
from streamfilter.errors import ModelError, ShapeError
from streamfilter.structures import Floats, Image

ARCFACE_SIDE = 112
# Eyes, nose, corners of the mouth of a frontal face in a crop of 112 px, as all recognisers since ArcFace are trained.
ARCFACE_POINTS = np.array(
    [[38.2946, 51.6963], [73.5318, 51.5014], [56.0252, 71.7366], [41.5493, 92.3655], [70.7299, 92.2041]], np.float32
)
_LEAST = 1e-6


class Network(Protocol):
    """Gives each face a vector; what a cosine of two of them means is not known yet."""

    @property
    def name(self) -> str:
        """What reports call it."""
        ...

    def embed(self, image: Image, points: Floats) -> Floats:
        """Embeddings (n, d) float32 of unit length of the faces with these points (n, 5, 2) in an RGB picture.

        Raises:
            ShapeError: The points are not (n, 5, 2), or not finite.
            ModelError: The model failed or gave no usable vector.
        """
        ...


class Recogniser(Network, Protocol):
    """A network that was calibrated: its scores are cosines, and its thresholds are known."""

    @property
    def calibration(self) -> Calibration:
        """What its scores mean."""
        ...


@dataclass(frozen=True, eq=False, kw_only=True)
class Calibrated:
    """A network with its calibration: a `Recogniser`."""

    network: Network
    calibration: Calibration

    @property
    def name(self) -> str:
        """What reports call it."""
        return self.network.name

    def embed(self, image: Image, points: Floats) -> Floats:
        """See `Network.embed`."""
        return self.network.embed(image, points)


def similarity(points: Floats, template: Floats) -> Floats:
    """Rotation, scale and shift (2, 3) that bring points (n, 2) nearest to the template's (n, 2), by least squares.

    Umeyama (1991) in the plane and without mirroring: with points as complex numbers it is one division. Points that
    all lie in one place have no direction; they are laid on the template's middle, upright.
    """
    x, y = _complex(points), _complex(template)
    away, wanted = x - x.mean(), y - y.mean()
    size = float((np.abs(away) ** 2).sum())
    turn = complex((away.conj() * wanted).sum() / size) if size > _LEAST else 1 + 0j
    shift = complex(y.mean() - turn * x.mean())
    return np.array([[turn.real, -turn.imag, shift.real], [turn.imag, turn.real, shift.imag]], np.float32)


def aligned(image: Image, points: Floats, template: Floats, side: int) -> Image:
    """Crops (n, side, side, 3) of the faces with these points (n, 5, 2); beyond the picture its edge is repeated.

    Raises:
        ShapeError: The points are not (n, 5, 2), or not finite.
    """
    if points.ndim != 3 or points.shape[1:] != (5, 2):
        raise ShapeError(f"points: expected (n, 5, 2), got {points.shape}")
    if not np.isfinite(points).all():
        raise ShapeError("points: one is not finite; leave out faces whose points are unknown")
    crops = [align.crop(image, similarity(face, template), side) for face in points]
    return np.stack(crops) if crops else np.zeros((0, side, side, 3), np.uint8)


def unit_rows(vectors: Floats, name: str) -> Floats:
    """The same directions (n, d), each of length 1.

    Raises:
        ModelError: A vector of the model `name` is not finite or has no length.
    """
    lengths = np.linalg.norm(vectors, axis=1, keepdims=True)
    if not np.isfinite(lengths).all() or (lengths < _LEAST).any():
        raise ModelError(f"{name} gave an embedding without a direction; the file is damaged or no recogniser")
    return np.asarray(vectors / lengths, np.float32)


def _complex(points: Floats) -> np.ndarray[tuple[int], np.dtype[np.complex128]]:
    doubles = np.asarray(points, np.float64)
    return np.asarray(doubles[:, 0] + 1j * doubles[:, 1])
