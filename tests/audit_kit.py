"""Moments for tests of the audit: drawn people whose faces move over a textured background."""

from __future__ import annotations

from dataclasses import replace

import cv2
import numpy as np

from streamfilter.audit.moment import Face, Moment
from streamfilter.structures import Floats, Image
from tests.synthetic_face import face_shape

SIZE = (180, 240)


def unit(vector: Floats) -> Floats:
    """The same direction, length 1."""
    return np.asarray(vector / np.linalg.norm(vector), np.float32)


def person(number: int, dims: int = 32) -> Floats:
    """An embedding for a made-up person."""
    return unit(np.random.default_rng(number).normal(size=dims).astype(np.float32))


def texture(seed: int, height: int, width: int, grain: float = 3.0) -> Image:
    """A random picture with structure at the scale of `grain` px."""
    noise = np.random.default_rng(seed).uniform(0, 255, (height, width, 3)).astype(np.float32)
    smooth = cv2.GaussianBlur(noise, (0, 0), grain)
    low, high = smooth.min(), smooth.max()
    return np.asarray((smooth - low) / (high - low) * 255, np.uint8)


def box_of(x: float, y: float, side: float) -> Floats:
    """(x0, y0, x1, y1) of a square face."""
    return np.array([x, y, x + side, y + side], np.float32)


def points_of(box: Floats) -> Floats:
    """Eyes, nose and corners of the mouth of a frontal face in this box."""
    spots = np.array([(0.3, 0.4), (0.7, 0.4), (0.5, 0.6), (0.35, 0.8), (0.65, 0.8)], np.float32)
    return np.asarray(box[:2] + spots * (box[2:] - box[:2]), np.float32)


def landmarks_of(box: Floats) -> Floats:
    """dlib's 68 points of a frontal face in this box."""
    shape = np.asarray(face_shape(), np.float32)
    shape = (shape - shape.min(0)) / (shape.max(0) - shape.min(0))
    return np.asarray(box[:2] + shape * (box[2:] - box[:2]), np.float32)


def face(box: Floats, track: int = 1, **values: object) -> Face:
    """A face in this box."""
    return replace(Face(track=track, xyxy=box, points=points_of(box)), **values)


def painted(background: Image, box: Floats, seed: int) -> Image:
    """The background with a random texture in the box: a face that only `seed` decides."""
    picture = background.copy()
    x0, y0, x1, y1 = box.round().astype(int)
    picture[y0:y1, x0:x1] = texture(seed, y1 - y0, x1 - x0)
    return picture


def moment(index: int, faces: tuple[Face, ...], *, original: int = 1, result: int = 2, **values: object) -> Moment:
    """A moment at 25 fps; `original` and `result` are the seeds of the faces that are painted into its pictures."""
    background = texture(0, *SIZE)
    before = after = background
    for item in faces:
        before = painted(before, item.xyxy, original + 100 * item.track)
        after = painted(after, item.xyxy, result + 100 * item.track)
    basic = Moment(
        source="clip.mp4", index=index, time_s=index / 25, original=before, result=after, faces=faces, cut=index == 0
    )
    return replace(basic, **values)
