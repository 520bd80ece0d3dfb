"""`streamfilter serve` as a user meets it: signals, reloads, the page, the log, and exit codes."""

from __future__ import annotations

import json
import os
import signal
import socket
import subprocess
import sys
import threading
import time
import urllib.error
import urllib.request
from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path
from typing import cast

import av
import pytest
from click.testing import CliRunner, Result

from streamfilter.assemble import Models
from streamfilter.cli import main
from streamfilter.config import FilterConfig
from streamfilter.errors import InputError
from streamfilter.json_log import EVENTS
from streamfilter.media.address import Address
from streamfilter.pipeline.stop import StopFlag
from streamfilter.serve import Camera, Screen
from streamfilter.stream_state import StreamState
from streamfilter.web import CameraStatus

ROOT = Path(__file__).parent.parent
PASSWORD, TOKEN = "hunter2-and-more", "a-token-that-is-long-enough"
DEADLINE_S = 30.0


def no_models(config: FilterConfig, **_: object) -> Models:
    """Pretended cameras need none."""
    return cast(Models, None)


def pretend(camera: Camera, models: Models, screen: Screen, stop: StopFlag) -> None:
    """Stands for a camera; its name says how it behaves."""
    screen.status(camera.name, CameraStatus(state=StreamState.LIVE, fps=25.0))
    if camera.name.startswith("short"):
        return
    if camera.name.startswith("fails"):
        raise InputError(f"wrong password for {camera.source.url}")
    if camera.name.startswith("leaks"):
        threading.Thread(target=_leak, args=(camera.source.url,), name="decoder").start()
    while not stop.is_set() or camera.name.startswith("stuck"):
        time.sleep(0.01)


def _leak(url: str) -> None:
    raise RuntimeError(f"lost {url}")


def pretend_to_serve(path: str) -> None:
    """What the subprocess runs: the command, with pretended cameras."""
    from streamfilter.cli import serve_job
    from streamfilter.json_log import LineFormatter, LogForm, log_to

    formatter = LineFormatter(LogForm.JSON)
    with log_to(sys.stderr, formatter):
        sys.exit(serve_job.serve(Path(path), formatter, no_models, run=pretend))


def text_of(*names: str, stop_s: float = 10, more: str = "") -> str:
    text = f"[server]\nport = 0\nstop_s = {stop_s}\n{more}"
    for name in names:
        text += f'[[camera]]\nname = "{name}"\nsource = "rtsp://viewer:${{PASSWORD}}@127.0.0.1:9/{name}"\n'
    return text


class Server:
    """A running server, and what it has said so far."""

    def __init__(self, *arguments: str) -> None:
        environ = os.environ | {"PASSWORD": PASSWORD, "TOKEN": TOKEN, "OMP_NUM_THREADS": "1"}
        self.process = subprocess.Popen(
            [sys.executable, *arguments],
            cwd=ROOT,
            stderr=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
            env=environ,
        )
        self.lines: list[str] = []
        self._reader = threading.Thread(target=self._read)
        self._reader.start()

    def _read(self) -> None:
        assert self.process.stderr is not None
        for line in self.process.stderr:
            self.lines.append(line.rstrip("\n"))

    def events(self, name: str, **values: object) -> list[dict[str, object]]:
        found = [json.loads(line) for line in self.lines]
        return [event for event in found if event["event"] == name and values.items() <= event.items()]

    def until(self, name: str, count: int = 1, **values: object) -> dict[str, object]:
        deadline_s = time.monotonic() + DEADLINE_S
        while len(found := self.events(name, **values)) < count:
            assert time.monotonic() < deadline_s, "\n".join(self.lines)
            assert self.process.poll() is None or self._reader.is_alive(), "\n".join(self.lines)
            time.sleep(0.01)
        return found[-1]

    def send(self, number: signal.Signals) -> None:
        self.process.send_signal(number)

    def close(self) -> None:
        self.process.kill()
        self.process.wait()
        self._reader.join()
        for pipe in (self.process.stderr, self.process.stdout):
            if pipe is not None:
                pipe.close()

    def end(self) -> int:
        """The exit code; all that it said is in `lines` then."""
        code = self.process.wait(DEADLINE_S)
        self._reader.join(DEADLINE_S)
        assert self.process.stdout is not None
        assert self.process.stdout.read() == ""
        for line in self.lines:
            event = json.loads(line)
            assert set(event) - {"time", "level", "event"} <= set(EVENTS[event["event"]])
            assert PASSWORD not in line
            assert TOKEN not in line
        return code


