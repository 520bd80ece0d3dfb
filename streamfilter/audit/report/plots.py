"""Plots as inline SVG: curves, histograms and time lines. They need no script and follow the page's colours."""

from __future__ import annotations

import math
from collections.abc import Sequence
from itertools import pairwise

from streamfilter.audit.report import canvas
from streamfilter.audit.report.canvas import Area
from streamfilter.audit.report.markup import Html, join, tag
from streamfilter.audit.report.scales import Scale, extent, rounded_out, ticks
from streamfilter.audit.report.timeline import timeline
from streamfilter.audit.section import Plot, Series
from streamfilter.audit.wording import column_texts, number

WIDTH, HEIGHT = 380.0, 250.0
BELOW, RIGHT = 42.0, 12.0
MOST_POINTS = 600
DOTS = 30

Points = list[tuple[float, float]]


def draw(plot: Plot, key: str) -> Html:
    """A plot with title, legend and note; `key` is unique on the page."""
    drawing = timeline(plot, key) if plot.kind == "timeline" else _axes(plot, key)
    note = tag("p", plot.note, class_="note") if plot.note else None
    heading = tag("figcaption", plot.title)
    wide = " wide" if plot.kind == "timeline" else ""
    return tag("figure", heading, drawing, canvas.legend(plot), note, class_=f"drawing{wide}")


def _axes(plot: Plot, key: str) -> Html:
    bars = plot.kind == "bars"
    if not any(map(_points, plot.series)):
        nothing = canvas.text((0, 34), "Nothing measured.", anchor="start")
        return canvas.svg(plot, key, (WIDTH, 60), description(plot), nothing)
    low, high = rounded_out(*extent((y for one in plot.series for y in one.y), zero=bars), 5)
    rows = ticks(low, high, 5)
    words = column_texts(rows)
    top = 26 + canvas.marks_room(plot)
    area = Area(left=10 + max(map(len, words)) * canvas.SIGN, top=top, right=WIDTH - RIGHT, bottom=HEIGHT - BELOW)
    x = Scale(low=_x_extent(plot)[0], high=_x_extent(plot)[1], start=area.left, end=area.right)
    y = Scale(low=low, high=high, start=area.bottom, end=area.top)
    columns = ticks(x.low, x.high, 6)
    return canvas.svg(
        plot,
        key,
        (WIDTH, HEIGHT),
        description(plot),
        canvas.y_axis(area, y, rows, words, plot.y_label),
        [(_bars if bars else _curve)(one, x, y, f"s{at % canvas.COLOURS}") for at, one in enumerate(plot.series)],
        canvas.x_axis(area, x, columns, column_texts(columns), plot.x_label),
        canvas.marks(plot, area, x),
    )


def description(plot: Plot) -> str:
    """The plot in a sentence, for those who cannot see it."""
    series = "; ".join(filter(None, map(_series_in_words, plot.series))) or "nothing measured"
    marked = "".join(f"; marked: {name} at {number(place)}" for name, place in canvas.named_marks(plot))
    return f"{plot.y_label} over {plot.x_label}. {series}{marked}."


def _series_in_words(series: Series) -> str:
    points = _points(series)
    if not points:
        return ""
    values = [y for _, y in points]
    return f"{series.name}: {len(points)} values from {number(min(values))} to {number(max(values))}"


def _points(series: Series) -> Points:
    pairs = zip(series.x, series.y, strict=True)
    return [(float(x), float(y)) for x, y in pairs if math.isfinite(x) and math.isfinite(y)]


def _x_extent(plot: Plot) -> tuple[float, float]:
    marked = [place for _, place in plot.marks]
    if plot.kind != "bars":
        return extent([x for one in plot.series for x, _ in _points(one)] + marked)
    half = max(map(_bin_width, plot.series), default=0.0) / 2
    filled = [x for one in plot.series for x, y in _points(one) if y]
    return rounded_out(*extent([x + side for x in filled for side in (-half, half)] + marked), 6)


def _bin_width(series: Series) -> float:
    places = sorted({x for x, _ in _points(series)})
    return min((after - before for before, after in pairwise(places)), default=1.0)


def _bars(series: Series, x: Scale, y: Scale, colour: str) -> Html:
    """The outline of bars around the middles of their bins, filled thinly, so that several may lie over one another."""
    width, floor = _bin_width(series), y(0.0)
    pieces, reached = [], -math.inf
    for place, value in sorted(point for point in _points(series) if point[1]):
        left, right = place - width / 2, place + width / 2
        begin = "" if abs(left - reached) < 0.01 * width else f"V{floor:.1f}M{x(left):.1f} {floor:.1f}"
        pieces.append(f"{begin}V{y(value):.1f}H{x(right):.1f}")
        reached = right
    outline = "".join(pieces).removeprefix(f"V{floor:.1f}")
    return tag("path", d=f"{outline}V{floor:.1f}" if outline else "", class_=f"bars {colour}")


def _curve(series: Series, x: Scale, y: Scale, colour: str) -> Html:
    """A line, broken where nothing was measured; few points, and lone ones, are shown as dots as well."""
    pieces = [[(x(a), y(b)) for a, b in thinned(run, MOST_POINTS)] for run in _runs(series)]
    path = " ".join("M" + "L".join(f"{a:.1f} {b:.1f}" for a, b in run) for run in pieces if len(run) > 1)
    few = sum(map(len, pieces)) <= DOTS
    lone = [point for run in pieces if few or len(run) == 1 for point in run]
    dots = [tag("circle", cx=a, cy=b, r=2.6, class_=f"dot {colour}") for a, b in lone]
    return join(tag("path", d=path, class_=f"curve {colour}") if path else None, dots)


def _runs(series: Series) -> list[Points]:
    runs: list[Points] = [[]]
    for x, y in zip(series.x, series.y, strict=True):
        if math.isfinite(x) and math.isfinite(y):
            runs[-1].append((float(x), float(y)))
        elif runs[-1]:
            runs.append([])
    return [run for run in runs if run]


def thinned(points: Sequence[tuple[float, float]], most: int) -> Points:
    """At most about `most` points, in order: of each group its lowest and its highest, so that no peak is lost."""
    if len(points) <= most:
        return list(points)
    size = -(-2 * len(points) // most)
    groups = (range(start, min(start + size, len(points))) for start in range(0, len(points), size))
    ends = ((min(group, key=lambda at: points[at][1]), max(group, key=lambda at: points[at][1])) for group in groups)
    return [points[at] for pair in ends for at in sorted(set(pair))]
