"""The scene as numbers: who stands where, looks where, speaks and blinks when, and what that does to 68 landmarks."""

from __future__ import annotations

from dataclasses import dataclass
from itertools import pairwise

import numpy as np
from numpy.typing import NDArray

Array = NDArray[np.float64]
FPS, SECONDS = 25, 8
FRAMES = FPS * SECONDS
Curve = tuple[tuple[float, float], ...]  # (second, value), connected smoothly
PIVOT = np.array([0.5, 0.62, -0.3])  # what a head turns about, in crop sides; z points to the camera
UPPER_LIDS, LOWER_LIDS = [37, 38, 43, 44], [41, 40, 47, 46]
CHIN, LOWER_LIP, UPPER_LIP = slice(5, 12), [55, 56, 57, 58, 59, 65, 66, 67], [50, 51, 52, 61, 62, 63]
BLINK_S = 0.24


@dataclass(frozen=True)
class Person:
    """One invented person and the part it plays; lengths in px of the frame, angles in degrees, times in seconds."""

    name: str
    seed: int  # of the identity
    index: int  # of the identity among those of its seed
    side: float  # of the square picture in the frame
    x: Curve
    y: Curve
    yaw: Curve
    pitch: Curve
    roll: Curve
    talks: tuple[tuple[float, float], ...]
    blinks: tuple[float, ...]
    voice_hz: float
    garment: tuple[int, int, int]


BEHIND = Person(
    "woman", 41, 17, 300,
    x=((0, 905), (2.6, 925), (5.4, 385), (8, 360)),
    y=((0, 292), (2, 287), (4, 298), (6, 288), (8, 294)),
    yaw=((0, -12), (1.3, -14), (2.2, 4), (3.2, -16), (4.6, -16), (5.6, 3), (6.6, 6), (8, 4)),
    pitch=((0, 0), (1.5, 3), (2.5, -2), (4, 2), (5.8, -2), (8, 1)),
    roll=((0, -2), (2, 2), (3.8, -3), (6, 3), (8, -1)),
    talks=((2.5, 4.5), (6.4, 7.8)),
    blinks=(0.9, 2.3, 4.9, 6.5, 7.5),
    voice_hz=205.0, garment=(52, 98, 100),
)  # fmt: skip
FRONT = Person(
    "man", 41, 24, 410,
    x=((0, 360), (2.4, 345), (5.2, 915), (8, 930)),
    y=((0, 318), (1.5, 312), (3.8, 326), (6, 312), (8, 318)),
    yaw=((0, 13), (1.4, 15), (2.2, 2), (3.4, 15), (4.6, 13), (5.6, -4), (6.6, -16), (8, -13)),
    pitch=((0, 1), (1, -2), (2.3, 2), (4, -1), (5.6, 3), (8, 0)),
    roll=((0, 2), (1.8, -2), (3.9, 3), (6.2, -3), (8, 0)),
    talks=((0.2, 2.3), (4.6, 6.2)),
    blinks=(0.6, 1.9, 3.4, 5.3, 6.9),
    voice_hz=112.0, garment=(58, 66, 88),
)  # fmt: skip
PEOPLE = (BEHIND, FRONT)  # in the order in which they are drawn


def follow(curve: Curve, times: Array) -> Array:
    """The curve's values at these times: it comes to rest at every knot."""
    knots = np.array(curve, np.float64)
    values = np.full(len(times), knots[0, 1])
    for (t0, v0), (t1, v1) in pairwise(knots):
        share = np.clip((times - t0) / (t1 - t0), 0, 1)
        values += (v1 - v0) * share * share * (3 - 2 * share)
    return values


def frame_times() -> Array:
    """The second of every frame."""
    return np.arange(FRAMES) / FPS


def syllables(person: Person) -> Array:
    """What the person says: rows of (start, length, loudness in 0..1)."""
    rng = np.random.default_rng(round(person.voice_hz))
    rows = []
    for begin, end in person.talks:
        time = begin
        while time < end - 0.2:
            length = rng.uniform(0.16, 0.27)
            rows.append((time, length, rng.uniform(0.45, 1.0)))
            time += length * rng.choice([0.95, 1.05, 1.6], p=[0.5, 0.35, 0.15])
    return np.array(rows)


def loudness(said: Array, times: Array) -> Array:
    """How far the mouth is open, and how loud the voice is, in 0..1: one smooth bump per syllable."""
    phase = (times[:, None] - said[:, 0]) / said[:, 1]
    bumps = np.where((phase > 0) & (phase < 1), np.sin(np.pi * np.clip(phase, 0, 1)) ** 2, 0) * said[:, 2]
    return bumps.max(1)


