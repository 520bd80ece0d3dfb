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
    """Detection: `threshold` finds faces, `low_threshold` still protects them.

    Frames are seen at `long_side_px`, and every `again_every` frames (0: never) once more, in turn at `again_small_px`
    and at up to `again_large_px`.
    """

    long_side_px: int = 640
    again_every: int = 3
    again_small_px: int = 448
    again_large_px: int = 1280
    threshold: float = 0.5
    low_threshold: float = 0.3
    nms_iou: float = 0.4

    def __post_init__(self) -> None:
        if min(self.long_side_px, self.again_small_px, self.again_large_px) < 32 or self.again_every < 0:
            raise ConfigError("the detector's sides must be at least 32 px, and again_every not negative")
        if not 0 < self.low_threshold <= self.threshold < 1:
            raise ConfigError(
                f"thresholds must satisfy 0 < low <= high < 1, got low {self.low_threshold}, high {self.threshold}"
            )


@dataclass(frozen=True, kw_only=True)
class TrackConfig:
    """Tracking: how long a lost face stays covered, and how far ahead a new one is covered.

    A track that no detection ever scored `sure_score` is a flash in most cases: it is covered, but held, and filled
    back, for `doubtful_hold_s` only.
    """

    hold_s: float = 0.6
    doubtful_hold_s: float = 0.2
    sure_score: float = 0.5
    lookahead_s: float = 0.4
    match_iou: float = 0.25
    coast_growth_per_s: float = 0.6

    def __post_init__(self) -> None:
        if min(self.hold_s, self.doubtful_hold_s, self.lookahead_s) < 0:
            raise ConfigError(
                f"hold and look-ahead must not be negative, got {self.hold_s} s, {self.doubtful_hold_s} s for doubtful "
                f"faces, and {self.lookahead_s} s"
            )

    def hold_of(self, best_score: float) -> float:
        """How long a face stays covered after it was last seen, by the best score that it ever had."""
        return self.hold_s if best_score >= self.sure_score else min(self.doubtful_hold_s, self.hold_s)


@dataclass(frozen=True, kw_only=True)
class AnonymizeConfig:
    """Generation: when a face is painted, and at which rung of the ladder.

    `frame_budget_s`: seconds that one frame's faces may take together; those that do not fit in stay covered.
    """

    min_face_px: float = 20.0
    min_confidence: float = 0.5
    max_rung_px: int = 256
    frame_budget_s: float | None = None
    seed: int | None = None


@dataclass(frozen=True, kw_only=True)
class FilterConfig:
    """All settings of one `FaceFilter`."""

    detect: DetectConfig = field(default_factory=DetectConfig)
    track: TrackConfig = field(default_factory=TrackConfig)
    anonymize: AnonymizeConfig = field(default_factory=AnonymizeConfig)


class Audio(StrEnum):
    """What becomes of the sound; a voice identifies too."""

    KEEP = "keep"
    DROP = "drop"


# Measured at 720p, CRF 18: half the processor time of x264's own default "medium", files no larger, SSIM .995 for .996.
DEFAULT_PRESET = "veryfast"


@dataclass(frozen=True, kw_only=True)
class MediaConfig:
    """Writing: `codec` None means H.264, or VP9 where the container (WebM) demands it."""

    codec: str | None = None
    crf: int = 18
    preset: str = DEFAULT_PRESET
    audio: Audio = Audio.KEEP
    keep_metadata: bool = False
    overwrite: bool = False

    def __post_init__(self) -> None:
        if not 0 <= self.crf <= 63:
            raise ConfigError(f"--crf must lie between 0 (best) and 63, got {self.crf}")
