"""Servers that take the stream, refuse it, never answer, stop reading or go away."""

from __future__ import annotations

import os
import signal
import socket
import subprocess
import sys
import threading
import time
import traceback
from collections.abc import Callable
from dataclasses import replace
from itertools import pairwise
from pathlib import Path

import av
import pytest

from streamfilter.errors import OutputError
from streamfilter.media.encoded import EncodedPacket
from streamfilter.media.outlets import Outlet, OutletConfig
from tests.live_kit import RtspServer, free_port, nothing_left, wait_until
from tests.media_factory import index_of
from tests.outlet_kit import FPS, KILLED, Encoded, expected, look, outlet_to, stream


@pytest.fixture(scope="module")
def silent() -> Encoded:
    """8 seconds of pictures."""
    return stream(200)


@pytest.fixture(scope="module")
def sounding() -> Encoded:
    """8 seconds of pictures with sound."""
    return stream(200, sound=True)


def children() -> set[str]:
    """Processes of ours that run, or wait to be collected."""
    found = set()
    for stat in Path("/proc").glob("[0-9]*/stat"):
        try:
            fields = stat.read_text().rpartition(")")[2].split()
        except OSError:
            continue
        if fields[1] == str(os.getpid()):
            found.add(stat.parent.name)
    return found


def refusal(outlet: Outlet, packet: EncodedPacket) -> str:
    """The one line that the first packet raises; nothing is left of the try."""
    before = children()
    with nothing_left(), pytest.raises(OutputError) as failure:
        outlet.write(packet)
    assert children() <= before
    # What is shown is redacted, and no chained error repeats the address.
    assert failure.value.__cause__ is None
    assert "geheim" not in "".join(traceback.format_exception(failure.value))
    return str(failure.value)


@pytest.mark.parametrize("scheme", ["rtsp", "rtmp"])
def test_a_port_where_nobody_listens(silent: Encoded, scheme: str) -> None:
    parameters, packets = silent
    port = free_port()
    outlet = outlet_to(f"{scheme}://anna:geheim@127.0.0.1:{port}/live", parameters)
    text = refusal(outlet, packets[0])
    assert text.startswith(f"{scheme}://127.0.0.1:{port}/live")
    assert "refused the connection" in text
    assert outlet.is_network


def test_srt_is_named_where_ffmpeg_lacks_it(silent: Encoded) -> None:
    text = refusal(outlet_to("srt://127.0.0.1:5000?passphrase=geheimgeheim", silent[0]), silent[1][0])
    assert "without that protocol" in text


@pytest.mark.parametrize("scheme", ["rtsp", "rtmp"])
def test_a_server_that_never_answers_holds_nobody_up(silent: Encoded, scheme: str) -> None:
    parameters, packets = silent
    ticks = [time.monotonic()]
    stop = threading.Event()

    def tick() -> None:
        while not stop.wait(0.01):
            ticks.append(time.monotonic())

    thread = threading.Thread(target=tick)
    with socket.create_server(("127.0.0.1", 0)) as server:
        url = f"{scheme}://anna:geheim@127.0.0.1:{server.getsockname()[1]}/a/b"
        outlet = outlet_to(url, parameters, OutletConfig(open_timeout_s=1, write_timeout_s=1))
        thread.start()
        began = time.monotonic()
        try:
            text = refusal(outlet, packets[0])
        finally:
            stop.set()
            thread.join()
    assert "did not answer within 1 s" in text
    assert time.monotonic() - began < 8
    # FFmpeg in this process would hold every thread for all of the second.
    assert max(late - early for early, late in pairwise(ticks)) < 0.5


def read_back(url: str, count: int, check: Callable[[], None]) -> list[int]:
    """Indices of `count` pictures that a server plays."""

    def opened() -> list[int]:
        check()
        try:
            with av.open(url, options={"rtsp_transport": "tcp"}, timeout=5) as container:
                frames = zip(range(count), container.decode(video=0), strict=False)
                return [index_of(frame.to_ndarray(format="rgb24")) for _, frame in frames]
        except av.FFmpegError:
            return []

    found: list[int] = wait_until(opened, within_s=20, what=f"pictures of {url}")
    return found


class Sender:
    """Writes packets in their own time, over and over, in a thread; `error` is what ended it."""

    def __init__(self, outlet: Outlet, packets: list[EncodedPacket], *, haste: float = 1) -> None:
        self.outlet, self.packets, self.haste = outlet, packets, haste
        self.error: OutputError | None = None
        self.stop = threading.Event()
        self.slowest_s = 0.0
        self.thread = threading.Thread(target=self._run)

    def __enter__(self) -> Sender:
        self.thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self.stop.set()
        self.thread.join()

    def check(self) -> None:
        assert self.error is None, self.error

    def _run(self) -> None:
        length = max(packet.time_s for packet in self.packets) + 1 / FPS
        began, turn = time.monotonic(), 0
        while not self.stop.is_set():
            for packet in self.packets:
                wait_s = began + (turn * length + packet.time_s) / self.haste - time.monotonic()
                if self.stop.wait(max(wait_s, 0)):
                    break
                ticks = round(turn * length / packet.time_base)
                before = time.monotonic()
                try:
                    self.outlet.write(replace(packet, pts=packet.pts + ticks, dts=packet.dts + ticks))
                except OutputError as error:
                    self.error = error
                    return
                finally:
                    self.slowest_s = max(self.slowest_s, time.monotonic() - before)
            turn += 1


