"""A live source through the filter to many sinks: it may drop frames, freeze or show a card, but never a raw frame.

A reader thread empties the source into a small inbox that drops its oldest; the filter works in the caller's thread;
each sink has a thread of its own (`fan_out`). Nothing waits for a sink, and what fails in the filter becomes blank.
"""

from __future__ import annotations

import time
from collections.abc import Callable

from streamfilter.containment import attempt
from streamfilter.pipeline.config import PipelineConfig
from streamfilter.pipeline.fan_out import FanOut
from streamfilter.pipeline.live_run import LiveProtector, LiveRun
from streamfilter.pipeline.live_status import LiveOutcome, LiveStatus, Signal
from streamfilter.pipeline.reader import LiveFrames
from streamfilter.pipeline.stop import Stop, StopFlag
from streamfilter.stream_state import StreamState
from streamfilter.structures import SafeFrame

OnStatus = Callable[[LiveStatus], None]


def run_live(
    source: LiveFrames,
    protect: LiveProtector,
    fan_out: FanOut[SafeFrame],
    config: PipelineConfig | None = None,
    on_status: OnStatus | None = None,
    *,
    see: Callable[[SafeFrame], None] = lambda safe: None,
    stop: StopFlag | None = None,
    signal: Signal | None = None,
) -> LiveOutcome:
    """Read, protect and hand out until the source ends, `stop` is set, or no sink is left that takes anything.

    However it ends, what was read is protected, sinks are finished, and the threads have ended, or are named in the
    outcome where they did not in time.

    Args:
        source: Iterated in a thread of its own; its `close` may be called from another, and more than once.
        protect: A `Guard` whose memory is fresh; used in the caller's thread only, as are `on_status` and `see`.
        fan_out: Started here, and closed.
        config: All settings.
        on_status: Told how it goes now and then, at each change of state, and at the end.
        see: Shown every protected frame, but not the pictures in between.
        stop: See `stopping_on_signals`.
        signal: What the source was given as `on_event`; without it the state is guessed from the frames.

    Raises:
        BaseException: Ctrl-C or an exit in the caller's thread: sinks are left as they are, nothing is waited for.
    """
    config, stop = config or PipelineConfig(), stop or Stop()
    started_s = time.monotonic()
    run = LiveRun(source, protect, fan_out, config, signal=signal, see=see)
    report = _Reporter(run, on_status, config.status_every_s)
    try:
        fan_out.start()
        run.reader.start()
        report()
        while not stop.is_set() and fan_out.alive and run.turn():
            report()
        run.reader.close()
        run.finish()
        deadline_s = time.monotonic() + config.close_wait_s
        abandoned = fan_out.close(config.close_wait_s)
        if not run.reader.join(deadline_s - time.monotonic()):
            abandoned = ("source", *abandoned)
    except BaseException:
        run.reader.inbox.cancel()
        run.reader.close()
        fan_out.cancel()
        raise
    report.last()
    return LiveOutcome(
        counters=run.counters,
        duration_s=time.monotonic() - started_s,
        latency=run.latency,
        sinks=fan_out.statuses(),
        failure=run.reader.failure,
        abandoned=abandoned,
    )


class _Reporter:
    """Calls `on_status` when it is due; one that fails costs nothing but itself."""

    def __init__(self, run: LiveRun, on_status: OnStatus | None, every_s: float) -> None:
        self._run, self._on_status, self._every_s = run, on_status, every_s
        self._told_s = -float("inf")
        self._told: StreamState | None = None

    def __call__(self) -> None:
        if self._on_status is None:
            return
        now_s, state = time.monotonic(), self._run.state
        if now_s - self._told_s >= self._every_s or state is not self._told:
            self._told_s, self._told = now_s, state
            attempt(self._on_status, self._run.status())

    def last(self) -> None:
        """Everything has ended."""
        if self._on_status is not None:
            attempt(self._on_status, self._run.status(StreamState.ENDED))
