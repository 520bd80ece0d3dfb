"""Who may look at the page, and what no answer may ever contain."""

from __future__ import annotations

import http.client
import logging
import re
from collections.abc import Iterator

import pytest

from streamfilter.errors import ConfigError
from streamfilter.stream_state import StreamState
from streamfilter.web import Gallery, WebServer, new_token
from streamfilter.web.access import MAX_WRONG, WRONG_WINDOW_S, WrongTokens, is_loopback
from tests.web_kit import event, live, safe, sink

TOKEN = "a-long-enough-token-0123"
PATHS = ["/", "/healthz", "/metrics", "/camera/yard.jpg", "/api/status", "/page.js", "/nowhere"]
STREAMS = ["/camera/yard.mjpg", "/events", "/pictures?camera=yard"]


@pytest.fixture(scope="module")
def gallery() -> Gallery:
    gallery = Gallery()
    gallery.show("yard", safe())
    gallery.status("yard", live())
    return gallery


@pytest.fixture(scope="module")
def open_server(gallery: Gallery) -> Iterator[WebServer]:
    with WebServer(gallery, port=0) as server:
        yield server


@pytest.fixture
def guarded(gallery: Gallery) -> Iterator[WebServer]:
    with WebServer(gallery, host="0.0.0.0", port=0, token=TOKEN) as server:
        yield server


class Answer:
    """Status, headers and the beginning of what was answered."""

    def __init__(self, server: WebServer, path: str, headers: dict[str, str], method: str) -> None:
        connection = http.client.HTTPConnection("127.0.0.1", server.port, timeout=5)
        try:
            connection.request(method, path, headers=headers)
            answer = connection.getresponse()
            self.status, self.headers = answer.status, answer.headers
            goes_on = answer.headers.get("Transfer-Encoding") == "chunked"
            self.text = "" if goes_on else answer.read().decode("latin-1")
        finally:
            connection.close()


def ask(server: WebServer, path: str, method: str = "GET", **headers: str) -> Answer:
    return Answer(server, path, {name.replace("_", "-"): value for name, value in headers.items()}, method)


def cookie_of(answer: Answer) -> str:
    return answer.headers["Set-Cookie"].partition(";")[0]


@pytest.mark.parametrize(
    ("host", "expected"),
    [("127.0.0.1", True), ("127.9.9.9", True), ("::1", True), ("[::1]", True), ("localhost", True), ("LocalHost", True)]
    + [("0.0.0.0", False), ("", False), ("::", False), ("192.168.0.4", False), ("localhost.evil.example", False)],
)
def test_what_only_this_machine_can_reach(host: str, expected: bool) -> None:
    assert is_loopback(host) is expected


@pytest.mark.parametrize("host", ["0.0.0.0", "", "::", "192.168.0.4", "camera-host"])
def test_beyond_loopback_a_token_is_demanded(host: str) -> None:
    with pytest.raises(ConfigError, match="set a token"):
        WebServer(Gallery(), host=host)


@pytest.mark.parametrize("token", ["", "short", "x" * 15, "with a\nnew line in it", "ä" * 20])
def test_a_token_that_can_be_guessed_is_refused_and_not_named(token: str) -> None:
    with pytest.raises(ConfigError) as caught:
        WebServer(Gallery(), token=token)
    assert not token or token not in str(caught.value)


def test_new_tokens_are_long_and_never_the_same() -> None:
    tokens = {new_token() for _ in range(50)}
    assert len(tokens) == 50 and min(map(len, tokens)) >= 32
    WebServer(Gallery(), host="0.0.0.0", token=tokens.pop())


@pytest.mark.parametrize(
    "host", ["evil.example", "evil.example:8080", "127.0.0.1.evil.example", "[2001:db8::1]:80", ""]
)
def test_another_name_for_this_machine_is_refused(open_server: WebServer, host: str) -> None:
    for path in [*PATHS, *STREAMS]:
        assert ask(open_server, path, Host=host).status == 403, path


@pytest.mark.parametrize("host", ["localhost", "localhost:9", "127.0.0.1:80", "[::1]:8080"])
def test_its_own_names_are_taken(open_server: WebServer, host: str) -> None:
    assert ask(open_server, "/api/status", Host=host).status == 200


@pytest.mark.parametrize("site", ["cross-site", "same-site"])
def test_other_sites_cannot_embed_or_read(open_server: WebServer, site: str) -> None:
    for path in [*PATHS, *STREAMS]:
        assert ask(open_server, path, Sec_Fetch_Site=site, Sec_Fetch_Mode="no-cors").status == 403, path
    by_hand = ask(open_server, "/", Sec_Fetch_Site=site, Sec_Fetch_Mode="navigate", Sec_Fetch_User="?1")
    assert by_hand.status == 200, "a link may be followed"


@pytest.mark.parametrize("path", [*PATHS, *STREAMS])
def test_every_answer_carries_the_headers(open_server: WebServer, path: str) -> None:
    headers = ask(open_server, path).headers
    assert headers["Cache-Control"] == "no-store"
    assert headers["X-Content-Type-Options"] == "nosniff"
    assert headers["Referrer-Policy"] == "no-referrer"
    assert headers["Cross-Origin-Resource-Policy"] == "same-origin"
    assert "frame-ancestors 'none'" in headers["Content-Security-Policy"]
    assert "unsafe" not in headers["Content-Security-Policy"]
    assert "Access-Control-Allow-Origin" not in headers
    assert "Python" not in headers["Server"] and "aiohttp" not in headers["Server"]