@pytest.fixture
def start(tmp_path: Path) -> Iterator[Callable[[str], Server]]:
    servers: list[Server] = []

    def run(text: str) -> Server:
        path = tmp_path / "serve.toml"
        path.write_text(text)
        servers.append(
            Server("-c", f"from tests.test_cli_serve import pretend_to_serve; pretend_to_serve({str(path)!r})")
        )
        return servers[-1]

    yield run
    for server in servers:
        server.close()


@pytest.fixture
def start_real(tmp_path: Path) -> Iterator[Server]:
    path = tmp_path / "serve.toml"
    text = '[server]\nport = 0\nthreads = 1\n[defaults]\nsize = "192x144"\nrate = 10\n'
    for name in ("a", "b"):
        text += f'[[camera]]\nname = "{name}"\nsource = "test:"\nsinks = ["{tmp_path}/{name}.mkv"]\n'
    path.write_text(text + '[[camera]]\nname = "none"\nsource = "rtsp://u:${PASSWORD}@127.0.0.1:9/x"\n')
    server = Server("-c", f"from streamfilter.cli import main; main(['serve', {str(path)!r}, '--log', 'json'])")
    yield server
    server.close()


# --- signals ---------------------------------------------------------------------------------------------------------


def test_a_signal_ends_everything_properly(start: Callable[[str], Server]) -> None:
    server = start(text_of("a", "b", "fails", "leaks", more='token_env = "TOKEN"\n'))
    address = server.until("server.started", cameras=4)["address"]
    for name in ("a", "b", "leaks"):
        server.until("camera.state", camera=name, state="running")
    server.until("camera.state", camera="fails", state="backing-off")
    server.until("thread.failed", thread="decoder")
    assert get(f"{address}metrics")[0] in {401, 403}
    server.send(signal.SIGTERM)
    assert server.end() == 0
    assert server.events("server.ended")[0]["code"] == 0
    assert server.events("server.stopping")[0]["reason"] == "a signal"
    assert len(server.events("camera.state", state="ended")) == 4
    assert "wrong password for rtsp://***@127.0.0.1:9/fails" in str(server.events("camera.state", camera="fails"))


def test_a_camera_that_does_not_end_is_named_in_time(start: Callable[[str], Server]) -> None:
    server = start(text_of("a", "stuck", stop_s=0.5))
    server.until("camera.state", camera="stuck", state="running")
    server.send(signal.SIGTERM)
    server.until("server.stopping")
    started_s = time.monotonic()
    assert server.end() == 1
    assert time.monotonic() - started_s < 3
    assert server.events("server.ended")[0]["stuck"] == ["stuck"]
    assert server.events("camera.state", camera="a", state="ended")


def test_a_second_signal_ends_at_once(start: Callable[[str], Server]) -> None:
    server = start(text_of("stuck", stop_s=60))
    server.until("camera.state", camera="stuck", state="running")
    server.send(signal.SIGTERM)
    server.until("server.stopping")
    started_s = time.monotonic()
    server.send(signal.SIGTERM)
    assert server.end() == 130
    assert time.monotonic() - started_s < 3


@pytest.mark.parametrize(("names", "code"), [(("short1", "short2"), 0), (("short1", "fails"), 1)])
def test_it_ends_when_every_camera_has(start: Callable[[str], Server], names: tuple[str, ...], code: int) -> None:
    server = start(text_of(*names, more='[defaults]\nrestart = "never"\n'))
    assert server.end() == code
    assert server.events("server.stopping")[0]["reason"] == "every camera has ended"


# --- reload ----------------------------------------------------------------------------------------------------------


def test_the_file_is_read_again_on_sighup_and_when_it_changes(start: Callable[[str], Server], tmp_path: Path) -> None:
    server = start(text_of("a", "b"))
    for name in ("a", "b"):
        server.until("camera.state", camera=name, state="running")
    path = tmp_path / "serve.toml"
    path.write_text(text_of("a", "c"))
    server.until("config.reloaded")
    server.until("camera.state", camera="c", state="running")
    server.until("camera.state", camera="b", state="ended")
    path.write_text(text_of("a", "c") + "sorce = 'x'\n")
    assert "serve.toml:10: camera 'c': unknown key 'sorce'" in str(server.until("config.refused")["reason"])
    server.send(signal.SIGHUP)
    server.until("config.refused", count=2)
    path.write_text(text_of("c", "a", stop_s=9))
    server.until("config.reloaded", unchanged=["c", "a"])
    assert server.until("config.restart_needed")["keys"] == ["stop_s"]
    assert len(server.events("camera.state", camera="a")) == 1
    server.send(signal.SIGINT)
    assert server.end() == 0


# --- the page --------------------------------------------------------------------------------------------------------


def get(address: str) -> tuple[int, str]:
    try:
        with urllib.request.urlopen(address, timeout=10) as answer:
            return answer.status, answer.read().decode(errors="replace")
    except urllib.error.HTTPError as error:
        with error:
            return error.code, error.read().decode()


