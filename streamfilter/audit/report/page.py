"""The report as one page that needs nothing else: no network, no script; its content policy forbids both."""

from __future__ import annotations

import base64
import hashlib
from pathlib import Path

from streamfilter.audit.report.blocks import judged_figures, left_out, other_figures, pictures, table
from streamfilter.audit.report.conclusion import advice, besides, heading, headline, material, question
from streamfilter.audit.report.document import AuditReport, verdict_of
from streamfilter.audit.report.markup import Child, Html, tag
from streamfilter.audit.report.method import method
from streamfilter.audit.report.plots import draw
from streamfilter.audit.report.whole_file import write_whole
from streamfilter.audit.section import Section, Verdict

STYLE = Path(__file__).with_name("page.css")

PUBLISHED = "This page shows original faces. Do not publish it, and do not pass it on without need."


def write_page(report: AuditReport, path: Path, *, include_originals: bool = False) -> None:
    """Write the page; pictures of original faces only if asked for. A file of that name is replaced.

    Raises:
        OutputError: It cannot be written.
    """
    write_whole(path, page(report, include_originals=include_originals))


def page(report: AuditReport, *, include_originals: bool = False) -> str:
    """The whole page as HTML."""
    style = STYLE.read_text("utf-8")
    body = tag("main", _content(report, include_originals), class_="page")
    return "<!doctype html>\n" + tag("html", _head(report, style), tag("body", body), lang="en") + "\n"


def _head(report: AuditReport, style: str) -> Html:
    digest = base64.b64encode(hashlib.sha256(style.encode()).digest()).decode()
    policy = f"default-src 'none'; img-src data:; style-src 'sha256-{digest}'; base-uri 'none'; form-action 'none'"
    return tag(
        "head",
        tag("meta", charset="utf-8"),
        tag("meta", http_equiv="Content-Security-Policy", content=policy),
        tag("meta", name="viewport", content="width=device-width, initial-scale=1"),
        tag("meta", name="color-scheme", content="light dark"),
        tag("meta", name="robots", content="noindex"),
        tag("meta", name="referrer", content="no-referrer"),
        tag("title", f"Audit of {report.result}: {verdict_of(report)}"),
        tag("link", rel="icon", href="data:,"),
        tag("style", Html(style)),
    )


def _content(report: AuditReport, include_originals: bool) -> Child:
    shows = include_originals and any(one.original for section in report.sections for one in section.pictures)
    return [
        tag("p", PUBLISHED, class_="danger", role="alert") if shows else None,
        _banner(report, include_originals),
        _warnings(report),
        [_section(section, report, include_originals) for section in report.sections],
        method(report),
    ]


def _banner(report: AuditReport, include_originals: bool) -> Html:
    verdict = verdict_of(report)
    hidden = sum(one.original for section in report.sections for one in section.pictures)
    names = [tag("bdi", report.original), tag("span", " → ", class_="arrow"), tag("bdi", report.result)]
    return tag(
        "header",
        tag("p", "Anonymisation audit", tag("span", f"{report.made_at.day} {report.made_at:%B %Y}"), class_="kicker"),
        tag("h1", headline(report)),
        tag("p", advice(report), class_="advice"),
        [tag("p", line, class_="besides") for line in besides(report)],
        tag("p", names, class_="names"),
        tag("p", material(report), class_="material"),
        tag("p", left_out(hidden), class_="note") if hidden and not include_originals else None,
        tag("ol", [_score(section, report) for section in report.sections], class_="scores"),
        class_=f"banner {_css(verdict)}",
    )


def _score(section: Section, report: AuditReport) -> Html:
    demanded = None if section.name in report.demanded else tag("span", "not demanded", class_="not-demanded")
    return tag(
        "li",
        tag("p", _stamp(section.verdict), demanded, class_="score-verdict"),
        tag("p", tag("a", question(section) or section.title, href=f"#{_anchor(section)}"), class_="question"),
        tag("p", section.sentence, class_="score-sentence"),
        class_=_css(section.verdict),
    )


def _warnings(report: AuditReport) -> Child:
    if not report.warnings:
        return None
    lines = [tag("li", line) for line in report.warnings]
    return tag("aside", tag("h2", "Before you read on"), tag("ul", lines), class_="warnings")


def _section(section: Section, report: AuditReport, include_originals: bool) -> Html:
    anchor = _anchor(section)
    drawn = [draw(plot, f"{anchor}-{at}") for at, plot in enumerate(section.plots)]
    return tag(
        "section",
        _section_head(section, report),
        tag(
            "div",
            tag("p", section.sentence, class_="sentence"),
            judged_figures(section.figures),
            pictures(section.pictures, include_originals=include_originals),
            tag("div", drawn, class_="drawings") if drawn else None,
            other_figures(section.figures),
            [table(one) for one in section.tables],
            tag("ul", [tag("li", line) for line in section.notes], class_="notes") if section.notes else None,
        ),
        class_=f"section {_css(section.verdict)}",
        id=anchor,
    )


def _section_head(section: Section, report: AuditReport) -> Html:
    demanded = None if section.name in report.demanded else tag("p", "Not demanded: it does not decide.", class_="note")
    asked = question(section)
    return tag(
        "header",
        tag("p", _stamp(section.verdict)),
        tag("h2", heading(section)),
        tag("p", asked, class_="question") if asked else None,
        demanded,
        class_="section-head",
    )


def _stamp(verdict: Verdict) -> Html:
    return tag("span", str(verdict), class_="stamp")


def _css(verdict: Verdict) -> str:
    return verdict.name.lower()


def _anchor(section: Section) -> str:
    """Letters and digits only: it is part of links and of names inside drawings."""
    return "section-" + "".join(sign if sign.isascii() and sign.isalnum() else "-" for sign in section.name)
