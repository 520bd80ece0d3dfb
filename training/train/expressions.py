"""Changes what a face does with its eyes and mouth, on 68 landmarks alone: photos hardly ever show a blink.

The picture cannot follow, so a face that was changed here is no truth any more (`Batch.authentic`). FFHQ alignment
looks at eyes and mouth corners too; their shift by a blink is under a hundredth of the crop and is left out.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from streamfilter.structures import Floats

# (upper, lower) lid points of each eye, outer to inner corner.
LIDS = ((37, 41), (38, 40), (43, 47), (44, 46))
INNER_LIPS = ((61, 67), (62, 66), (63, 65))
# How far each point follows the lower jaw, from the lip's middle to the jaw's angle.
LOWER = {
    66: 1.0, 67: 0.95, 65: 0.95, 57: 1.0, 58: 0.95, 56: 0.95, 59: 0.6, 55: 0.6,
    8: 0.95, 7: 0.9, 9: 0.9, 6: 0.75, 10: 0.75, 5: 0.5, 11: 0.5, 4: 0.25, 12: 0.25,
}  # fmt: skip
UPPER = {62: 1.0, 61: 0.9, 63: 0.9, 51: 0.8, 50: 0.7, 52: 0.7, 49: 0.3, 53: 0.3}
LOWER_SHARE = 0.85  # of a mouth's change, the rest is the upper lip's
UPPER_LID_SHARE = 0.85  # of a blink


@dataclass(frozen=True, kw_only=True)
class ExpressionConfig:
    """How often and how far expressions are changed."""

    blinks: float = 0.0  # share of the faces whose lids are moved
    mouths: float = 0.0  # share whose mouth is moved
    widest_eyes: float = 1.3  # the lids' opening is multiplied by 0 to this
    widest_mouth: float = 0.55  # opening of the lips over the mouth's width, at most


STILL = ExpressionConfig()


def vary(landmarks: Floats, config: ExpressionConfig, random: np.random.Generator) -> tuple[Floats, bool]:
    """Landmarks (68, 2), perhaps with other eyes or another mouth; and whether anything was changed."""
    blink, mouth = random.random(2) < (config.blinks, config.mouths)
    factor, opening = random.uniform(0, config.widest_eyes), random.uniform(0, config.widest_mouth)
    shut = random.random() < 0.3  # the end of the range is what matters most
    if blink:
        landmarks = scale_lids(landmarks, 0.0 if shut else factor)
    if mouth:
        landmarks = open_mouth(landmarks, opening)
    return landmarks, bool(blink or mouth)


def scale_lids(landmarks: Floats, factor: float) -> Floats:
    """Multiply the opening of both eyes by `factor`: 0 shuts them. The upper lid does most of the way."""
    out = landmarks.copy()
    for upper, lower in LIDS:
        way = (1 - factor) * (landmarks[lower] - landmarks[upper])
        out[upper] += UPPER_LID_SHARE * way
        out[lower] -= (1 - UPPER_LID_SHARE) * way
    return out


def open_mouth(landmarks: Floats, opening: float) -> Floats:
    """Set the gap of the inner lips to `opening` times the mouth's width; lower lip, chin and jaw line go along."""
    down = _down(landmarks)
    upper, lower = (list(side) for side in zip(*INNER_LIPS, strict=True))
    gap = float(((landmarks[lower] - landmarks[upper]) @ down).mean())
    change = opening * float(np.hypot(*(landmarks[54] - landmarks[48]))) - gap
    out = landmarks.copy()
    for shares, part in ((LOWER, LOWER_SHARE), (UPPER, LOWER_SHARE - 1)):
        for point, share in shares.items():
            out[point] += share * part * change * down
    return out


def _down(landmarks: Floats) -> Floats:
    """Unit vector from the eyes to the mouth's corners."""
    way = landmarks[[48, 54]].mean(0) - landmarks[36:48].mean(0)
    return np.asarray(way / max(float(np.hypot(*way)), 1e-6), np.float32)
