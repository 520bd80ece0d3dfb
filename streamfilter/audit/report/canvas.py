"""What every drawing has: axes with round numbers, named marks, a legend, and a description for those who listen."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass

from streamfilter.audit.report.markup import Child, Html, join, tag
from streamfilter.audit.report.scales import Scale
from streamfilter.audit.section import Plot, Series
from streamfilter.audit.wording import clock, number

COLOURS = 6
SIGN = 6.8  # width of a letter of the drawings' font, on the generous side
MARKS_NAMED = 3
MARK_LENGTH = 22


@dataclass(frozen=True, kw_only=True)
class Area:
    """The inner part of a drawing, in its own units (about one pixel on a phone)."""

    left: float
    top: float
    right: float
    bottom: float


def svg(plot: Plot, key: str, size: tuple[float, float], description: str, *parts: Child, class_: str = "") -> Html:
    """The drawing; `key` is unique on the page."""
    width, height = size
    return tag(
        "svg",
        tag("title", plot.title, id=f"{key}-title"),
        tag("desc", description, id=f"{key}-desc"),
        *parts,
        viewBox=f"0 0 {width:g} {height:g}",
        role="img",
        aria_labelledby=f"{key}-title {key}-desc",
        class_=f"plot {class_}".strip(),
    )


def text(place: tuple[float, float], words: str, *, anchor: str = "middle", class_: str | None = None) -> Html:
    """A line of text; `place` is on its base line."""
    return tag("text", words, x=place[0], y=place[1], text_anchor=anchor, class_=class_)


def x_axis(area: Area, scale: Scale, values: Sequence[float], words: Sequence[str], label: str) -> Html:
    """Ticks below the area, and what they count; numbers that would touch are left out."""
    room = max((len(word) for word in words), default=1) * SIGN + 6
    apart = abs(scale(values[1]) - scale(values[0])) if len(values) > 1 else room
    every = max(1, -(-int(room) // max(int(apart), 1)))
    pieces = [tag("line", x1=area.left, x2=area.right, y1=area.bottom, y2=area.bottom, class_="axis")]
    for place, word in list(zip(map(scale, values), words, strict=True))[::every]:
        pieces.append(tag("line", x1=place, x2=place, y1=area.bottom, y2=area.bottom + 4, class_="axis"))
        pieces.append(text((place, area.bottom + 16), word))
    pieces.append(text(((area.left + area.right) / 2, area.bottom + 34), shortened(label, area.right), class_="label"))
    return join(pieces)


def y_axis(area: Area, scale: Scale, values: Sequence[float], words: Sequence[str], label: str) -> Html:
    """Grid lines across the area with their numbers on the left, and what they count above them."""
    pieces = []
    for place, word in zip(map(scale, values), words, strict=True):
        pieces.append(tag("line", x1=area.left, x2=area.right, y1=place, y2=place, class_="grid"))
        pieces.append(text((area.left - 6, place + 4), word, anchor="end"))
    pieces.append(text((0, 12), shortened(label, area.right), anchor="start", class_="label"))
    return join(pieces)


def named_marks(plot: Plot) -> list[tuple[str, float]]:
    """Marks whose names stand in the drawing: few, short, and each name once. The others are in the legend."""
    names = {name for name, _ in plot.marks}
    fits = len(names) == len(plot.marks) <= MARKS_NAMED and all(len(name) <= MARK_LENGTH for name in names)
    return list(plot.marks) if fits else []


def _listed_marks(plot: Plot) -> list[str]:
    """The other marks: a name that several share with their number, any other with its place."""
    if named_marks(plot):
        return []
    count = Counter(name for name, _ in plot.marks)
    places = {name: clock(at) if plot.kind == "timeline" else number(at) for name, at in plot.marks}
    return [f"{name} ({times})" if times > 1 else f"{name}: {places[name]}" for name, times in count.items()]


def is_level(plot: Plot, series: Series) -> bool:
    """Two points of one height beside other series of a time line: a level to compare with, not a measurement."""
    return plot.kind == "timeline" and len(plot.series) > 1 and len(series.y) == 2 and series.y[0] == series.y[1]


def marks_room(plot: Plot) -> float:
    """Height that the marks' names need above the area."""
    return 15.0 * len(named_marks(plot))


def marks(plot: Plot, area: Area, scale: Scale) -> Html:
    """Vertical lines; each name has a row of its own above the area, on the side where there is room."""
    pieces = [_mark_line(scale(place), area.top - 3, area.bottom) for _, place in plot.marks if not named_marks(plot)]
    for row, (name, value) in enumerate(named_marks(plot)):
        place, top = scale(value), area.top - marks_room(plot) + 15 * row
        pieces.append(_mark_line(place, top, area.bottom))
        right = place < (area.left + area.right) / 2
        room = area.right - place if right else place - area.left
        words = shortened(name, room - 6)
        anchor, x = ("start", place + 5) if right else ("end", place - 5)
        pieces.append(text((x, top + 9), words, anchor=anchor, class_="mark-name"))
    return join(pieces)


def _mark_line(place: float, top: float, bottom: float) -> Html:
    return tag("line", x1=place, x2=place, y1=top, y2=bottom, class_="mark")


def shortened(words: str, room: float) -> str:
    """As much of the text as fits: names that begin alike often end differently, so the middle goes."""
    most = max(int(room / SIGN), 4)
    if len(words) <= most:
        return words
    return f"{words[: most // 2].rstrip()}…{words[len(words) - (most - 1) // 2 :].lstrip()}"


def legend(plot: Plot) -> Child:
    """What the colours mean, below the drawing, where long names may wrap."""
    several = len(plot.series) > 1 and plot.kind != "timeline"  # whose lanes have names
    items = [_legend_item(f"s{at % COLOURS}", one.name) for at, one in enumerate(plot.series) if several and one.name]
    items += [_legend_item("mark", words) for words in _listed_marks(plot)]
    items += [_legend_item("level", f"{one.name}: {number(one.y[0])}") for one in plot.series if is_level(plot, one)]
    return tag("ul", items, class_="legend") if items else None


def _legend_item(colour: str, name: str) -> Html:
    return tag("li", tag("span", class_=f"swatch {colour}"), tag("span", name))
