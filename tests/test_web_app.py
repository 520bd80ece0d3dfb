"""What the page's server answers, how it treats slow readers, and what it leaves behind."""

from __future__ import annotations

import http.client
import json
import os
import socket
import threading
import time
from collections.abc import Callable, Iterator
from dataclasses import replace
from typing import Any

import cv2
import numpy as np
import pytest
from prometheus_client.parser import text_string_to_metric_families

from streamfilter.errors import OutputError, ProtectionError
from streamfilter.pipeline.sink_status import SinkState
from streamfilter.stream_state import LiveCounters, StreamState
from streamfilter.structures import Frame, Image
from streamfilter.web import Gallery, WebServer
from streamfilter.web.gallery import STALE_S
from streamfilter.web.history import HISTORY_S
from streamfilter.web.pictures import Pictures, fitting_width
from tests.web_kit import drawn, event, live, safe, sink


def until(ready: Callable[[], object], within_s: float = 5.0) -> None:
    deadline_s = time.monotonic() + within_s
    while not ready():
        assert time.monotonic() < deadline_s, "it did not come in time"
        time.sleep(0.01)


@pytest.fixture
def gallery() -> Gallery:
    return Gallery()


@pytest.fixture
def server(gallery: Gallery) -> Iterator[WebServer]:
    with WebServer(gallery, port=0) as server:
        yield server


def fetch(server: WebServer, path: str) -> tuple[int, bytes]:
    connection = http.client.HTTPConnection("127.0.0.1", server.port, timeout=5)
    connection.request("GET", path)
    answer = connection.getresponse()
    body = answer.read()
    connection.close()
    return answer.status, body


def fetch_json(server: WebServer, path: str) -> Any:
    return json.loads(fetch(server, path)[1])


def decoded(jpeg: bytes) -> Image:
    return np.asarray(cv2.cvtColor(cv2.imdecode(np.frombuffer(jpeg, np.uint8), cv2.IMREAD_COLOR), cv2.COLOR_BGR2RGB))


class Clock:
    def __init__(self) -> None:
        self.now_s = 100.0

    def __call__(self) -> float:
        return self.now_s


# What may be shown.


class Disguised:
    """Has all that a safe frame has."""

    def __init__(self) -> None:
        self.__dict__.update({name: getattr(safe(), name) for name in safe().__slots__})


def raw() -> Frame:
    return Frame(drawn(0), 0, 0, safe().time_base)


@pytest.mark.parametrize("unsafe", [raw(), drawn(0), Disguised(), None, b"jpeg", "picture"])
def test_only_a_safe_frame_can_be_shown(gallery: Gallery, server: WebServer, unsafe: object) -> None:
    with pytest.raises(ProtectionError, match="only a SafeFrame"):
        gallery.show("yard", unsafe)  # type: ignore[arg-type]
    assert fetch(server, "/camera/yard.jpg")[0] == 404


def test_the_picture_is_the_newest_in_its_colours(gallery: Gallery, server: WebServer) -> None:
    for index in range(3):
        gallery.show("yard", safe(index))
    picture = decoded(fetch(server, "/camera/yard.jpg")[1])
    assert picture.shape == (180, 320, 3)
    assert np.abs(picture.astype(int) - drawn(2).astype(int)).mean() < 4


@pytest.mark.parametrize(
    ("wish", "native", "expected"),
    [(None, 700, 700), (300, 700, 320), (321, 700, 480), (650, 700, 700), (9999, 64, 64)],
)
def test_pictures_come_in_a_few_widths_and_are_never_enlarged(wish: int | None, native: int, expected: int) -> None:
    assert fitting_width(wish, native) == expected


def test_a_picture_is_encoded_once_for_all_and_only_if_somebody_looks(gallery: Gallery) -> None:
    pictures = Pictures()
    for index in range(50):
        gallery.show("yard", safe(index))
    camera = gallery.find("yard")
    assert pictures.encoded == 0 and camera is not None and camera.shown is not None
    for wish in (160, 150, 160, None, 320):
        pictures.jpeg("yard", camera.shown, wish)
    assert pictures.encoded == 2
    pictures.keep_only(set())
    pictures.jpeg("yard", camera.shown, 160)
    assert pictures.encoded == 3