def eyes_closed(person: Person, times: Array) -> Array:
    """How far the eyes are closed, 0..1."""
    distance = np.abs(times[:, None] - np.array(person.blinks)) / (BLINK_S / 2)
    return np.clip(1.4 * np.cos(np.pi / 2 * np.minimum(distance, 1)), 0, 1).max(1)


def depths() -> Array:
    """How far each of the 68 points is in front of the eyes' plane, in crop sides."""
    z = np.zeros(68)
    z[:17] = -0.28 * (np.abs(np.arange(17) - 8) / 8) ** 2 + 0.01
    z[17:27] = [-0.07, -0.03, 0.0, 0.02, 0.03, 0.03, 0.02, 0.0, -0.03, -0.07]
    z[27:31] = [0.03, 0.065, 0.1, 0.135]
    z[31:36] = [0.05, 0.07, 0.08, 0.07, 0.05]
    z[36:48] = [-0.05, -0.02, -0.01, -0.01, -0.01, -0.02] + [-0.01, -0.01, -0.02, -0.05, -0.02, -0.01]
    z[48:60] = [0.0, 0.03, 0.055, 0.06, 0.055, 0.03, 0.0, 0.03, 0.045, 0.05, 0.045, 0.03]
    z[60:68] = [0.0, 0.045, 0.05, 0.045, 0.0, 0.04, 0.045, 0.04]
    return z


def turn(points: Array, *, yaw: float, pitch: float, roll: float) -> Array:
    """Landmarks (68, 2) of a head turned by these degrees: to the right of the picture, down, and clockwise."""
    a, b, c = np.radians([yaw, pitch, roll])
    x, y = points[:, 0] - PIVOT[0], points[:, 1] - PIVOT[1]
    z = depths() - PIVOT[2]
    x, z = x * np.cos(a) + z * np.sin(a), z * np.cos(a) - x * np.sin(a)
    y = y * np.cos(b) + z * np.sin(b)
    x, y = x * np.cos(c) - y * np.sin(c), x * np.sin(c) + y * np.cos(c)
    # The neck stays where it is: only what depth adds moves the head.
    shift = -PIVOT[2] * 0.75 * np.array([np.sin(a), np.sin(b)])
    return np.stack([x, y], 1) + PIVOT[:2] - shift


def express(points: Array, *, mouth: float, closed: float) -> Array:
    """Landmarks (68, 2) with the mouth open by `mouth` and the eyes closed by `closed`, both in 0..1."""
    moved = points.copy()
    moved[LOWER_LIP, 1] += 0.055 * mouth - 0.008
    moved[UPPER_LIP, 1] -= 0.006 * mouth
    moved[CHIN, 1] += 0.03 * mouth
    moved[[48, 60], 0] += 0.008 * mouth
    moved[[54, 64], 0] -= 0.008 * mouth
    moved[UPPER_LIDS] += closed * 0.95 * (points[LOWER_LIDS] - points[UPPER_LIDS])
    return moved


@dataclass(frozen=True)
class Part:
    """A person's part, frame by frame: landmarks in the head's own square ([0, 1]), rigid and with expression."""

    rigid: Array  # (n, 68, 2)
    expressive: Array  # (n, 68, 2)
    centre: Array  # (n, 2), px of the frame


def act(person: Person, neutral: Array) -> Part:
    """Play the part with a face whose landmarks at rest are `neutral` (68, 2)."""
    times = frame_times()
    angles = zip(*(follow(curve, times) for curve in (person.yaw, person.pitch, person.roll)), strict=True)
    mouths, closed = loudness(syllables(person), times), eyes_closed(person, times)
    nod = 1.5 * mouths  # who speaks moves
    rigid, expressive = [], []
    for (yaw, pitch, roll), mouth, lids, extra in zip(angles, mouths, closed, nod, strict=True):
        pose = {"yaw": yaw, "pitch": pitch + extra, "roll": roll}
        rigid.append(turn(neutral, **pose))
        expressive.append(turn(express(neutral, mouth=mouth, closed=lids), **pose))
    step = (
        3 * np.sin(2 * np.pi * 1.7 * times) * np.clip(np.abs(np.gradient(follow(person.x, times), times)) / 200, 0, 1)
    )
    centre = np.stack([follow(person.x, times), follow(person.y, times) + step], 1)
    return Part(np.stack(rigid), np.stack(expressive), centre)
