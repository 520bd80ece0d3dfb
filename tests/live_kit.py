"""What tests of live streams need around them: the RTSP server as a process, a cable to cut, counts of threads.

Numbers burnt into pictures, and what is measured with them, are in `live_measure.py`.
"""

from __future__ import annotations

import os
import shutil
import signal
import socket
import subprocess
import tempfile
import threading
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

SERVER = Path(__file__).with_name("rtsp_server.py")
DEBIAN_PYTHON = "/usr/bin/python3"
NEEDED = "import gi; gi.require_version('GstRtspServer', '1.0'); from gi.repository import GstRtspServer"


def wait_until(condition: Callable[[], object], *, within_s: float, what: object = "") -> Any:
    """What the condition gives once that is true; fails when it never is, and names `what` as it is by then."""
    deadline = time.monotonic() + within_s
    while not (found := condition()):
        if time.monotonic() > deadline:
            raise AssertionError(f"not within {within_s:g} s: {what or condition}")
        time.sleep(0.01)
    return found


def free_port() -> int:
    """A TCP port that nobody listens on."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


# --- the server ---


def server_missing() -> str:
    """Why the RTSP server cannot run here, in one line; empty where it can."""
    if (
        not Path(DEBIAN_PYTHON).exists()
        or subprocess.run([DEBIAN_PYTHON, "-c", NEEDED], capture_output=True, check=False).returncode
    ):
        return "install Debian's packages python3-gi and gir1.2-gst-rtsp-server-1.0 for the RTSP server"
    absent = [program for program in ("ffmpeg", "ffprobe") if not shutil.which(program)]
    return f"install Debian's package ffmpeg for the RTSP server ({' and '.join(absent)})" if absent else ""


class RtspServer:
    """`rtsp_server.py` as a process; starts in `with`, and again on the same port after `stop` or `kill`.

    Args:
        arguments: Of the command line, without `--host`, `--port` and `--cache`.
        cache: Folder where encoded films are kept, so that a restart takes no time.
        user, password: Of the streams; none where empty.
        port: 0 takes a free one.
        cable: A server behind a `Cable` is at its far end.

    Attributes:
        idle: What the process held when it began to listen.
    """

    def __init__(
        self,
        *arguments: str,
        cache: Path,
        user: str = "",
        password: str = "",
        port: int = 0,
        cable: Cable | None = None,
    ) -> None:
        self.arguments, self.user, self.password = arguments, user, password
        self.cache, self.cable = cache, cable
        self.host = cable.far if cable else "127.0.0.1"
        self.port = port or free_port()
        self.process: subprocess.Popen[bytes] | None = None
        with tempfile.NamedTemporaryFile(dir=cache, prefix="server-", suffix=".log", delete=False) as log:
            self.log_path = Path(log.name)

    def __enter__(self) -> RtspServer:
        self.start()
        return self

    def __exit__(self, *_: object) -> None:
        self.stop()

    def start(self, *, within_s: float = 90) -> None:
        """Run it, and return once it listens."""
        within = ["ip", "netns", "exec", self.cable.space] if self.cable else []
        where = ["--host", self.host, "--port", str(self.port), "--cache", str(self.cache)]
        who = ["--user", self.user, "--password", self.password] if self.user else []
        command = [*within, DEBIAN_PYTHON, str(SERVER), *where, *who, *self.arguments]
        self.log_path.write_bytes(b"")
        with self.log_path.open("ab") as log:
            self.process = subprocess.Popen(command, stdin=subprocess.DEVNULL, stdout=log, stderr=log)
        wait_until(self._listens, within_s=within_s, what="the RTSP server's READY")
        self.idle = resources(self.pid)

    def _listens(self) -> bool:
        if self.running.poll() is not None:
            raise AssertionError(f"the RTSP server ended: {self.log()}")
        return "READY" in self.log()

    @property
    def running(self) -> subprocess.Popen[bytes]:
        assert self.process is not None, "the server was not started"
        return self.process

    @property
    def pid(self) -> int:
        return self.running.pid

    def log(self) -> str:
        """All that it printed since its start."""
        return self.log_path.read_text("utf-8", "replace")

    def url(self, name: str, *, login: bool = True) -> str:
        """Where a player finds a stream; with the right user and password unless told otherwise."""
        who = f"{self.user}:{self.password}@" if self.user and login else ""
        return f"rtsp://{who}{self.host}:{self.port}/{name}"

    def push_url(self, name: str) -> str:
        """Where `--record NAME` takes pushes; they are played at `url(name)` as long as they last."""
        return self.url(f"rec-{name}")

    def pause(self) -> None:
        """Stall it: sockets stay open, nothing is sent."""
        self.running.send_signal(signal.SIGSTOP)

    def resume(self) -> None:
        self.running.send_signal(signal.SIGCONT)

    def stop(self) -> int:
        """End it properly; tells its exit code."""
        if self.process is None:
            return 0
        if self.process.poll() is None:
            self.resume()
            self.process.terminate()
        try:
            return self.process.wait(10)
        except subprocess.TimeoutExpired:
            self.kill()
            raise

    def kill(self) -> None:
        """End it as a power cut does."""
        self.running.kill()
        self.running.wait(10)

    def restart(self) -> None:
        """Kill it, and start it on the same port."""
        self.kill()
        self.start()


# --- the cable ---


class Cable:
    """A network of two ends, `near` (here) and `far` (in a namespace of its own), that can be cut; needs root.

    Cut, it loses every packet without a word to either end, as a pulled plug behind a switch does: each end is told a
    wrong hardware address for the other.
    """

    _made = 0

    def __init__(self) -> None:
        Cable._made += 1
        self.space = f"sf{os.getpid()}x{Cable._made}"
        self.inner, self.outer = f"{self.space}i"[-15:], f"{self.space}o"[-15:]
        net = f"10.213.{os.getpid() % 251}.{4 * (Cable._made % 63)}"
        head, _, last = net.rpartition(".")
        self.near, self.far = f"{head}.{int(last) + 1}", f"{head}.{int(last) + 2}"

    def __enter__(self) -> Cable:
        _ip("netns", "add", self.space)
        try:
            self._lay()
        except BaseException:
            self.__exit__()
            raise
        return self

    def _lay(self) -> None:
        _ip("link", "add", self.outer, "type", "veth", "peer", "name", self.inner, "netns", self.space)
        _ip("address", "add", f"{self.near}/30", "dev", self.outer)
        _ip("link", "set", self.outer, "up")
        self._inside("address", "add", f"{self.far}/30", "dev", self.inner)
        self._inside("link", "set", self.inner, "up")
        self._inside("link", "set", "lo", "up")

    def __exit__(self, *_: object) -> None:
        for words in (("link", "delete", self.outer), ("netns", "delete", self.space)):
            subprocess.run(["ip", *words], capture_output=True, check=False)

    def cut(self) -> None:
        nobody = ("lladdr", "02:00:00:00:00:99", "nud", "permanent")
        _ip("neighbour", "replace", self.far, *nobody, "dev", self.outer)
        self._inside("neighbour", "replace", self.near, *nobody, "dev", self.inner)

    def mend(self) -> None:
        _ip("neighbour", "delete", self.far, "dev", self.outer)
        self._inside("neighbour", "delete", self.near, "dev", self.inner)

    def _inside(self, *words: str) -> None:
        _ip("-netns", self.space, *words)


def _ip(*words: str) -> None:
    subprocess.run(["ip", *words], check=True, capture_output=True)


def cable_missing() -> str:
    """Why no `Cable` can be laid here, in one line; empty where it can."""
    if os.geteuid() or not shutil.which("ip"):
        return "run as root, with Debian's package iproute2, for a network to cut"
    try:
        with Cable():
            return ""
    except subprocess.CalledProcessError as error:
        return f"this machine lets nobody lay a network: {error.stderr.decode().strip()}"


# --- threads and sockets ---


@dataclass(frozen=True, kw_only=True)
class Resources:
    """What a process holds."""

    threads: int
    descriptors: int
    sockets: int
    memory_mb: float


def resources(pid: int | None = None) -> Resources:
    """Of a process, or of this one."""
    home = Path("/proc") / str(pid or os.getpid())
    opened = _opened(home / "fd")
    status = dict(line.split(":", 1) for line in (home / "status").read_text().splitlines())
    return Resources(
        threads=int(status["Threads"]),
        descriptors=len(opened),
        sockets=sum(target.startswith("socket:") for target in opened),
        memory_mb=int(status["VmRSS"].split()[0]) / 1024,
    )


def _opened(folder: Path) -> Sequence[str]:
    found = []
    for one in folder.iterdir():
        try:
            found.append(os.readlink(one))
        except FileNotFoundError:  # the descriptor that lists the folder
            continue
    return found


def cpu_s(pid: int) -> float:
    """Processor time that a process has used, in seconds, over all its threads."""
    fields = (Path("/proc") / str(pid) / "stat").read_text().rpartition(")")[2].split()
    return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")


@contextmanager
def nothing_left(*, within_s: float = 5) -> Iterator[None]:
    """Fails if what is inside leaves a Python thread or a socket of this process behind."""
    threads, sockets = set(threading.enumerate()), resources().sockets
    yield
    wait_until(
        lambda: set(threading.enumerate()) <= threads and resources().sockets <= sockets,
        within_s=within_s,
        what=f"threads {[one.name for one in set(threading.enumerate()) - threads]} or sockets are left",
    )
