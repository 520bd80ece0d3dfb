"""Does the result flicker: each pair of neighbouring frames, at a bounded pace, and what it comes to."""

from __future__ import annotations

import numpy as np

from streamfilter.audit.estimated import sentences
from streamfilter.audit.limits import Limits
from streamfilter.audit.moment import Face, Moment
from streamfilter.audit.sampling import Sample, Timeline
from streamfilter.audit.section import Figure, Plot, Series
from streamfilter.metrics.by_group import interval_of, ratio
from streamfilter.metrics.flicker import warped_difference
from streamfilter.structures import Doubles

MOST_PAIRS = 3  # of faces per frame: with more, each face has its turn
MOST_SOURCES = 8  # that have their own line in the plot
JUMP = 8.0  # grey levels: a pair that adds more than this is seen as a jump
STRETCH_S = 1.0
PAIR = "pair"
LEAST_WIDTH_PX = 16.0  # of a face: in a smaller one the codec's noise is all there is


class Flickering:
    """Keeps the last moment, and compares its faces with those of the next."""

    def __init__(self) -> None:
        self._last: Moment | None = None
        self._measured: dict[int, int] = {}
        self.added, self.original, self.result = Sample(), Sample(), Sample()
        self._jumps = 0
        self.lines: dict[str, Timeline[Doubles]] = {}
        self._film = False
        self._all, self._watched_s = _sums(), 0.0

    def look(self, moment: Moment) -> None:
        """One more moment."""
        last, self._last = self._last, None if moment.still else moment
        self._film |= bool(moment.faces) and not moment.still
        if last is None or not follows(moment, last):
            self._measured.clear()
            return
        self._watched_s += moment.time_s - last.time_s
        tracks = {face.track for face in last.faces}
        there = [face for face in moment.faces if face.track in tracks and face.width >= LEAST_WIDTH_PX]
        self._measured = {face.track: self._measured.get(face.track, -1) for face in there}
        for face in sorted(there, key=lambda face: self._measured[face.track])[:MOST_PAIRS]:
            self._measured[face.track] = moment.index
            self._compare(last, moment, face)

    def _compare(self, last: Moment, moment: Moment, face: Face) -> None:
        pair = warped_difference((last.original, moment.original), (last.result, moment.result), face.xyxy)
        if pair is None:
            return
        self.added.add(pair.flicker, (moment.source, moment.time_s))
        self._jumps += pair.flicker > JUMP
        self.original.add(pair.original)
        self.result.add(pair.result)
        one = np.array([pair.flicker, 1.0])
        if moment.source in self.lines or len(self.lines) < MOST_SOURCES:
            self.lines.setdefault(moment.source, _sums()).add(moment.time_s, one)
        self._all.add(self._watched_s, one)

    def figures(self, limits: Limits) -> tuple[Figure, ...]:
        """The mean with its limit, the largest jumps, and what it is made of."""
        if not self.added.count:
            return (self._missing(limits),)
        seconds = self._all.points()[1]  # they are drawn again, as neighbouring pairs are alike
        low, high = interval_of(np.stack(seconds), ratio) or (None, None)
        alone = "" if low is not None else "One second: no interval."
        source, time_s = self.added.place
        mean = self.added.mean
        return (
            Figure(
                name="flicker",
                label="Flicker: warped difference of the result less the original's own",
                value=mean,
                unit="grey levels",
                low=low,
                high=high,
                n=self.added.count,
                counted=PAIR,
                limit=f"<= {limits.flicker:g}",
                kept=mean is not None and mean <= limits.flicker,
                note=sentences(
                    "of 255, in the ellipse of the face's box at one scale; below 0: calmer than the original", alone
                ),
            ),
            self._grey("flicker_p95", "Flicker, 95th percentile of pairs of frames", self.added.quantile(0.95)),
            self._share_of_jumps(limits),
            self._grey("flicker_jump", "Largest jump", self.added.largest, f"{source}, {time_s:.2f} s"),
            self._grey("warped_difference", "Warped difference of the result", self.result.mean),
            self._grey("original_warped_difference", "The same of the original", self.original.mean),
        )

    def _missing(self, limits: Limits) -> Figure:
        return Figure(
            name="flicker",
            label="Flicker",
            value=None,
            unit="grey levels",
            n=0,
            counted=PAIR,
            limit=f"<= {limits.flicker:g}" if self._film else None,
            note="no face was seen on two neighbouring frames" if self._film else "photos do not flicker",
        )

    def _share_of_jumps(self, limits: Limits) -> Figure:
        share = self._jumps / self.added.count
        return Figure(
            name="flicker_jumps",
            label=f"Pairs of frames with a jump: more than {JUMP:g} grey levels",
            value=share,
            unit="share",
            n=self.added.count,
            counted=PAIR,
            limit=f"<= {limits.flicker_jumps:g}",
            kept=share <= limits.flicker_jumps,
            note="a cover that comes or goes, or another person from one frame to the next",
        )

    def _grey(self, name: str, label: str, value: float | None, note: str = "") -> Figure:
        return Figure(
            name=name, label=label, value=value, unit="grey levels", n=self.added.count, counted=PAIR, note=note
        )

    def plot(self) -> Plot:
        """Mean flicker per second."""
        courses = ((name, *line.points()) for name, line in self.lines.items())
        series = [Series(name=name, x=times, y=tuple(map(float, map(ratio, sums)))) for name, times, sums in courses]
        return Plot(
            name="flicker",
            title="Flicker over time",
            kind="line",
            x_label="seconds",
            y_label="grey levels above the original",
            series=tuple(series),
            note=f"the first {MOST_SOURCES} files" if len(series) == MOST_SOURCES else "",
        )


def _sums() -> Timeline[Doubles]:
    """Sum and count of flicker in each second."""
    return Timeline(np.add, STRETCH_S)


def follows(moment: Moment, last: Moment) -> bool:
    """Whether this is the very next frame of the same scene."""
    return not moment.cut and moment.source == last.source and moment.index == last.index + 1
