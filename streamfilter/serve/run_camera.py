"""One camera of a configuration, run once: its own filter around the shared networks, its sinks, its page."""

from __future__ import annotations

import logging
from collections import deque

from streamfilter.assemble import Models, wire_camera
from streamfilter.errors import OutputError
from streamfilter.json_log import tell
from streamfilter.live_job import LiveJob, filter_live
from streamfilter.pipeline import Consumer, LiveOutcome, LiveStatus, StopFlag
from streamfilter.pipeline.sink_status import SinkStatus
from streamfilter.serve.camera import Camera
from streamfilter.serve.seat import Screen
from streamfilter.stream_state import StreamEvent
from streamfilter.structures import SafeFrame
from streamfilter.web.status import MAX_EVENTS, CameraStatus

PAGE = "page"


def run_camera(camera: Camera, models: Models, screen: Screen, stop: StopFlag) -> None:
    """Run it until its source ends or `stop` is set.

    Raises:
        StreamFilterError: The source cannot be reached at first, a sink cannot work as it is named, or the source ended
            by a failure.
    """
    events: deque[StreamEvent] = deque(maxlen=MAX_EVENTS)
    told: deque[bool] = deque(maxlen=1)

    def on_event(event: StreamEvent) -> None:
        events.append(event)
        tell("stream.state", camera=camera.name, state=str(event.state), reason=event.reason)
        if not told:  # until the run itself tells how it goes
            screen.status(camera.name, CameraStatus(state=event.state, events=tuple(events)))

    def on_status(status: LiveStatus) -> None:
        told.append(True)
        screen.status(camera.name, as_shown(status, tuple(events)))

    page: Consumer[SafeFrame] = Consumer(name=PAGE, write=lambda safe: screen.show(camera.name, safe), queue=2)
    job = LiveJob(
        source=camera.source, sinks=camera.sinks, live=camera.live, pipeline=camera.pipeline,
        encoder=camera.encoder, outlets=camera.outlets, audio=camera.audio,
    )  # fmt: skip
    tell("camera.models", camera=camera.name, device=str(models.detector.model.device))
    outcome = filter_live(
        job,
        wire_camera(models, camera.filter),
        pictures=(page,),
        on_event=on_event,
        on_status=on_status,
        on_error=lambda sink, text: tell("sink.failed", logging.ERROR, camera=camera.name, sink=sink, reason=text),
        stop=stop,
    )
    if outcome.failure is not None:
        raise outcome.failure
    refuse_unfinished(outcome)


def refuse_unfinished(outcome: LiveOutcome) -> None:
    """Let no end count as a proper one that left a sink unfinished.

    Raises:
        OutputError: It names the sinks, and what the first of them said.
    """
    broken = [sink for sink in outcome.sinks if not sink.well]
    if broken:
        names = ", ".join(sink.name for sink in broken)
        raise OutputError(f"not finished properly: {names}: {broken[0].error or broken[0].state}")


def as_shown(status: LiveStatus, events: tuple[StreamEvent, ...]) -> CameraStatus:
    """The status of a run as the page shows it: latency to the slowest sink that writes."""
    latency = slowest(status.sinks) or status.latency.get("protected", {})
    return CameraStatus(
        state=status.state,
        fps=status.fps,
        latency_p50_ms=latency.get("p50_ms"),
        latency_p95_ms=latency.get("p95_ms"),
        counters=status.counters,
        sinks=status.sinks,
        events=events,
    )


def slowest(sinks: tuple[SinkStatus, ...]) -> dict[str, float]:
    """The latency of the sink that is latest; empty where none has written."""
    known = [sink.latency for sink in sinks if sink.latency]
    return max(known, key=lambda latency: latency["p95_ms"], default={})
