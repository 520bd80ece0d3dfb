"""The page in a real browser: nothing missing, nothing fetched, nothing wider than the window."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path

import pytest
from playwright.sync_api import Browser, Page, sync_playwright

from streamfilter.audit.report import write_page
from tests.audit_report_kit import NAUGHTY, example

pytestmark = pytest.mark.browser

WINDOWS = [(400, "light"), (1600, "light"), (400, "dark"), (1600, "dark")]


@dataclass
class Opened:
    """A page, with all that the browser said and asked for."""

    page: Page
    said: list[str] = field(default_factory=list)
    asked: list[str] = field(default_factory=list)


@pytest.fixture(scope="module")
def browser(chromium: str) -> Iterator[Browser]:
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=chromium, args=["--no-sandbox"])
        yield browser
        browser.close()


@pytest.fixture(scope="module")
def report_path(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("page") / "page.html"
    write_page(example(original=NAUGHTY), path, include_originals=True)
    return path


@pytest.fixture(params=WINDOWS, ids=lambda window: f"{window[0]}-{window[1]}", scope="module")
def opened(browser: Browser, report_path: Path, request: pytest.FixtureRequest) -> Iterator[Opened]:
    width, scheme = request.param
    page = browser.new_page(viewport={"width": width, "height": 900}, color_scheme=scheme)
    found = Opened(page)
    page.on("console", lambda message: found.said.append(message.text))
    page.on("pageerror", lambda error: found.said.append(str(error)))
    page.on("dialog", lambda dialog: found.said.append(dialog.message))
    page.on("request", lambda request: found.asked.append(request.url))
    page.goto(report_path.as_uri())
    yield found
    page.close()


def test_the_browser_has_nothing_to_say(opened: Opened) -> None:
    assert opened.said == []


def test_nothing_is_fetched(opened: Opened, report_path: Path) -> None:
    assert [url for url in opened.asked if not url.startswith("data:")] == [report_path.as_uri()]


def test_every_picture_is_there(opened: Opened) -> None:
    widths = opened.page.evaluate("Array.from(document.images, image => image.naturalWidth)")
    assert len(widths) == 13 and min(widths) > 0


def test_nothing_is_wider_than_the_window(opened: Opened) -> None:
    opened.page.evaluate("document.querySelectorAll('details').forEach(fold => fold.open = true)")
    assert opened.page.evaluate("document.documentElement.scrollWidth <= window.innerWidth")


def test_drawings_can_be_read(opened: Opened) -> None:
    sizes = opened.page.evaluate(
        "Array.from(document.querySelectorAll('svg.plot')).filter(one => one.getClientRects().length)"
        ".map(one => 12 * one.getBoundingClientRect().width / one.viewBox.baseVal.width)"
    )
    assert len(sizes) >= 5
    assert min(sizes) >= 10, "letters of at least 10 px"
    assert max(sizes) <= 20


def test_text_stands_out_from_the_paper(opened: Opened) -> None:
    """Contrast of the WCAG's level AA, for the words that carry the verdict and for the smallest ones."""
    for selector in (".stamp", ".advice", ".note", ".score-sentence", ".card-evidence", "h1"):
        assert opened.page.locator(selector).count() > 0, selector
        assert opened.page.evaluate(CONTRAST, selector) >= 4.5, selector


def test_it_can_be_read_with_a_keyboard(opened: Opened) -> None:
    page = opened.page
    page.keyboard.press("Tab")
    assert page.evaluate("document.activeElement.tagName") in ("A", "SUMMARY", "DIV")


CONTRAST = """selector => {
  const numbers = colour => colour.match(/[\\d.]+/g).map(Number);
  const light = colour => numbers(colour).slice(0, 3).map(part => part / 255)
    .map(part => part <= 0.04045 ? part / 12.92 : ((part + 0.055) / 1.055) ** 2.4)
    .reduce((sum, part, at) => sum + part * [0.2126, 0.7152, 0.0722][at], 0);
  const ground = element => {
    const colour = getComputedStyle(element).backgroundColor;
    return numbers(colour)[3] === 0 ? ground(element.parentElement) : colour;
  };
  return Math.min(...Array.from(document.querySelectorAll(selector), element => {
    const pair = [light(getComputedStyle(element).color), light(ground(element))].sort((a, b) => b - a);
    return (pair[0] + 0.05) / (pair[1] + 0.05);
  }));
}"""
