"""What RTSP, RTMP and SRT outlets share: FFmpeg in a process of its own, fed through a pipe, never waited for long."""

from __future__ import annotations

import errno
import os
import selectors
import subprocess
import sys
import time
from contextlib import suppress
from pathlib import Path
from typing import IO

from streamfilter.errors import OutputError
from streamfilter.media.encoded import EncodedPacket, StreamParameters
from streamfilter.media.outlets.outlet import Outlet, OutletConfig
from streamfilter.media.outlets.wire import READY, PushOrder, packet_bytes

# The packages without their `__init__`s, which load the libraries of all models: a tenth of a second instead of two.
_PROGRAM = """
import runpy, sys, types
root = sys.argv[1]
for name in ("streamfilter", "streamfilter.media", "streamfilter.media.outlets"):
    package = types.ModuleType(name)
    package.__path__ = [root + "/" + name.replace(".", "/")]
    sys.modules[name] = package
runpy.run_module("streamfilter.media.outlets.push_process", run_name="__main__", alter_sys=False)
"""
# What starting Python may take before the connection is begun.
_START_S = 20.0
# The process keeps its own time; this is for one that does not even do that.
_GRACE_S = 1.0
_END_S = 3.0
_STATUS_BYTES = 4096


class PushOutlet(Outlet):
    """A server that takes the stream as FFmpeg's `container`.

    Args:
        name: The address as it may be shown.
        url: The address, credentials included.
        parameters: Of the stream.
        config: Time-outs.
    """

    is_network = True
    container = ""

    def __init__(self, name: str, url: str, parameters: StreamParameters, config: OutletConfig) -> None:
        super().__init__(name, parameters, config)
        self._url = url
        self._process: _PushProcess | None = None

    def options(self) -> dict[str, str]:
        """Of FFmpeg's muxer."""
        return {}

    def _open(self) -> None:
        order = PushOrder(
            url=self._url,
            container=self.container,
            options=self.options(),
            open_timeout_s=self._config.open_timeout_s,
            write_timeout_s=self._config.write_timeout_s,
            parameters=self._parameters,
        )
        self._process = _PushProcess(self.name, order)
        self._process.connect()

    def _write(self, packet: EncodedPacket) -> None:
        assert self._process is not None  # write() opens first
        self._process.send(packet_bytes(packet), self._config.write_timeout_s)

    def _finish(self) -> None:
        if self._process is not None:
            self._process.close()
            self._process = None

    def _release(self) -> None:
        if self._process is not None:
            self._process.kill()
            self._process = None


class _PushProcess:
    """One process and its two pipes. Every wait has an end."""

    def __init__(self, name: str, order: PushOrder) -> None:
        self._name = name
        self._order = order
        # Not in our group: Ctrl-C is ours to pass on, after the last packet.
        self._process = subprocess.Popen(
            [sys.executable, "-P", "-c", _PROGRAM, str(Path(__file__).parents[3])],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.DEVNULL,  # FFmpeg's own words there repeat the address, password included
            bufsize=0,
            start_new_session=True,
        )
        os.set_blocking(self._stdin.fileno(), False)

    @property
    def _stdin(self) -> IO[bytes]:
        assert self._process.stdin is not None
        return self._process.stdin

    @property
    def _stdout(self) -> IO[bytes]:
        assert self._process.stdout is not None
        return self._process.stdout

    def connect(self) -> None:
        """Give the order and wait for the connection.

        Raises:
            OutputError: It failed, or took too long.
        """
        self.send(self._order.to_bytes(), _START_S)
        wait_s = self._order.open_timeout_s + _START_S
        with selectors.DefaultSelector() as waiting:
            waiting.register(self._stdout, selectors.EVENT_READ)
            if not waiting.select(wait_s):
                raise OutputError(f"{self._name} did not answer within {wait_s:g} s; check host, port and network")
        status = os.read(self._stdout.fileno(), _STATUS_BYTES)
        if status != READY:
            raise self._failed(status, f"did not answer within {self._order.open_timeout_s:g} s")

    def send(self, data: bytes, timeout_s: float) -> None:
        """Write to the process.

        Raises:
            OutputError: It has failed, or takes nothing.
        """
        rest = memoryview(data)
        deadline = time.monotonic() + timeout_s + _GRACE_S
        with selectors.DefaultSelector() as waiting:
            waiting.register(self._stdin, selectors.EVENT_WRITE)
            waiting.register(self._stdout, selectors.EVENT_READ)
            while rest:
                ready = [key.fileobj for key, _ in waiting.select(max(deadline - time.monotonic(), 0))]
                if not ready:
                    raise OutputError(f"{self._name} took no data for {timeout_s:g} s")
                if self._stdout in ready:
                    status = os.read(self._stdout.fileno(), _STATUS_BYTES)
                    raise self._failed(status, f"took no data for {timeout_s:g} s")
                with suppress(BlockingIOError, BrokenPipeError):  # the latter: the other pipe says why
                    rest = rest[os.write(self._stdin.fileno(), rest) :]

    def close(self) -> None:
        """Let it take leave of the server, for a moment.

        Raises:
            OutputError: It could not.
        """
        self._stdin.close()
        try:
            self._process.wait(min(self._order.write_timeout_s, _END_S))
        except subprocess.TimeoutExpired:
            raise OutputError(f"{self._name} did not end in time") from None
        status = os.read(self._stdout.fileno(), _STATUS_BYTES)
        if self._process.returncode:
            raise self._failed(status, "did not end in time")
        self.kill()

    def kill(self) -> None:
        """End it at once; harmless when repeated."""
        self._process.kill()
        self._process.wait()
        self._stdin.close()
        self._stdout.close()

    def _failed(self, status: bytes, when_killed: str) -> OutputError:
        """What its last words mean; none: its alarm clock ended it."""
        words = status.removeprefix(READY).decode("utf-8", "replace").split("\n")[0]
        _, number, text = (*words.split(" ", 2), "", "", "")[:3]
        if not words:
            return OutputError(f"{self._name} {when_killed}; check host, port and network")
        return OutputError(f"{self._name} {_advice(int(number), text)}")


def _advice(number: int, text: str) -> str:
    if "401" in text or "403" in text:
        return "refused the user or the password; check them"
    if "404" in text:
        return "has no such path; check the address"
    if number == errno.ECONNREFUSED:
        return "refused the connection; check host and port, and whether the server runs"
    if "Protocol not found" in text:
        return "cannot be reached: this FFmpeg was built without that protocol; use RTSP, RTMP or UDP"
    if number in (errno.EPIPE, errno.ECONNRESET):
        return "closed the connection"
    return f"cannot be written: {text}"