@pytest.mark.parametrize("query", ["width=x", "width=0", "width=99999", "fps=0", "fps=1000", "fps=nan", "width=1e3"])
def test_wishes_out_of_range_are_refused(gallery: Gallery, server: WebServer, query: str) -> None:
    gallery.show("yard", safe())
    for path in ("/camera/yard.jpg", "/camera/yard.mjpg", "/pictures"):
        assert fetch(server, f"{path}?{query}")[0] == 400


def test_a_camera_without_a_picture_says_so(gallery: Gallery, server: WebServer) -> None:
    gallery.status("yard", live())
    assert fetch(server, "/camera/yard.jpg")[0] == 503
    assert fetch(server, "/camera/nobody.mjpg")[0] == 404


def test_no_address_leads_out_of_the_page(server: WebServer) -> None:
    for path in ("/app.py", "/../pyproject.toml", "/camera/..%2f..%2fetc%2fpasswd.jpg", "/page.py", "/camera/"):
        assert fetch(server, path)[0] == 404


# Streams.


class Reader:
    """Reads the pictures of a stream."""

    def __init__(self, server: WebServer, path: str, *, buffer: int | None = None) -> None:
        self.socket = socket.create_connection(("127.0.0.1", server.port), timeout=5)
        if buffer:
            self.socket.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, buffer)
        self.socket.sendall(f"GET {path} HTTP/1.0\r\nHost: localhost\r\n\r\n".encode())
        self._data = self.socket.makefile("rb")
        self.head = self.lines()

    def lines(self) -> list[bytes]:
        return list(iter(lambda: self._data.readline().strip(), b""))

    def part(self) -> bytes:
        """The next part of a MJPEG stream."""
        head = dict(line.split(b": ") for line in self.lines() if b": " in line)
        body = self._data.read(int(head[b"Content-Length"]))
        self._data.readline()
        return body

    def of_many(self) -> tuple[str, bytes]:
        head = json.loads(self._data.readline())
        return head["camera"], self._data.read(head["size"])

    def news(self) -> Any:
        while not (line := self._data.readline()).startswith(b"data: "):
            assert line, "the stream has ended"
        return json.loads(line[6:])

    def close(self) -> None:
        self._data.close()
        self.socket.close()


@pytest.fixture
def reader(server: WebServer) -> Iterator[Callable[..., Reader]]:
    opened: list[Reader] = []

    def read(path: str, **how: Any) -> Reader:
        opened.append(Reader(server, path, **how))
        return opened[-1]

    yield read
    for one in opened:
        one.close()


def test_a_stream_brings_each_new_picture_at_once(gallery: Gallery, reader: Callable[..., Reader]) -> None:
    gallery.show("yard", safe(0))
    stream = reader("/camera/yard.mjpg?fps=30")
    assert decoded(stream.part()).shape == (180, 320, 3)
    for index in range(1, 6):
        time.sleep(0.05)
        started_s = time.monotonic()
        gallery.show("yard", safe(10 * index))
        assert np.abs(decoded(stream.part()).astype(int) - drawn(10 * index)).mean() < 4
        assert time.monotonic() - started_s < 0.5


def test_a_stream_waits_for_a_camera_without_a_picture(gallery: Gallery, reader: Callable[..., Reader]) -> None:
    gallery.status("yard", live())
    stream = reader("/camera/yard.mjpg")
    gallery.show("yard", safe(3))
    assert stream.part().startswith(b"\xff\xd8")


def test_a_stream_is_no_faster_than_wished(gallery: Gallery, reader: Callable[..., Reader]) -> None:
    gallery.show("yard", safe(0))
    stream = reader("/camera/yard.mjpg?fps=10")
    over = threading.Event()

    def show() -> None:
        while not over.wait(0.005):
            gallery.show("yard", safe(1))

    shower = threading.Thread(target=show)
    shower.start()
    started_s = time.monotonic()
    for _ in range(6):
        stream.part()
    duration_s = time.monotonic() - started_s
    over.set()
    shower.join()
    assert duration_s >= 0.45


