"""Structural similarity of two pictures (Wang, Bovik, Sheikh and Simoncelli, 2004), on luma."""

from __future__ import annotations

import cv2
import numpy as np

from streamfilter.structures import Doubles, Image

WINDOW_PX, SIGMA_PX = 11, 1.5
K1, K2, LEVELS = 0.01, 0.03, 255.0


def luma(image: Image) -> Doubles:
    """Luma (H, W) of an RGB picture by BT.601, 0..255 and not rounded."""
    return np.asarray(image.astype(np.float64) @ np.array([0.299, 0.587, 0.114]))


def ssim_map(a: Doubles, b: Doubles) -> Doubles:
    """Equation 13 at each place where the Gaussian window lies wholly inside: (H, W) twice -> (H - 10, W - 10)."""
    c1, c2 = (K1 * LEVELS) ** 2, (K2 * LEVELS) ** 2
    mean_a, mean_b = _blurred(a), _blurred(b)
    var_a, var_b = _blurred(a * a) - mean_a**2, _blurred(b * b) - mean_b**2
    shared = _blurred(a * b) - mean_a * mean_b
    alike = (2 * mean_a * mean_b + c1) * (2 * shared + c2)
    return np.asarray(alike / ((mean_a**2 + mean_b**2 + c1) * (var_a + var_b + c2)))


def ssim(a: Image, b: Image) -> float:
    """Mean structural similarity of two RGB pictures (H, W, 3) uint8, at least 11 px wide and high."""
    if a.shape != b.shape:
        raise ValueError(f"pictures of one size are needed, got {a.shape} and {b.shape}")
    return float(ssim_map(luma(a), luma(b)).mean())


def _blurred(values: Doubles) -> Doubles:
    edge = WINDOW_PX // 2
    return np.asarray(cv2.GaussianBlur(values, (WINDOW_PX, WINDOW_PX), SIGMA_PX)[edge:-edge, edge:-edge])
