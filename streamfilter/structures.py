"""The values that flow through streamfilter: read -> detect -> track -> align -> anonymize -> composite -> write.

Colour is RGB, boxes are xyxy in pixels of the frame, times are seconds (but `pts` counts in `time_base`).
Every value is frozen and checks its shapes once, when it is made.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from enum import StrEnum
from fractions import Fraction

import numpy as np
from numpy.typing import NDArray

from streamfilter.errors import ShapeError

Image = NDArray[np.uint8]
Floats = NDArray[np.float32]
Doubles = NDArray[np.float64]


def _check(name: str, array: NDArray[np.generic], shape: tuple[int | None, ...], dtype: type[np.generic]) -> None:
    fits = array.ndim == len(shape) and all(
        want in (None, have) for want, have in zip(shape, array.shape, strict=False)
    )
    if not fits or array.dtype != dtype:
        wanted = ", ".join("n" if size is None else str(size) for size in shape)
        raise ShapeError(f"{name}: expected ({wanted}) {dtype.__name__}, got {array.shape} {array.dtype}")


@dataclass(frozen=True, eq=False, slots=True)
class Frame:
    """One decoded picture, (H, W, 3) uint8 RGB. Raw: it may show a face, so no sink accepts it.

    `captured_s`: when it arrived, on the monotonic clock; None where nobody waits for it (recorded files).
    `still`: a photo; no further frame will show what this one hides.
    """

    image: Image
    index: int
    pts: int | None
    time_base: Fraction
    captured_s: float | None = None
    still: bool = False

    def __post_init__(self) -> None:
        _check("Frame.image", self.image, (None, None, 3), np.uint8)

    @property
    def time_s(self) -> float:
        """Presentation time in seconds; 0 where the source gave none."""
        return float((self.pts or 0) * self.time_base)


@dataclass(frozen=True, eq=False, slots=True)
class Detections:
    """What a detector found: `xyxy` (n, 4), `score` (n,) in [0, 1], `landmarks` (n, 5, 2); all float32."""

    xyxy: Floats
    score: Floats
    landmarks: Floats

    def __post_init__(self) -> None:
        n = len(self.xyxy)
        _check("Detections.xyxy", self.xyxy, (n, 4), np.float32)
        _check("Detections.score", self.score, (n,), np.float32)
        _check("Detections.landmarks", self.landmarks, (n, 5, 2), np.float32)

    def __len__(self) -> int:
        return len(self.xyxy)

    @classmethod
    def empty(cls) -> Detections:
        """No face."""
        return cls(np.zeros((0, 4), np.float32), np.zeros(0, np.float32), np.zeros((0, 5, 2), np.float32))


@dataclass(frozen=True, eq=False, slots=True)
class Track:
    """One person at one moment.

    `points` are the detector's five (eyes, nose, mouth corners), `landmarks` the 68 of dlib's scheme; both in
    frame pixels, None where unknown. `confidence` in [0, 1] says how far the landmarks can be trusted.
    `missed_s` > 0: coasting, not seen for that long.
    """

    track_id: int
    xyxy: Floats
    score: float = 1.0
    points: Floats | None = None
    landmarks: Floats | None = None
    confidence: float = 0.0
    missed_s: float = 0.0

    def __post_init__(self) -> None:
        _check("Track.xyxy", self.xyxy, (4,), np.float32)
        if self.points is not None:
            _check("Track.points", self.points, (5, 2), np.float32)
        if self.landmarks is not None:
            _check("Track.landmarks", self.landmarks, (68, 2), np.float32)


@dataclass(frozen=True, eq=False, slots=True)
class FaceCrop:
    """An aligned square crop: `image` (S, S, 3), `landmarks` (68, 2) in crop pixels, `matrix` (2, 3) frame -> crop."""

    track_id: int
    image: Image
    landmarks: Floats
    matrix: Floats

    def __post_init__(self) -> None:
        size = self.image.shape[0]
        _check("FaceCrop.image", self.image, (size, size, 3), np.uint8)
        _check("FaceCrop.landmarks", self.landmarks, (68, 2), np.float32)
        _check("FaceCrop.matrix", self.matrix, (2, 3), np.float32)

    @property
    def size(self) -> int:
        """Side of the crop in pixels: the resolution of the rung that will paint it."""
        return int(self.image.shape[0])


@dataclass(frozen=True, eq=False, slots=True)
class Patch:
    """An invented face in crop space: `image` (S, S, 3), `mask` (S, S) in [0, 1], `matrix` (2, 3) frame -> crop."""

    track_id: int
    image: Image
    matrix: Floats
    mask: Floats

    def __post_init__(self) -> None:
        size = self.image.shape[0]
        _check("Patch.image", self.image, (size, size, 3), np.uint8)
        _check("Patch.matrix", self.matrix, (2, 3), np.float32)
        _check("Patch.mask", self.mask, (size, size), np.float32)


class Action(StrEnum):
    """What was done to a region."""

    GENERATED = "generated"
    COVERED = "covered"


@dataclass(frozen=True, eq=False, slots=True)
class Region:
    """What was done to one face of a frame, and why: `xyxy` (4,) in frame pixels."""

    track_id: int
    xyxy: Floats
    action: Action
    reason: str

    def __post_init__(self) -> None:
        _check("Region.xyxy", self.xyxy, (4,), np.float32)


@dataclass(frozen=True, eq=False, slots=True)
class SafeFrame:
    """A picture in which every region is protected: the only thing that a sink accepts.

    Made by `face_filter` and by `guard`, nowhere else. `blanked`: why the whole picture was blanked, or None.
    `captured_s` is that of its `Frame`.
    """

    image: Image
    index: int
    pts: int | None
    time_base: Fraction
    regions: tuple[Region, ...] = field(default=())
    blanked: str | None = None
    captured_s: float | None = None

    def __post_init__(self) -> None:
        _check("SafeFrame.image", self.image, (None, None, 3), np.uint8)
