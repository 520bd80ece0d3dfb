"""The live page in a real browser: tiles move, counters count, changes are seen and heard, nothing else is fetched."""

from __future__ import annotations

import re
import time
from collections.abc import Iterator
from dataclasses import dataclass, field

import pytest
from playwright.sync_api import Browser, Page, expect, sync_playwright

from streamfilter.pipeline.sink_status import SinkState
from streamfilter.stream_state import StreamState
from streamfilter.web import Gallery, WebServer
from tests.test_audit_page import CONTRAST
from tests.web_kit import ActedCameras, acted, sink

pytestmark = pytest.mark.browser

NAMES = ["Front door", "Yard", "Loading bay 2", "Stairs"]
TOKEN = "a-long-enough-token-0123"
CHANGE_MS = 2000
HIDE = "Object.defineProperty(document, 'hidden', {value: true}); document.dispatchEvent(new Event('visibilitychange'))"


@dataclass
class Opened:
    """A page, with all that the browser said and asked for."""

    page: Page
    said: list[str] = field(default_factory=list)
    asked: list[str] = field(default_factory=list)

    def watch(self) -> Opened:
        self.page.on("console", lambda message: self.said.append(message.text))
        self.page.on("pageerror", lambda error: self.said.append(str(error)))
        self.page.on("request", lambda request: self.asked.append(request.url))
        return self


@pytest.fixture(scope="module")
def browser(chromium: str) -> Iterator[Browser]:
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=chromium, args=["--no-sandbox"])
        yield browser
        browser.close()


@pytest.fixture
def gallery() -> Gallery:
    return Gallery()


@pytest.fixture
def cameras(gallery: Gallery) -> Iterator[ActedCameras]:
    with acted(gallery, NAMES) as cameras:
        yield cameras


@pytest.fixture
def server(gallery: Gallery) -> Iterator[WebServer]:
    with WebServer(gallery, port=0) as server:
        yield server


@pytest.fixture
def opened(browser: Browser, server: WebServer, cameras: ActedCameras) -> Iterator[Opened]:
    page = browser.new_page(viewport={"width": 1600, "height": 1000})
    found = Opened(page).watch()
    page.goto(server.url)
    expect(page.locator(".tile.has-picture")).to_have_count(4)
    yield found
    page.close()


def tile(page: Page, name: str) -> str:
    return f'[data-camera="{name}"]'


def test_every_tile_moves_and_the_browser_is_content(opened: Opened, server: WebServer) -> None:
    page = opened.page
    pictures = [page.locator(f"{tile(page, name)} canvas") for name in NAMES]
    before = [picture.screenshot() for picture in pictures]
    page.wait_for_timeout(400)
    after = [picture.screenshot() for picture in pictures]
    assert all(one != other for one, other in zip(before, after, strict=True))
    assert len(set(after)) == 4, "each tile shows its own camera"
    assert opened.said == []
    assert [url for url in opened.asked if not url.startswith((server.url, "data:"))] == []


def test_counters_count(opened: Opened) -> None:
    counter = opened.page.locator(f"{tile(opened.page, 'Yard')} [data-counter=replaced]")
    first = int(counter.inner_text().replace(",", ""))
    expect(counter).not_to_have_text(f"{first:,}", timeout=CHANGE_MS)
    assert int(counter.inner_text().replace(",", "")) > first
    expect(opened.page.locator(f"{tile(opened.page, 'Yard')} [data-figure=p95]")).to_have_text("94 ms")
    expect(opened.page.locator("h1")).to_have_text("All four cameras are live")


def test_a_state_change_is_seen_and_heard_within_two_seconds(opened: Opened, cameras: ActedCameras) -> None:
    page, yard = opened.page, tile(opened.page, "Yard")
    started_s = time.monotonic()
    cameras.change("Yard", StreamState.RECONNECTING, "no frame for 5 s")
    expect(page.locator(f"{yard} .tile-head .state")).to_have_text("Reconnecting", timeout=CHANGE_MS)
    expect(page.locator(f"{yard} .reason")).to_have_text("No frame for 5 s", timeout=100)
    assert time.monotonic() - started_s < 2
    expect(page.locator("h1")).to_have_text("Three of four cameras are live")
    heard = page.locator("[aria-live=polite]")
    expect(heard).to_contain_text("Yard: Reconnecting, no frame for 5 s.")
    expect(page.locator(f"{yard} .lane.no-signal path")).to_have_attribute("d", re.compile("M"))
    cameras.change("Yard", StreamState.LIVE, "")
    expect(page.locator(f"{yard} .tile-head .state")).to_have_text("Live", timeout=CHANGE_MS)
    expect(heard).to_contain_text("Yard: Live.")
    expect(page.locator(f"{yard} .reason")).to_be_hidden()


def test_sinks_and_their_troubles_are_shown(opened: Opened, cameras: ActedCameras) -> None:
    told = cameras.statuses["Stairs"]
    broken = sink(
        "rtmp://host/app", SinkState.RETRYING, written=7, dropped=1200, error="refused <b>by</b> rtmp://u:pw@host"
    )
    cameras.statuses["Stairs"] = type(told)(state=told.state, sinks=(sink("a.mkv", written=5), broken))
    rows = opened.page.locator(f"{tile(opened.page, 'Stairs')} .sink")
    expect(rows).to_have_count(2, timeout=CHANGE_MS)
    expect(rows.nth(1)).to_contain_text("Retrying")
    expect(rows.nth(1)).to_contain_text("7 written, 1,200 dropped")
    expect(rows.nth(1)).to_contain_text("Refused <b>by</b> rtmp://")
    expect(opened.page.locator("#advice")).to_have_text("A sink of Stairs is in trouble.")
    assert "pw" not in opened.page.content()


