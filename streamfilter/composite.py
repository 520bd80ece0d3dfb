"""Paint an invented face into a frame: light, contrast, sharpness and grain matched, without a seam.

Within the protected region (mask 1) no pixel of the frame has any weight. The frame is read around the region, and
within it only as the 3x3 median colours and the one contrast of `light`.
"""

from __future__ import annotations

import math
from dataclasses import dataclass, replace

import cv2
import numpy as np
from numpy.typing import ArrayLike

from streamfilter import grain, light, silhouette
from streamfilter.cover import cover
from streamfilter.crop_grid import FINE, GRID, Box, extend, grid_matrix, ring, sample, to_grid
from streamfilter.errors import ProtectionError
from streamfilter.grain import Texture
from streamfilter.light import Light
from streamfilter.silhouette import Edge
from streamfilter.structures import Floats, Image, Patch

STEADINESS = 0.7
"""How much of the last frame's light, sharpness and grain is kept in the next one."""

TEXTURE_EVERY = 4
"""Sharpness and grain change slowly: they are measured in every fourth frame of a track."""

_JUMP = 0.5
_SOLID = 0.999
_OUTSIDE = 0.05
_NARROW = 0.7
_FLAT = 1e-8
_LINEAR_SCALE = 1.6  # up to here bilinear enlargement is as good, at a third of the time
_RING_CELLS = 9


@dataclass(frozen=True, slots=True)
class _Look:
    """What the surroundings ask of a face: its light, and its texture in frame pixels; `age` counts frames."""

    light: Light
    texture: Texture
    age: int


@dataclass(frozen=True, slots=True)
class _Place:
    """Where a patch lands: its box in the crop, the window's corner and size in the frame, and box -> window."""

    box: Box
    corner: tuple[int, int]
    size: tuple[int, int]
    to_window: Floats

    @property
    def scale(self) -> float:
        """Frame pixels per crop pixel."""
        return float(np.hypot(self.to_window[0, 0], self.to_window[1, 0]))

    @property
    def side_px(self) -> int:
        """The crop's side in its own pixels."""
        return self.box.cell_px * GRID

    def warp_mask(self, mask: Floats) -> Floats:
        """A mask of the box in the window; what is as good as 1 becomes 1."""
        alpha = np.asarray(cv2.warpAffine(mask, self.to_window, self.size, flags=cv2.INTER_LINEAR), np.float32)
        alpha[alpha >= _SOLID] = 1
        return alpha

    def view(self, image: Image) -> Image:
        (x, y), (width, height) = self.corner, self.size
        return image[y : y + height, x : x + width]


class Compositor:
    """Paints the faces of one stream; remembers per track how the last frame was lit, so that nothing flickers."""

    def __init__(self) -> None:
        self._looks: dict[int, _Look] = {}
        self._shares: dict[int, Floats] = {}

    def blend(self, canvas: Image, source: Image, patch: Patch, opacity: float = 1.0) -> None:
        """Paint `patch` into `canvas`, in place; `source`, the raw frame, only tells how its surroundings look.

        Raises:
            ProtectionError: the patch has no place (a flat or broken matrix, an empty mask); nothing was painted.
        """
        patch = _regular(patch)
        region = to_grid(patch.mask)
        place = _place(patch, region, source)
        if place is None:
            return
        frame, visible = sample(source, grid_matrix(patch.matrix, patch.image.shape[0]))
        share = self._steady_share(patch.track_id, silhouette.foreign(patch.image, region, place.box))
        own, face = 1 - to_grid(share), to_grid(patch.image)
        look = self._look(patch, place, source, light.measure(frame, visible, face, own, region))
        behind = extend(frame, ring(region, _RING_CELLS) * visible)
        edge = silhouette.edge(look.light(face), own, region, behind)
        painted = _render(_paint(patch, place.box, look.light, edge, share), place, look)
        alpha = place.warp_mask(_narrow(patch, place.box, edge)) * np.float32(_share(opacity))
        view = place.view(canvas)
        view[...] = cv2.blendLinear(np.ascontiguousarray(view), painted, 1 - alpha, alpha)

    def dissolve(self, canvas: Image, source: Image, patch: Patch, xyxy: ArrayLike, opacity: float) -> None:
        """Between a cover of `xyxy` (opacity 0) and the face (opacity 1), in place: how one turns into the other."""
        covered = canvas.copy()
        cover(covered, xyxy)
        self.blend(canvas, source, patch)
        share = _share(opacity)
        canvas[...] = cv2.addWeighted(canvas, share, covered, 1 - share, 0)

    def forget(self, track_id: int) -> None:
        """Drop what is remembered of a track that ended."""
        self._looks.pop(track_id, None)
        self._shares.pop(track_id, None)

    def reset(self) -> None:
        """Drop everything that is remembered: a scene cut, a reconnect."""
        self._looks.clear()
        self._shares.clear()

    def _steady_share(self, track_id: int, share: Floats) -> Floats:
        """What is foreign is filled at once, and comes back slowly."""
        before = self._shares.get(track_id)
        if before is not None and before.shape == share.shape:
            share = np.maximum(share, before * np.float32(STEADINESS))
        self._shares[track_id] = share
        return share

    def _look(self, patch: Patch, place: _Place, source: Image, lit: Light) -> _Look:
        """Follow slowly what changes a little, at once what changes much."""
        before = self._looks.get(patch.track_id)
        if before is None:
            look = _Look(lit, _measure_texture(patch, place, source, grain.usual(place.scale, place.side_px)), 1)
        else:
            keep = STEADINESS * max(0.0, 1 - lit.change(before.light) / _JUMP)
            look = replace(before, light=lit.mix(before.light, keep), age=before.age + 1)
            if look.age % TEXTURE_EVERY == 0:
                now = _measure_texture(patch, place, source, before.texture)
                look = replace(look, texture=now.mix(before.texture, keep))
        self._looks[patch.track_id] = look
        return look


