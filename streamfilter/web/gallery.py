"""What may be shown: of each camera the newest protected picture, and its status. Nothing else is kept here.

Cameras call `show` and `status` from their own threads and never wait. No lock is needed: all that is kept of a camera
are frozen values, each replaced by one assignment. (Two threads that tell one camera's status at once may count a face
twice in its history, no more.)
"""

from __future__ import annotations

import time
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass, field

from streamfilter.errors import ProtectionError
from streamfilter.stream_state import StreamState
from streamfilter.structures import SafeFrame
from streamfilter.web.history import Second, lengthened
from streamfilter.web.latencies import Latencies
from streamfilter.web.status import CameraStatus, check_camera_name, fit_to_show

STALE_S = 10.0


@dataclass(frozen=True, eq=False)
class Shown:
    """A picture on show; `serial` rises with each of the same camera."""

    serial: int
    frame: SafeFrame


@dataclass(frozen=True, eq=False)
class Told:
    """The last status, when it was told (monotonic clock), and the seconds up to it."""

    status: CameraStatus
    at_s: float
    seconds: tuple[Second, ...] = ()


@dataclass
class Camera:
    """All that is known of one camera."""

    shown: Shown | None = None
    told: Told | None = None
    latencies: Latencies = field(default_factory=Latencies)
    _newest_s: float = 0.0

    def count_latency(self, captured_s: float | None, now_s: float) -> None:
        """Count how late a frame is, unless it is shown again (a freeze) or was never captured (a card)."""
        if captured_s is not None and captured_s > self._newest_s:
            self._newest_s = captured_s
            self.latencies = self.latencies.with_one(max(0.0, now_s - captured_s))


class Gallery:
    """The newest picture and status of each camera; `clock` is monotonic, in seconds."""

    def __init__(self, clock: Callable[[], float] = time.monotonic) -> None:
        self.clock = clock
        self.started_s = clock()
        self._cameras: dict[str, Camera] = {}
        self._listeners: tuple[Listener, ...] = ()

    def show(self, name: str, frame: SafeFrame) -> None:
        """Put a protected picture on show, in place of the camera's last.

        Raises:
            ProtectionError: It is anything but a `SafeFrame`.
            ConfigError: `name` cannot be a camera's.
        """
        if type(frame) is not SafeFrame:
            raise ProtectionError(f"camera {name}: a {type(frame).__name__} was to be shown, only a SafeFrame may be")
        camera = self._camera(name)
        camera.count_latency(frame.captured_s, self.clock())
        camera.shown = Shown(camera.shown.serial + 1 if camera.shown else 1, frame)
        for listener in self._listeners:
            listener.picture_came()

    def status(self, name: str, status: CameraStatus) -> None:
        """Take in how a camera fares; whoever watches hears of a changed state at once.

        Raises:
            ConfigError: `name` cannot be a camera's.
        """
        camera, now_s = self._camera(name), self.clock()
        status, before = fit_to_show(status), camera.told
        seconds = lengthened(
            before.seconds if before else (), before.status if before else None, status, self.second(now_s)
        )
        camera.told = Told(status, now_s, seconds)
        if before is None or _states(before.status) != _states(status):
            for listener in self._listeners:
                listener.state_changed()

    def forget(self, name: str) -> None:
        """Take a camera off the page: it is no longer part of the configuration."""
        self._cameras.pop(name, None)
        for listener in self._listeners:
            listener.state_changed()

    def second(self, now_s: float | None = None) -> int:
        """Whole seconds since the gallery was made."""
        return int((self.clock() if now_s is None else now_s) - self.started_s)

    def cameras(self) -> dict[str, Camera]:
        """All cameras by name, in the order in which they first reported."""
        return self._cameras.copy()

    def find(self, name: str) -> Camera | None:
        """One camera, or None."""
        return self._cameras.get(name)

    def silent_s(self, camera: Camera) -> float:
        """How long a camera has not told its status, if that is too long and it has not ended; else 0."""
        told = camera.told
        if told is None or told.status.state is StreamState.ENDED:
            return 0.0
        silence = self.clock() - told.at_s
        return silence if silence > STALE_S else 0.0

    def well(self, camera: Camera) -> bool:
        """Live or ended on purpose, and not silent."""
        return camera.told is not None and camera.told.status.well and not self.silent_s(camera)

    def listen(self, listener: Listener) -> Callable[[], None]:
        """Have a listener called from the cameras' threads; returns what ends that."""
        self._listeners = (*self._listeners, listener)

        def stop() -> None:
            self._listeners = tuple(one for one in self._listeners if one is not listener)

        return stop

    def _camera(self, name: str) -> Camera:
        with suppress(KeyError):
            return self._cameras[name]
        return self._cameras.setdefault(check_camera_name(name), Camera())


class Listener:
    """What wants to know of news. Called from the cameras' threads: its methods neither wait nor raise."""

    def picture_came(self) -> None:
        """A camera has a new picture."""

    def state_changed(self) -> None:
        """A camera, or one of its sinks, is in another state; or a camera is gone."""


def _states(status: CameraStatus) -> tuple[object, ...]:
    return status.state, status.gave_up, *((sink.name, sink.state) for sink in status.sinks)
