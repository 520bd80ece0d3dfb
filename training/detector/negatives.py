"""Pictures without a face that need no footage: noise at many scales, stripes, discs, gradients."""

from __future__ import annotations

import cv2
import numpy as np
from numpy.random import Generator

from streamfilter.structures import Image


def texture(rng: Generator, size: int) -> Image:
    """A random picture of `size` x `size`, RGB."""
    makers = (_clouds, _stripes, _shapes, _flat)
    image = makers[rng.integers(len(makers))](rng, size // 2).astype(np.float32)
    image = cv2.resize(image, (size, size), interpolation=cv2.INTER_LINEAR)
    image += rng.standard_normal((size, size, 1), np.float32) * np.float32(rng.uniform(0, 6))
    return np.clip(image, 0, 255).astype(np.uint8)


def _clouds(rng: Generator, size: int) -> np.ndarray:
    image = np.zeros((size, size, 3), np.float32)
    for cells in (3, 6, 12, 25, 50):
        noise = rng.uniform(0, 255, (cells, cells, 3)).astype(np.float32)
        image += cv2.resize(noise, (size, size), interpolation=cv2.INTER_CUBIC) / (1 + cells / 6)
    return image / image.max() * rng.uniform(120, 255)


def _stripes(rng: Generator, size: int) -> np.ndarray:
    y, x = np.mgrid[:size, :size]
    angle, period = rng.uniform(0, np.pi), rng.uniform(3, 30)
    wave = np.sin((x * np.cos(angle) + y * np.sin(angle)) * 2 * np.pi / period)[..., None]
    return rng.uniform(0, 255, 3) * (0.5 + wave / 2) + rng.uniform(0, 255, 3) * (0.5 - wave / 2)


def _shapes(rng: Generator, size: int) -> np.ndarray:
    image = np.full((size, size, 3), rng.uniform(0, 255, 3))
    for _ in range(rng.integers(5, 40)):
        tone, centre = rng.uniform(0, 255, 3).tolist(), rng.integers(0, size, 2)
        reach = rng.integers(3, max(4, size // 4), 2)
        if rng.random() < 0.5:
            cv2.ellipse(image, centre.tolist(), reach.tolist(), float(rng.uniform(0, 180)), 0, 360, tone, -1)
        else:
            cv2.rectangle(image, (centre - reach).tolist(), (centre + reach).tolist(), tone, -1)
    return image


def _flat(rng: Generator, size: int) -> np.ndarray:
    ramp = np.linspace(0, 1, size)[None, :, None]
    return np.broadcast_to(rng.uniform(0, 255, 3) * ramp + rng.uniform(0, 255, 3) * (1 - ramp), (size, size, 3))
