"""The web application: which address gives what. All of it reads the gallery, and none of it anything else."""

from __future__ import annotations

import asyncio
import logging
from http import HTTPStatus

from aiohttp import web
from prometheus_client import CollectorRegistry
from prometheus_client.exposition import choose_encoder

from streamfilter.web.access import Door, Handler, middleware_of
from streamfilter.web.as_json import health, overview
from streamfilter.web.bell import Bells
from streamfilter.web.gallery import Gallery
from streamfilter.web.metrics import registry_of
from streamfilter.web.page import FILES, add_headers, file
from streamfilter.web.stream import Streams

_log = logging.getLogger(__name__)


def make_app(gallery: Gallery, door: Door) -> web.Application:
    """The application; call it within the event loop that will run it."""
    bells = Bells()
    streams, numbers = Streams(gallery, bells), Numbers(gallery)
    app = web.Application(middlewares=[_name_failures, middleware_of(door)], client_max_size=1024)
    app.on_response_prepare.append(add_headers)
    for path in FILES:
        app.router.add_get(path, file)
    app.router.add_get("/healthz", numbers.healthz)
    app.router.add_get("/api/status", numbers.status)
    app.router.add_get("/metrics", numbers.metrics)
    app.router.add_get("/camera/{name}.jpg", streams.jpg)
    app.router.add_get("/camera/{name}.mjpg", streams.mjpg, allow_head=False)
    app.router.add_get("/pictures", streams.many, allow_head=False)
    app.router.add_get("/events", streams.events, allow_head=False)
    stop_listening = gallery.listen(bells)

    async def leave(_: web.Application) -> None:
        stop_listening()

    app.on_shutdown.extend([leave, streams.close])
    return app


class Numbers:
    """The handlers without pictures."""

    def __init__(self, gallery: Gallery) -> None:
        self._gallery = gallery
        self._registry: CollectorRegistry = registry_of(gallery)

    async def healthz(self, _: web.Request) -> web.Response:
        """200 if every camera is live or ended on purpose."""
        well, about = health(self._gallery)
        return web.json_response(about, status=HTTPStatus.OK if well else HTTPStatus.SERVICE_UNAVAILABLE)

    async def status(self, _: web.Request) -> web.Response:
        """All that the page shows, as JSON."""
        return web.json_response(overview(self._gallery))

    async def metrics(self, request: web.Request) -> web.Response:
        """For Prometheus, in the format that it asks for."""
        encode, kind = choose_encoder(request.headers.get("Accept", ""))
        return web.Response(body=encode(self._registry), headers={"Content-Type": kind})


@web.middleware
async def _name_failures(request: web.Request, handler: Handler) -> web.StreamResponse:
    """A handler that fails is named without its address: that may carry a token."""
    try:
        return await handler(request)
    except (web.HTTPException, asyncio.CancelledError, ConnectionError):
        raise
    except Exception as error:
        _log.warning("the page could not answer: %s", type(error).__name__)
        raise web.HTTPInternalServerError(text="something went wrong here") from error
