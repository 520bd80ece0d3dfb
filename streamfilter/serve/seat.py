"""A camera's place on the page across its restarts: its counters go on, its events are kept, its end is told."""

from __future__ import annotations

from dataclasses import fields, replace
from typing import Protocol

from streamfilter.pipeline.crew import WorkerEvent, WorkerState
from streamfilter.stream_state import LiveCounters, StreamEvent, StreamState
from streamfilter.structures import SafeFrame
from streamfilter.web.status import MAX_EVENTS, CameraStatus

_STATES = {
    WorkerState.WAITING: StreamState.CONNECTING,
    WorkerState.RUNNING: StreamState.CONNECTING,
    WorkerState.BACKING_OFF: StreamState.RECONNECTING,
    WorkerState.STUCK: StreamState.STALLED,
    WorkerState.ENDED: StreamState.ENDED,
    WorkerState.FAILED: StreamState.ENDED,
}


class Screen(Protocol):
    """What cameras are shown on: `web.Gallery`, or what stands for it."""

    def show(self, name: str, frame: SafeFrame) -> None:
        """Put a protected picture on show."""
        ...

    def status(self, name: str, status: CameraStatus) -> None:
        """Take in how a camera fares."""
        ...

    def forget(self, name: str) -> None:
        """Take a camera off."""
        ...


class Seat:
    """A `Screen` for one camera, which hands on what the camera shows and tells.

    Each run of a camera counts from 0 and knows its own events only; what is handed on holds those of earlier runs,
    too. Once left, nothing more is handed on: the camera may take a while to end, and its name may have a new owner.
    """

    def __init__(self, screen: Screen, name: str) -> None:
        self._screen, self._name = screen, name
        self._left = False
        self._events: tuple[StreamEvent, ...] = ()
        self._before = LiveCounters()
        self._latest = CameraStatus(state=StreamState.CONNECTING)

    def leave(self) -> None:
        """Hand nothing more on."""
        self._left = True

    def show(self, name: str, frame: SafeFrame) -> None:
        """Put a protected picture on show."""
        if not self._left:
            self._screen.show(name, frame)

    def status(self, name: str, status: CameraStatus) -> None:
        """Take in how this run of the camera fares."""
        self._latest = status
        self._tell()

    def forget(self, name: str) -> None:
        """Nothing: a camera is taken off by the supervisor alone."""

    def worker(self, event: WorkerEvent) -> None:
        """Take in how the camera's worker fares: between two runs nobody else tells."""
        state = _STATES[event.state]
        events = (*self._events, *self._latest.events)
        if event.state is not WorkerState.RUNNING and (event.reason or not events or events[-1].state is not state):
            events = (*events, StreamEvent(state=state, at_s=event.at_s, reason=event.reason))
        # Each is replaced as a whole: `repeat` may read them in another thread at this moment.
        self._events = events[-MAX_EVENTS:]
        self._before = _sum(self._before, self._latest.counters)
        self._latest = CameraStatus(state=state, gave_up=event.state is WorkerState.FAILED)
        self._tell()

    def repeat(self) -> None:
        """Tell the latest again: who says nothing for long counts as lost."""
        self._tell()

    def _tell(self) -> None:
        if self._left:
            return
        latest = self._latest
        events = (*self._events, *latest.events)[-MAX_EVENTS:]
        counters = _sum(self._before, latest.counters)
        self._screen.status(self._name, replace(latest, events=events, counters=counters))


def _sum(one: LiveCounters, other: LiveCounters) -> LiveCounters:
    return LiveCounters(**{each.name: getattr(one, each.name) + getattr(other, each.name) for each in fields(one)})
