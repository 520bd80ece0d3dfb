"""Cuts the crops that landmark networks and recognisers expect, differentiably in the pixels.

Where to cut is taken from landmarks as they are: no gradient flows through the place.
"""

from __future__ import annotations

import torch
from torch import Tensor
from torch.nn import functional as F

from training.generator.measure import ARCFACE_POINTS
from training.landmarks.teacher import TEMPLATE

ARCFACE_SIDE = 112


def five(landmarks: Tensor) -> Tensor:
    """Eyes, nose tip and mouth corners (N, 5, 2) of landmarks (N, 68, 2)."""
    eyes = torch.stack((landmarks[:, 36:42].mean(1), landmarks[:, 42:48].mean(1)), 1)
    return torch.cat((eyes, landmarks[:, [30, 48, 54]]), 1)


def turned(vector: Tensor) -> Tensor:
    """A quarter turn: (x, y) -> (-y, x)."""
    return torch.stack((-vector[..., 1], vector[..., 0]), -1)


def landmark_quad(landmarks: Tensor) -> Tensor:
    """Crop of the 68-point network as (origin, x axis, y axis), (N, 3, 2): `CropTemplate.quad_of_points` in batches."""
    points = five(landmarks)
    eyes, mouth = points[:, :2].mean(1), points[:, 3:].mean(1)
    across, down = points[:, 1] - points[:, 0], mouth - eyes
    x_axis = F.normalize(across - turned(down), dim=1)
    y_axis = turned(x_axis)
    extents = (across.norm(dim=1) / TEMPLATE.eye_distance, down.norm(dim=1) / (TEMPLATE.mouth_y - TEMPLATE.eyes_y))
    side = torch.maximum(*extents)[:, None]
    middle = (TEMPLATE.eyes_y + TEMPLATE.mouth_y) / 2
    origin = (eyes + mouth) / 2 - side * (0.5 * x_axis + middle * y_axis)
    return torch.stack((origin, side * x_axis, side * y_axis), 1)


def arcface_quad(landmarks: Tensor) -> Tensor:
    """Crop of recognisers: the similarity that brings five points nearest to ArcFace's template, (N, 3, 2)."""
    points = five(landmarks)
    template = torch.from_numpy(ARCFACE_POINTS).to(points) / ARCFACE_SIDE
    mean, centre = points.mean(1), template.mean(0)
    away, wanted = points - mean[:, None], template - centre
    size = wanted.square().sum()
    cosine, sine = (away * wanted).sum((1, 2)) / size, (away * turned(-wanted)).sum((1, 2)) / size
    x_axis = torch.stack((cosine, -sine), 1)
    y_axis = turned(x_axis)
    return torch.stack((mean - centre[0] * x_axis - centre[1] * y_axis, x_axis, y_axis), 1)


def cut(picture: Tensor, quad: Tensor, side: int) -> Tensor:
    """Sample the crops `quad` (N, 3, 2), in units of the picture, as (N, C, side, side)."""
    origin, axes = quad[:, 0], quad[:, 1:]
    theta = torch.cat((axes.transpose(1, 2), (2 * origin + axes.sum(1) - 1)[:, :, None]), 2)
    grid = F.affine_grid(theta, [len(picture), picture.shape[1], side, side], align_corners=False)
    return F.grid_sample(picture, grid, mode="bilinear", padding_mode="border", align_corners=False)
