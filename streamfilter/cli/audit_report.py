"""The report on the terminal: a verdict and a sentence per section, the figures that decide, and the overall line.

It says the same without colours, in a pipe, and on 80 columns.
"""

from __future__ import annotations

from collections.abc import Sequence

from rich.console import Console
from rich.padding import Padding
from rich.table import Table
from rich.text import Text

from streamfilter.audit.report.conclusion import advice, besides, heading, headline, material
from streamfilter.audit.report.document import AuditReport, verdict_of
from streamfilter.audit.section import Figure, Section, Verdict
from streamfilter.audit.wording import amount, clock, counted, interval, kept, limit, plain

STYLES = {Verdict.PASSED: "bold green", Verdict.FAILED: "bold red", Verdict.UNKNOWN: "bold yellow"}
_KEPT_STYLES = {True: "green", False: "red", None: "yellow"}
SHOWN_WITHOUT_LIMITS = 3


def print_report(report: AuditReport, console: Console) -> None:
    """Print the report; the last line is the verdict."""
    say(console, f"{report.original} -> {report.result}", style="bold")
    say(console, f"{material(report)}; audited in {clock(report.took_s)}", style="dim")
    for warning in report.warnings:
        say(console, f"warning: {warning}", style="yellow")
    for section in report.sections:
        _print_section(section, report, console)
    say(console, "")
    for line in besides(report):
        say(console, line)
    say(console, advice(report))
    console.print(_overall(report), highlight=False)


def say(console: Console, words: str, *, style: str = "", indent: int = 0) -> None:
    """Plain words, wrapped between them, with nothing after the last one of a line."""
    for line in Text(plain(words), style=style).wrap(console, console.width - indent):
        line.rstrip()
        console.print(Text(" " * indent) + line, highlight=False)


def _print_section(section: Section, report: AuditReport, console: Console) -> None:
    aside = "" if section.name in report.demanded else "  (not demanded)"
    title, verdict = plain(heading(section)), str(section.verdict).upper()
    line = Text.assemble((verdict, STYLES[section.verdict]), "  ", (title, "bold"))
    say(console, "")
    console.print(line.append(aside, style="dim"), highlight=False)
    say(console, section.sentence, indent=2)
    if shown := decisive(section.figures):
        console.print(Padding(_figures(shown), (0, 0, 0, 2), expand=False), highlight=False)


def decisive(figures: Sequence[Figure]) -> list[Figure]:
    """Those with a limit; where none has one, the first few."""
    return [figure for figure in figures if figure.limit is not None] or list(figures[:SHOWN_WITHOUT_LIMITS])


def _figures(figures: Sequence[Figure]) -> Table:
    table = Table(box=None, show_header=False, pad_edge=False, padding=(0, 2, 0, 0))
    for justify, ratio in (("left", 5), ("right", 3), ("left", 5), ("left", 4)):
        table.add_column(justify=justify, ratio=ratio, overflow="fold")  # type: ignore[arg-type]
    for figure in figures:
        state = Text(_limit(figure), style=_KEPT_STYLES[figure.kept] if figure.limit is not None else "")
        value = plain(amount(figure.value, figure.unit))
        table.add_row(Text(plain(figure.label)), Text(value, style="bold"), Text(_evidence(figure), style="dim"), state)
    return table


def _limit(figure: Figure) -> str:
    return plain(f"{kept(figure)}: {limit(figure)}") if figure.limit is not None else ""


def _evidence(figure: Figure) -> str:
    """Interval and count; where nothing was measured, why."""
    if figure.value is None:
        return plain(figure.note)
    between = f"({interval(figure)})" if interval(figure) else ""
    return plain(" ".join(filter(None, (between, counted(figure)))))


def _overall(report: AuditReport) -> Text:
    verdict = verdict_of(report)
    decided = ", ".join(report.demanded)
    words = f" {headline(report)}" + (f" (decided by: {decided})" if decided else "")
    return Text.assemble(("overall: ", "bold"), (str(verdict).upper(), STYLES[verdict]), plain(words))
