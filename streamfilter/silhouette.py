"""The edge of an invented face: its own background, hair and collar stay behind.

A jaw narrower than the old one would otherwise drag a rim of the invented background into the frame. Within the
region, skin fills what is not face, so that the jaw ends where the old one did; outside it, the frame comes back at
once where it is unlike the face (a jaw before a wall), and softly where it is alike (a forehead, a neck).
"""

from __future__ import annotations

from dataclasses import dataclass

import cv2
import numpy as np

from streamfilter.crop_grid import FINE, GRID, PROTECTED, STEPS, Box, extend, to_grid, total
from streamfilter.structures import Floats, Image

DEPTH_CELLS = 8
"""How far into the region, in grid cells, foreign matter is looked for."""

_RING_CELLS = 6
_CORE_CELLS = 5
_WEIGHTS = np.array([0.6, 1.5, 1.5], np.float32)
_UNLIKE_SKIN = 35.0
_BIAS = 6.0
_SOFTNESS = 4.0
_SHADING = 0.55
_EYES_AT, _EYES_SPAN = 0.44, 0.08
_FOREHEAD_SPAN = 0.08
_BROW_CELLS = 4
_BROWS_KERNEL = np.ones((5, 9), np.uint8)
_AROUND = np.ones((3, 3), np.uint8)


@dataclass(frozen=True, slots=True)
class Edge:
    """How a face ends, on the grid: `fill` for what is foreign, `shade` to darken with, `abrupt` 1 for a hard edge."""

    fill: Floats
    shade: Floats
    abrupt: Floats


def foreign(image: Image, region: Floats, box: Box) -> Floats:
    """Share of foreign matter in [0, 1] over the crop: 0 on the face, 1 where its own surroundings show.

    It has at most `FINE` pixels per grid cell, and is 1 outside the box.

    A pixel is foreign if it is more like what lies outside the region than like the skin within, and if a path of such
    pixels joins it to the outside: eyes, lips and nostrils are not.
    """
    fine_box = box.at(FINE)
    fine = _colour(np.asarray(cv2.resize(image[box.part], fine_box.size, interpolation=cv2.INTER_AREA), np.uint8))
    skin, beyond = _references(_colour(np.asarray(to_grid(image), np.uint8)), region)
    share = _share(fine, fine_box.enlarge(skin), fine_box.enlarge(beyond))
    taken = cv2.dilate(share * _joined(share, region, fine_box), _AROUND)
    out = np.ones((GRID * fine_box.cell_px, GRID * fine_box.cell_px), np.float32)
    out[fine_box.part] = cv2.GaussianBlur(taken, (0, 0), 0.8)
    return out


def edge(face: Floats, own_share: Floats, region: Floats, behind: Floats) -> Edge:
    """How the lit `face` ends in a frame whose surroundings, run on inwards, are `behind`; all on the grid."""
    skin = _skin(face, region, own_share)
    unlike = _unlike(skin + (face - skin) * own_share[..., None], behind)
    rim = _rim(region)
    temples = (unlike * rim * (1 - _below(_EYES_AT, _EYES_SPAN)))[..., None]
    fill = skin + (behind - skin) * temples
    top = float(np.flatnonzero((region > PROTECTED).any(1))[:1].sum()) + 1
    abrupt = unlike * _below(top / GRID, _FOREHEAD_SPAN)
    return Edge(fill, _shade(fill + (face - fill) * own_share[..., None], behind, abrupt * rim), abrupt)


def _colour(image: Image) -> Floats:
    """A colour space in which plain distance tells skin from other things: light counts less than hue."""
    return np.asarray(cv2.cvtColor(image, cv2.COLOR_RGB2YCrCb) * _WEIGHTS, np.float32)


def _references(coarse: Floats, region: Floats) -> tuple[Floats, Floats]:
    """Two fields on the grid: the face's skin, run on to the outside, and its surroundings, run on to the inside."""
    solid = (region > PROTECTED).astype(np.uint8)
    core = cv2.erode(solid, np.ones((2 * _CORE_CELLS + 1, 2 * _CORE_CELLS + 1), np.uint8))
    around = cv2.dilate(solid, np.ones((2 * _RING_CELLS + 1, 2 * _RING_CELLS + 1), np.uint8)) * (region < 0.5)
    middle = np.median(coarse[core > 0], axis=0) if core.any() else np.zeros(3, np.float32)
    unlike = total(np.square((coarse - middle) / _UNLIKE_SKIN))
    alike = 1 / (1 + np.square(unlike))
    # A forehead or a neck beyond the region is no surroundings: taken for such, it would be filled over and blurred.
    return extend(coarse, (core * alike).astype(np.float32)), extend(coarse, (around * (1 - alike)).astype(np.float32))


