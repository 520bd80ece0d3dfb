"""What the student sees: the teacher's clean crop turned, shifted, spoiled, covered, sometimes with closed eyes."""

from __future__ import annotations

from dataclasses import dataclass

import cv2
import numpy as np

from streamfilter.landmarks import cut, to_unit
from streamfilter.structures import Floats, Image
from training.landmarks.teacher import MARGIN, mirrored, quad_of_landmarks, to_store

Random = np.random.Generator

_EYE_LIDS = ((36, (37, 38), 39, (41, 40)), (42, (43, 44), 45, (47, 46)))
_BROWS = (slice(17, 22), slice(22, 27))


@dataclass(frozen=True, kw_only=True)
class AugmentConfig:
    """How often and how much; probabilities are per sample."""

    size: int = 112
    turn_deg: float = 9.0
    far_turn_deg: float = 40.0
    far_turn: float = 0.08
    scale: float = 0.09
    shift: float = 0.035
    mirror: float = 0.5
    blink: float = 0.2
    occlude: float = 0.2
    hide: float = 0.03
    miss: float = 0.04
    spoil: float = 0.55


def sample(
    crop: Image, points: Floats, is_face: bool, config: AugmentConfig, random: Random
) -> tuple[Image, Floats, bool]:
    """One training sample: image (size, size, 3), landmarks in its units, and whether there is a face to be found."""
    if is_face and random.random() < config.blink:
        crop, points = blink(crop, points, float(random.uniform(-0.15, 0.95)))
    quad = _quad(points, is_face, config, random)
    missed = is_face and random.random() < config.miss
    if missed:
        quad[0] += random.choice([-1, 1], 2) * random.uniform(0.55, 0.8, 2)
    image, points = _cut_store(crop, quad, config.size, random), to_unit(points, quad)
    if random.random() < config.mirror:
        image, points = np.ascontiguousarray(image[:, ::-1]), mirrored(points)
    hidden = is_face and random.random() < config.hide
    if hidden:
        image = _cover(image, _hull_box(points, 1.25), random)
    elif random.random() < config.occlude:
        image = occlude(image, points, random)
    if random.random() < config.spoil:
        image = spoil(image, random)
    return image, points, is_face and not missed and not hidden


def _quad(points: Floats, is_face: bool, config: AugmentConfig, random: Random) -> Floats:
    unit = np.array([[0, 0], [1, 0], [0, 1]], np.float32)
    base = quad_of_landmarks(points) if is_face else unit
    turn = config.far_turn_deg if random.random() < config.far_turn else config.turn_deg
    angle = np.deg2rad(np.clip(random.normal(), -2.2, 2.2) * turn)
    scale = float(np.exp(np.clip(random.normal(), -2.5, 2.5) * config.scale))
    rotation = np.array([[np.cos(angle), np.sin(angle)], [-np.sin(angle), np.cos(angle)]]) * scale
    axes = base[1:] @ rotation
    side = float(np.hypot(*base[1]))
    middle = base[0] + base[1:].sum(axis=0) / 2 + random.normal(size=2).clip(-2.5, 2.5) * config.shift * side
    return np.concatenate([(middle - axes.sum(axis=0) / 2)[None], axes]).astype(np.float32)


def _cut_store(crop: Image, quad: Floats, size: int, random: Random) -> Image:
    """Cut from a stored crop; beyond its edge lies black, as at a frame's edge, or more of the same."""
    store = crop.shape[0]
    pixels = to_store(quad, store)
    if random.random() < 0.75:
        pad = store // 4
        crop = np.asarray(cv2.copyMakeBorder(crop, pad, pad, pad, pad, cv2.BORDER_REFLECT_101), np.uint8)
        pixels[0] += pad
    return cut(crop, pixels, size)


def blink(crop: Image, points: Floats, closed: float) -> tuple[Image, Floats]:
    """Draw the upper lids down (`closed` 1: shut; below 0: wider open); the skin above stretches along."""
    store = crop.shape[0]
    pixels = (points + (MARGIN - 1) / 2) * store / MARGIN - 0.5
    moved = pixels.copy()
    columns, rows = np.meshgrid(np.arange(store, dtype=np.float32), np.arange(store, dtype=np.float32))
    source_y = rows.copy()
    for (outer, upper, inner, lower), brow in zip(_EYE_LIDS, _BROWS, strict=True):
        for high, low in zip(upper, lower, strict=True):
            moved[high] += closed * (pixels[low] - pixels[high])
        _draw_lid(source_y, pixels, (outer, upper, inner, lower), float(pixels[brow, 1].mean()), closed)
    warped = cv2.remap(crop, columns, source_y, cv2.INTER_LINEAR, borderMode=cv2.BORDER_REPLICATE)
    return np.asarray(warped, np.uint8), ((moved + 0.5) * MARGIN / store - (MARGIN - 1) / 2).astype(np.float32)


def _draw_lid(
    source_y: Floats, pixels: Floats, eye: tuple[int, tuple[int, int], int, tuple[int, int]], top: float, closed: float
) -> None:
    """Write into `source_y` where each pixel between brow and lower lid comes from, column by column."""
    outer, upper, inner, lower = eye
    upper_line, lower_line = pixels[[outer, *upper, inner]], pixels[[outer, *lower, inner]]
    if (np.diff(upper_line[:, 0]) <= 0).any() or (np.diff(lower_line[:, 0]) <= 0).any():
        return
    first, last = int(np.ceil(upper_line[0, 0])), int(upper_line[-1, 0])
    for x in range(max(first, 0), min(last + 1, source_y.shape[1])):
        up = float(np.interp(x, *upper_line.T))
        low = float(np.interp(x, *lower_line.T))
        lid = up + closed * (low - up)
        start, stop = max(int(np.ceil(top)), 0), min(int(low) + 1, source_y.shape[0])
        if low - up < 0.3 or up - top < 1 or lid - top < 1 or start >= stop:
            continue
        rows = np.arange(start, stop)
        source_y[start:stop, x] = np.interp(rows, [top, min(lid, low - 0.05), low], [top, up, low])


