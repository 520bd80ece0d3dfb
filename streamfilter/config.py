"""Every setting of the runtime, with its default and its unit; one frozen dataclass a room."""

from __future__ import annotations

from dataclasses import dataclass, field
from enum import StrEnum

from streamfilter.errors import ConfigError


class Device(StrEnum):
    """Where the networks run. `AUTO` takes the best there is and says which; the others are met or refused."""

    AUTO = "auto"
    CPU = "cpu"
    CUDA = "cuda"
    TENSORRT = "tensorrt"


@dataclass(frozen=True, kw_only=True)
class DetectConfig:
    """Detection: `threshold` finds faces, `low_threshold` still protects them."""

    long_side_px: int = 640
    threshold: float = 0.5
    low_threshold: float = 0.25
    nms_iou: float = 0.4

    def __post_init__(self) -> None:
        if not 0 < self.low_threshold <= self.threshold < 1:
            raise ConfigError(
                f"thresholds must satisfy 0 < low <= high < 1, got low {self.low_threshold}, high {self.threshold}"
            )


@dataclass(frozen=True, kw_only=True)
class TrackConfig:
    """Tracking: how long a lost face stays covered, and how far ahead a new one is covered."""

    hold_s: float = 0.6
    lookahead_s: float = 0.4
    match_iou: float = 0.25
    coast_growth_per_s: float = 0.6

    def __post_init__(self) -> None:
        if self.hold_s < 0 or self.lookahead_s < 0:
            raise ConfigError(f"hold and look-ahead must not be negative, got {self.hold_s} s and {self.lookahead_s} s")


@dataclass(frozen=True, kw_only=True)
class AnonymizeConfig:
    """Generation: when a face is painted, and at which rung of the ladder."""

    min_face_px: float = 20.0
    min_confidence: float = 0.5
    max_rung_px: int = 256
    seed: int | None = None


@dataclass(frozen=True, kw_only=True)
class FilterConfig:
    """All settings of one `FaceFilter`."""

    detect: DetectConfig = field(default_factory=DetectConfig)
    track: TrackConfig = field(default_factory=TrackConfig)
    anonymize: AnonymizeConfig = field(default_factory=AnonymizeConfig)
