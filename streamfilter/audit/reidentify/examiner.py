"""Re-identification: looks at the faces whose embeddings were taken, and concludes who would be recognised."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence

from streamfilter.audit.elsewhere import HOW, Anywhere, Elsewhere, Look
from streamfilter.audit.limits import Limits
from streamfilter.audit.moment import Face, Moment
from streamfilter.audit.recognise import Recogniser
from streamfilter.audit.reidentify.attacks import attack
from streamfilter.audit.reidentify.figures import figures
from streamfilter.audit.reidentify.findings import Findings
from streamfilter.audit.reidentify.hidden import MOST, Sample
from streamfilter.audit.reidentify.kept import Faces, Keeper, Seen
from streamfilter.audit.reidentify.plots import plots
from streamfilter.audit.reidentify.series import Course, Series
from streamfilter.audit.reidentify.tables import tables
from streamfilter.audit.reidentify.wording import notes, sentence
from streamfilter.audit.section import Figure, Plot, Section, judged
from streamfilter.structures import Floats

Embeddings = Mapping[str, Floats]


class Reidentification:
    """An examiner. Memory: one cosine per face and recogniser, and embeddings of a bounded number of faces.

    Args:
        recognisers: Each makes every attack by itself.
        limits: `true_accepts`, `fewest_pairs` and `recognised_anywhere` are used.
        seed: Of all that is drawn: pairs, the faces that are blurred for comparison, and intervals.
        compared: So many faces at most are blurred and pixelised for comparison, each by every recogniser.
    """

    def __init__(
        self, recognisers: Sequence[Recogniser], limits: Limits, *, seed: int = 0, compared: int = MOST
    ) -> None:
        self._recognisers, self._limits, self._seed = tuple(recognisers), limits, seed
        self._names = tuple(recogniser.name for recogniser in recognisers)
        self._keeper, self._series = Keeper(), Series(self._names)
        self._elsewhere = Elsewhere(recognisers, limits, seed=seed)
        self._sample = Sample(recognisers, most=compared, seed=seed)
        self.known_in: frozenset[str] | None = None
        """After `conclude`: the files in whose result somebody is recognised at any place; None: nobody could tell."""

    def look(self, moment: Moment, parrot: Mapping[int, Embeddings] | None = None, looks: Sequence[Look] = ()) -> None:
        """One more moment.

        Args:
            moment: Faces without embeddings are passed over.
            parrot: Per track the embeddings of the same faces in a second result of the same tool, if there is one.
            looks: What was found in the result, at whatever place, where the detectors looked at it.
        """
        self._elsewhere.look(moment, looks)
        for face in moment.faces:
            if self._names and all(name in face.identity for name in self._names):
                self._take(moment, face, (parrot or {}).get(face.track, {}))

    def _take(self, moment: Moment, face: Face, second: Embeddings) -> None:
        seen = Seen(
            person=face.person,
            named=bool(face.label),
            track=face.track,
            source=moment.source,
            time_s=moment.time_s,
            original={name: face.identity[name][0] for name in self._names},
            result={name: face.identity[name][1] for name in self._names},
            second=second,
        )
        self._series.add(moment, face)
        self._keeper.add(seen)
        self._sample.offer(moment, face, seen)

    def conclude(self) -> Section:
        """The section `reid`."""
        faces, course = Faces.of(tuple(self._keeper)), self._series.course()
        findings = [attack(r, faces, course, self._sample.faces, self._seed) for r in self._recognisers]
        numbers = [figures(found, self._limits, self._seed) for found in findings]
        anywhere = self._elsewhere.conclude()
        self.known_in = anywhere.known_in if anywhere else None
        every = tuple(_in_order(anywhere, numbers))
        verdict = judged(every)
        decisive = [(found, group[0]) for found, group in zip(findings, numbers, strict=True)]
        return Section(
            name="reid",
            title="Re-identification",
            verdict=verdict,
            sentence=sentence(verdict, decisive, anywhere.sentence if anywhere else ""),
            figures=every,
            tables=(*(anywhere.tables if anywhere else ()), *tables(findings, self._recognisers, course, self._seed)),
            plots=_plots(findings, course),
            pictures=anywhere.pictures if anywhere else (),
            notes=(*notes(findings, self._keeper.forgotten, len(faces.seen)), *((HOW,) if anywhere else ())),
        )


def _in_order(anywhere: Anywhere | None, numbers: Sequence[Sequence[Figure]]) -> Iterator[Figure]:
    """Those of the search in the whole result come first: they hold for all recognisers."""
    if anywhere:
        yield anywhere.figure
    for group in numbers:
        yield from group


def _plots(findings: Sequence[Findings], course: Course) -> tuple[Plot, ...]:
    return tuple(plot for found in findings for plot in plots(found, course)) if len(course) else ()
