"""Cameras made for tests: MJPEG over HTTP that can be told to fall silent, MPEG-TS over UDP, playlists, a dead port.

Pictures are those of `media_factory`: one grey level that tells their index.
"""

from __future__ import annotations

import functools
import http.server
import socket
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from fractions import Fraction
from pathlib import Path
from typing import Any

import av
import cv2
import numpy as np

from tests.media_factory import picture

BOUNDARY = b"--frame"
FPS = 50


def jpeg(index: int, size: tuple[int, int] = (64, 48)) -> bytes:
    return cv2.imencode(".jpg", picture(index, *size)[..., ::-1])[1].tobytes()


class MjpegCamera:
    """Serves MJPEG at `url`. Set its attributes while it runs.

    Attributes:
        silent: Connections stay open, and nothing is sent.
        fps, size: Of the pictures.
        per_connection: Pictures until it hangs up; 0: never.
        status: Any answer but 200 is given instead of pictures.
        raw: Pictures follow one another bare, without the parts' headings.
        spoil: Sends every third picture cut in half.
    """

    def __init__(self, *, login: str = "") -> None:
        self.silent = False
        self.fps = FPS
        self.raw = False
        self.size = (64, 48)
        self.per_connection = 0
        self.status = 200
        self.spoil = False
        self.connections = 0
        self.sent = 0
        self._login = login
        self._over = threading.Event()
        self._server: http.server.ThreadingHTTPServer | None = None
        self.port = 0

    def __enter__(self) -> MjpegCamera:
        self.start()
        return self

    def __exit__(self, *_: object) -> None:
        self.stop()

    @property
    def url(self) -> str:
        return f"http://{self._login and self._login + '@'}127.0.0.1:{self.port}/video"

    def start(self) -> None:
        self._over.clear()
        camera = self

        class Handler(http.server.BaseHTTPRequestHandler):
            def do_GET(self) -> None:
                camera._answer(self)

            def log_message(self, *_: Any) -> None:
                pass

        http.server.ThreadingHTTPServer.allow_reuse_address = True
        self._server = http.server.ThreadingHTTPServer(("127.0.0.1", self.port), Handler)
        self._server.daemon_threads = False
        self.port = self._server.server_port
        self._thread = threading.Thread(target=self._server.serve_forever, args=(0.02,))
        self._thread.start()

    def stop(self) -> None:
        """As a camera that is unplugged, but with a word of farewell."""
        self._over.set()
        assert self._server is not None
        self._server.shutdown()
        self._server.server_close()
        self._thread.join()

    def _answer(self, handler: http.server.BaseHTTPRequestHandler) -> None:
        self.connections += 1
        handler.send_response(self.status)
        kind = "video/x-motion-jpeg" if self.raw else "multipart/x-mixed-replace; boundary=frame"
        handler.send_header("Content-Type", kind)
        handler.end_headers()
        if self.status != 200:
            return
        with suppress(OSError):
            self._stream(handler)

    def _stream(self, handler: http.server.BaseHTTPRequestHandler) -> None:
        left = self.per_connection or -1
        while left and not self._over.wait(1 / self.fps):
            if self.silent:
                continue
            data = jpeg(self.sent, self.size)
            if self.spoil and self.sent % 3 == 0:
                data = data[: len(data) // 2]
            head = b"%s\r\nContent-Type: image/jpeg\r\nContent-Length: %d\r\n\r\n" % (BOUNDARY, len(data))
            handler.wfile.write(data if self.raw else head + data + b"\r\n")
            handler.wfile.flush()
            self.sent += 1
            left -= 1


@contextmanager
def udp_camera(
    port: int,
    *,
    codec: str = "libx264",
    first_pts_s: float = 10.0,
    key_every: int = 10,
    audio: bool = False,
    b_frames: int = 0,
) -> Iterator[None]:
    """Send MPEG-TS to a local port until the block ends; `first_pts_s`: where its time stamps begin."""
    over = threading.Event()
    asked = {"codec": codec, "first_pts_s": first_pts_s, "key_every": key_every, "b_frames": b_frames}
    thread = threading.Thread(target=_send, args=(port, over), kwargs={**asked, "with_audio": audio})
    thread.start()
    try:
        yield
    finally:
        over.set()
        thread.join()


def _send(
    port: int,
    over: threading.Event,
    *,
    codec: str,
    first_pts_s: float,
    key_every: int,
    with_audio: bool,
    b_frames: int,
) -> None:
    options = {"muxdelay": "0", "flush_packets": "1", "pat_period": "0.05"}
    with av.open(f"udp://127.0.0.1:{port}?pkt_size=1316", "w", format="mpegts", container_options=options) as output:
        # No key frames but those asked for: x264 takes 0 for that, the others a change of scene that never is.
        asked = {"g": str(key_every), "bf": str(b_frames), "sc_threshold": "1000000000"}
        if codec == "libx264":
            asked |= {"preset": "ultrafast", "sc_threshold": "0", **({} if b_frames else {"tune": "zerolatency"})}
        video: Any = output.add_stream(codec, rate=FPS, options=asked)
        video.width, video.height, video.pix_fmt = 64, 48, "yuv420p"
        sound: Any = output.add_stream("aac", rate=48_000) if with_audio else None
        start_s, index = time.monotonic(), 0
        while not over.wait(max(start_s + index / FPS - time.monotonic(), 0)):
            frame = av.VideoFrame.from_ndarray(picture(index, 64, 48), format="rgb24").reformat(format="yuv420p")
            frame.pts, frame.time_base = index + round(first_pts_s * FPS), Fraction(1, FPS)
            output.mux(video.encode(frame))
            if sound is not None:
                output.mux(sound.encode(_beep(index + round(first_pts_s * FPS))))
            index += 1


def _beep(index: int) -> av.AudioFrame:
    count = 48_000 // FPS
    wave = (np.sin(np.arange(count) / 10) * 8000).astype(np.float32) / 32768
    frame = av.AudioFrame.from_ndarray(np.stack([wave, wave]), format="fltp", layout="stereo")
    frame.sample_rate, frame.pts, frame.time_base = 48_000, index * count, Fraction(1, 48_000)
    return frame


@contextmanager
def served(folder: Path) -> Iterator[str]:
    """A folder over HTTP: its address."""

    class Handler(http.server.SimpleHTTPRequestHandler):
        def log_message(self, *_: Any) -> None:
            pass

    server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), functools.partial(Handler, directory=str(folder)))
    server.daemon_threads = False
    thread = threading.Thread(target=server.serve_forever, args=(0.02,))
    thread.start()
    try:
        yield f"http://127.0.0.1:{server.server_port}"
    finally:
        server.shutdown()
        server.server_close()
        thread.join()


@contextmanager
def silent_port() -> Iterator[int]:
    """A port where connections are taken and nothing is ever answered."""
    with socket.socket() as listener:
        listener.bind(("127.0.0.1", 0))
        listener.listen(8)
        yield int(listener.getsockname()[1])


@contextmanager
def in_thread(work: Callable[[], object]) -> Iterator[threading.Thread]:
    """Run beside the block, which must make it end."""
    thread = threading.Thread(target=work)
    thread.start()
    try:
        yield thread
    finally:
        thread.join(10)
        assert not thread.is_alive(), "the work beside the block did not end"