def _hull_box(points: Floats, scale: float) -> tuple[Floats, Floats]:
    low, high = points.min(axis=0), points.max(axis=0)
    middle, half = (low + high) / 2, (high - low) / 2 * scale
    return middle - half, middle + half


def _cover(image: Image, box: tuple[Floats, Floats], random: Random) -> Image:
    """Hide the whole face behind one surface."""
    image, size = image.copy(), image.shape[0]
    low, high = (np.clip(np.asarray(edge) * size, 0, size).astype(int) for edge in box)
    patch = image[low[1] : high[1], low[0] : high[0]]
    if patch.size:
        patch[:] = _texture((patch.shape[0], patch.shape[1]), random)
    return image


def occlude(image: Image, points: Floats, random: Random) -> Image:
    """A hand, a microphone or a mask: one surface over part of the face."""
    size = image.shape[0]
    mask = np.zeros((size, size), np.uint8)
    pixels = points * size - 0.5
    kind = random.integers(4)
    if kind == 0:
        cut_off = random.choice([28, 29, 30])
        mask_points = np.concatenate([pixels[2:15], pixels[cut_off : cut_off + 1]])
        cv2.fillPoly(mask, [np.round(mask_points).astype(np.int32)], 255)
    elif kind == 1:
        start = pixels[random.integers(68)]
        end = start + random.normal(size=2) * size
        cv2.line(mask, _pixel(start), _pixel(end), 255, int(random.uniform(0.06, 0.2) * size))
    elif kind == 2:
        axes = (int(random.uniform(0.06, 0.22) * size), int(random.uniform(0.06, 0.22) * size))
        cv2.ellipse(mask, _pixel(pixels[random.integers(68)]), axes, float(random.uniform(0, 180)), 0, 360, 255, -1)
    else:
        edge, share = random.integers(4), int(random.uniform(0.1, 0.4) * size)
        np.rot90(mask, edge)[:share] = 255
    soft = cv2.GaussianBlur(mask, (0, 0), float(random.uniform(0.4, 1.5))).astype(np.float32)[..., None] / 255
    return (image * (1 - soft) + _texture((size, size), random) * soft).astype(np.uint8)


def _pixel(point: Floats) -> tuple[int, int]:
    x, y = np.clip(point, -1000, 1000)
    return round(float(x)), round(float(y))


def _texture(shape: tuple[int, int], random: Random) -> Image:
    """Cloth, skin or wall: a colour with slow and fast variation."""
    colour = (
        random.uniform(0, 255, 3) if random.random() < 0.6 else np.array([200, 150, 120]) * random.uniform(0.25, 1.2)
    )
    coarse = random.normal(size=(5, 5, 3)) * random.uniform(2, 30)
    slow = cv2.resize(coarse.astype(np.float32), (shape[1], shape[0]), interpolation=cv2.INTER_CUBIC)
    return np.clip(colour + slow.reshape(*shape, 3), 0, 255).astype(np.uint8)


def spoil(image: Image, random: Random) -> Image:
    """Light, colour, size, blur, noise and compression, each now and then."""
    if random.random() < 0.5:
        image = _light(image, random)
    if random.random() < 0.35:
        side, small = image.shape[0], int(np.exp(random.uniform(np.log(22), np.log(90))))
        image = cv2.resize(image, (small, small), interpolation=cv2.INTER_AREA)
        image = cv2.resize(image, (side, side), interpolation=cv2.INTER_LINEAR)
    if random.random() < 0.25:
        image = _blur(image, random)
    if random.random() < 0.3:
        noise = random.normal(size=image.shape).astype(np.float32) * random.uniform(2, 18)
        image = np.clip(image + noise, 0, 255).astype(np.uint8)
    if random.random() < 0.3:
        _, packed = cv2.imencode(".jpg", image, [cv2.IMWRITE_JPEG_QUALITY, int(random.uniform(15, 80))])
        image = cv2.imdecode(packed, cv2.IMREAD_COLOR)
    if random.random() < 0.06:
        image = np.repeat(image.mean(axis=2, keepdims=True), 3, axis=2)
    return np.asarray(image, np.uint8)


def _light(image: Image, random: Random) -> Image:
    gain = np.exp(random.normal(-0.15, 0.45)) * np.exp(random.normal(size=3) * 0.1)
    gamma = np.exp(random.normal() * 0.3)
    values = np.arange(256, dtype=np.float32)[:, None] / 255
    table = np.clip(values**gamma * gain * 255 + random.normal() * 10, 0, 255).astype(np.uint8)
    return np.asarray(cv2.LUT(image, table.reshape(256, 1, 3)), np.uint8)


def _blur(image: Image, random: Random) -> Image:
    if random.random() < 0.5:
        return np.asarray(cv2.GaussianBlur(image, (0, 0), float(random.uniform(0.6, 2.8))), np.uint8)
    length = int(random.uniform(3, 13))
    kernel = np.zeros((length, length), np.float32)
    middle, reach = (length - 1) / 2, length / 2
    angle = random.uniform(0, np.pi)
    step = np.array([np.cos(angle), np.sin(angle)]) * reach
    cv2.line(kernel, _pixel(middle - step), _pixel(middle + step), 1.0, 1)
    return np.asarray(cv2.filter2D(image, -1, kernel / max(float(kernel.sum()), 1.0)), np.uint8)
