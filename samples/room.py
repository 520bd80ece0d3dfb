"""Draws what the generator does not paint: a room, and the pullovers that the people wear."""

from __future__ import annotations

import cv2
import numpy as np
from numpy.typing import NDArray

Picture = NDArray[np.uint8]
WIDTH, HEIGHT = 1280, 720
NECK = 0.2  # half the width of a collar, in picture sides
SCALE = 2  # garments are drawn larger and averaged down


def room() -> Picture:
    """An empty room (720, 1280, 3), slightly out of focus."""
    rows, columns = np.mgrid[:HEIGHT, :WIDTH].astype(np.float32)
    light = 1.08 - 0.32 * columns / WIDTH - 0.12 * rows / HEIGHT
    wall = np.array([196, 187, 176], np.float32) * light[..., None]
    picture = np.clip(wall, 0, 255).astype(np.uint8)
    _window(picture)
    _shelf(picture)
    picture = cv2.GaussianBlur(picture, (0, 0), 5)
    noise = np.random.default_rng(5).normal(0, 1.5, (HEIGHT, WIDTH, 1))
    return np.clip(picture + noise, 0, 255).astype(np.uint8)


def _window(picture: Picture) -> None:
    cv2.rectangle(picture, (70, 40), (330, 430), (232, 228, 220), -1)
    for top, left in ((56, 86), (56, 208), (244, 86), (244, 208)):
        pane = picture[top : top + 170, left : left + 106]
        fade = np.linspace(0, 1, 170)[:, None, None]
        pane[:] = ((1 - fade) * [205, 222, 238] + fade * [236, 238, 230]).astype(np.uint8)
    cv2.rectangle(picture, (55, 430), (345, 446), (214, 208, 198), -1)


def _shelf(picture: Picture) -> None:
    rng = np.random.default_rng(9)
    for board in (170, 330, 490):
        cv2.rectangle(picture, (890, board), (1235, board + 12), (120, 96, 74), -1)
        left = 905
        while left < 1200:
            width, height = int(rng.integers(14, 30)), int(rng.integers(70, 118))
            if rng.random() < 0.8:
                tone = rng.integers(70, 170, 3) * 0.6 + np.array([120, 105, 90]) * 0.4
                cv2.rectangle(picture, (left, board - height), (left + width, board), tone.tolist(), -1)
            left += width + int(rng.integers(1, 5))


def garment(side: float, colour: tuple[int, int, int]) -> NDArray[np.float32]:
    """A pullover as RGBA in [0, 255], (h, w, 4), its collar's middle at the top centre, for a head of `side` px.

    It is drawn over the lower end of the neck: the collar's rim is a curve that is lowest in the middle.
    """
    width, height = round(side * 2.1), round(side * 1.35)
    unit = side * SCALE
    outline = np.array(_half_outline()) * unit
    both = np.concatenate([outline, (outline * [-1, 1])[::-1]]) + [width * SCALE / 2, 0]
    alpha = np.zeros((height * SCALE, width * SCALE), np.uint8)
    cv2.fillPoly(alpha, [np.round(both).astype(np.int32)], 255)
    shade = _shade(alpha.shape, unit)
    colours = np.clip(np.array(colour, np.float32) * shade[..., None], 0, 255)
    drawn = np.dstack([colours, alpha.astype(np.float32)])
    return np.asarray(cv2.resize(drawn, (width, height), interpolation=cv2.INTER_AREA), np.float32)


def _half_outline() -> list[tuple[float, float]]:
    """The right half, from the middle of the rim over the shoulder down, in picture sides."""
    angles = np.linspace(np.pi / 2, 0, 16)
    rim = [(NECK * np.cos(a), 0.075 * np.sin(a)) for a in angles]
    collar = [(NECK + 0.005, 0.03), (NECK + 0.015, 0.1)]
    t = np.linspace(0, 1, 24)
    slope = [(NECK + 0.015 + 0.395 * s, 0.1 + 0.13 * s + 0.07 * s**3) for s in t]
    shoulder = [(0.61 + 0.14 * np.sin(s * np.pi / 2), 0.30 + 0.28 * (1 - np.cos(s * np.pi / 2))) for s in t[1:]]
    return [*rim, *collar, *slope, *shoulder, (0.80, 1.4), (0.0, 1.4)]


def _shade(shape: tuple[int, ...], unit: float) -> NDArray[np.float32]:
    """Light from the left, folds and a ribbed collar: factors on the colour."""
    y, x = np.mgrid[: shape[0], : shape[1]].astype(np.float32)
    x, y = (x - shape[1] / 2) / unit, y / unit
    light = 1.12 - 0.3 * x - 0.12 * y - 0.25 * np.abs(x) ** 3
    noise = np.random.default_rng(3).normal(0, 1, (shape[0] // 8 + 1, shape[1] // 8 + 1)).astype(np.float32)
    folds = cv2.resize(cv2.GaussianBlur(noise, (0, 0), 5), (shape[1], shape[0]), interpolation=cv2.INTER_CUBIC)
    knit = 0.03 * np.sin(2 * np.pi * x / 0.016) * np.sin(2 * np.pi * y / 0.02)
    collar = (np.abs(x) < NECK + 0.02) & (y < 0.165 - 0.9 * x**2)
    ribs = np.where(collar, 0.1 * np.sin(2 * np.pi * x / 0.02) + 0.05 - 1.2 * np.abs(x), 0)
    hem = -0.3 * np.exp(-(((y - 0.175 + 0.9 * x**2) / 0.012) ** 2)) * (np.abs(x) < NECK + 0.03)
    rim = -0.25 * np.exp(-(((y - 0.075 * np.sqrt(np.clip(1 - (x / NECK) ** 2, 0, 1))) / 0.01) ** 2))
    return np.asarray(light + 0.6 * folds + knit + ribs + hem + rim * (np.abs(x) < NECK), np.float32)