def _share(fine: Floats, skin: Floats, beyond: Floats) -> Floats:
    nearer = _distance(fine, skin) - _distance(fine, beyond)
    return np.asarray(1 / (1 + cv2.exp((_BIAS - nearer) / _SOFTNESS)), np.float32)


def _distance(a: Floats, b: Floats) -> Floats:
    return np.asarray(cv2.sqrt(total(np.square(a - b))), np.float32)


def _joined(share: Floats, region: Floats, box: Box) -> Floats:
    """1 for pixels that a path of foreign ones joins to the outside, as far in as is searched."""
    outside = (box.enlarge(region) < 0.3).astype(np.uint8)
    searched = (box.enlarge(_searched(region)) > 0.5).astype(np.uint8)
    passable = np.maximum((share > 0.4) * searched, outside)
    # Beside the eyes, what is no taller than a brow may be one.
    eyes = max(0, _below_eyes(region) - box.top) * box.cell_px
    tall = cv2.morphologyEx(passable, cv2.MORPH_OPEN, np.ones((_BROW_CELLS * box.cell_px + 1, 1), np.uint8))
    passable[:eyes] = tall[:eyes]
    reached = outside
    for _ in range(DEPTH_CELLS * box.cell_px):
        reached = np.minimum(cv2.dilate(reached, _AROUND), passable)
    return np.asarray(np.minimum(cv2.dilate(reached, _AROUND), searched), np.float32)


def _searched(region: Floats) -> Floats:
    """1 where foreign matter is looked for: deep along the jaw, less deep where the brows and eyes are."""
    solid = (region > PROTECTED).astype(np.uint8)
    deep = cv2.erode(solid, np.ones((2 * DEPTH_CELLS + 1, 2 * DEPTH_CELLS + 1), np.uint8))
    shallow = cv2.erode(solid, _BROWS_KERNEL)
    eyes = _below_eyes(region)
    return np.asarray(1 - np.vstack([shallow[:eyes], deep[eyes:]]), np.float32)


def _below_eyes(region: Floats) -> int:
    """The first row of the grid that lies below the eyes: a third of the way down from the brows to the chin."""
    rows = np.flatnonzero((region > PROTECTED).any(1))
    return int(rows[0] + 0.34 * len(rows)) if len(rows) else 0


def _skin(face: Floats, region: Floats, own_share: Floats) -> Floats:
    """The face's lit skin, run on to its edge and beyond."""
    solid = (region > PROTECTED) * np.square(own_share)
    middle = np.median(face[solid > 0.5], axis=0) if (solid > 0.5).any() else face.mean((0, 1))
    unlike = total(np.asarray(np.square((face - middle) / (0.35 * (middle + 20))), np.float32))
    return extend(face, np.asarray(solid / (1 + np.square(unlike)), np.float32))


def _unlike(face: Floats, behind: Floats) -> Floats:
    """1 where the frame differs from the face as a background does, 0 where skin meets skin."""
    level = total(face)[..., None] * np.float32(0.4 / 3) + 20
    unlike = np.square(total(np.square((face - behind) / level)))
    return np.asarray(unlike / (1 + unlike), np.float32)


def _rim(region: Floats) -> Floats:
    """1 at the region's edge and beyond, 0 well inside."""
    solid = cv2.erode((region > PROTECTED).astype(np.float32), _AROUND)
    return np.asarray(1 - cv2.GaussianBlur(solid, (0, 0), 1.8), np.float32)


def _below(start: float, span: float) -> Floats:
    """0 above a height in the crop, rising to 1 over `span` below it."""
    return np.clip((STEPS / GRID - start) / span, 0, 1).astype(np.float32)[:, None]


def _shade(face: Floats, behind: Floats, strength: Floats) -> Floats:
    """A gain that darkens the face towards an edge with something darker, as a cheek turns away from the light."""
    level = total(face) + 1
    return np.asarray(1 - _SHADING * strength * (1 - np.minimum(total(behind) + 1, level) / level), np.float32)
