"""What makes faces hard to find: each function takes an RGB picture and a generator, and gives a new picture."""

from __future__ import annotations

import cv2
import numpy as np
from numpy.random import Generator

from streamfilter.structures import Doubles, Image

SKIN = np.array([[255, 224, 196], [234, 192, 160], [198, 148, 112], [141, 94, 66], [88, 57, 42]], np.float64)
CLOTH = np.array([[240, 242, 245], [120, 170, 210], [25, 25, 28], [200, 120, 140], [90, 110, 90], [60, 70, 120]])


def motion_blur(image: Image, rng: Generator, length_px: float) -> Image:
    """Camera or face moved by `length_px` in a random direction while the shutter was open."""
    size = max(3, int(np.ceil(length_px)) | 1)
    kernel = np.zeros((size, size), np.float32)
    angle = rng.uniform(0, np.pi)
    reach = np.array([np.cos(angle), np.sin(angle)]) * (size - 1) / 2
    ends = ((size - 1) / 2 + np.outer([-1, 1], reach)).round().astype(int)
    cv2.line(kernel, ends[0].tolist(), ends[1].tolist(), 1.0)
    return np.asarray(cv2.filter2D(image, -1, kernel / kernel.sum()))


def defocus(image: Image, sigma_px: float) -> Image:
    """Out of focus."""
    return np.asarray(cv2.GaussianBlur(image, (0, 0), max(sigma_px, 0.3)))


def dim(image: Image, rng: Generator, gain: float) -> Image:
    """Little light: darker by `gain`, a colour cast, shot noise and read noise."""
    light = (image.astype(np.float32) / 255) ** rng.uniform(1.0, 1.5) * gain
    light *= rng.uniform(0.8, 1.2, 3).astype(np.float32)
    noise = rng.standard_normal(image.shape, np.float32)
    light += noise * (np.sqrt(np.clip(light, 0, 1)) * rng.uniform(0.01, 0.06) + rng.uniform(0.0, 0.02))
    return _bytes(light * 255)


def jpeg(image: Image, quality: int) -> Image:
    """Compressed and decompressed."""
    _, packed = cv2.imencode(".jpg", image, [cv2.IMWRITE_JPEG_QUALITY, quality])
    return np.asarray(cv2.imdecode(packed, cv2.IMREAD_COLOR), np.uint8)


def colour(image: Image, rng: Generator) -> Image:
    """Brightness, contrast, balance; now and then grey."""
    if rng.random() < 0.15:
        image = np.repeat(cv2.cvtColor(image, cv2.COLOR_RGB2GRAY)[..., None], 3, 2)
    gain = rng.uniform(0.6, 1.5) * rng.uniform(0.88, 1.12, 3)
    return _bytes(image.astype(np.float32) * gain.astype(np.float32) + np.float32(rng.uniform(-25, 25)))


def coarse(image: Image, factor: float) -> Image:
    """Enlarged from `1 / factor` of its size."""
    height, width = image.shape[:2]
    size = (max(8, round(width / factor)), max(8, round(height / factor)))
    small = cv2.resize(image, size, interpolation=cv2.INTER_AREA)
    return np.asarray(cv2.resize(small, (width, height), interpolation=cv2.INTER_LINEAR))


def surgical_mask(image: Image, points: Doubles, rng: Generator) -> Image:
    """A cloth over mouth and nose, placed by the five points."""
    eyes, mouth = points[:2].mean(0), points[3:].mean(0)
    down, across = mouth - eyes, points[1] - points[0]
    size = np.linalg.norm(across)
    if size < 0.4 * np.linalg.norm(down):  # in profile the eyes lie on each other
        across = np.array([down[1], -down[0]]) * 0.6
    top = eyes + down * rng.uniform(0.3, 0.55)
    corners = np.array(
        [
            top - across * rng.uniform(0.8, 1.0), top + down * 0.05, top + across * rng.uniform(0.8, 1.0),
            mouth + across * rng.uniform(0.6, 0.85) + down * 0.25, mouth + down * rng.uniform(0.6, 0.9),
            mouth - across * rng.uniform(0.6, 0.85) + down * 0.25,
        ]
    )  # fmt: skip
    tone = CLOTH[rng.integers(len(CLOTH))] * rng.uniform(0.6, 1.0)
    return _fill(image, corners, tone, rng)


