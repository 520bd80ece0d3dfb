"""What the examiners are shown: one moment of the original beside the same moment of the result.

Nothing here is ever written to disk: original faces and their embeddings live in memory, for as long as an audit runs.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

from streamfilter.errors import ShapeError
from streamfilter.structures import Floats, Image


@dataclass(frozen=True, eq=False, slots=True, kw_only=True)
class Face:
    """A face of the original, found by independent detectors.

    Attributes:
        track: Number of the person's track, unique over the whole audit (over all its files).
        xyxy: (4,) its box in pixels of the original frame.
        points: (5, 2) eyes, nose, corners of the mouth; the left of the picture first.
        score: How sure the detectors were, in [0, 1].
        seen: Found in this very frame; otherwise put between two frames in which it was found.
        label: Who this is, where the audit knows it: photos of one person share it. Otherwise the track.
        identity: Per recogniser the embeddings (original, result), of unit length; empty where none was taken.
        landmarks: dlib's 68 points (68, 2) on the original and on the result; None where none were taken or none found.
    """

    track: int
    xyxy: Floats
    points: Floats
    score: float = 1.0
    seen: bool = True
    label: str = ""
    identity: Mapping[str, tuple[Floats, Floats]] = field(default_factory=dict)
    landmarks: tuple[Floats, Floats] | None = None

    @property
    def person(self) -> str:
        """The label, or else the track."""
        return self.label or f"track {self.track}"

    @property
    def width(self) -> float:
        """Width of the box in pixels."""
        return float(self.xyxy[2] - self.xyxy[0])


@dataclass(frozen=True, eq=False, slots=True, kw_only=True)
class Moment:
    """One frame of the original and the frame of the result that is shown at the same time.

    Attributes:
        source: Name of the file, relative to what was given to the audit.
        index: Number of the frame in the original, from 0.
        time_s: Its time in seconds.
        original: (H, W, 3) uint8 RGB.
        result: (H, W, 3) uint8 RGB, of the same size.
        faces: All reference faces of this frame.
        sampled: The detectors looked at this frame; embeddings and landmarks are on some of the sampled frames only.
        cut: The first frame of a file or of a new scene.
        still: A photo: there is no time in it.
    """

    source: str
    index: int
    time_s: float
    original: Image
    result: Image
    faces: tuple[Face, ...] = ()
    sampled: bool = True
    cut: bool = False
    still: bool = False

    def __post_init__(self) -> None:
        if self.original.shape != self.result.shape:
            raise ShapeError(f"a moment's pictures differ in size: {self.original.shape} and {self.result.shape}")
