"""What a camera tells about itself, as values fit to be shown: no picture in them, and no credential."""

from __future__ import annotations

import re
from dataclasses import dataclass, field, replace

from streamfilter.errors import ConfigError
from streamfilter.pipeline.sink_status import SinkStatus
from streamfilter.redact import redacted
from streamfilter.stream_state import LiveCounters, StreamEvent, StreamState

MAX_EVENTS = 50

# No sign of an address in it: neither "/" nor ":" nor "@" can be part of a name.
_NAME = re.compile(r"[\w][\w .+-]{0,63}")


@dataclass(frozen=True, kw_only=True)
class CameraStatus:
    """One camera at one moment; told at least every few seconds, and at once when a state changes.

    Attributes:
        fps: Frames that left the filter in a second, lately.
        latency_p50_ms, latency_p95_ms: From arrival to the sinks, lately; None before the first frame.
        events: Changes of state, oldest first; the last `MAX_EVENTS` are shown.
        gave_up: `state` is ENDED, and nobody wanted it to be.
    """

    state: StreamState
    fps: float = 0.0
    latency_p50_ms: float | None = None
    latency_p95_ms: float | None = None
    counters: LiveCounters = field(default_factory=LiveCounters)
    sinks: tuple[SinkStatus, ...] = ()
    events: tuple[StreamEvent, ...] = ()
    gave_up: bool = False

    @property
    def well(self) -> bool:
        """Live, or ended on purpose."""
        return self.state is StreamState.LIVE or (self.state is StreamState.ENDED and not self.gave_up)


def check_camera_name(name: str) -> str:
    """Return `name` if it can be part of an address and of a label.

    Raises:
        ConfigError: It cannot.
    """
    if _NAME.fullmatch(name):
        return name
    shown = redacted(name)[:80]
    raise ConfigError(f"camera name {shown!r}: use up to 64 letters, digits, spaces, _ . + -; a letter or digit first")


def fit_to_show(status: CameraStatus) -> CameraStatus:
    """The same without what looks like a credential, and without old events: the last check, not the only one."""
    sinks = tuple(
        replace(sink, name=redacted(sink.name), error=sink.error and redacted(sink.error)) for sink in status.sinks
    )
    events = tuple(replace(event, reason=redacted(event.reason)) for event in status.events[-MAX_EVENTS:])
    return replace(status, sinks=sinks, events=events)
