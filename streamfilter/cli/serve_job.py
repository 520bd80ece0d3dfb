"""The work of `streamfilter serve`: everything is started, looked after, and ended in time."""

from __future__ import annotations

import logging
import os
import signal
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from types import FrameType
from typing import NoReturn

import click

from streamfilter import __version__
from streamfilter.assemble import Models
from streamfilter.cli import options
from streamfilter.cli.exits import Exit
from streamfilter.config import FilterConfig
from streamfilter.json_log import LineFormatter, tell
from streamfilter.pipeline import stopping_on_signals
from streamfilter.pipeline.crew import uncaught
from streamfilter.pipeline.stop import StopFlag
from streamfilter.redact import redacted
from streamfilter.serve import Camera, Reloader, Screen, ServeConfig, Supervisor, load
from streamfilter.serve.run_camera import run_camera
from streamfilter.web import Gallery, WebServer

POLL_S = 0.2
TEND_S = 1.0
RunWith = Callable[[Camera, Models, Screen, StopFlag], None]


def check(path: Path) -> Exit:
    """Only read the configuration, and say what is in it."""
    config = load(path, os.environ)
    for camera in config.cameras:
        source, *sinks = (redacted(str(address)) for address in (camera.source, *camera.sinks))
        click.echo(f"camera {camera.name}: {source} -> {', '.join(sinks) or 'the page only'}")
    return Exit.OK


def serve(path: Path, formatter: LineFormatter, load_models: options.Load, run: RunWith = run_camera) -> Exit:
    """Start everything, look after it until it is over, end everything.

    Args:
        path: The configuration.
        formatter: Writes the log; it is told what to hide.
        load_models: Loads what the cameras share.
        run: Runs one camera with these models.

    Raises:
        StreamFilterError: It could not start.
    """
    config = load(path, os.environ)
    formatter.hide(config.secrets)
    try:
        with hangups() as hung_up, uncaught(_thread_failed), stopping_on_signals() as stop:
            server = config.server
            models = load_models(FilterConfig(), device=server.device, threads=server.threads, model=server.model)
            gallery = Gallery()
            supervisor = Supervisor(
                lambda camera, screen, stop: run(camera, models, screen, stop), gallery, overdue_s=server.stop_s
            )
            reloader = Reloader(path, config, supervisor, os.environ, lambda new: formatter.hide(new.secrets))
            with WebServer(gallery, server.host, server.port, server.token) as page:
                tell("server.started", cameras=len(config.cameras), address=page.url, streamfilter=__version__)
                return _supervised(config, supervisor, lambda: _watch(supervisor, reloader, stop, hung_up))
    except KeyboardInterrupt:
        _end_now(Exit.INTERRUPTED, ())


def _supervised(config: ServeConfig, supervisor: Supervisor, watch: Callable[[], str]) -> Exit:
    """Run the cameras until `watch` returns the reason to stop; stop them, in time or not at all."""
    try:
        supervisor.apply(config)
        tell("server.stopping", reason=watch())
    except Exception:  # but not for a second signal, which waits for nothing
        supervisor.stop(config.server.stop_s)
        raise
    stuck = supervisor.stop(config.server.stop_s)
    code = Exit.FAILED if stuck or supervisor.failed else Exit.OK
    if stuck:
        _end_now(code, stuck)
    tell("server.ended", code=int(code))
    return code


def _watch(supervisor: Supervisor, reloader: Reloader, stop: StopFlag, hung_up: Flag) -> str:
    """Look after the cameras until there is nothing to look after; returns why."""
    tended_s = time.monotonic()
    while supervisor.working:
        if stop.is_set():
            return "a signal"
        reloader.tick(demanded=hung_up.taken())
        if time.monotonic() - tended_s >= TEND_S:
            supervisor.tend()
            tended_s = time.monotonic()
        time.sleep(POLL_S)
    return "every camera has ended"


def _end_now(code: Exit, stuck: tuple[str, ...]) -> NoReturn:
    """End the process though threads still run: Python itself would wait for them for ever."""
    tell("server.ended", logging.ERROR, code=int(code), stuck=stuck)
    sys.stderr.flush()
    os._exit(code)


def _thread_failed(thread: str, reason: str) -> None:
    tell("thread.failed", logging.ERROR, thread=thread, reason=reason)


class Flag:
    """Raised by a signal handler, taken by the loop."""

    def __init__(self) -> None:
        self._raised = False

    def raise_(self, _number: int, _frame: FrameType | None) -> None:
        """Raise it."""
        self._raised = True

    def taken(self) -> bool:
        """Whether it was raised since the last call."""
        raised, self._raised = self._raised, False
        return raised


@contextmanager
def hangups() -> Iterator[Flag]:
    """SIGHUP raises the flag for as long as the block runs; where there is no such signal, nothing does."""
    flag = Flag()
    if not hasattr(signal, "SIGHUP"):
        yield flag
        return
    before = signal.signal(signal.SIGHUP, flag.raise_)
    try:
        yield flag
    finally:
        signal.signal(signal.SIGHUP, before)
