"""Runs the cameras of a configuration side by side, and changes over to another without touching what is the same."""

from __future__ import annotations

import logging
from collections.abc import Callable
from dataclasses import asdict, dataclass, replace

from streamfilter.errors import InputError
from streamfilter.json_log import tell
from streamfilter.media.live_failure import is_denied
from streamfilter.pipeline.crew import Crew, RestartPolicy, WorkerEvent, WorkerState
from streamfilter.pipeline.stop import StopFlag
from streamfilter.redact import redacted
from streamfilter.serve.camera import Camera
from streamfilter.serve.config import ServeConfig
from streamfilter.serve.seat import Screen, Seat

RunCamera = Callable[[Camera, Screen, StopFlag], None]
"""Runs one camera, in a thread of its own, until `stop` is set or its source ends; raises what goes wrong."""

DENIED_S = 60.0
_REPEATED = frozenset({WorkerState.WAITING, WorkerState.BACKING_OFF})
_REMEMBERED = 100  # of the dismissed; the crew knows which of them still run
_LOUD = {WorkerState.BACKING_OFF: logging.WARNING, WorkerState.STUCK: logging.ERROR, WorkerState.FAILED: logging.ERROR}


@dataclass(frozen=True, kw_only=True)
class Changes:
    """What a new configuration did, by the names of cameras."""

    added: tuple[str, ...] = ()
    changed: tuple[str, ...] = ()
    removed: tuple[str, ...] = ()
    unchanged: tuple[str, ...] = ()


@dataclass(frozen=True, kw_only=True)
class Patient(RestartPolicy):
    """Waits for a minute where `refused` says that a password was: trying often makes cameras lock the account."""

    refused: Callable[[], bool]

    def delay_s(self, times: int) -> float:
        """Pause before the next start."""
        return max(super().delay_s(times), DENIED_S if self.refused() else 0.0)


class Supervisor:
    """Starts, restarts and stops cameras; its methods are for one thread.

    Args:
        run_camera: Runs one camera.
        screen: Where pictures and states go.
        policy: Pauses between restarts; each camera says itself when it is restarted.
        overdue_s: A camera that was stopped and has not ended for that long is told as stuck.
    """

    def __init__(
        self,
        run_camera: RunCamera,
        screen: Screen,
        *,
        policy: RestartPolicy | None = None,
        overdue_s: float = 10.0,
    ) -> None:
        self._run_camera, self._screen = run_camera, screen
        self._policy, self._overdue_s = policy or RestartPolicy(), overdue_s
        self._crew = Crew()
        self._cameras: dict[str, Camera] = {}
        self._seats: dict[str, Seat] = {}
        self._dismissed: list[Camera] = []
        self._secrets: frozenset[str] = frozenset()

    def apply(self, config: ServeConfig) -> Changes:
        """Run the cameras of `config`: those that are the same go on untouched, the others stop or start.

        A camera that takes over a sink from one that still has to end waits for that one; the others do not.
        """
        wanted = {camera.name: camera for camera in config.cameras}
        changes = changes_between(self._cameras, wanted)
        self._secrets |= config.secrets
        for name in (*changes.removed, *changes.changed):
            self._dismiss(name)
        for name in changes.removed:
            self._screen.forget(name)
        for camera in config.cameras:
            if camera.name not in self._cameras:
                self._start(camera)
        return changes

    def tend(self) -> None:
        """Do what is due: call this every second or so."""
        self._crew.tend(self._overdue_s)
        for name, event in self._crew.statuses().items():
            if event.state in _REPEATED:
                self._seats[name].repeat()

    def stop(self, within_s: float) -> tuple[str, ...]:
        """Stop all cameras; returns the names of those that did not end within that time."""
        return self._crew.stop(within_s)

    @property
    def working(self) -> bool:
        """Whether any camera runs, or will be started again."""
        return self._crew.working

    @property
    def failed(self) -> tuple[str, ...]:
        """Cameras that ended with an error, for good."""
        return tuple(name for name, event in self._crew.statuses().items() if event.state is WorkerState.FAILED)

    def statuses(self) -> dict[str, WorkerEvent]:
        """The latest change of every camera's worker; from any thread."""
        return self._crew.statuses()

    def _start(self, camera: Camera) -> None:
        seat = Seat(self._screen, camera.name)
        self._cameras[camera.name], self._seats[camera.name] = camera, seat
        tell("camera.settings", camera=camera.name, source=str(camera.source), sinks=[str(s) for s in camera.sinks])
        after = [other.name for other in self._dismissed if other.held & camera.held]

        refused = False

        def run(stop: StopFlag) -> None:
            nonlocal refused
            refused = False
            try:
                self._run_camera(camera, seat, stop)
            except InputError as error:
                refused = is_denied(error)
                if not stop.is_set():  # who is told to stop while it looks for its source has nothing left undone
                    raise

        def changed(event: WorkerEvent) -> None:
            _tell(replace(event, reason=redacted(event.reason, self._secrets)), seat)

        usual = asdict(replace(self._policy, when=camera.restart))
        self._crew.start(camera.name, run, Patient(**usual, refused=lambda: refused), changed, after=after)

    def _dismiss(self, name: str) -> None:
        self._seats.pop(name).leave()
        self._dismissed = [*self._dismissed, self._cameras.pop(name)][-_REMEMBERED:]
        self._crew.dismiss(name)


def _tell(event: WorkerEvent, seat: Seat) -> None:
    """Called in the cameras' threads."""
    level = _LOUD.get(event.state, logging.INFO)
    values = {"state": event.state, "reason": event.reason, "restarts": event.restarts}
    tell("camera.state", level, camera=event.worker, **values)
    seat.worker(event)


def changes_between(old: dict[str, Camera], new: dict[str, Camera]) -> Changes:
    """Which cameras are new, other than they were, gone, and the same."""
    return Changes(
        added=tuple(name for name in new if name not in old),
        changed=tuple(name for name in new if name in old and new[name] != old[name]),
        removed=tuple(name for name in old if name not in new),
        unchanged=tuple(name for name in new if new[name] == old.get(name)),
    )