def test_a_tile_is_enlarged_with_the_keyboard(opened: Opened) -> None:
    page = opened.page
    page.locator(f"{tile(page, 'Yard')} .enlarge").focus()
    page.keyboard.press("Enter")
    expect(page.locator("#large")).to_be_visible()
    expect(page.locator("#large-name")).to_have_text("Yard")
    expect(page.locator("#large-events li").first).to_contain_text("Live")
    picture = page.locator("#large-picture")
    before = picture.screenshot()
    page.wait_for_timeout(400)
    assert picture.screenshot() != before
    page.keyboard.press("Escape")
    expect(page.locator("#large")).to_be_hidden()
    assert page.evaluate("document.activeElement.getAttribute('aria-label')") == "Enlarge Yard"
    assert opened.said == []


def test_a_camera_that_is_taken_off_leaves_the_page(opened: Opened, cameras: ActedCameras) -> None:
    cameras.take_off("Stairs")
    expect(opened.page.locator(".tile")).to_have_count(3, timeout=CHANGE_MS)
    expect(opened.page.locator("h1")).to_have_text("All three cameras are live")


def test_a_lost_server_is_told_and_found_again(browser: Browser, gallery: Gallery, cameras: ActedCameras) -> None:
    server = WebServer(gallery, port=0)
    server.start()
    page = browser.new_page()
    try:
        page.goto(server.url)
        expect(page.locator(".tile.has-picture").first).to_be_visible()
        server.stop()
        expect(page.get_by_role("alert")).to_contain_text("The connection to the server was lost", timeout=CHANGE_MS)
        server.start()
        expect(page.locator("#lost")).to_be_hidden(timeout=6000)
        expect(page.locator("#link")).to_have_text("Connected")
        before = page.locator("canvas").first.screenshot()
        page.wait_for_timeout(600)
        assert page.locator("canvas").first.screenshot() != before
    finally:
        page.close()
        server.stop()


def test_pictures_of_a_page_that_nobody_sees_are_not_fetched(opened: Opened, server: WebServer) -> None:
    """One connection for the news, one for all pictures: more would starve pages with many cameras."""
    streams = [url for url in opened.asked if "/pictures" in url or "/events" in url or ".mjpg" in url]
    assert any("/events" in url for url in streams) and not any(".mjpg" in url for url in streams)
    last = next(url for url in reversed(streams) if "/pictures" in url)
    assert last.count("camera=") == 4
    opened.page.evaluate(HIDE)
    before = opened.page.locator("canvas").first.screenshot()
    opened.page.wait_for_timeout(400)
    assert opened.page.locator("canvas").first.screenshot() == before


def test_the_token_does_not_stay_in_the_address_bar(browser: Browser, gallery: Gallery, cameras: ActedCameras) -> None:
    with WebServer(gallery, host="0.0.0.0", port=0, token=TOKEN) as server:
        page = browser.new_page()
        asked: list[str] = []
        page.on("request", lambda request: asked.append(request.url))
        page.goto(server.url)
        expect(page.locator("h1")).to_have_text("This page needs its token.")
        page.get_by_label("Token").fill(TOKEN)
        page.get_by_role("button", name="Open").click()
        expect(page.locator(".tile.has-picture").first).to_be_visible()
        assert page.url == server.url
        with_token = [at for at, url in enumerate(asked) if TOKEN in url]
        assert len(with_token) == 1 and len(asked) > with_token[0] + 5, "once, and never again"
        page.close()


@pytest.mark.parametrize("scheme", ["light", "dark"])
@pytest.mark.parametrize("width", [400, 1600])
def test_it_fits_and_can_be_read(
    browser: Browser, server: WebServer, cameras: ActedCameras, width: int, scheme: str
) -> None:
    cameras.change(
        "Yard", StreamState.STALLED, "no frame for 5 s from rtsp://a-host-with-a-rather-long-name.example/stream"
    )
    page = browser.new_page(viewport={"width": width, "height": 900}, color_scheme=scheme)  # type: ignore[arg-type]
    page.goto(server.url)
    expect(page.locator(".tile")).to_have_count(4)
    expect(page.locator(f"{tile(page, 'Yard')} .tile-head .state")).to_have_text("Stalled")
    assert page.evaluate("document.documentElement.scrollWidth <= window.innerWidth")
    for selector in ("h1", ".advice", ".state", ".reason", "dt", ".counters dd", ".lane-name", ".note", ".sink-counts"):
        assert page.evaluate(CONTRAST, selector) >= 4.5, selector
    smallest = (
        "Math.min(...[...document.querySelectorAll('.tile *')].map(one => parseFloat(getComputedStyle(one).fontSize)))"
    )
    assert page.evaluate(smallest) >= 12
    page.close()


def test_screen_readers_find_names_and_words(opened: Opened) -> None:
    page = opened.page
    expect(page.get_by_role("button", name="Enlarge Front door")).to_be_visible()
    expect(page.get_by_role("article", name="Front door")).to_be_visible()
    expect(page.get_by_role("heading", level=2, name="Front door")).to_be_visible()
    expect(page.locator(f"{tile(page, 'Front door')} .lane.covered .unseen")).to_contain_text("covered in")
    assert page.evaluate(
        "[...document.querySelectorAll('canvas')].every(one => one.getAttribute('aria-label') || !one.offsetParent)"
    )
