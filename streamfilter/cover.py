"""Cover a face with a smooth, featureless oval: needs no model, cannot fail, and holds nothing of what it hides.

Its colour comes only from pixels outside the box, so no pixel of the face has any influence on it.
"""

from __future__ import annotations

import math

import cv2
import numpy as np
from numpy.typing import ArrayLike, NDArray

from streamfilter.containment import attempt
from streamfilter.structures import Floats, Image

GREY = 110
"""Level of the constant cover, where nothing around the box can lend its colour."""

EXPONENT = 3.0
"""Roundness of the oval |x|^e + |y|^e <= 1: between an ellipse (2) and a rectangle."""

ENLARGEMENT = 2.0 ** (1.0 / EXPONENT) + 1e-3
"""Just above the smallest enlargement, 1.26, at which the oval holds the whole box, corners included."""

FEATHER = 0.12
"""Width of the soft outer edge, as a share of the oval's half axes."""

RING = 0.45
"""How far around the oval colour is taken from, as a share of its half axes."""

_GRID = 16
_SPREAD = 5.0
_LARGEST_PX = 1e6


def cover(canvas: Image, xyxy: ArrayLike, opacity: float = 1.0) -> None:
    """Paint an oval over the box `xyxy`, in place; never raises.

    Inside the box, nothing of the canvas is left at opacity 1. A box that is not finite covers the whole canvas, as
    does any failure: what cannot be placed is taken to be everywhere. A box outside the canvas changes nothing.
    """
    _, error = attempt(_cover, canvas, xyxy, opacity)
    if error is not None:
        canvas[...] = GREY


def _cover(canvas: Image, xyxy: ArrayLike, opacity: float) -> None:
    box = np.asarray(xyxy, np.float64).reshape(4)
    strength = min(max(opacity, 0.0), 1.0) if math.isfinite(opacity) else 1.0
    if strength == 0.0:
        return
    if not np.isfinite(box).all():
        box = np.array([0, 0, canvas.shape[1], canvas.shape[0]], np.float64)
    _paint(canvas, np.clip(box, -_LARGEST_PX, _LARGEST_PX), np.float32(strength))


def _paint(canvas: Image, box: NDArray[np.float64], strength: np.float32) -> None:
    centre, half = _oval(box)
    low, high = _window(canvas, centre, half * (1 + RING))
    if (high <= low).any():
        return
    view = canvas[low[1] : high[1], low[0] : high[0]]
    across = _axis(low[0], high[0], centre[0], half[0])
    down = _axis(low[1], high[1], centre[1], half[1])
    reach = (1 + FEATHER) ** EXPONENT
    part = _within(down, reach), _within(across, reach)
    if not all(axis.stop for axis in part):
        return
    power = down[:, None] + across[None, :]
    fill = _surrounding_colour(view, power)[part]
    alpha = np.clip((reach - power[part]) / (reach - 1), 0, 1) * strength
    view[part] = cv2.blendLinear(np.ascontiguousarray(view[part]), fill, 1 - alpha, alpha)


def _oval(box: NDArray[np.float64]) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Centre and half axes; corners in any order count, and no oval is thinner than a pixel."""
    low, high = np.minimum(box[:2], box[2:]), np.maximum(box[:2], box[2:])
    return (low + high) / 2, np.maximum((high - low) / 2, 1.0) * ENLARGEMENT


def _window(
    canvas: Image, centre: NDArray[np.float64], half: NDArray[np.float64]
) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
    """The corners of the oval's surroundings, as far as they lie on the canvas."""
    size = canvas.shape[1::-1]
    low = np.clip(np.floor(centre - half), 0, size).astype(np.int64)
    return low, np.clip(np.ceil(centre + half) + 1, 0, size).astype(np.int64)


def _axis(first: int, last: int, centre: float, half: float) -> Floats:
    """One axis' part of |x|^e + |y|^e; the sum stays at most 1 for every pixel that touches the box."""
    distance = np.maximum(np.abs(np.arange(first, last) + 0.5 - centre) - 0.5, 0) / half
    return np.asarray(distance**EXPONENT, np.float32)


def _within(powers: Floats, reach: float) -> slice:
    found = np.flatnonzero(powers < reach)
    return slice(int(found[0]), int(found[-1]) + 1) if len(found) else slice(0)


def _surrounding_colour(view: Image, power: Floats) -> Image:
    """A field of colour that runs smoothly through the oval, from the pixels around it alone."""
    outside = (power > 1).view(np.uint8) * np.uint8(255)
    visible = np.asarray(cv2.bitwise_and(view, view, mask=outside), np.uint8)
    size = (min(_GRID, view.shape[1]), min(_GRID, view.shape[0]))
    colour = _diffuse(visible, size)
    weight = _diffuse(outside, size) / 255
    if not weight.any():
        return np.full_like(view, GREY)
    field = (colour / np.maximum(weight, 1e-6)[..., None]).clip(0, 255).astype(np.uint8)
    return np.asarray(cv2.resize(field, view.shape[1::-1], interpolation=cv2.INTER_LINEAR), np.uint8)


def _diffuse(image: NDArray[np.uint8], size: tuple[int, int]) -> Floats:
    small = cv2.resize(image, size, interpolation=cv2.INTER_AREA).astype(np.float32)
    return np.asarray(cv2.GaussianBlur(small, (0, 0), _SPREAD), np.float32)
