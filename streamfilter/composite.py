"""Paste an invented face into a frame: light, contrast, sharpness and grain matched, without a seam.

Within the protected region (mask 1) no pixel of the frame has any weight. The frame is read around the region, and
within it only as the 3x3 mean colours of `light`.
"""

from __future__ import annotations

from dataclasses import dataclass, replace

import cv2
import numpy as np
from numpy.typing import ArrayLike

from streamfilter import grain, light
from streamfilter.cover import cover
from streamfilter.structures import Floats, Image, Patch

STEADINESS = 0.7
"""How much of the last frame's light, sharpness and grain is kept in the next one."""

_JUMP = 0.25
_SOLID = 0.999


@dataclass(frozen=True, slots=True)
class _Look:
    """What the surroundings ask of a face: light (GRID, GRID, 3) log gain, blur and grain in frame pixels."""

    log_gain: Floats
    blur_px: float
    noise: float


@dataclass(frozen=True, slots=True)
class _Place:
    """Where a patch lands: corners of the window in the frame, its blend mask, and crop -> window."""

    x0: int
    y0: int
    x1: int
    y1: int
    alpha: Floats
    to_window: Floats

    @property
    def size(self) -> tuple[int, int]:
        return self.x1 - self.x0, self.y1 - self.y0

    def view(self, image: Image) -> Image:
        return image[self.y0 : self.y1, self.x0 : self.x1]


class Compositor:
    """Pastes the faces of one stream; remembers per track how the last frame was lit, so that nothing flickers."""

    def __init__(self) -> None:
        self._looks: dict[int, _Look] = {}
        self._count = 0

    def blend(self, canvas: Image, source: Image, patch: Patch, opacity: float = 1.0) -> None:
        """Paste `patch` into `canvas`, in place; `source`, the raw frame, only tells how its surroundings look."""
        place = _place(patch, source.shape[1], source.shape[0])
        if place is None:
            return
        look = _steady(_look(source, patch, place), self._looks.get(patch.track_id))
        self._looks[patch.track_id] = look
        self._count += 1
        face = _render(patch, place, look, seed=self._count)
        alpha = place.alpha * np.float32(min(max(opacity, 0.0), 1.0))
        view = place.view(canvas)
        view[...] = cv2.blendLinear(np.ascontiguousarray(view), face, 1 - alpha, alpha)

    def dissolve(self, canvas: Image, source: Image, patch: Patch, xyxy: ArrayLike, opacity: float) -> None:
        """Between a cover of `xyxy` (opacity 0) and the face (opacity 1), in place: how one turns into the other."""
        covered = canvas.copy()
        cover(covered, xyxy)
        self.blend(canvas, source, patch)
        share = min(max(opacity, 0.0), 1.0)
        canvas[...] = cv2.addWeighted(canvas, share, covered, 1 - share, 0)

    def forget(self, track_id: int) -> None:
        """Drop what is remembered of a track that ended."""
        self._looks.pop(track_id, None)

    def reset(self) -> None:
        """Drop everything that is remembered: a scene cut, a reconnect."""
        self._looks.clear()
        self._count = 0


def blend(canvas: Image, source: Image, patch: Patch, opacity: float = 1.0) -> None:
    """Paste one patch, with no memory of earlier frames; see `Compositor.blend`."""
    Compositor().blend(canvas, source, patch, opacity)


def _place(patch: Patch, width: int, height: int) -> _Place | None:
    """The window that the mask touches, or None where it lies outside the frame."""
    rows, columns = np.flatnonzero(patch.mask.any(1)), np.flatnonzero(patch.mask.any(0))
    if not len(rows) or not np.isfinite(patch.matrix).all() or abs(np.linalg.det(patch.matrix[:, :2])) < 1e-6:
        return None
    inverse = cv2.invertAffineTransform(patch.matrix)
    edges = np.array([(x, y) for x in (columns[0] - 1, columns[-1] + 1) for y in (rows[0] - 1, rows[-1] + 1)])
    corners = edges @ inverse[:, :2].T + inverse[:, 2]
    x0, y0 = np.clip(np.floor(corners.min(0)), 0, (width, height)).astype(int).tolist()
    x1, y1 = np.clip(np.ceil(corners.max(0)) + 1, 0, (width, height)).astype(int).tolist()
    if x1 <= x0 or y1 <= y0:
        return None
    to_window = np.asarray(inverse - np.array([[0, 0, x0], [0, 0, y0]]), np.float32)
    alpha = np.asarray(cv2.warpAffine(patch.mask, to_window, (x1 - x0, y1 - y0), flags=cv2.INTER_LINEAR), np.float32)
    alpha[alpha >= _SOLID] = 1
    return _Place(x0, y0, x1, y1, alpha, to_window)


def _look(source: Image, patch: Patch, place: _Place) -> _Look:
    matrix = light.crop_matrix(patch.matrix, patch.image.shape[0])
    frame, visible = light.sample(source, matrix)
    small = (light.GRID, light.GRID)
    face = cv2.resize(patch.image, small, interpolation=cv2.INTER_AREA).astype(np.float32)
    mask = np.asarray(cv2.resize(patch.mask, small, interpolation=cv2.INTER_AREA), np.float32)
    gain = light.log_gain(frame, visible, face, mask)
    around = (place.alpha < 0.05).astype(np.float32)
    grey = grain.luma(place.view(source))
    return _Look(gain, grain.blur_px(grey, around) or 0.0, grain.noise_sigma(grey, around))


def _steady(now: _Look, before: _Look | None) -> _Look:
    """Follow slowly what changes a little, at once what changes much."""
    if before is None:
        return now
    change = float(np.abs(now.log_gain - before.log_gain).mean())
    keep = STEADINESS * max(0.0, 1 - change / _JUMP)
    return replace(
        now,
        log_gain=before.log_gain * np.float32(keep) + now.log_gain * np.float32(1 - keep),
        blur_px=before.blur_px * keep + now.blur_px * (1 - keep),
        noise=before.noise * keep + now.noise * (1 - keep),
    )


def _render(patch: Patch, place: _Place, look: _Look, seed: int) -> Image:
    """The face as it will stand in the window: filtered for its size, lit, softened, grained."""
    scale = float(np.hypot(place.to_window[0, 0], place.to_window[1, 0]))
    image = patch.image
    if scale < 1:
        image = np.asarray(cv2.GaussianBlur(image, (0, 0), 0.5 * float(np.sqrt(1 / scale**2 - 1)) + 1e-3), np.uint8)
    flags = cv2.INTER_CUBIC if scale > 1 else cv2.INTER_LINEAR
    face = cv2.warpAffine(image, place.to_window, place.size, flags=flags, borderMode=cv2.BORDER_REPLICATE)
    to_window = _grid_to_window(place, patch)
    gain = cv2.warpAffine(np.exp(look.log_gain), to_window, place.size, borderMode=cv2.BORDER_REPLICATE)
    lit = np.asarray(cv2.multiply(face, gain, dtype=cv2.CV_32F), np.float32)
    lit += grain.grain(place.size[1], place.size[0], seed)[..., None] * np.float32(look.noise)
    return np.asarray(cv2.convertScaleAbs(lit), np.uint8)


def _grid_to_window(place: _Place, patch: Patch) -> Floats:
    scale = patch.image.shape[0] / light.GRID
    out = place.to_window.copy()
    out[:, 2] += out[:, :2].sum(1) * (scale / 2 - 0.5)
    out[:, :2] *= scale
    return out
