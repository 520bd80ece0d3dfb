"""The pieces of a section on the page: its numbers, tables and pictures."""

from __future__ import annotations

import base64
import re
from collections.abc import Sequence
from itertools import groupby

import cv2
import numpy as np

from streamfilter.audit.report.markup import Child, Html, tag
from streamfilter.audit.report.scales import Scale
from streamfilter.audit.section import Cell, Figure, Picture, Table
from streamfilter.audit.wording import (
    amount,
    bare_amount,
    column_texts,
    counted,
    interval,
    is_number,
    kept,
    limit,
    limit_number,
    plural,
    suffix,
)
from streamfilter.errors import OutputError
from streamfilter.structures import Image

SHORT_TABLE = 10
FEW_FIGURES = 6
MOST_ROWS = 300
SHORT_CELL = 28
JPEG_QUALITY = 90
STRIP = 2.2  # pictures at least this many times as wide as high get a row of their own
_GAUGE = 200.0


def judged_figures(figures: Sequence[Figure]) -> Child:
    """Figures with a limit, each large."""
    cards = [_card(figure) for figure in figures if figure.limit is not None]
    return tag("div", cards, class_="cards") if cards else None


def _card(figure: Figure) -> Html:
    state = kept(figure).replace(" ", "-")
    return tag(
        "div",
        tag("p", figure.label, class_="card-label"),
        tag("p", bare_amount(figure.value, figure.unit), _unit(figure), class_="card-value"),
        _gauge(figure),
        tag("p", tag("span", kept(figure), class_="state"), f" {_limit_words(figure)}", class_="card-limit"),
        tag("p", _evidence(figure), class_="card-evidence") if _evidence(figure) else None,
        tag("p", figure.note, class_="note") if figure.note else None,
        class_=f"card {state}",
    )


def _unit(figure: Figure) -> Child:
    words = suffix(figure.value, figure.unit)
    return tag("span", words, class_="unit") if words else None


def _limit_words(figure: Figure) -> str:
    return f"limit: {limit(figure)}"


def _evidence(figure: Figure) -> str:
    """Interval and count."""
    between = f"95 % interval {interval(figure)}" if interval(figure) else ""
    return " · ".join(filter(None, (between, counted(figure))))


def _gauge(figure: Figure) -> Child:
    """The value and its interval as a bar, the limit as a stroke across it."""
    bound = limit_number(figure)
    if figure.value is None or bound is None or not np.isfinite(figure.value):
        return None
    low = figure.value if figure.low is None else figure.low
    high = figure.value if figure.high is None else figure.high
    reach = [value for value in (0.0, figure.value, bound, low, high) if np.isfinite(value)]
    first, last = min(reach), max(max(reach) + 0.2 * (max(reach) - min(reach)), min(reach) + 1e-9)
    if first < 0:
        first -= 0.1 * (last - first)
    scale = Scale(low=first, high=last, start=0.0, end=_GAUGE)
    at = [scale(value) for value in (low, high, figure.value, bound)]
    return tag(
        "svg",
        tag("rect", x=0, y=8, width=_GAUGE, height=2, class_="gauge-ground"),
        tag("rect", x=at[0], y=5, width=max(at[1] - at[0], 0.0), height=8, class_="gauge-interval"),
        tag("rect", x=max(at[2] - 1.5, 0), y=3, width=3, height=12, class_="gauge-value"),
        tag("rect", x=max(at[3] - 0.5, 0), y=0, width=1, height=18, class_="gauge-limit"),
        viewBox=f"0 0 {_GAUGE:g} 18",
        preserveAspectRatio="none",
        aria_hidden="true",
        class_="gauge",
    )


def other_figures(figures: Sequence[Figure]) -> Child:
    """Figures without a limit, a line each; many are folded."""
    lines = [_line(figure) for figure in figures if figure.limit is None]
    listed = tag("dl", lines, class_="figures") if lines else None
    if len(lines) <= FEW_FIGURES:
        return listed
    return tag("details", _summary("Further numbers", plural(len(lines), "number")), listed, class_="table")


def _summary(title: str, count: str) -> Html:
    return tag("summary", tag("span", title), tag("span", count, class_="count"))


def _line(figure: Figure) -> Html:
    notes = [tag("span", words, class_="note") for words in (_evidence(figure), figure.note) if words]
    value = tag("span", amount(figure.value, figure.unit), class_="value")
    return tag("div", tag("dt", figure.label), tag("dd", value, notes))


