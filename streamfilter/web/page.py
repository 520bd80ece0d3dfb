"""The files of the page, and the headers that all answers carry."""

from __future__ import annotations

import html
from http import HTTPStatus
from pathlib import Path

from aiohttp import web

FOLDER = Path(__file__).parent
FILES = {
    "/": ("page.html", "text/html"),
    "/page.css": ("page.css", "text/css"),
    "/page.js": ("page.js", "text/javascript"),
    "/tile.js": ("tile.js", "text/javascript"),
    "/timeline.js": ("timeline.js", "text/javascript"),
    "/pictures.js": ("pictures.js", "text/javascript"),
}

HEADERS = {
    "Content-Security-Policy": (
        "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self' data:; connect-src 'self'; "
        "base-uri 'none'; form-action 'self'; frame-ancestors 'none'"
    ),
    "Cache-Control": "no-store",
    "Cross-Origin-Opener-Policy": "same-origin",
    "Cross-Origin-Resource-Policy": "same-origin",
    "Referrer-Policy": "no-referrer",
    "X-Content-Type-Options": "nosniff",
    "X-Frame-Options": "DENY",
}

ASK = """<!doctype html>
<html lang="en">
<head>
<meta charset="utf-8">
<meta name="viewport" content="width=device-width, initial-scale=1">
<title>streamfilter: token</title>
<link rel="icon" href="data:,">
<link rel="stylesheet" href="/page.css">
</head>
<body>
<main class="page ask">
<p class="kicker">streamfilter</p>
<h1>{headline}</h1>
<form method="get" action="/">
<label for="token">Token</label>
<input id="token" name="token" type="password" autocomplete="current-password" required autofocus>
<button type="submit">Open</button>
</form>
</main>
</body>
</html>
"""


def ask_for_token(status: HTTPStatus, headline: str) -> web.Response:
    """A page that asks for the token and says why."""
    text = ASK.format(headline=html.escape(headline))
    return web.Response(status=status, text=text, content_type="text/html", headers={"WWW-Authenticate": "Bearer"})


async def file(request: web.Request) -> web.Response:
    """One of the page's files."""
    name, kind = FILES[request.path]
    return web.Response(body=(FOLDER / name).read_bytes(), content_type=kind, charset="utf-8")


async def add_headers(_: web.Request, response: web.StreamResponse) -> None:
    """Give an answer the headers that all carry; `Server` would tell versions."""
    response.headers.update(HEADERS)
    response.headers["Server"] = "streamfilter"
