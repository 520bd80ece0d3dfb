"""From the rows of `likeness` to figures, tables and plots."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np

from streamfilter.audit.estimated import estimated
from streamfilter.audit.sampling import Rows
from streamfilter.audit.section import Figure, Plot, Series, Table
from streamfilter.audit.utility.likeness import Likeness, longest
from streamfilter.metrics.by_group import Grouped, mean_by_group
from streamfilter.metrics.course import correlation_by_track
from streamfilter.metrics.expression import MEASURES, sign_agreement
from streamfilter.metrics.landmark_error import PARTS
from streamfilter.metrics.over_time import FEWEST_FOR_SERIES
from streamfilter.structures import Doubles

ANGLES = ("yaw", "pitch", "roll")
CLEAR = 1.0  # standard deviations of the original's changes
HIGH = 0.95
BIN, LAST_BIN = 0.01, 0.25
MOST_POINTS = 600

NME_NOTE = "Distance of dlib's 68 points, in units of the original's outer eye corners; about .01 is the method's own."
POSE_NOTE = "About 2 degrees are the method's own; a face of another shape adds several, which do not change over time."
SERIES_NOTE = "Within each track (photos: all together), at least eight looks; 1: they move together, 0: apart."
NOTES = (
    "Landmarks are dlib's, on the same place of both files, and only where a detector finds the face in both; on small "
    "or turned faces they tremble, which lowers all correlations.",
    "Head pose: 14 of the points fitted to a model of a head (Martins and Batista, Coimbra) with an affine camera. A "
    "face of other proportions has another pose by this measure; whether heads move alike is told by the correlations.",
    "Expression: five plain measures of landmarks, in the axes of the face; no classifier of emotions is asked.",
)


def figures(likeness: Likeness) -> tuple[Figure, ...]:
    """All but what is in the tables; none has a limit."""
    rows = likeness.rows
    return (_measured(likeness), *_errors(rows, likeness.faces), *_poses(rows), *_openings(rows), _agreement(rows))


def tables(likeness: Likeness) -> tuple[Table, ...]:
    """Landmarks by part of the face, and the five measures of expression."""
    rows = likeness.rows
    return (_parts(rows), _heads(rows), _expression(rows)) if len(rows) else ()


def plots(likeness: Likeness) -> tuple[Plot, ...]:
    """Openings of the longest track over time, and how far landmarks are off."""
    rows = likeness.rows
    return (*_timelines(longest(rows)), *([_histogram(rows)] if len(rows) else []))


def _measured(likeness: Likeness) -> Figure:
    of = likeness.faces + likeness.illegible
    return Figure(
        name="landmarks_measured",
        label="Faces whose landmarks could be compared",
        value=likeness.faces / of if of else None,
        unit="share",
        n=of,
        counted="face",
        note="Of those at which landmarks were taken: where a detector finds the face in both files.",
    )


def _errors(rows: Rows, n: int) -> Iterator[Figure]:
    for name, label in (("all", "all 68 points"), ("inner", "without the jaw line")):
        mean = mean_by_group(rows[name], rows["track"])
        prefix = "nme" if name == "all" else "nme_inner"
        yield _figure(prefix, f"Landmark error (NME), {label}", mean, note=NME_NOTE)
        high = float(np.quantile(rows[name], HIGH)) if len(rows) else None
        yield Figure(name=f"{prefix}_p95", label=f"The same, {label}, 95th percentile", value=high, n=n, counted="face")


def _poses(rows: Rows) -> Iterator[Figure]:
    known = rows[~np.isnan(rows["turn"])]
    for column, name in enumerate(ANGLES):
        mean = mean_by_group(known["angles"][:, column], known["track"])
        yield _figure(f"{name}_difference", f"Head pose, {name}, mean difference", mean, "degrees")
    turn = mean_by_group(known["turn"], known["track"])
    yield _figure(
        "rotation_difference", "Head pose, angle of the one rotation between both", turn, "degrees", POSE_NOTE
    )


def _openings(rows: Rows) -> Iterator[Figure]:
    for column, name in enumerate(("eyes", "mouth")):
        found = _correlation(rows, rows["open_before"][:, column], rows["open_after"][:, column])
        yield _figure(f"{name}_correlation", f"How far open: {name}, correlation over time", found, note=SERIES_NOTE)


def _agreement(rows: Rows) -> Figure:
    counts = np.array([_agreeing(rows, column) for column in range(len(MEASURES))])
    agreeing, clear = counts.sum(0).tolist()
    return Figure(
        name="expression_agreement",
        label="Clear changes of expression that go the same way",
        value=agreeing / clear if clear else None,
        unit="share",
        n=clear,
        counted="change",
        note="Changes of five measures between two looks, above one standard deviation; by chance half of them agree.",
    )


def _figure(name: str, label: str, found: Grouped | None, unit: str = "", note: str = "") -> Figure:
    return estimated(name, label, found, unit=unit, note=note, missing="Too few faces with landmarks in both.")


def _correlation(rows: Rows, before: Doubles, after: Doubles) -> Grouped | None:
    return correlation_by_track(before, after, rows["track"], rows["course"])


def _agreeing(rows: Rows, column: int) -> tuple[int, int]:
    before, after = rows["change_before"][:, column], rows["change_after"][:, column]
    known = ~(np.isnan(before) | np.isnan(after))
    clear = CLEAR * float(before[known].std()) if known.any() else 0.0
    return sign_agreement(before[known], after[known], clear)


def _parts(rows: Rows) -> Table:
    errors = rows["parts"]
    cells = [
        (part, float(errors[:, i].mean()), float(np.median(errors[:, i])), float(np.quantile(errors[:, i], HIGH)))
        for i, part in enumerate(PARTS)
    ]
    columns = ("part", "mean", "median", "95th percentile")
    return Table(name="nme_parts", title="Landmark error by part", columns=columns, rows=tuple(cells), note=NME_NOTE)


def _heads(rows: Rows) -> Table:
    rows = rows[~np.isnan(rows["turn"])]
    lines = []
    for column, name in enumerate(ANGLES):
        found = _correlation(rows, rows["head_before"][:, column], rows["head_after"][:, column])
        apart = rows["angles"][:, column]
        mean, high = (float(apart.mean()), float(np.quantile(apart, HIGH))) if len(rows) else (None, None)
        lines.append((name, mean, high, None if found is None else found.value))
    columns = ("angle", "mean difference, degrees", "95th percentile", "correlation over time")
    return Table(name="head_pose", title="Head pose", columns=columns, rows=tuple(lines), note=POSE_NOTE)


def _expression(rows: Rows) -> Table:
    lines = []
    for column, name in enumerate(MEASURES):
        found = _correlation(rows, rows["before"][:, column], rows["after"][:, column])
        agreeing, clear = _agreeing(rows, column)
        lines.append((name, None if found is None else found.value, agreeing / clear if clear else None, clear))
    return Table(
        name="expression",
        title="Expression, from landmarks",
        columns=("measure", "correlation over time", "clear changes that agree, share", "clear changes"),
        rows=tuple(lines),
        note=f"{SERIES_NOTE} A change is clear above one standard deviation of the original's changes.",
    )


def _timelines(rows: Rows) -> Iterator[Plot]:
    if len(rows) < FEWEST_FOR_SERIES:
        return
    rows = rows[:: -(-len(rows) // MOST_POINTS)]
    times = tuple(rows["time_s"].round(3).tolist())
    for column, name in enumerate(("eyes", "mouth")):
        curves = [
            Series(name=label, x=times, y=tuple((100 * rows[key][:, column]).round(2).tolist()))
            for label, key in (("original", "open_before"), ("result", "open_after"))
        ]
        yield Plot(
            name=f"{name}_opening",
            title=f"How far the {name} are open" if name == "eyes" else f"How far the {name} is open",
            kind="line",
            x_label="seconds",
            y_label="% of the face's width",
            series=tuple(curves),
            note=f"Track {rows['track'][0]}, the one with most looks.",
        )


def _histogram(rows: Rows) -> Plot:
    edges = np.arange(0, LAST_BIN + BIN / 2, BIN)
    series = [
        Series(
            name=label,
            x=tuple((100 * (edges[:-1] + BIN / 2)).round(3).tolist()),
            y=tuple(np.histogram(np.minimum(rows[key], LAST_BIN - BIN / 2), edges)[0].astype(float).tolist()),
        )
        for label, key in (("all 68 points", "all"), ("without the jaw line", "inner"))
    ]
    return Plot(
        name="nme",
        title="Landmark error",
        kind="bars",
        x_label="% of the distance of the outer eye corners",
        y_label="faces",
        series=tuple(series),
        note=f"The last bar holds all from {100 * (LAST_BIN - BIN):.0f} % on.",
    )