def blend(canvas: Image, source: Image, patch: Patch, opacity: float = 1.0) -> None:
    """Paint one patch, with no memory of earlier frames; see `Compositor.blend`."""
    Compositor().blend(canvas, source, patch, opacity)


def _share(opacity: float) -> float:
    return min(max(opacity, 0.0), 1.0) if math.isfinite(opacity) else 1.0


def _regular(patch: Patch) -> Patch:
    """The patch with a whole number of pixels per grid cell."""
    size = patch.image.shape[0]
    if size % GRID == 0:
        return patch
    wanted = (size // GRID + 1) * GRID
    ratio = wanted / size
    matrix = patch.matrix * np.float32(ratio)
    matrix[:, 2] += ratio / 2 - 0.5
    image, mask = (cv2.resize(field, (wanted, wanted)) for field in (patch.image, patch.mask))
    return Patch(patch.track_id, np.asarray(image, np.uint8), matrix, np.asarray(mask, np.float32))


def _place(patch: Patch, region: Floats, source: Image) -> _Place | None:
    """The window that the mask touches, or None where it lies outside the frame."""
    box = Box.of(region, patch.image.shape[0])
    if box is None or not _invertible(patch.matrix):
        raise ProtectionError(
            f"track {patch.track_id}: a face cannot be placed with matrix {patch.matrix.tolist()}; cover it instead"
        )
    inverse = cv2.invertAffineTransform(patch.matrix)
    (left, top), (width, height) = box.corner, box.size
    ends = np.array([(left + x, top + y) for x in (-1, width) for y in (-1, height)]) @ inverse[:, :2].T + inverse[:, 2]
    limit = source.shape[1::-1]
    x0, y0 = np.clip(np.floor(ends.min(0)), 0, limit).astype(int).tolist()
    x1, y1 = np.clip(np.ceil(ends.max(0)) + 1, 0, limit).astype(int).tolist()
    if x1 <= x0 or y1 <= y0:
        return None
    to_window = inverse.astype(np.float64)
    to_window[:, 2] += to_window[:, :2] @ (left, top) - (x0, y0)
    return _Place(box, (x0, y0), (x1 - x0, y1 - y0), np.asarray(to_window, np.float32))


def _invertible(matrix: Floats) -> bool:
    (a, b, x), (c, d, y) = matrix.tolist()
    return all(map(math.isfinite, (a, b, x, c, d, y))) and abs(a * d - b * c) > _FLAT


def _measure_texture(patch: Patch, place: _Place, source: Image, otherwise: Texture) -> Texture:
    around = np.asarray(place.warp_mask(patch.mask[place.box.part]) < _OUTSIDE, np.float32)
    return grain.measure(place.view(source), around, otherwise)


def _paint(patch: Patch, box: Box, lit: Light, edge: Edge, share: Floats) -> Image:
    """The box of the crop in its new light, with skin in place of what is foreign."""
    shade = np.repeat(edge.shade[..., None], 3, axis=2)
    image = patch.image[box.part].astype(np.float32)
    fine = box.at(FINE)
    gain, bend = lit.curves(np.asarray(cv2.resize(image, fine.size, interpolation=cv2.INTER_AREA)), fine.enlarge)
    lit_image = cv2.divide(
        cv2.multiply(image, cv2.resize(gain * fine.enlarge(shade), box.size)),
        1 + cv2.multiply(cv2.multiply(image, image), cv2.resize(bend, box.size)),
    )
    share = np.asarray(cv2.resize(share[fine.part], box.size), np.float32)
    filled = cv2.blendLinear(lit_image, box.enlarge(edge.fill * shade), 1 - share, share)
    return np.asarray(cv2.convertScaleAbs(filled), np.uint8)


def _narrow(patch: Patch, box: Box, edge: Edge) -> Floats:
    """The blend mask, its feather narrower where an edge is abrupt: lower than before outside, 1 where it was 1."""
    mask = patch.mask[box.part]
    narrow = np.maximum(mask - np.float32(_NARROW), 0) / np.float32(1 - _NARROW)
    return np.asarray(narrow + (mask - narrow) * (1 - box.enlarge(edge.abrupt)), np.float32)


def _render(painted: Image, place: _Place, look: _Look) -> Image:
    """The painted box as it will stand in the window."""
    soft = grain.soften(painted, look.texture, place.scale, place.side_px)
    flags = cv2.INTER_CUBIC if place.scale > _LINEAR_SCALE else cv2.INTER_LINEAR
    warped = cv2.warpAffine(soft, place.to_window, place.size, flags=flags, borderMode=cv2.BORDER_REPLICATE)
    return grain.add_grain(np.asarray(warped, np.uint8), look.texture.noise, look.age)
