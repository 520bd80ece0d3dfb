"""Answers that go on: pictures as MJPEG, the pictures of many cameras in one answer, and news of their states.

A slow reader skips pictures; one that takes nothing for `WRITE_TIMEOUT_S` is hung up on. None waits for another.
"""

from __future__ import annotations

import asyncio
import json
import socket
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from http import HTTPStatus

from aiohttp import web
from multidict import MultiMapping

from streamfilter.web.as_json import Teller
from streamfilter.web.bell import Bells
from streamfilter.web.gallery import Camera, Gallery, Shown
from streamfilter.web.pictures import Pictures

MAX_STREAMS = 256
MAX_FPS = 30.0
DEFAULT_FPS = 12.0
WRITE_TIMEOUT_S = 10.0
NEWS_EVERY_S = 1.0
NEWS_SPACING_S = 0.2
_LOOK_S = 1.0  # how soon a stream without news finds that its reader is gone
_SEND_BUFFER = 256 * 1024  # little is under way to a slow reader, so what it sees is recent
_PIECE = 64 * 1024
_BOUNDARY = b"--frame\r\n"


@dataclass(frozen=True)
class Wish:
    """What a viewer asks for: about `width` pixels (None: native), at most `fps` pictures a second."""

    width: int | None
    fps: float

    @classmethod
    def of(cls, query: MultiMapping[str]) -> Wish:
        """Read `?width=` and `?fps=`.

        Raises:
            HTTPBadRequest: One of them is no number, or out of range.
        """
        try:
            width = int(query["width"]) if "width" in query else None
            fps = float(query.get("fps", DEFAULT_FPS))
        except ValueError:
            raise web.HTTPBadRequest(text="width and fps must be numbers") from None
        if (width is not None and not 16 <= width <= 8192) or not 0.1 <= fps <= MAX_FPS:
            raise web.HTTPBadRequest(text=f"width must lie between 16 and 8192, fps between 0.1 and {MAX_FPS:g}")
        return cls(width, fps)


class Streams:
    """The handlers, and the streams that are open."""

    def __init__(self, gallery: Gallery, bells: Bells) -> None:
        self._gallery, self._bells = gallery, bells
        self.pictures = Pictures()
        self._open: set[asyncio.Task[object]] = set()

    async def jpg(self, request: web.Request) -> web.Response:
        """The newest picture of one camera."""
        name, camera = self._camera(request)
        if camera.shown is None:
            raise web.HTTPServiceUnavailable(text=f"{name} has no picture yet", headers={"Retry-After": "1"})
        body = self.pictures.jpeg(name, camera.shown, Wish.of(request.query).width)
        return web.Response(body=body, content_type="image/jpeg")

    async def mjpg(self, request: web.Request) -> web.StreamResponse:
        """The pictures of one camera, as browsers and players know them."""
        (name, _), wish = self._camera(request), Wish.of(request.query)
        async with self._stream(request, "multipart/x-mixed-replace; boundary=frame") as response:
            await _write(response, _BOUNDARY)
            async for _name, jpeg in self._newest(request, [name], wish):
                head = f"Content-Type: image/jpeg\r\nContent-Length: {len(jpeg)}\r\n\r\n".encode()
                # Browsers show a part when the next one's boundary comes, so it is sent at once.
                await _write(response, head + jpeg + b"\r\n" + _BOUNDARY)
        return response

    async def many(self, request: web.Request) -> web.StreamResponse:
        """The pictures of the cameras named by `?camera=`, each after a line of JSON: its camera and its size.

        One answer for all, because a browser opens no more than six connections to a server.
        """
        names, wish = request.query.getall("camera", []), Wish.of(request.query)
        async with self._stream(request, "application/octet-stream") as response:
            async for name, jpeg in self._newest(request, names, wish):
                head = json.dumps({"camera": name, "size": len(jpeg)}) + "\n"
                await _write(response, head.encode() + jpeg)
        return response

    async def events(self, request: web.Request) -> web.StreamResponse:
        """States and counters as server-sent events: once a second, and at once when a state changes."""
        teller = Teller(self._gallery)
        async with self._stream(request, "text/event-stream") as response:
            await _write(response, b"retry: 1000\n\n")
            while _is_there(request):
                last_ring = self._bells.states.last
                await _write(response, f"data: {json.dumps(teller.news())}\n\n".encode())
                await asyncio.sleep(NEWS_SPACING_S)
                await self._bells.states.after(last_ring, NEWS_EVERY_S - NEWS_SPACING_S)
        return response

    async def close(self, _: web.Application) -> None:
        """End all streams."""
        ending = [task for task in self._open if task is not asyncio.current_task()]
        for task in ending:
            task.cancel()
        if ending:
            await asyncio.wait(ending, timeout=1.0)

    @asynccontextmanager
    async def _stream(self, request: web.Request, kind: str) -> AsyncIterator[web.StreamResponse]:
        """An answer that is begun, counted, and ended whatever becomes of it."""
        if len(self._open) >= MAX_STREAMS:
            raise web.HTTPServiceUnavailable(text="too many viewers", headers={"Retry-After": "5"})
        task = asyncio.current_task()
        assert task is not None
        self._open.add(task)
        response = web.StreamResponse(status=HTTPStatus.OK, headers={"Content-Type": kind})
        try:
            _keep_little_under_way(request)
            await response.prepare(request)
            yield response
        except (ConnectionError, TimeoutError):
            _hang_up(request)
        except asyncio.CancelledError:
            _hang_up(request)
            raise
        finally:
            self._open.discard(task)

    async def _newest(self, request: web.Request, names: list[str], wish: Wish) -> AsyncIterator[tuple[str, bytes]]:
        """Every camera's newest picture, each once, at the pace that the viewer wished for."""
        self.pictures.keep_only(set(self._gallery.cameras()))
        seen: dict[str, Shown] = {}
        clock = asyncio.get_running_loop().time
        while _is_there(request):
            started_s = clock()
            for name, shown in self._unseen(names, seen).items():
                seen[name] = shown
                yield name, self.pictures.jpeg(name, shown, wish.width)
            await asyncio.sleep(max(0.0, started_s + 1 / wish.fps - clock()))
            await self._bells.pictures.until(lambda: self._unseen(names, seen) or None, _LOOK_S)

    def _unseen(self, names: list[str], seen: dict[str, Shown]) -> dict[str, Shown]:
        found = {name: self._gallery.find(name) for name in names}
        return {
            name: camera.shown
            for name, camera in found.items()
            if camera and camera.shown and camera.shown is not seen.get(name)
        }

    def _camera(self, request: web.Request) -> tuple[str, Camera]:
        name = request.match_info["name"]
        camera = self._gallery.find(name)
        if camera is None:
            raise web.HTTPNotFound(text="there is no such camera")
        return name, camera


async def _write(response: web.StreamResponse, data: bytes) -> None:
    """In pieces, so that a reader has `WRITE_TIMEOUT_S` for each of them and not for a whole picture."""
    for start in range(0, len(data), _PIECE):
        async with asyncio.timeout(WRITE_TIMEOUT_S):
            await response.write(data[start : start + _PIECE])


def _is_there(request: web.Request) -> bool:
    return request.transport is not None and not request.transport.is_closing()


def _keep_little_under_way(request: web.Request) -> None:
    sock = request.transport.get_extra_info("socket") if request.transport else None
    if sock is not None:
        sock.setsockopt(socket.SOL_SOCKET, socket.SO_SNDBUF, _SEND_BUFFER)


def _hang_up(request: web.Request) -> None:
    """At once: a reader that takes nothing would not take a farewell either."""
    if request.transport is not None:
        request.transport.abort()
