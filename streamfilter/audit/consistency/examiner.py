"""The examiner of consistency: one invented person per track, nobody shared, no flicker, no trembling."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Protocol

from streamfilter.audit.consistency.flickering import Flickering
from streamfilter.audit.consistency.identity import closeness, cosines_plot, errors, loosest, nobody_looked
from streamfilter.audit.consistency.jittering import Jittering, Landmarker
from streamfilter.audit.consistency.judge import FALSE_ACCEPTS, Judge
from streamfilter.audit.consistency.people import MOST_PEOPLE, People
from streamfilter.audit.consistency.sentence import sentence_of
from streamfilter.audit.consistency.shared import sharing
from streamfilter.audit.consistency.strips import Strips
from streamfilter.audit.limits import Limits
from streamfilter.audit.moment import Moment
from streamfilter.audit.original_faces import OriginalFaces
from streamfilter.audit.section import Figure, Plot, Section, Table, Verdict, judged
from streamfilter.audit.showable import Showable

NAME, TITLE = "consistency", "Consistency: one invented person per track, calm over time"


class Calibrated(Protocol):
    """A recogniser's thresholds."""

    def threshold(self, far: float) -> float:
        """The cosine that this share of pairs of different people reaches."""


class Consistency:
    """Looks at every moment once.

    Args:
        names: The recognisers whose embeddings the faces carry; the first decides `within_track`.
        limits: What is judged.
        calibrations: Thresholds by name; without one, shared people are not counted for that recogniser.
        landmarker: Finds 68 landmarks on both pictures; None: landmark jitter is not measured.
        showable: Which crops of the result may be shown to anyone, filled by whoever made it; None: none may.
    """

    def __init__(
        self,
        names: Sequence[str],
        limits: Limits,
        calibrations: Mapping[str, Calibrated],
        landmarker: Landmarker | None = None,
        showable: Showable | None = None,
    ) -> None:
        self._names, self._limits = tuple(names), limits
        self._thresholds = {name: calibrations[name].threshold(FALSE_ACCEPTS) for name in names if name in calibrations}
        self._people = People(self._names)
        self._flickering = Flickering()
        self._jittering = Jittering(landmarker)
        self._strips = Strips(showable or Showable({}))
        self._originals = OriginalFaces(self._thresholds)
        self._faces = 0

    def look(self, moment: Moment) -> None:
        """One more moment."""
        self._faces += len(moment.faces)
        self._people.look(moment)
        self._flickering.look(moment)
        self._jittering.look(moment)
        self._strips.look(moment)
        self._originals.look(moment)

    def conclude(self) -> Section:
        """What was found."""
        if not self._faces:
            sentence = "No face was found in the original, so there is nothing to judge."
            return Section(name=NAME, title=TITLE, verdict=Verdict.UNKNOWN, sentence=sentence)
        figures, tables, plots = self._identity()
        figures += self._flickering.figures(self._limits) + self._jittering.figures()
        verdict = judged(figures)
        return Section(
            name=NAME,
            title=TITLE,
            verdict=verdict,
            sentence=sentence_of(verdict, figures, self._originals.remark()),
            figures=figures,
            tables=tables,
            plots=(*plots, self._flickering.plot()) if self._flickering.added.count else plots,
            pictures=self._strips.pictures(),
            notes=self._notes(),
        )

    def _identity(self) -> tuple[tuple[Figure, ...], tuple[Table, ...], tuple[Plot, ...]]:
        figures = [Figure(name="tracks", label="Tracks", value=len(self._people), n=self._faces, counted="face-frame")]
        tables, plots = [], []
        if not self._names:
            figures.append(nobody_looked(self._limits))
        for number, name in enumerate(self._names):
            judge = Judge.of(name, self._thresholds, list(self._people))
            shared, table = sharing(judge)
            figures += [*errors(judge, self._limits), *closeness(judge, self._limits, judged=number == 0), shared]
            tables += [item for item in (table, *([loosest(judge)] if number == 0 else [])) if item.rows]
            plots += [cosines_plot(judge)] if judge.long else []
        return tuple(figures), tuple(tables), tuple(plots)

    def _notes(self) -> tuple[str, ...]:
        if not self._people.forgotten:
            return ()
        return (
            f"Identities of {MOST_PEOPLE} tracks were compared; {self._people.forgotten} others, those with the fewest "
            "faces, were not.",
        )
