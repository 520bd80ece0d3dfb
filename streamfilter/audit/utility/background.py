"""What happened to the picture away from all faces."""

from __future__ import annotations

import numpy as np

from streamfilter.audit.moment import Moment
from streamfilter.audit.sampling import Pace, Reservoir
from streamfilter.audit.section import Figure
from streamfilter.metrics.psnr import outside, psnr
from streamfilter.structures import Floats

GROWTH = 0.6
MOST_PIXELS = 250_000
LEAST_PART = 0.05  # of the picture that must lie away from faces

_ROW = np.dtype([("db", "f8")])


class Background:
    """PSNR of one moment every `interval_s`, of every n-th row and column in large pictures."""

    def __init__(self, interval_s: float) -> None:
        self._pace = Pace(interval_s)
        self._moments = Reservoir(_ROW)
        self._worst: tuple[float, str, float] | None = None

    def look(self, moment: Moment) -> None:
        """Measure a moment that is due."""
        if not self._pace.due(moment.source, moment.time_s):
            return
        value = background_psnr(moment)
        if value is None:
            return
        self._moments.add(value)
        if self._worst is None or value < self._worst[0]:
            self._worst = value, moment.source, moment.time_s

    def figures(self, least_db: float) -> tuple[Figure, ...]:
        """The median, which is judged, and the worst moment."""
        values, n = self._moments.rows["db"], self._moments.seen
        median = float(np.median(values)) if n else None
        where = "" if self._worst is None else f"{self._worst[1]}, {self._worst[2]:.2f} s."
        return (
            Figure(
                name="background_psnr",
                label="Picture outside the faces, PSNR, median over moments",
                value=median,
                unit="dB",
                n=n,
                counted="moment",
                limit=f">= {least_db:g}",
                kept=None if median is None else median >= least_db,
                note=_NOTE if n else "No moment had enough picture outside the faces.",
            ),
            Figure(
                name="background_psnr_worst",
                label="The same, worst moment",
                value=None if self._worst is None else self._worst[0],
                unit="dB",
                n=n,
                counted="moment",
                note=where,
            ),
        )


def background_psnr(moment: Moment) -> float | None:
    """Outside all reference faces, enlarged by 60 %, in dB; None where too little of the picture is there."""
    height, width = moment.original.shape[:2]
    step = max(1, round(float(np.sqrt(height * width / MOST_PIXELS))))
    boxes: Floats = np.array([face.xyxy for face in moment.faces], np.float32).reshape(-1, 4)
    where = outside((height, width), boxes, GROWTH, step)
    if where.mean() < LEAST_PART:
        return None
    return psnr(moment.original[::step, ::step], moment.result[::step, ::step], where)


_NOTE = (
    "Outside all faces of the original, their boxes enlarged by 60 %; 100 dB: not one pixel differs. Re-encoding alone "
    "costs some of it, and a tool that covers other places too has less."
)