def test_many_cameras_come_in_one_answer(gallery: Gallery, reader: Callable[..., Reader]) -> None:
    for name in ("yard", "Front door"):
        gallery.show(name, safe())
    stream = reader("/pictures?camera=yard&camera=Front+door&camera=nobody&width=160")
    first = dict([stream.of_many(), stream.of_many()])
    assert {name: decoded(jpeg).shape for name, jpeg in first.items()} == dict.fromkeys(
        ("yard", "Front door"), (90, 160, 3)
    )
    gallery.show("yard", safe(1))
    assert stream.of_many()[0] == "yard"


def test_a_slow_reader_skips_and_holds_nobody_up(gallery: Gallery, reader: Callable[..., Reader]) -> None:
    noise = np.random.default_rng(0).integers(0, 255, (480, 640, 3), np.uint8)  # some 400 kB as JPEG
    gallery.show("yard", safe(image=noise))
    slow = reader("/camera/yard.mjpg?fps=30", buffer=65536)
    quick = reader("/camera/yard.mjpg?fps=30")
    shown_s = 0.0
    for index in range(40):
        started_s = time.monotonic()
        gallery.show("yard", safe(index, image=noise))
        shown_s = max(shown_s, time.monotonic() - started_s)
        assert len(quick.part()) > 100_000
    assert shown_s < 0.05, "no camera waits for a viewer"
    gallery.show("yard", safe(99))
    read = 1
    while decoded(slow.part()).shape != (180, 320, 3):
        read += 1
    assert read < 12, "the slow one gets to the newest soon"


def test_news_come_at_once_and_each_event_and_second_once(gallery: Gallery, reader: Callable[..., Reader]) -> None:
    gallery.status("yard", live())
    stream = reader("/events")
    first = stream.news()["cameras"][0]
    assert (first["name"], first["state"], first["well"], len(first["events"])) == ("yard", "live", True, 1)
    quiet = stream.news()["cameras"][0]
    assert "events" not in quiet and len(quiet["seconds"]) <= 1
    lost = event(StreamState.RECONNECTING, "read timed out")
    changed_s = time.monotonic()
    gallery.status("yard", live(state=StreamState.RECONNECTING, events=(lost,)))
    while (told := stream.news()["cameras"][0])["state"] != "reconnecting":
        pass
    assert time.monotonic() - changed_s < 1
    assert [one["reason"] for one in told["events"]] == ["read timed out"] and not told["well"]


def test_a_camera_that_is_forgotten_is_gone(gallery: Gallery, server: WebServer) -> None:
    gallery.show("yard", safe())
    gallery.forget("yard")
    assert fetch(server, "/camera/yard.jpg")[0] == 404
    assert fetch_json(server, "/api/status")["cameras"] == []


# Health, history, metrics.


def test_health_needs_a_camera(server: WebServer) -> None:
    assert fetch(server, "/healthz")[0] == 503


@pytest.mark.parametrize(
    ("state", "gave_up", "expected"),
    [
        (StreamState.LIVE, False, 200),
        (StreamState.ENDED, False, 200),
        (StreamState.ENDED, True, 503),
        (StreamState.CONNECTING, False, 503),
        (StreamState.STALLED, False, 503),
        (StreamState.RECONNECTING, False, 503),
    ],
)
def test_health_is_that_of_the_worst_camera(
    gallery: Gallery, server: WebServer, state: StreamState, gave_up: bool, expected: int
) -> None:
    gallery.status("door", live())
    gallery.status("yard", live(state=state, gave_up=gave_up))
    status, body = fetch(server, "/healthz")
    assert status == expected
    each = json.loads(body)["cameras"]
    assert each["door"]["ok"] and each["yard"] == {"ok": expected == 200, "state": str(state), "silent_s": 0}


def test_a_camera_that_tells_nothing_any_more_is_not_well() -> None:
    clock = Clock()
    gallery = Gallery(clock)
    gallery.status("yard", live())
    gallery.status("old", live(state=StreamState.ENDED))
    clock.now_s += STALE_S + 1
    yard, old = gallery.find("yard"), gallery.find("old")
    assert yard and old and gallery.well(old) and not gallery.well(yard)
    assert gallery.silent_s(yard) == STALE_S + 1


def seconds(gallery: Gallery) -> list[tuple[int, int, int, int, bool]]:
    told = gallery.cameras()["yard"].told
    assert told
    return [(one.at, one.replaced, one.covered, one.blanked, one.no_signal) for one in told.seconds]


