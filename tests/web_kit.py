"""Made-up cameras with drawn pictures, for the tests of the page."""

from __future__ import annotations

import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from fractions import Fraction
from threading import Event, Thread

import cv2
import numpy as np

from streamfilter.pipeline.sink_status import SinkState, SinkStatus
from streamfilter.stream_state import LiveCounters, StreamEvent, StreamState
from streamfilter.structures import Image, SafeFrame
from streamfilter.web import CameraStatus, Gallery

FPS = 20


def drawn(index: int, *, width: int = 320, height: int = 180, hue: int = 100) -> Image:
    """A plain scene in which something moves, with its index written into it."""
    picture = np.full((height, width, 3), (hue, 140, 190 - hue // 2), np.uint8)
    cv2.rectangle(picture, (0, height * 2 // 3), (width, height), (90, 96, 84), -1)
    x = (index * width // 60) % width
    cv2.circle(picture, (x, height // 2), height // 6, (235, 225, 205), -1)
    cv2.putText(picture, str(index), (8, height - 10), cv2.FONT_HERSHEY_SIMPLEX, 0.5, (255, 255, 255), 1, cv2.LINE_AA)
    return picture


def safe(index: int = 0, *, late_s: float = 0.05, image: Image | None = None, hue: int = 100) -> SafeFrame:
    """A protected picture that arrived `late_s` ago."""
    picture = drawn(index, hue=hue) if image is None else image
    return SafeFrame(picture, index, index, Fraction(1, FPS), captured_s=time.monotonic() - late_s)


def sink(name: str = "out.mp4", state: SinkState = SinkState.OPEN, **numbers: object) -> SinkStatus:
    """A sink's status."""
    blank = SinkStatus(name=name, state=state, written=0, dropped=0, failures=0, error=None, latency={})
    return replace(blank, **numbers)


def event(state: StreamState, reason: str = "") -> StreamEvent:
    """A change of state that happened just now."""
    return StreamEvent(state=state, at_s=time.monotonic(), reason=reason)


def live(**changes: object) -> CameraStatus:
    """The status of a camera that fares well."""
    blank = CameraStatus(
        state=StreamState.LIVE, fps=20.0, latency_p50_ms=61.0, latency_p95_ms=94.0, events=(event(StreamState.LIVE),)
    )
    return replace(blank, **changes)


class ActedCameras:
    """Cameras whose pictures move and whose counters count, in a thread; `states` may be changed meanwhile."""

    def __init__(self, gallery: Gallery, names: list[str]) -> None:
        self.gallery, self.names = gallery, tuple(names)
        self.statuses = {name: live(sinks=(sink(),)) for name in names}
        self.frames = 0
        self._over = Event()
        self._thread = Thread(target=self._act, name="acted cameras")

    def change(self, name: str, state: StreamState, reason: str) -> None:
        """Let a camera be in another state from now on."""
        was = self.statuses[name]
        self.statuses[name] = replace(was, state=state, fps=0.0, events=(*was.events, event(state, reason)))
        self.tell(name)

    def take_off(self, name: str) -> None:
        """Let a camera show and tell nothing more, and forget it."""
        self.names = tuple(one for one in self.names if one != name)
        since = self.frames
        while self.frames < since + 2:
            time.sleep(0.01)
        self.gallery.forget(name)

    def tell(self, name: str) -> None:
        """Tell a camera's status."""
        told = LiveCounters(read=self.frames, protected=self.frames, replaced=2 * self.frames, covered=self.frames // 9)
        self.gallery.status(name, replace(self.statuses[name], counters=told))

    def _act(self) -> None:
        while not self._over.wait(1 / FPS):
            for at, name in enumerate(self.names):
                if self.statuses[name].state is StreamState.LIVE:
                    self.gallery.show(name, safe(self.frames, hue=40 + 50 * at))
                if self.frames % 10 == 0:
                    self.tell(name)
            self.frames += 1

    def start(self) -> None:
        self._thread.start()

    def stop(self) -> None:
        self._over.set()
        self._thread.join()


@contextmanager
def acted(gallery: Gallery, names: list[str]) -> Iterator[ActedCameras]:
    """Cameras that act until the block is left."""
    cameras = ActedCameras(gallery, names)
    cameras.start()
    try:
        yield cameras
    finally:
        cameras.stop()