def dark_glasses(image: Image, points: Doubles, rng: Generator) -> Image:
    """A dark band over the eyes."""
    across, down = points[1] - points[0], points[3:].mean(0) - points[:2].mean(0)
    left, right = points[0] - across * 0.5, points[1] + across * 0.5
    lift, drop = down * rng.uniform(0.15, 0.3), down * rng.uniform(0.2, 0.4)
    corners = np.array([left - lift, right - lift, right + drop, left + drop])
    return _fill(image, corners, np.full(3, rng.uniform(5, 60)), rng)


def hand(image: Image, box: Doubles, rng: Generator) -> Image:
    """A skin-coloured palm with fingers over part of the face."""
    size = box[2:4] - box[:2]
    palm = box[:2] + size * rng.uniform(0.1, 0.9, 2)
    angle, reach = rng.uniform(0, 2 * np.pi), float(size.mean())
    layer = np.zeros(image.shape[:2], np.uint8)
    cv2.circle(layer, _pixel(palm), max(1, round(reach * rng.uniform(0.15, 0.28))), 255, -1)
    for spread in np.linspace(-0.6, 0.6, 4):
        tip = palm + reach * rng.uniform(0.4, 0.6) * np.array([np.cos(angle + spread), np.sin(angle + spread)])
        cv2.line(layer, _pixel(palm), _pixel(tip), 255, max(1, round(reach * 0.1)))
    tone = SKIN[rng.integers(len(SKIN))] * rng.uniform(0.7, 1.05)
    return _lay(image, layer, tone, rng)


def bar(image: Image, box: Doubles, rng: Generator) -> Image:
    """A flat object in front of up to half of the face."""
    size = box[2:4] - box[:2]
    side = rng.integers(4)
    part = rng.uniform(0.2, 0.5)
    low, high = box[:2] - size * 0.2, box[2:4] + size * 0.2
    if side < 2:
        low[side] = box[side] + size[side] * (1 - part)
    else:
        high[side - 2] = box[side - 2] + size[side - 2] * part
    corners = np.array([low, [high[0], low[1]], high, [low[0], high[1]]])
    return _fill(image, corners, rng.uniform(0, 255, 3), rng)


def _fill(image: Image, corners: Doubles, tone: Doubles, rng: Generator) -> Image:
    layer = np.zeros(image.shape[:2], np.uint8)
    cv2.fillPoly(layer, [corners.round().astype(np.int32)], 255, cv2.LINE_AA)
    return _lay(image, layer, tone, rng)


def _lay(image: Image, layer: Image, tone: Doubles, rng: Generator) -> Image:
    """`tone`, with folds and noise, where `layer` is set."""
    x, y, width, height = cv2.boundingRect(layer)
    if width == 0:
        return image
    folds = rng.uniform(0.75, 1.15, (6, 6)).astype(np.float32)
    folds = cv2.resize(folds, (width, height), interpolation=cv2.INTER_CUBIC)
    grain = rng.standard_normal((height, width), np.float32) * 4
    surface = tone.astype(np.float32) * folds[..., None] + grain[..., None]
    window = np.s_[y : y + height, x : x + width]
    weight = (layer[window].astype(np.float32) / 255)[..., None]
    out = image.copy()
    out[window] = _bytes(image[window] * (1 - weight) + surface * weight)
    return out


def _pixel(point: Doubles) -> tuple[int, int]:
    return round(float(point[0])), round(float(point[1]))


def _bytes(image: np.ndarray) -> Image:
    return np.clip(np.rint(image), 0, 255).astype(np.uint8)
