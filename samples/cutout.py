"""Cuts a painted head out of its background: a matte, and the head's own colours beyond its edge."""

from __future__ import annotations

import cv2
import numpy as np
from numpy.typing import NDArray

from samples.acting import Array

Picture = NDArray[np.uint8]
Matte = NDArray[np.float32]
GRAB = 128  # px at which the head is told from its background


def head_matte(picture: Picture, landmarks: Array) -> Matte:
    """How much of each pixel of `picture` (S, S, 3) is head, hair or neck: (S, S) in [0, 1]."""
    side = len(picture)
    small = cv2.resize(picture, (GRAB, GRAB), interpolation=cv2.INTER_AREA)
    labels = _guess(landmarks * GRAB)
    cv2.setRNGSeed(1)
    cv2.grabCut(small, labels, None, np.zeros((1, 65)), np.zeros((1, 65)), 3, cv2.GC_INIT_WITH_MASK)
    hard = np.isin(labels, (cv2.GC_FGD, cv2.GC_PR_FGD)).astype(np.uint8)
    hard = cv2.morphologyEx(_largest(hard), cv2.MORPH_OPEN, np.ones((3, 3), np.uint8))
    matte = cv2.resize(
        cv2.GaussianBlur(hard.astype(np.float32), (0, 0), 1.0), (side, side), interpolation=cv2.INTER_CUBIC
    )
    matte = np.clip((matte - 0.35) / 0.55, 0, 1)  # a little inside, where no background shines through
    return np.asarray(matte * _above_collar(landmarks * side, side), np.float32)


def steady(mattes: Matte, sigma: float = 1.5) -> Matte:
    """Mattes (n, S, S) averaged over neighbouring frames, so that an edge does not flicker."""
    flat = mattes.reshape(len(mattes), -1)
    return np.asarray(cv2.GaussianBlur(flat, (1, 0 + 9), 0.1, None, sigma), np.float32).reshape(mattes.shape)


def extend(picture: Picture, matte: Matte) -> Picture:
    """`picture` with the head's colours drawn out over its edge, so that no old background shines through hair."""
    core = (matte > 0.97).astype(np.float32)
    weight = cv2.GaussianBlur(core, (0, 0), 3)[..., None]
    colour = cv2.GaussianBlur(picture * core[..., None], (0, 0), 3) / np.maximum(weight, 1e-3)
    trust = np.clip((matte[..., None] - 0.55) / 0.4, 0, 1)
    mixed = picture * trust + np.where(weight > 1e-3, colour, picture) * (1 - trust)
    return np.clip(np.round(mixed), 0, 255).astype(np.uint8)


def _guess(points: Array) -> Picture:
    """Where the head surely and probably is, for landmarks in px of the small picture."""
    labels = np.full((GRAB, GRAB), cv2.GC_PR_BGD, np.uint8)
    eyes, chin = points[36:48].mean(0), points[8]
    height = chin[1] - eyes[1]
    centre = np.round(eyes + [0, -0.1 * height]).astype(int).tolist()
    cv2.ellipse(
        labels, centre, np.round([height * 0.95, height * 1.05]).astype(int).tolist(), 0, 0, 360, cv2.GC_PR_FGD, -1
    )
    hull = cv2.convexHull(np.round(points).astype(np.int32))
    cv2.fillConvexPoly(labels, hull, cv2.GC_FGD)
    # The crown lies between the ears, which a turned head shifts against the eyes.
    crown = [round((points[0, 0] + points[16, 0] + eyes[0]) / 3), round(eyes[1] - 0.1 * height)]
    cv2.ellipse(labels, crown, np.round([height * 0.58, height * 0.78]).astype(int).tolist(), 0, 0, 360, cv2.GC_FGD, -1)
    neck = np.round([[points[5][0], chin[1]], [points[11][0], chin[1]], [points[11][0], GRAB], [points[5][0], GRAB]])
    cv2.fillConvexPoly(labels, neck.astype(np.int32), cv2.GC_FGD)
    labels[:2], labels[: GRAB // 4, :2], labels[: GRAB // 4, -2:] = cv2.GC_BGD, cv2.GC_BGD, cv2.GC_BGD
    return labels


def _largest(mask: Picture) -> Picture:
    count, labels, stats, _ = cv2.connectedComponentsWithStats(mask)
    best = 1 + int(np.argmax(stats[1:, cv2.CC_STAT_AREA])) if count > 1 else 0
    return (labels == best).astype(np.uint8)


def _above_collar(points: Array, side: int) -> Matte:
    """1 on the head and its neck, falling to 0 where the painted clothes begin; ours are drawn there."""
    rows, columns = np.mgrid[:side, :side].astype(np.float32)
    inside = np.zeros((side, side), np.uint8)
    jaw = points[3:14]
    column = np.concatenate([jaw, [[jaw[-3, 0], side]], [[jaw[2, 0], side]]])
    cv2.fillPoly(inside, [np.round(column).astype(np.int32)], 1)
    cv2.fillConvexPoly(inside, cv2.convexHull(np.round(points).astype(np.int32)), 1)
    neck = cv2.GaussianBlur(inside.astype(np.float32), (0, 0), side / 100)
    bottom = np.clip((side - 1 - rows) / (0.02 * side), 0, 1)
    return np.asarray(np.maximum(_rounded(rows / side, columns / side), neck) * bottom, np.float32)


def _rounded(rows: Matte, columns: Matte) -> Matte:
    """1 within a square with round corners that ends above the shoulders: long hair has no straight ends there."""
    radius, soft = 0.22, 0.03
    x = np.maximum(np.abs(columns - 0.5) - (0.5 - radius), 0)
    y = np.maximum(rows - (0.91 - radius), 0)
    return np.asarray(np.clip((radius - np.hypot(x, y)) / soft, 0, 1), np.float32)
