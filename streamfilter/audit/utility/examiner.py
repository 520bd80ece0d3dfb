"""Looks at sampled moments: is the face still one to a detector, does it do the same, is all else as it was?"""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from streamfilter.audit.container_facts import ContainerFacts
from streamfilter.audit.limits import Limits
from streamfilter.audit.moment import Moment
from streamfilter.audit.original_faces import OriginalFaces
from streamfilter.audit.section import Figure, Section, judged
from streamfilter.audit.utility import container, likeness_figures
from streamfilter.audit.utility.background import Background
from streamfilter.audit.utility.likeness import Likeness
from streamfilter.audit.utility.redetection import NearDetector, Redetection
from streamfilter.audit.wording import amount, number, per_cent, told, within

TITLE = "Utility: what is the result still good for?"
LEAST_MEASURED = 0.5  # of the faces: below this, what the rest do says little of the whole


class Utility:
    """What anonymising left as it was.

    Landmarks that the faces carry are measured wherever they are; detectors and the background are looked at more
    rarely. Memory is bounded: 20,000 rows of numbers of each kind, and two numbers for each track of a file.

    Args:
        detectors: `dlib` and `mtcnn`; one that is missing leaves its limit, and so the section, not judged.
        limits: Of re-detection and of the background.
        facts: Per file (name, what its container holds). Read at the end: the caller may go on filling a list.
        interval_s: Between two looks of the detectors at a track, and at the background of a file.
    """

    def __init__(
        self,
        detectors: Mapping[str, NearDetector],
        limits: Limits,
        facts: Sequence[tuple[str, ContainerFacts]] = (),
        interval_s: float = 1.0,
    ) -> None:
        self._limits = limits
        self._facts = facts
        self._redetection = Redetection(detectors, interval_s)
        self._likeness = Likeness()
        self._background = Background(interval_s)
        self._originals = OriginalFaces()
        self._source: str | None = None

    def look(self, moment: Moment) -> None:
        """One more moment; those that were not sampled are passed over."""
        if not moment.sampled:
            return
        if moment.source != self._source:
            self._source = moment.source
            self._redetection.next_file()
            self._likeness.next_file()
        self._redetection.look(moment)
        for face in moment.faces:
            self._likeness.look(moment, face, legible=self._redetection.legible(face.track))
        self._background.look(moment)
        self._originals.look(moment)

    def conclude(self) -> Section:
        """The chapter on utility."""
        found = (
            *self._redetection.figures(self._limits.redetected),
            *likeness_figures.figures(self._likeness),
            *self._background.figures(self._limits.background_psnr_db),
            *container.figures(self._facts),
        )
        files = (container.table(self._facts),) if self._facts else ()
        return Section(
            name="utility",
            title=TITLE,
            verdict=judged(found),
            sentence=_sentence(found, self._originals.remark()),
            figures=found,
            tables=(*likeness_figures.tables(self._likeness), *files),
            plots=likeness_figures.plots(self._likeness),
            notes=likeness_figures.NOTES,
        )


def _sentence(figures: Sequence[Figure], remark: str) -> str:
    """What was found, what broke a limit, what could not be judged, and a remark."""
    by_name = {figure.name: figure for figure in figures}
    limited = [figure for figure in figures if figure.limit is not None]
    broken = "; ".join(told(figure) for figure in limited if figure.kept is False)
    unknown = "; ".join(within(figure.label) for figure in limited if figure.kept is None)
    parts = (
        _faces(by_name),
        _movement(by_name),
        _rest(by_name),
        f"Short of its limit: {broken}." if broken else "",
        f"Not judged: {unknown}." if unknown else "",
        remark,
    )
    return " ".join(part for part in parts if part)


def _faces(figures: Mapping[str, Figure]) -> str:
    shares = (("dlib", figures["redetected_dlib"].value), ("MTCNN", figures["redetected_mtcnn"].value))
    known = [f"{per_cent(share)} by {name}" for name, share in shares if share is not None]
    if known:
        return f"Still found, of the faces that are found in the original: {', '.join(known)}."
    return "Neither dlib nor MTCNN was seen to find a face in the original."


def _movement(figures: Mapping[str, Figure]) -> str:
    measured = figures["landmarks_measured"].value
    if measured is not None and measured < LEAST_MEASURED:
        return f"Landmarks could be compared on {per_cent(measured)} of the faces only."
    follow = (("eyes", figures["eyes_correlation"].value), ("mouths", figures["mouth_correlation"].value))
    known = [f"{name} follow with r = {number(value)}" for name, value in follow if value is not None]
    turn = figures["rotation_difference"]
    head = [f"heads differ by {amount(turn.value, turn.unit)}"] if turn.value is not None else []
    text = ", ".join(known + head)
    return f"{text[0].upper()}{text[1:]}." if text else ""


def _rest(figures: Mapping[str, Figure]) -> str:
    psnr = figures["background_psnr"]
    exact = amount(psnr.value, psnr.unit)
    return "" if psnr.value is None else f"Outside the faces the picture is as it was to {exact}."
