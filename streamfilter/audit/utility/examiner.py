"""Looks at sampled moments: is the face still one to a detector, does it do the same, is all else as it was?"""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from streamfilter.audit.container_facts import ContainerFacts
from streamfilter.audit.limits import Limits
from streamfilter.audit.moment import Moment
from streamfilter.audit.section import Figure, Section, Verdict, judged
from streamfilter.audit.utility import container, likeness_figures
from streamfilter.audit.utility.background import Background
from streamfilter.audit.utility.likeness import Likeness
from streamfilter.audit.utility.redetection import NearDetector, Redetection

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
            sentence=_sentence(found),
            figures=found,
            tables=(*likeness_figures.tables(self._likeness), *files),
            plots=likeness_figures.plots(self._likeness),
            notes=likeness_figures.NOTES,
        )


def _sentence(figures: Sequence[Figure]) -> str:
    """What was found, then what broke a limit, then what could not be judged."""
    by_name = {figure.name: figure for figure in figures}
    parts = [text for text in (_faces(by_name), _movement(by_name), _rest(by_name)) if text]
    lines = [" ".join(parts) or "Nothing could be measured."]
    verdict = judged(tuple(figures))
    if verdict is Verdict.FAILED:
        lines.append(f"Short of its limit: {_names(figures, broken=True)}.")
    if any(figure.limit is not None and figure.kept is None for figure in figures):
        lines.append(f"Not judged: {_names(figures, broken=False)}.")
    return " ".join(lines)


def _faces(figures: Mapping[str, Figure]) -> str:
    shares = (("dlib", figures["redetected_dlib"].value), ("MTCNN", figures["redetected_mtcnn"].value))
    known = [f"{name} still finds {100 * share:.1f} %" for name, share in shares if share is not None]
    return f"Of the faces in the original {' and '.join(known)}." if known else "No face was found in the original."


def _movement(figures: Mapping[str, Figure]) -> str:
    measured = figures["landmarks_measured"].value
    if measured is not None and measured < LEAST_MEASURED:
        return f"Landmarks could be compared on {100 * measured:.1f} % of the faces only."
    eyes, mouth = figures["eyes_correlation"].value, figures["mouth_correlation"].value
    turn = figures["rotation_difference"].value
    known = [f"{name} follow with r = {r:.2f}" for name, r in (("eyes", eyes), ("mouths", mouth)) if r is not None]
    head = [f"heads differ by {turn:.1f} degrees"] if turn is not None else []
    text = ", ".join(known + head)
    return f"{text[0].upper()}{text[1:]}." if text else ""


def _rest(figures: Mapping[str, Figure]) -> str:
    psnr = figures["background_psnr"].value
    return "" if psnr is None else f"Outside the faces the picture is as it was to {psnr:.1f} dB."


def _names(figures: Sequence[Figure], *, broken: bool) -> str:
    wanted = False if broken else None
    labels = [figure.label for figure in figures if figure.limit is not None and figure.kept is wanted]
    return ", ".join(f"{label[0].lower()}{label[1:]}" for label in labels)
