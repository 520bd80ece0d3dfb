"""Every thread and queue of streamfilter: `run` takes recorded files through the filter, `run_live` live sources."""

from streamfilter.pipeline.channel import Cancelled, Channel
from streamfilter.pipeline.config import PipelineConfig
from streamfilter.pipeline.fan_out import CLOSE_WAIT_S, FanOut, through
from streamfilter.pipeline.lane import Consumer, Retry
from streamfilter.pipeline.live import run_live
from streamfilter.pipeline.live_run import CARD_TEXT, LiveProtector
from streamfilter.pipeline.live_status import LiveOutcome, LiveStatus, Signal
from streamfilter.pipeline.reader import LIVE_INBOX_FRAMES, LiveFrames
from streamfilter.pipeline.run import INBOX_FRAMES, OUTBOX_FRAMES, Flow, Progress, Protector, run
from streamfilter.pipeline.sink_status import SinkState, SinkStatus
from streamfilter.pipeline.stop import Stop, StopFlag, stopping_on_signals

__all__ = [
    "CARD_TEXT",
    "CLOSE_WAIT_S",
    "INBOX_FRAMES",
    "LIVE_INBOX_FRAMES",
    "OUTBOX_FRAMES",
    "Cancelled",
    "Channel",
    "Consumer",
    "FanOut",
    "Flow",
    "LiveFrames",
    "LiveOutcome",
    "LiveProtector",
    "LiveStatus",
    "PipelineConfig",
    "Progress",
    "Protector",
    "Retry",
    "Signal",
    "SinkState",
    "SinkStatus",
    "Stop",
    "StopFlag",
    "run",
    "run_live",
    "stopping_on_signals",
    "through",
]
