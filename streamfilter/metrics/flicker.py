"""Flicker: what a picture changes from frame to frame beyond what its original does.

E(F) = mean |F(t) - warp(F(t - 1))| over the face, on luma, with the optical flow of the ORIGINAL from t to t - 1 (the
warping error of Lai et al., Learning Blind Video Temporal Consistency, 2018). Flicker is E(result) - E(original):
both are warped by one flow, so what the flow cannot explain (blinks, occlusion, grain, light) falls out. A copy has 0;
below 0 the result is calmer than the original, as a blur is.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import cache

import cv2
import numpy as np
from numpy.typing import NDArray

from streamfilter.structures import Floats, Image

SIDE_PX = 128  # of the window in which a pair is compared: faces of all sizes are judged at one scale
LEAST_PX = 16  # of its shorter side: less holds no flow
SURROUNDINGS = 1.25  # window to box: what the flow needs around the face


@dataclass(frozen=True)
class WarpedDifference:
    """E of one pair of frames in grey levels (0..255), for the original and for the result."""

    original: float
    result: float

    @property
    def flicker(self) -> float:
        """What the result adds."""
        return self.result - self.original


def flow_between(after: Image, before: Image) -> Floats:
    """Where each pixel of `after` was in `before`: lumas (H, W) uint8 -> offsets (H, W, 2) in px (DIS)."""
    return np.asarray(_dense_flow().calc(after, before, np.zeros((*after.shape, 2), np.float32)))


def warp_error(before: Image, after: Image, flow: Floats, mask: NDArray[np.bool_]) -> float | None:
    """Mean |after - before carried along the flow| over the mask, on lumas (H, W); None where the mask is empty."""
    places = flow + _grid(*flow.shape[:2])
    height, width = after.shape
    inside = ((places >= 0) & (places <= (width - 1, height - 1))).all(-1) & mask
    if not inside.any():
        return None
    x, y = places[..., 0], places[..., 1]
    carried = cv2.remap(before.astype(np.float32), x, y, cv2.INTER_LINEAR, borderMode=cv2.BORDER_REPLICATE)
    return float(np.abs(after.astype(np.float32) - carried)[inside].mean())


def warped_difference(
    original: tuple[Image, Image], result: tuple[Image, Image], box: Floats
) -> WarpedDifference | None:
    """Of one face: frames (t - 1, t) of the original and of the result, (H, W, 3) uint8 RGB, and its box (4,) at t.

    The same window of all four is scaled to `SIDE_PX`; the ellipse that the box holds is compared. None for a box that
    lies outside the picture.
    """
    area = _window(box, original[1].shape[:2])
    if area is None:
        return None
    before, after, result_before, result_after = (_luma(image, area) for image in (*original, *result))
    mask = _ellipse(box, area, after.shape)
    flow = flow_between(after, before)
    own, others = warp_error(before, after, flow, mask), warp_error(result_before, result_after, flow, mask)
    return None if own is None or others is None else WarpedDifference(own, others)


def _window(box: Floats, size: tuple[int, ...]) -> tuple[int, int, int, int] | None:
    """The box with its surroundings, (x0, y0, x1, y1) within a picture (height, width)."""
    centre, half = (box[:2] + box[2:]) / 2, (box[2:] - box[:2]) / 2 * SURROUNDINGS
    x0, y0 = np.maximum(np.floor(centre - half + 0.5), 0).astype(int).tolist()
    x1, y1 = np.minimum(np.floor(centre + half + 0.5), (size[1], size[0])).astype(int).tolist()
    return None if x1 - x0 < 2 or y1 - y0 < 2 else (x0, y0, x1, y1)


def _scaled(area: tuple[int, int, int, int]) -> tuple[int, int]:
    """(width, height) of the window as it is compared."""
    width, height = area[2] - area[0], area[3] - area[1]
    scale = SIDE_PX / max(width, height)
    return max(round(width * scale), LEAST_PX), max(round(height * scale), LEAST_PX)


def _luma(image: Image, area: tuple[int, int, int, int]) -> Image:
    """The window's luma by BT.601, scaled."""
    x0, y0, x1, y1 = area
    size = _scaled(area)
    smaller = size[0] <= x1 - x0
    grey = cv2.cvtColor(image[y0:y1, x0:x1], cv2.COLOR_RGB2GRAY)
    return np.asarray(cv2.resize(grey, size, interpolation=cv2.INTER_AREA if smaller else cv2.INTER_LINEAR), np.uint8)


def _ellipse(box: Floats, area: tuple[int, int, int, int], shape: tuple[int, ...]) -> NDArray[np.bool_]:
    """The ellipse that the box holds, (H, W) of the scaled window."""
    scale = np.array([shape[1] / (area[2] - area[0]), shape[0] / (area[3] - area[1])])
    low, high = (box[:2] - area[:2]) * scale, (box[2:] - area[:2]) * scale
    places = (_grid(shape[0], shape[1]) + 0.5 - (low + high) / 2) / np.maximum((high - low) / 2, 1e-6)
    return np.asarray((places**2).sum(-1) <= 1)


@cache
def _grid(height: int, width: int) -> Floats:
    """(H, W, 2): x and y of each pixel."""
    return np.stack(np.meshgrid(np.arange(width), np.arange(height)), -1).astype(np.float32)


@cache
def _dense_flow() -> cv2.DISOpticalFlow:
    """Dense inverse search (Kroeger, Timofte, Dai and Van Gool, 2016)."""
    return cv2.DISOpticalFlow.create(cv2.DISOPTICAL_FLOW_PRESET_ULTRAFAST)