def table(value: Table) -> Html:
    """A table that scrolls by itself; a long one is folded, and cut where a page would no longer be read."""
    if len(value.rows) <= SHORT_TABLE:
        return tag("div", tag("h3", value.title), _sheet(value), _table_notes(value), class_="table")
    heading = _summary(value.title, plural(len(value.rows), "row"))
    return tag("details", heading, _sheet(value), _table_notes(value), class_="table")


def _table_notes(value: Table) -> list[Html]:
    hidden = len(value.rows) - MOST_ROWS
    cut = f"{plural(hidden, 'more row')} in the JSON report." if hidden > 0 else ""
    return [tag("p", words, class_="note") for words in (value.note, cut) if words]


def _sheet(value: Table) -> Html:
    if not value.rows:
        return tag("p", "Nothing to list.", class_="note")
    rows = value.rows[:MOST_ROWS]
    numeric = [_numeric([row[at] for row in rows]) for at in range(len(value.columns))]
    columns = [column_texts([row[at] for row in rows]) for at in range(len(value.columns))]
    sides = ["number" if is_numeric else None for is_numeric in numeric]
    heads = [tag("th", name, scope="col", class_=side) for name, side in zip(value.columns, sides, strict=True)]
    body = [_row([column[at] for column in columns], sides) for at in range(len(rows))]
    sheet = tag("table", tag("thead", tag("tr", heads)), tag("tbody", body))
    return tag("div", sheet, class_="scroll", tabindex="0", role="region", aria_label=value.title)


def _row(cells: Sequence[str], sides: Sequence[str | None]) -> Html:
    first = tag("th", tag("bdi", cells[0]), scope="row", class_=sides[0])
    rest = [tag("td", cell, class_=side or _length(cell)) for cell, side in zip(cells[1:], sides[1:], strict=True)]
    return tag("tr", first, rest)


def _length(cell: str) -> str | None:
    return "long" if len(cell) > SHORT_CELL else None


def _numeric(cells: Sequence[Cell]) -> bool:
    return any(map(is_number, cells)) and all(cell is None or is_number(cell) for cell in cells)


def pictures(values: Sequence[Picture], *, include_originals: bool) -> Child:
    """The pictures that may be shown, and how many may not."""
    shown = [one for one in values if include_originals or not one.original]
    hidden = len(values) - len(shown)
    sets = [[_picture(one) for one in alike] for _, alike in groupby(shown, key=_set)]
    several = [tag("div", one, class_="set") if len(one) > 1 else one for one in sets]
    grid = tag("div", several, class_="pictures") if shown else None
    return [grid, tag("p", left_out(hidden), class_="note hidden-pictures") if hidden else None]


def _set(picture: Picture) -> str:
    """Pictures that follow one another and whose names end in the same number show the same moment."""
    number_of_set = re.search(r"\d+$", picture.name)
    return number_of_set[0] if number_of_set else picture.name


def left_out(count: int) -> str:
    """What a reader is told about pictures that are not shown."""
    what = "an original face and was" if count == 1 else "original faces and were"
    return f"{plural(count, 'picture')} may show {what} left out; streamfilter audit --include-originals puts them in."


def _picture(picture: Picture) -> Html:
    height, width = picture.image.shape[:2]
    shape = "strip" if width >= STRIP * height else None
    data = f"data:image/jpeg;base64,{base64.b64encode(jpeg(picture.image)).decode()}"
    image = tag("img", src=data, alt=picture.caption, width=str(width), height=str(height))
    mark = [tag("span", "original", class_="original-mark"), " "] if picture.original else None
    return tag("figure", image, tag("figcaption", mark, picture.caption), class_=shape)


def jpeg(image: Image) -> bytes:
    """An RGB picture as the bytes of a JPEG file.

    Raises:
        OutputError: It cannot be encoded.
    """
    turned = cv2.cvtColor(np.ascontiguousarray(image), cv2.COLOR_RGB2BGR)
    fine, data = cv2.imencode(".jpg", turned, [cv2.IMWRITE_JPEG_QUALITY, JPEG_QUALITY])
    if not fine:
        raise OutputError(f"a picture of shape {image.shape} cannot be encoded as JPEG; leave out the page")
    return data.tobytes()


def rows_of(name: str, title: str, columns: tuple[str, ...], rows: Sequence[Sequence[Cell]], note: str = "") -> Html:
    """A table from plain rows; none where there are no rows."""
    whole = Table(name=name, title=title, columns=columns, rows=tuple(map(tuple, rows)), note=note)
    return table(whole) if rows else Html("")