def test_rtsp_push_with_a_password_and_after_a_restart(
    rtsp_server: Callable[..., RtspServer], sounding: Encoded
) -> None:
    parameters, packets = sounding
    server = rtsp_server("--record", "out", user="anna", password="geheim")
    wrong = server.push_url("out").replace("geheim", "falsch")
    assert "refused the user or the password" in refusal(outlet_to(wrong, parameters), packets[0])
    assert "has no such path" in refusal(outlet_to(server.url("nowhere"), parameters), packets[0])
    outlet = outlet_to(server.push_url("out"), parameters)
    assert "geheim" not in outlet.name
    with nothing_left():
        with Sender(outlet, packets) as sender:
            seen = read_back(server.url("out"), 30, sender.check)
            assert all((late - early) % 28 in (1, 4) for early, late in pairwise(seen))
            server.kill()
            wait_until(lambda: sender.error, within_s=10, what="the loss of the server")
        server.start()
        outlet.reopen()
        with Sender(outlet, packets) as sender:
            assert len(read_back(server.url("out"), 10, sender.check)) == 10
        outlet.close()
        wait_until(lambda: "PUSH out ends" in server.log(), within_s=5, what="a proper end of the push")


def test_a_server_that_stops_reading_is_given_up_in_time(
    rtsp_server: Callable[..., RtspServer], silent: Encoded
) -> None:
    parameters, packets = silent
    server = rtsp_server("--record", "out")
    outlet = outlet_to(server.push_url("out"), parameters)
    # The system's buffers take megabytes before anything is noticed.
    heavy = [replace(p, data=p.data + b"\0\0\0\1\x0c" + bytes([255]) * 100_000) for p in packets]
    with Sender(outlet, heavy, haste=20) as sender:
        wait_until(lambda: outlet.packets_written > 20, within_s=30, what="the push's first packets")
        server.pause()
        wait_until(lambda: sender.error, within_s=20, what="the stall to be noticed")
    server.resume()
    assert "took no data" in str(sender.error) or "cannot be written" in str(sender.error)
    assert sender.slowest_s < 1 + 1 + 8  # opening included
    assert not children() - {str(server.pid)}


def test_signals_that_end_a_whole_group_leave_the_end_to_the_parent(
    rtsp_server: Callable[..., RtspServer], silent: Encoded
) -> None:
    parameters, packets = silent
    server = rtsp_server("--record", "out")
    before = children()
    with outlet_to(server.push_url("out"), parameters) as outlet:
        outlet.write(packets[0])
        (push,) = children() - before
        for number in (signal.SIGTERM, signal.SIGINT):
            os.kill(int(push), number)
            time.sleep(0.05)
        for packet in packets[1:]:
            outlet.write(packet)
    wait_until(lambda: "PUSH out ends" in server.log(), within_s=5, what="a proper end of the push")


def test_rtmp_is_taken_by_a_listener(tmp_path: Path, sounding: Encoded) -> None:
    parameters, packets = sounding
    url = f"rtmp://127.0.0.1:{free_port()}/live/geheim"
    command = ["ffmpeg", "-v", "error", "-listen", "1", "-i", url, "-c", "copy", "-y", str(tmp_path / "got.mkv")]
    listener = subprocess.Popen(command, stdin=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    try:
        outlet = outlet_to(url, parameters)

        def connected() -> bool:
            outlet.reopen()
            try:
                outlet.write(packets[1] if packets[1].starts else next(p for p in packets if p.starts))
            except OutputError as error:
                assert "geheim" not in str(error)
                return False
            return True

        wait_until(connected, within_s=15, what="the listener")
        for packet in packets[2:]:
            outlet.write(packet)
        outlet.close()
        listener.wait(10)
    finally:
        listener.kill()
        listener.wait()
    _, indices, sound = look(tmp_path / "got.mkv")
    assert indices == expected(0, 200)
    assert sound > 300


def test_a_push_ends_with_its_parent(tmp_path: Path, rtsp_server: Callable[..., RtspServer]) -> None:
    server = rtsp_server("--record", "out")
    code = KILLED.replace('"/a.mkv", "/b.mp4", "/c.ts", "/live/d.m3u8"', "").replace('"/e_%03d.mkv"', '""')
    child = subprocess.Popen([sys.executable, "-c", code, server.push_url("out")], stdout=subprocess.PIPE, text=True)
    assert child.stdout is not None
    assert next(index for index in map(int, child.stdout) if index >= 30)
    child.kill()
    child.wait()
    child.stdout.close()
    wait_until(lambda: "PUSH out ends" in server.log(), within_s=10, what="the push to end with its process")