def test_counts_fall_into_the_second_in_which_they_were_told() -> None:
    clock = Clock()
    gallery = Gallery(clock)
    gallery.status("yard", live(counters=LiveCounters(replaced=5)))
    clock.now_s += 0.5
    gallery.status("yard", live(counters=LiveCounters(replaced=9, covered=1)))
    clock.now_s += 1
    gallery.status("yard", live(counters=LiveCounters(replaced=9, covered=3, blanked=2)))
    assert seconds(gallery) == [(0, 9, 1, 0, False), (1, 0, 2, 2, False)]


def test_a_loss_lasts_until_the_signal_is_back() -> None:
    clock = Clock()
    gallery = Gallery(clock)
    for state, wait_s in (
        (StreamState.LIVE, 2),
        (StreamState.STALLED, 3),
        (StreamState.LIVE, 1),
        (StreamState.LIVE, 0),
    ):
        gallery.status("yard", live(state=state))
        clock.now_s += wait_s
    assert [one[-1] for one in seconds(gallery)] == [False, False, True, True, True, True, False][:6] + [False]


def test_a_camera_started_anew_counts_from_nought() -> None:
    gallery = Gallery(Clock())
    gallery.status("yard", live(counters=LiveCounters(read=90, covered=50)))
    gallery.status("yard", live(counters=LiveCounters(read=3, covered=2)))
    assert seconds(gallery) == [(0, 0, 52, 0, False)]


def test_history_is_ten_minutes_long_even_after_a_long_silence() -> None:
    clock = Clock()
    gallery = Gallery(clock)
    for wait_s in (*[1] * 700, 5000, 1):
        gallery.status("yard", live())
        clock.now_s += wait_s
        assert len(seconds(gallery)) <= HISTORY_S
    ats = [one[0] for one in seconds(gallery)]
    assert len(ats) == HISTORY_S and ats == list(range(ats[0], ats[0] + HISTORY_S))


def metrics(server: WebServer) -> dict[tuple[str, ...], float]:
    text = fetch(server, "/metrics")[1].decode()
    return {
        (sample.name, *sample.labels.values()): sample.value
        for family in text_string_to_metric_families(text)
        for sample in family.samples
    }


def test_metrics_hold_what_was_told(gallery: Gallery, server: WebServer) -> None:
    counters = LiveCounters(read=1, dropped=2, protected=3, blanked=4, cards=5, replaced=6, covered=7, reconnects=8)
    sinks = (sink("a.mkv", written=11), sink("b", SinkState.RETRYING, dropped=3), sink("b", written=4))
    gallery.status("yard", live(counters=counters, sinks=sinks))
    found = metrics(server)
    names = ("frames_read", "frames_dropped", "frames_protected", "frames_blanked", "cards", "faces_replaced")
    told = [found[f"streamfilter_{name}_total", "yard"] for name in (*names, "faces_covered", "reconnects")]
    assert told == [1, 2, 3, 4, 5, 6, 7, 8]
    assert found["streamfilter_fps", "yard"] == 20 and found["streamfilter_camera_live", "yard"] == 1
    assert [found["streamfilter_sink_open", "yard", name] for name in ("a.mkv", "b", "b (2)")] == [1, 0, 1]
    assert found["streamfilter_sink_written_total", "yard", "b (2)"] == 4


def test_latency_is_counted_from_arrival_and_not_for_frozen_pictures_and_cards(
    gallery: Gallery, server: WebServer
) -> None:
    frozen = safe(late_s=0.07)
    for frame in (frozen, frozen, frozen, replace(safe(), captured_s=None), safe(late_s=0.0)):
        gallery.show("yard", frame)
    found = metrics(server)
    assert found["streamfilter_latency_seconds_count", "yard"] == 2
    assert 0.07 <= found["streamfilter_latency_seconds_sum", "yard"] < 0.2
    buckets = [value for key, value in found.items() if key[0].endswith("_bucket")]
    assert buckets == sorted(buckets) and buckets[-1] == 2


