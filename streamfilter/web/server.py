"""The page's server: an event loop in a thread of its own, beside the cameras."""

from __future__ import annotations

import logging
import os

from aiohttp import web

from streamfilter.errors import OutputError
from streamfilter.pipeline.web_thread import LoopThread
from streamfilter.web.access import Door, is_loopback
from streamfilter.web.app import make_app
from streamfilter.web.gallery import Gallery

STOP_S = 2.0

_log = logging.getLogger(__name__)
# Its records may quote requests, and requests may carry a token.
_silent = logging.getLogger(f"{__name__}.requests")
_silent.setLevel(logging.CRITICAL + 1)


class WebServer:
    """Shows a gallery at `host` and `port` (0: any free one); a context manager.

    Raises:
        ConfigError: `host` can be reached from elsewhere and there is no token, or one that can be guessed.
    """

    def __init__(self, gallery: Gallery, host: str = "127.0.0.1", port: int = 8080, token: str | None = None) -> None:
        self._gallery, self._host, self._port = gallery, host, port
        self._door = Door(host, token)
        self._thread: LoopThread | None = None
        self._runner: web.AppRunner | None = None

    @property
    def port(self) -> int:
        """The port; once started, the one that is bound."""
        return self._port

    @property
    def url(self) -> str:
        """Where to look, without the token."""
        host = "127.0.0.1" if self._host in {"", "0.0.0.0", "::"} else self._host
        return f"http://[{host}]:{self._port}/" if ":" in host else f"http://{host}:{self._port}/"

    def start(self) -> None:
        """Bind the port and answer.

        Raises:
            OutputError: The port is taken, or the host is not one of this machine's.
        """
        thread = LoopThread("web")
        thread.start()
        try:
            thread.run(self._open(), timeout_s=10.0)
        except (OSError, ValueError) as error:  # the latter for a host that is no name at all, such as `a..b`
            thread.stop()
            number = getattr(error, "errno", None) or 0
            reason = os.strerror(number) if number > 0 else "no such host"
            raise OutputError(
                f"the page cannot be served at {self._host} port {self._port}: {reason}; name another port or host"
            ) from error
        except BaseException:
            thread.stop()
            raise
        self._thread = thread
        _log.info("page at %s%s", self.url, "" if is_loopback(self._host) else " (with a token)")

    def stop(self) -> None:
        """Close all connections, free the port, join the thread; within `STOP_S`. Again: nothing."""
        thread, self._thread = self._thread, None
        if thread is None:
            return
        try:
            thread.run(self._close(), timeout_s=STOP_S)
        finally:
            thread.stop()

    def __enter__(self) -> WebServer:
        self.start()
        return self

    def __exit__(self, *_: object) -> None:
        self.stop()

    async def _open(self) -> None:
        runner = web.AppRunner(
            make_app(self._gallery, self._door), access_log=None, logger=_silent, shutdown_timeout=0.5,
            keepalive_timeout=30.0,
        )  # fmt: skip
        await runner.setup()
        try:
            site = web.TCPSite(runner, self._host, self._port, reuse_address=True)
            await site.start()
        except BaseException:
            await runner.cleanup()
            raise
        self._runner = runner
        self._port = runner.addresses[0][1]

    async def _close(self) -> None:
        runner, self._runner = self._runner, None
        if runner is not None:
            await runner.cleanup()
