"""Named workers, each in a thread of its own: started, restarted with back-off, stopped; none disturbs another.

A worker is a callable that works until its `StopFlag` is set. Whatever it raises ends only itself. One that does not
come back cannot be ended from outside: it is named as stuck, and nobody waits for it longer than was said.
"""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, replace
from enum import StrEnum

from streamfilter.containment import attempt
from streamfilter.errors import ConfigError
from streamfilter.pipeline.stop import StopFlag
from streamfilter.redact import described

_WAKE_S = 0.5  # a wait without end would hold signals back on some systems


Work = Callable[[StopFlag], None]
"""Works until its `StopFlag` is set, looking at it several times a second."""


class Restart(StrEnum):
    """When a worker that came back is started again."""

    ALWAYS = "always"
    ON_FAILURE = "on-failure"
    NEVER = "never"


class WorkerState(StrEnum):
    """Of one worker."""

    WAITING = "waiting"
    """For an earlier worker to come back, which holds what this one needs."""
    RUNNING = "running"
    BACKING_OFF = "backing-off"
    """Came back, and will be started again."""
    STUCK = "stuck"
    """Was told to stop, and did not come back in time."""
    ENDED = "ended"
    FAILED = "failed"
    """Came back with an error, for good."""


@dataclass(frozen=True, kw_only=True)
class RestartPolicy:
    """When a worker starts again, and after how long: `first_s`, doubling up to `most_s` from failure to failure.

    One that ran for `settled_s` is taken for sound, and begins at `first_s` again.
    """

    when: Restart = Restart.ALWAYS
    first_s: float = 1.0
    most_s: float = 5.0
    settled_s: float = 60.0

    def __post_init__(self) -> None:
        if not 0 < self.first_s <= self.most_s or self.settled_s <= 0:
            raise ConfigError(f"back-off must satisfy 0 < first <= most, got {self.first_s} s and {self.most_s} s")

    def again(self, *, failed: bool) -> bool:
        """Whether a worker that came back is started again."""
        return self.when is Restart.ALWAYS or (self.when is Restart.ON_FAILURE and failed)

    def delay_s(self, times: int) -> float:
        """Pause before the next start, when it is the `times`-th in a row (from 1)."""
        return float(min(self.first_s * 2.0 ** min(times - 1, 32), self.most_s))


@dataclass(frozen=True, kw_only=True)
class WorkerEvent:
    """A change of state. `at_s` is on the monotonic clock, `reason` one line without credentials.

    `restarts` counts how often the worker was started again.
    """

    worker: str
    state: WorkerState
    at_s: float
    reason: str = ""
    restarts: int = 0


OnEvent = Callable[[WorkerEvent], None]


class Crew:
    """Starts and stops workers by name; its methods are for one thread, but `statuses` for any."""

    def __init__(self) -> None:
        self._workers: dict[str, _Worker] = {}
        self._dismissed: list[_Worker] = []

    def start(
        self, name: str, work: Work, policy: RestartPolicy, on_event: OnEvent, *, after: Iterable[str] = ()
    ) -> None:
        """Start a worker; it waits for those of the dismissed that are named in `after`, or that have its own name.

        Args:
            name: For its thread, and for the other methods.
            work: Whatever it raises is a failure.
            policy: Whether and when it is started again.
            on_event: Called at every change of state, in the worker's thread; what it raises is of no consequence.
            after: Names of workers that may hold what this one needs.

        Raises:
            ValueError: There is one of this name already.
        """
        if name in self._workers:
            raise ValueError(f"there is a worker {name!r} already")
        names = {name, *after}
        earlier = [worker for worker in self._dismissed if worker.event.worker in names]
        self._workers[name] = _Worker(name, work, policy, earlier, on_event)
        self._workers[name].thread.start()

    def dismiss(self, name: str) -> None:
        """Tell a worker to stop, and let its name be given anew; nobody waits here."""
        worker = self._workers.pop(name)
        worker.dismiss()
        self._dismissed.append(worker)

    def stop(self, within_s: float) -> tuple[str, ...]:
        """Stop all workers at once, and wait for them; returns the names of those that did not come back in time."""
        deadline_s = time.monotonic() + within_s
        workers = [*self._dismissed, *self._workers.values()]
        for worker in workers:
            worker.dismiss()
        for worker in workers:
            worker.thread.join(max(deadline_s - time.monotonic(), 0))
        return _told_stuck(workers)

    def tend(self, overdue_s: float) -> tuple[str, ...]:
        """The dismissed that have not come back for longer than `overdue_s`; each is told as stuck once."""
        self._dismissed = [worker for worker in self._dismissed if worker.thread.is_alive()]
        latest_s = time.monotonic() - overdue_s
        return _told_stuck([worker for worker in self._dismissed if worker.dismissed_s <= latest_s])

    def statuses(self) -> dict[str, WorkerEvent]:
        """The latest event of every worker that was not dismissed."""
        return {name: worker.event for name, worker in self._workers.copy().items()}

    @property
    def working(self) -> bool:
        """Whether any worker still runs, or may run again."""
        return any(worker.thread.is_alive() for worker in (*self._workers.values(), *self._dismissed))


