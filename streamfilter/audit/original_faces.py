"""Which faces of a result are still those of the original people: then it says nothing about an anonymiser."""

from __future__ import annotations

from collections.abc import Mapping

from streamfilter.audit.moment import Face, Moment
from streamfilter.audit.sampling import Pace
from streamfilter.audit.wording import per_cent
from streamfilter.metrics.survival import coding_floor, survival

PACE_S = 1.0
MOST = 0.5
PARTLY = 0.25  # of a face: from so much that survives it may be told who it is


def recognised(face: Face, thresholds: Mapping[str, float]) -> bool:
    """Whether a recogniser takes the face of the result for its own original's, where embeddings were taken."""
    known = ((pair, thresholds[name]) for name, pair in face.identity.items() if name in thresholds)
    return any(float(original @ result) >= threshold for (original, result), threshold in known)


class OriginalFaces:
    """Counts faces that survive or are recognised, of a moment every second.

    Args:
        thresholds: Cosines by recogniser; without them only pixels are compared.
    """

    def __init__(self, thresholds: Mapping[str, float] | None = None) -> None:
        self._thresholds = thresholds or {}
        self._pace = Pace(PACE_S)
        self._faces = self._original = 0

    def look(self, moment: Moment) -> None:
        """One more moment; those that are not due are passed over."""
        faces = [face for face in moment.faces if face.seen]
        if not faces or not self._pace.due(moment.source, moment.time_s):
            return
        floor = coding_floor(moment.original, moment.result, [face.xyxy for face in moment.faces])
        self._faces += len(faces)
        self._original += sum(
            recognised(face, self._thresholds) or survival(moment.original, moment.result, face.xyxy, floor).bare
            for face in faces
        )

    def remark(self) -> str:
        """A sentence if most faces are; else nothing."""
        if not self._faces or self._original / self._faces <= MOST:
            return ""
        return (
            f"{per_cent(self._original / self._faces)} of the faces looked at are still the original ones: this says "
            "nothing about an anonymiser."
        )