@pytest.mark.parametrize("method", ["POST", "PUT", "DELETE", "PATCH"])
def test_nothing_can_be_changed(open_server: WebServer, method: str) -> None:
    for path in PATHS:
        assert ask(open_server, path, method).status in (404, 405)


@pytest.mark.parametrize("path", [*PATHS, *STREAMS])
def test_without_the_token_nothing_is_told(guarded: WebServer, path: str) -> None:
    for answer in (
        ask(guarded, path),
        ask(guarded, path, Cookie=f"streamfilter_{guarded.port}={TOKEN}"),
        ask(guarded, path, Cookie=f"streamfilter_{guarded.port}=" + "0" * 64),
        ask(guarded, path, Authorization="Bearer "),
    ):
        assert answer.status == 401
        assert "yard" not in answer.text and "<form" in answer.text


@pytest.mark.parametrize("path", [path for path in PATHS if path != "/nowhere"] + STREAMS)
def test_the_token_opens_every_door(guarded: WebServer, path: str) -> None:
    joint = "&" if "?" in path else "?"
    assert ask(guarded, path, Authorization=f"Bearer {TOKEN}").status == 200
    assert ask(guarded, f"{path}{joint}token={TOKEN}").status == 200


def test_a_browser_gets_a_cookie_and_an_address_without_the_token(guarded: WebServer) -> None:
    first = ask(guarded, f"/?token={TOKEN}&x=1", Accept="text/html")
    assert (first.status, first.headers["Location"]) == (303, "/?x=1")
    kept = first.headers["Set-Cookie"]
    assert "HttpOnly" in kept and "SameSite=Lax" in kept and TOKEN not in kept
    cookie = cookie_of(first)
    assert all(ask(guarded, path, Cookie=cookie).status == 200 for path in ("/", "/healthz", "/camera/yard.jpg"))
    again = ask(guarded, f"/?token={TOKEN}", Accept="text/html", Cookie=cookie)
    assert (again.status, again.headers["Location"]) == (303, "/")


def test_the_redirect_stays_here(guarded: WebServer) -> None:
    answer = ask(guarded, f"//evil.example/?token={TOKEN}", Accept="text/html")
    assert answer.status == 404 or answer.headers["Location"].startswith("/evil")


def test_a_cookie_is_worth_nothing_elsewhere(gallery: Gallery, guarded: WebServer) -> None:
    cookie = cookie_of(ask(guarded, f"/?token={TOKEN}", Accept="text/html"))
    with WebServer(gallery, token=TOKEN, port=0) as other:
        value = cookie.partition("=")[2]
        assert ask(other, "/", Cookie=f"streamfilter_{other.port}={value}").status == 401


def test_wrong_tokens_are_slowed_down(guarded: WebServer) -> None:
    cookie = cookie_of(ask(guarded, f"/?token={TOKEN}", Accept="text/html"))
    for _ in range(MAX_WRONG):
        assert ask(guarded, "/?token=wrong").status == 401
    refused = ask(guarded, f"/?token={TOKEN}")
    assert refused.status == 429, "or a right guess would show"
    assert 0 < int(refused.headers["Retry-After"]) <= WRONG_WINDOW_S
    assert ask(guarded, "/", Cookie=cookie).status == 200, "whoever is in stays in"


def test_a_stale_cookie_is_no_wrong_token(guarded: WebServer) -> None:
    for _ in range(3 * MAX_WRONG):
        ask(guarded, "/", Cookie=f"streamfilter_{guarded.port}=stale")
    assert ask(guarded, "/", Authorization=f"Bearer {TOKEN}").status == 200


def test_after_a_while_tokens_are_looked_at_again() -> None:
    now_s = 0.0
    wrong = WrongTokens(lambda: now_s)
    for _ in range(MAX_WRONG):
        assert wrong.wait_s("a") == 0
        wrong.add("a")
    assert wrong.wait_s("a") == WRONG_WINDOW_S and wrong.wait_s("b") == 0
    now_s = WRONG_WINDOW_S
    assert wrong.wait_s("a") == 0


def test_many_addresses_take_little_memory() -> None:
    wrong = WrongTokens()
    for number in range(5000):
        wrong.add(str(number))
    assert len(wrong._times) <= 1024


def test_no_credential_reaches_any_answer_or_log(caplog: pytest.LogCaptureFixture) -> None:
    secret = "s3cr3t-pw"
    gallery = Gallery()
    gallery.show("yard", safe())
    sinks = (sink(f"rtsp://me:{secret}@host/x", error=f"rtsp://me:{secret}@host/x refused"),)
    lost = event(StreamState.LIVE, f"http://host/x?token={secret} timed out")
    gallery.status("yard", live(sinks=sinks, events=(lost,)))
    with caplog.at_level(logging.DEBUG), WebServer(gallery, token=TOKEN, port=0) as server:
        bodies = [ask(server, path, Authorization=f"Bearer {TOKEN}").text for path in PATHS]
        ask(server, f"/nowhere?token={TOKEN}")
        ask(server, f"/camera/yard.jpg?width=x&token={TOKEN}")
    everything = "\n".join(bodies) + caplog.text
    assert "rtsp://" in everything, "the address itself is shown"
    assert secret not in everything and TOKEN not in caplog.text


def test_a_name_cannot_be_an_address() -> None:
    for name in ["rtsp://u:p@host/x", "../etc", "", "a/b", "x" * 65, "a\nb", '"><script>']:
        with pytest.raises(ConfigError, match="camera name") as caught:
            Gallery().show(name, safe())
        assert not re.search("u:p", str(caught.value))
