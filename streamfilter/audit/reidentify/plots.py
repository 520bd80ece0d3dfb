"""Histograms of cosines, and the worst face of each frame over time."""

from __future__ import annotations

import numpy as np

from streamfilter.audit.reidentify.figures import slug
from streamfilter.audit.reidentify.findings import (
    DECISIVE,
    FALSE_ACCEPTS,
    GALLERY,
    ORIGINALS,
    RESULT,
    SAME_FRAME,
    Findings,
    Scores,
)
from streamfilter.audit.reidentify.series import Course
from streamfilter.audit.section import Plot, Series
from streamfilter.audit.wording import far
from streamfilter.structures import Doubles

BINS = 50
MOST_POINTS = 600
_SHOWN = (
    ("originals, another moment", GALLERY, ORIGINALS),
    ("result, another moment", GALLERY, RESULT),
    ("result, same frame", SAME_FRAME, RESULT),
)


def plots(found: Findings, course: Course) -> tuple[Plot, ...]:
    """Those of one recogniser; no time line where there are only photos."""
    line = timeline(found, course)
    return (histogram(found), line) if line else (histogram(found),)


def histogram(found: Findings) -> Plot:
    """Which share of the pairs has which cosine, with the thresholds."""
    groups = [(label, found.get(attack, probe)) for label, attack, probe in _SHOWN]
    shown = [(label, scores) for label, scores in groups if scores is not None and len(scores.cosines)]
    edges = np.linspace(_lowest([scores for _, scores in shown]), 1, BINS + 1)
    return Plot(
        name=f"cosines_{slug(found.recogniser)}",
        title=f"Likeness to the originals, by {found.recogniser}",
        kind="bars",
        x_label="cosine",
        y_label="share of pairs",
        series=tuple(_bars(label, scores.cosines, edges) for label, scores in shown),
        marks=tuple((far(rate), found.thresholds[rate]) for rate in FALSE_ACCEPTS),
        note="Right of a mark the recogniser takes both faces for one person.",
    )


def _lowest(scores: list[Scores]) -> float:
    return float(np.floor(10 * min([0.0, *(float(item.cosines.min()) for item in scores)])) / 10)


def _bars(label: str, cosines: Doubles, edges: Doubles) -> Series:
    counts, _ = np.histogram(np.clip(cosines, edges[0], edges[-1]), edges)
    middles = (edges[:-1] + edges[1:]) / 2
    return Series(name=label, x=tuple(middles.tolist()), y=tuple((counts / len(cosines)).tolist()))


def timeline(found: Findings, course: Course) -> Plot | None:
    """The largest cosine of each frame to its own original, in the video with the largest of all."""
    source = _worst_video(found, course)
    if source is None:
        return None
    times, largest = _thinned(*course.per_frame(found.recogniser, source))
    x, limit = tuple(times.tolist()), found.thresholds[DECISIVE]
    return Plot(
        name=f"timeline_{slug(found.recogniser)}",
        title=f"Nearest to the original over time, by {found.recogniser}: {course.sources[source]}",
        kind="timeline",
        x_label="s",
        y_label="cosine, largest of all faces",
        series=(
            Series(name=found.recogniser, x=x, y=tuple(np.clip(largest, 0, 1).tolist())),
            Series(name=f"threshold at {far(DECISIVE)}", x=(x[0], x[-1]), y=(limit, limit)),
        ),
        note="Cosines below 0 are drawn at 0.",
    )


def _worst_video(found: Findings, course: Course) -> int | None:
    moving = [number for number in range(len(course.sources)) if number not in course.stills]
    if not moving:
        return None
    values = course.cosines[found.recogniser]
    return max(moving, key=lambda number: float(values[course.source == number].max()))


def _thinned(times: Doubles, values: Doubles) -> tuple[Doubles, Doubles]:
    """At most MOST_POINTS: of each stretch its largest value and when that was."""
    stretches = np.array_split(np.arange(len(times)), min(len(times), MOST_POINTS))
    chosen = [int(stretch[values[stretch].argmax()]) for stretch in stretches]
    return times[chosen], values[chosen]