def test_the_page_shows_the_cameras_and_no_credential(start: Callable[[str], Server]) -> None:
    server = start(text_of("a", "fails"))
    address = str(server.until("server.started")["address"])
    server.until("camera.state", camera="fails", state="backing-off")
    server.until("camera.state", camera="a", state="running")
    pages = [get(address + path) for path in ("", "healthz", "metrics")]
    assert all('"a"' in text and '"fails"' in text for _, text in pages[1:]), pages
    assert not any(PASSWORD in text or "viewer" in text for _, text in pages)
    server.send(signal.SIGTERM)
    assert server.end() == 0


# --- real cameras ----------------------------------------------------------------------------------------------------


def test_real_cameras_are_recorded_and_shown_beside_one_that_is_not_there(start_real: Server, tmp_path: Path) -> None:
    server = start_real
    server.until("camera.state", camera="none", state="backing-off")
    for name in ("a", "b"):
        server.until("stream.state", camera=name, state="live")
    address = str(server.until("server.started")["address"])
    deadline_s = time.monotonic() + DEADLINE_S
    while get(f"{address}camera/a.jpg")[0] != 200 and time.monotonic() < deadline_s:
        time.sleep(0.05)
    assert get(f"{address}camera/a.jpg")[0] == 200
    server.send(signal.SIGTERM)
    assert server.end() == 0
    for name in ("a", "b"):
        with av.open(str(tmp_path / f"{name}.mkv")) as container:
            assert sum(1 for _ in container.decode(video=0)) >= 1


# --- what cannot start -----------------------------------------------------------------------------------------------


def serve(*args: str, environ: dict[str, str] | None = None) -> Result:
    return CliRunner().invoke(
        main, ["serve", *args], obj=no_models, env={"PASSWORD": PASSWORD} | (environ or {}), catch_exceptions=False
    )


def test_an_error_in_the_file_is_one_line_and_exit_code_2(tmp_path: Path) -> None:
    path = tmp_path / "serve.toml"
    path.write_text(text_of("door").replace("source", "sorce"))
    result = serve(str(path))
    assert result.exit_code == 2
    assert "serve.toml:6: camera 'door': unknown key 'sorce'; did you mean 'source'?" in " ".join(result.stderr.split())
    assert len(result.stderr.splitlines()) == 1
    assert result.stderr.startswith("error: ")
    assert serve(str(tmp_path / "none.toml")).exit_code == 2


def test_errors_are_json_where_the_log_is(tmp_path: Path) -> None:
    path = tmp_path / "serve.toml"
    path.write_text("[server]\nport = 'x'\n")
    result = serve(str(path), "--log", "json")
    assert result.exit_code == 2
    (line,) = result.stderr.splitlines()
    assert json.loads(line)["event"] == "server.failed"
    assert "serve.toml:2: [server]: port: the text must be a whole number" in json.loads(line)["reason"]


def test_a_port_that_is_taken_is_one_line(tmp_path: Path) -> None:
    path = tmp_path / "serve.toml"
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
        path.write_text(text_of("a").replace("port = 0", f"port = {port}"))
        result = serve(str(path))
    assert result.exit_code == 1
    assert result.stderr.startswith(f"error: the page cannot be served at 127.0.0.1 port {port}")
    assert len(result.stderr.splitlines()) == 1


def test_check_says_what_is_in_the_file_and_no_credential(tmp_path: Path) -> None:
    path = tmp_path / "serve.toml"
    path.write_text(text_of("door", "yard") + f'sinks = ["rtmp://h/live/{PASSWORD}", "a.mkv"]\n')
    result = serve(str(path), "--check")
    assert result.exit_code == 0
    assert result.stdout.splitlines() == [
        "camera door: rtsp://127.0.0.1:9/door -> the page only",
        "camera yard: rtsp://127.0.0.1:9/yard -> rtmp://h/live/***, a.mkv",
    ]
    assert result.stderr == ""


def test_check_shows_no_login_even_where_an_address_does(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = tmp_path / "serve.toml"
    path.write_text(text_of("door"))
    parse = Address.parse

    def slip(text: str, **more: bool) -> Address:
        return replace(parse(text, **more), shown=f"rtsp:/me:{PASSWORD}@h")

    monkeypatch.setattr(Address, "parse", slip)
    assert serve(str(path), "--check").stdout == "camera door: rtsp:/***@h -> the page only\n"


def test_other_commands_do_not_wait_for_the_page_to_load() -> None:
    code = "import sys, streamfilter.cli; print(sorted({'aiohttp', 'prometheus_client'} & set(sys.modules)))"
    done = subprocess.run([sys.executable, "-c", code], cwd=ROOT, capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[]"