class _Worker:
    """One thread, which starts its work again as the policy says."""

    def __init__(self, name: str, work: Work, policy: RestartPolicy, earlier: list[_Worker], on_event: OnEvent) -> None:
        self.event = WorkerEvent(worker=name, state=WorkerState.WAITING, at_s=time.monotonic())
        self.dismissed_s = 0.0
        # A stuck worker must not keep the process alive; all others are joined.
        self.thread = threading.Thread(target=self._run, name=f"streamfilter-{name}", daemon=True)
        self._stop = threading.Event()
        self._work, self._policy, self._earlier, self._on_event = work, policy, earlier, on_event

    def dismiss(self) -> None:
        if not self._stop.is_set():
            self.dismissed_s = time.monotonic()
        self._stop.set()

    def tell_stuck(self) -> None:
        if self.event.state is not WorkerState.STUCK:
            self._enter(WorkerState.STUCK, "it was told to stop and did not come back")

    def _run(self) -> None:
        self._wait_for_earlier()
        times = 0
        while not self._stop.is_set():
            self._enter(WorkerState.RUNNING)
            started_s = time.monotonic()
            failure = self._once()
            if self._stop.is_set() or not self._policy.again(failed=failure is not None):
                self._end(failure)
                return
            times = 1 if time.monotonic() - started_s >= self._policy.settled_s else times + 1
            self._back_off(failure or "it came to its end", self._policy.delay_s(times))
        self._end(None)

    def _wait_for_earlier(self) -> None:
        for worker in self._earlier:
            if worker.thread.is_alive():
                self._enter(WorkerState.WAITING, "what ran before it has not ended yet")
            while worker.thread.is_alive() and not self._stop.is_set():
                worker.thread.join(_WAKE_S)
        self._earlier = []

    def _once(self) -> str | None:
        """Run the work; returns its failure in one line."""
        try:
            self._work(self._stop)
        except BaseException as error:  # noqa: BLE001 - whatever it is, it concerns this worker alone
            return described(error)
        return None

    def _back_off(self, reason: str, delay_s: float) -> None:
        self._enter(WorkerState.BACKING_OFF, f"{reason}; starts again in {delay_s:g} s")
        if not self._stop.wait(delay_s):
            self.event = replace(self.event, restarts=self.event.restarts + 1)

    def _end(self, failure: str | None) -> None:
        self._enter(WorkerState.ENDED if failure is None else WorkerState.FAILED, failure or "")

    def _enter(self, state: WorkerState, reason: str = "") -> None:
        self.event = replace(self.event, state=state, at_s=time.monotonic(), reason=reason)
        attempt(self._on_event, self.event)


def _told_stuck(workers: Iterable[_Worker]) -> tuple[str, ...]:
    late = [worker for worker in workers if worker.thread.is_alive()]
    for worker in late:
        worker.tell_stuck()
    return tuple(worker.event.worker for worker in late)


@contextmanager
def uncaught(tell: Callable[[str, str], None]) -> Iterator[None]:
    """For as long as the block runs, errors that end any thread go to `tell(thread, error)`, one line without secrets.

    Python would print them with all their values, passwords in addresses included.
    """
    before = threading.excepthook

    def hook(args: threading.ExceptHookArgs) -> None:
        name = "unknown" if args.thread is None else args.thread.name
        error = args.exc_value or args.exc_type()
        attempt(tell, name, described(error))

    threading.excepthook = hook
    try:
        yield
    finally:
        threading.excepthook = before