def test_openmetrics_is_spoken_too(gallery: Gallery, server: WebServer) -> None:
    gallery.status("yard", live())
    connection = http.client.HTTPConnection("127.0.0.1", server.port, timeout=5)
    connection.request("GET", "/metrics", headers={"Accept": "application/openmetrics-text; version=1.0.0"})
    answer = connection.getresponse()
    assert answer.headers["Content-Type"].startswith("application/openmetrics-text")
    assert answer.read().endswith(b"# EOF\n")
    connection.close()


# Start and stop.


def descriptors() -> int:
    return len(os.listdir("/proc/self/fd"))


def web_threads() -> list[str]:
    return [thread.name for thread in threading.enumerate() if thread.name == "web"]


def test_the_port_is_free_again_and_nothing_is_left(gallery: Gallery) -> None:
    gallery.show("yard", safe())
    before = descriptors()
    server = WebServer(gallery, port=0)
    for _ in range(3):
        server.start()
        streams = [Reader(server, path) for path in ("/camera/yard.mjpg", "/events", "/pictures?camera=yard")]
        started_s = time.monotonic()
        server.stop()
        assert time.monotonic() - started_s < 2
        server.stop()
        with pytest.raises(OSError):
            socket.create_connection(("127.0.0.1", server.port), timeout=1)
        for stream in streams:
            stream.close()
    assert web_threads() == [] and descriptors() == before
    gallery.show("yard", safe(1))
    gallery.status("yard", live())
    assert gallery._listeners == ()


def test_a_taken_port_is_one_clear_line(gallery: Gallery, server: WebServer) -> None:
    before = descriptors()
    with pytest.raises(OutputError, match=f"port {server.port}: .*in use"):
        WebServer(gallery, port=server.port).start()
    assert web_threads() == ["web"] and descriptors() == before


@pytest.mark.parametrize("host", ["203.0.113.9", "a..b", "a\0b"])
def test_an_unknown_host_is_one_clear_line(gallery: Gallery, host: str) -> None:
    with pytest.raises(OutputError, match="name another port or host"):
        WebServer(gallery, host=host, port=0, token="x" * 20).start()
    assert web_threads() == []


def test_a_hundred_viewers_come_and_go(gallery: Gallery, server: WebServer) -> None:
    gallery.status("yard", live())
    gallery.show("yard", safe())
    threads, before = threading.active_count(), descriptors()
    kinds = ("/camera/yard.mjpg", "/events", "/pictures?camera=yard", "/camera/yard.mjpg?width=160&fps=30")
    viewers = [Reader(server, kinds[number % 4]) for number in range(100)]
    for index in range(5):
        gallery.show("yard", safe(index))
        time.sleep(0.02)
    assert threading.active_count() == threads, "viewers cost no threads"
    assert descriptors() >= before + 200, "one at each end"
    for viewer in viewers:
        viewer.close()
    until(lambda: descriptors() <= before)
    assert fetch(server, "/healthz")[0] == 200


def test_more_viewers_than_can_be_served_are_told(gallery: Gallery, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("streamfilter.web.stream.MAX_STREAMS", 2)
    gallery.show("yard", safe())
    with WebServer(gallery, port=0) as server:
        first, second = Reader(server, "/camera/yard.mjpg"), Reader(server, "/events")
        assert fetch(server, "/camera/yard.mjpg")[0] == 503
        first.close()
        gallery.show("yard", safe(1))
        until(lambda: fetch_status(server) == 200)
        second.close()


def fetch_status(server: WebServer) -> int:
    third = Reader(server, "/camera/yard.mjpg")
    third.close()
    return int(third.head[0].split()[1])


def test_a_reader_that_takes_nothing_is_hung_up_on(gallery: Gallery, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("streamfilter.web.stream.WRITE_TIMEOUT_S", 0.3)
    noise = np.random.default_rng(0).integers(0, 255, (720, 1280, 3), np.uint8)
    with WebServer(gallery, port=0) as server:
        gallery.show("yard", safe(image=noise))
        before = descriptors()
        dead = Reader(server, "/camera/yard.mjpg?fps=30", buffer=4096)

        def only_its_own_end_is_left() -> bool:
            gallery.show("yard", safe(image=noise))
            time.sleep(0.05)
            return descriptors() == before + 1

        until(only_its_own_end_is_left)
        dead.close()
