"""The settings of a live run."""

from __future__ import annotations

from dataclasses import dataclass

from streamfilter.errors import ConfigError
from streamfilter.pipeline.fan_out import CLOSE_WAIT_S
from streamfilter.shedding import ShedConfig


@dataclass(frozen=True, kw_only=True)
class PipelineConfig:
    """How a live run behaves.

    Attributes:
        shed: When work is shed; None: never.
        card_after_s: After so long without a frame the last safe picture is shown again, and what waits is let go.
        freeze_s: After so long without a frame the card is shown instead.
        card_fps: Pictures per second while there is no signal.
        keep_s: A gap up to this long keeps who is who; after a longer one, or a reconnection, everything begins afresh.
        status_every_s: Between two calls of `on_status`.
        close_wait_s: How long sinks and source may take to end.
    """

    shed: ShedConfig | None = None
    card_after_s: float = 1.0
    freeze_s: float = 3.0
    card_fps: float = 5.0
    keep_s: float = 0.6
    status_every_s: float = 0.5
    close_wait_s: float = CLOSE_WAIT_S

    def __post_init__(self) -> None:
        if min(self.card_after_s, self.keep_s, self.status_every_s, self.close_wait_s) < 0:
            raise ConfigError("times of a live run must not be negative")
        if self.freeze_s < self.card_after_s:
            raise ConfigError(f"the card cannot come before the freeze: {self.freeze_s} s < {self.card_after_s} s")
        if not self.card_fps > 0:
            raise ConfigError(f"card_fps must be more than 0, got {self.card_fps:g}")
