"""What happened when: a lane for each series, filled to its value (0..1) wherever something was measured."""

from __future__ import annotations

import math
from dataclasses import dataclass
from itertools import pairwise

from streamfilter.audit.report import canvas
from streamfilter.audit.report.canvas import Area
from streamfilter.audit.report.markup import Html, join, tag
from streamfilter.audit.report.scales import Scale, clock_texts, clock_ticks, extent
from streamfilter.audit.section import Plot, Series
from streamfilter.audit.wording import number, percent

SIZES = (("narrow", 380.0), ("broad", 860.0))
LANE, ONLY_LANE, NAME, GAP = 34.0, 76.0, 16.0, 8.0  # heights
THINNEST = 2.0  # one frame of an hour must still be seen
USUAL_STEPS = 3  # a longer gap between two measurements is shown as one


def timeline(plot: Plot, key: str) -> Html:
    """Drawn twice, for a phone and for a desk: the page shows the one that fits."""
    return join(_drawing(plot, f"{key}-{name}", width, name) for name, width in SIZES)


@dataclass(frozen=True, kw_only=True)
class _Lane:
    """Where a series is drawn; `name` is empty where there is but one."""

    series: Series
    floor: float
    height: float
    name: str


def _drawing(plot: Plot, key: str, width: float, size: str) -> Html:
    top = 20 + canvas.marks_room(plot)
    lanes = _lanes(plot, top)
    bottom = lanes[-1].floor + GAP if lanes else top + GAP
    area = Area(left=8, top=top, right=width - 14, bottom=bottom)
    low, high = _times(plot)
    scale = Scale(low=low, high=high, start=area.left, end=area.right)
    times = clock_ticks(low, high, max(int(width / 100), 3))
    return canvas.svg(
        plot,
        key,
        (width, area.bottom + 44),
        _description(plot),
        canvas.text((0, 12), canvas.shortened(f"{plot.y_label}, 0 to 1", width), anchor="start", class_="label"),
        [_drawn(lane, scale) for lane in lanes],
        [_level(lane, one.y[0], scale) for lane in lanes for one in plot.series if canvas.is_level(plot, one)],
        canvas.x_axis(area, scale, times, clock_texts(times), plot.x_label),
        canvas.marks(plot, area, scale),
        class_=size,
    )


def _measured(plot: Plot) -> list[Series]:
    return [one for one in plot.series if not canvas.is_level(plot, one)]


def _lanes(plot: Plot, top: float) -> list[_Lane]:
    series = _measured(plot)
    if len(series) == 1:
        return [_Lane(series=series[0], floor=top + ONLY_LANE, height=ONLY_LANE, name="")]
    room = NAME + LANE + GAP
    floors = [top + room * (at + 1) - GAP for at in range(len(series))]
    return [_Lane(series=one, floor=at, height=LANE, name=one.name) for one, at in zip(series, floors, strict=True)]


def _times(plot: Plot) -> tuple[float, float]:
    ends = [edge for one in _measured(plot) for left, right, _ in steps(one) for edge in (left, right)]
    return extent([*ends, *(place for _, place in plot.marks)])


def _drawn(lane: _Lane, scale: Scale) -> Html:
    found = columns(lane.series, scale)
    measured = " ".join(_column(left, right, lane.floor, lane.height) for left, right, _ in found)
    above = [(left, right, max(value * lane.height, THINNEST)) for left, right, value in found if value > 0]
    filled = " ".join(_column(left, right, lane.floor, height) for left, right, height in above)
    words = canvas.shortened(lane.name, scale.end - scale.start)
    place = (scale.start, lane.floor - lane.height - 4)
    return join(
        canvas.text(place, words, anchor="start", class_="lane-name") if words else None,
        tag("path", d=measured, class_="measured"),
        tag("path", d=filled, class_="fill") if filled else None,
        tag("line", x1=scale.start, x2=scale.end, y1=lane.floor, y2=lane.floor, class_="grid"),
    )


def _level(lane: _Lane, value: float, scale: Scale) -> Html:
    place = lane.floor - min(max(value, 0.0), 1.0) * lane.height
    ends = {"x1": scale.start, "x2": scale.end, "y1": place, "y2": place}
    return join(tag("line", class_="level-ground", **ends), tag("line", class_="level", **ends))


def _column(left: float, right: float, floor: float, height: float) -> str:
    return f"M{left:.1f} {floor:.1f}v{-height:.1f}H{right:.1f}v{height:.1f}z"


def columns(series: Series, scale: Scale) -> list[tuple[float, float, float]]:
    """(left, right, value) on the drawing, one for each place: of all values there the highest, never their mean."""
    highest: dict[int, tuple[float, float, float]] = {}
    for left, right, value in steps(series):
        place = scale(left)
        before = highest.get(int(place), (place, place, 0.0))
        end = max(scale(right), place + THINNEST, before[1])
        highest[int(place)] = (before[0], end, max(before[2], min(value, 1.0)))
    return list(highest.values())


def steps(series: Series) -> list[tuple[float, float, float]]:
    """(from, to, value) in seconds: each value holds until the next, but not across a gap."""
    pairs = zip(series.x, series.y, strict=True)
    points = sorted((float(x), float(y)) for x, y in pairs if math.isfinite(x))
    if not points:
        return []
    times = [x for x, _ in points]
    apart = sorted(after - before for before, after in pairwise(times))
    usual = apart[len(apart) // 2] if apart else 1.0
    ends = [min(after, before + USUAL_STEPS * usual) for before, after in pairwise(times)]
    return [(x, end, y) for (x, y), end in zip(points, [*ends, times[-1] + usual], strict=True) if math.isfinite(y)]


def _description(plot: Plot) -> str:
    return f"{plot.y_label} over {plot.x_label}. " + "; ".join(map(_in_words, _measured(plot)))


def _in_words(series: Series) -> str:
    found = steps(series)
    if not found:
        return f"{series.name}: nothing measured"
    first, last = found[0][0], found[-1][1]
    above = sum(value > 0 for *_, value in found) / len(found)
    highest = max(value for *_, value in found)
    return (
        f"{series.name}: {number(first)} s to {number(round(last, 2))} s, above 0 in {percent(above)} % of "
        f"{len(found)} measurements, highest {number(highest)}"
    )
