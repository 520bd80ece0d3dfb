"""Who may look: on loopback this machine only, elsewhere whoever has the token."""

from __future__ import annotations

import hashlib
import hmac
import ipaddress
import secrets
import time
from collections import deque
from collections.abc import Awaitable, Callable
from http import HTTPStatus

from aiohttp import web
from aiohttp.typedefs import Middleware

from streamfilter.errors import ConfigError
from streamfilter.web.page import ask_for_token

MIN_TOKEN_LENGTH = 16
MAX_WRONG = 5
WRONG_WINDOW_S = 60.0
_MAX_ADDRESSES = 1024
_OPEN_PATHS = frozenset({"/page.css"})  # the page that asks for the token wears it

Handler = Callable[[web.Request], Awaitable[web.StreamResponse]]


def new_token() -> str:
    """A token that nobody guesses."""
    return secrets.token_urlsafe(24)


def is_loopback(host: str) -> bool:
    """Whether only this machine can reach `host`."""
    try:
        return ipaddress.ip_address(host.strip("[]")).is_loopback
    except ValueError:
        return host.lower() == "localhost"


def check_token(host: str, token: str | None) -> None:
    """Refuse to be reached from elsewhere without a token, or with one that can be guessed.

    Raises:
        ConfigError: So it would be.
    """
    if token is None and not is_loopback(host):
        raise ConfigError(f"{host} can be reached from elsewhere: set a token, or bind to 127.0.0.1")
    if token is not None and (len(token) < MIN_TOKEN_LENGTH or not token.isascii() or not token.isprintable()):
        raise ConfigError(f"the token must have at least {MIN_TOKEN_LENGTH} printable ASCII characters")


class WrongTokens:
    """Counts wrong tokens by address; who sent `MAX_WRONG` within `WRONG_WINDOW_S` must wait."""

    def __init__(self, clock: Callable[[], float] = time.monotonic) -> None:
        self._clock = clock
        self._times: dict[str, deque[float]] = {}

    def add(self, address: str) -> None:
        """Count one; the address that was quiet for longest makes room for a new one."""
        times = self._times.pop(address, deque(maxlen=MAX_WRONG))
        times.append(self._clock())
        self._times[address] = times
        while len(self._times) > _MAX_ADDRESSES:
            del self._times[next(iter(self._times))]

    def wait_s(self, address: str) -> float:
        """How long the address must wait before its tokens are looked at again; 0: not at all."""
        times = self._times.get(address)
        if not times or len(times) < MAX_WRONG:
            return 0.0
        return max(0.0, times[0] + WRONG_WINDOW_S - self._clock())


class Door:
    """Lets a request in or answers it: wrong host, wrong origin, no token, wrong token, too many wrong tokens."""

    def __init__(self, host: str, token: str | None, clock: Callable[[], float] = time.monotonic) -> None:
        check_token(host, token)
        self._own_hosts_only = is_loopback(host)
        self._token = token
        self._key = secrets.token_bytes(32)
        self._wrong = WrongTokens(clock)

    async def answer(self, request: web.Request, handler: Handler) -> web.StreamResponse:
        """What the handler answers, if the request may come in."""
        self._refuse_other_sites(request)
        if self._token is None or request.path in _OPEN_PATHS or self._has_cookie(request):
            return self._without_token_in_address(request) or await handler(request)
        offered = _offered(request)
        if offered is None:
            return ask_for_token(HTTPStatus.UNAUTHORIZED, "This page needs its token.")
        return await self._judged(request, handler, offered)

    def _refuse_other_sites(self, request: web.Request) -> None:
        """Keep other sites' pages out, those too that have a name of their own for this machine (DNS rebinding)."""
        if self._own_hosts_only and not is_loopback(_host_name(request.host)):
            raise web.HTTPForbidden(text="This server answers to localhost and 127.0.0.1 only.")
        navigates = request.headers.get("Sec-Fetch-Mode") == "navigate" and "Sec-Fetch-User" in request.headers
        if request.headers.get("Sec-Fetch-Site", "none") not in {"same-origin", "none"} and not navigates:
            raise web.HTTPForbidden(text="Other sites may not look.")

    async def _judged(self, request: web.Request, handler: Handler, offered: str) -> web.StreamResponse:
        address = request.remote or ""
        if wait_s := self._wrong.wait_s(address):
            answer = ask_for_token(HTTPStatus.TOO_MANY_REQUESTS, f"Too many wrong tokens: wait {wait_s:.0f} seconds.")
            answer.headers["Retry-After"] = f"{wait_s:.0f}"
            return answer
        if not _same(offered, self._token or ""):
            self._wrong.add(address)
            return ask_for_token(HTTPStatus.UNAUTHORIZED, "That is not the token.")
        answer_ = self._without_token_in_address(request)
        if answer_ is None:
            return await handler(request)
        # Lax, not Strict: a Strict cookie would not be sent along by the redirect of a link in a chat or a mail.
        answer_.set_cookie(self._cookie_name(request), self._cookie(), httponly=True, samesite="Lax", path="/")
        return answer_

    def _without_token_in_address(self, request: web.Request) -> web.Response | None:
        """A redirect that takes the token out of a browser's address bar; None for other clients."""
        if "token" not in request.query or "text/html" not in request.headers.get("Accept", ""):
            return None
        # One slash: "//name" would be another host.
        clean = request.rel_url.without_query_params("token").with_path("/" + request.path.lstrip("/"), keep_query=True)
        return web.Response(status=HTTPStatus.SEE_OTHER, headers={"Location": str(clean)})

    def _has_cookie(self, request: web.Request) -> bool:
        """A wrong cookie is not counted: it is most likely that of an earlier run, and nobody guesses 256 bits."""
        return _same(request.cookies.get(self._cookie_name(request), ""), self._cookie())

    def _cookie(self) -> str:
        """Proves the token without telling it, and ends with this process."""
        return hmac.new(self._key, (self._token or "").encode(), hashlib.sha256).hexdigest()

    @staticmethod
    def _cookie_name(request: web.Request) -> str:
        """Browsers share cookies between ports, so the port is part of the name."""
        transport = request.transport
        port = transport.get_extra_info("sockname")[1] if transport else 0
        return f"streamfilter_{port}"


def middleware_of(door: Door) -> Middleware:
    """The door, as aiohttp wants it."""

    @web.middleware
    async def guarded(request: web.Request, handler: Handler) -> web.StreamResponse:
        return await door.answer(request, handler)

    return guarded


def _offered(request: web.Request) -> str | None:
    """The token that a request brings: in its query, or as a bearer's."""
    scheme, _, bearer = request.headers.get("Authorization", "").partition(" ")
    if scheme.lower() == "bearer":
        return bearer.strip()
    return request.query.get("token")


def _host_name(host: str) -> str:
    """Without the port: "localhost:8080", "127.0.0.1", "[::1]:8080"."""
    if host.startswith("["):
        return host.partition("]")[0].lstrip("[")
    return host.partition(":")[0]


def _same(one: str, other: str) -> bool:
    """In a time that tells nothing of where they differ, nor how long they are."""
    digests = [hashlib.sha256(text.encode("utf-8", "surrogateescape")).digest() for text in (one, other)]
    return hmac.compare_digest(*digests)
