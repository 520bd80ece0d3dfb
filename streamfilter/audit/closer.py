"""Takes a closer look at some faces of some moments: embeddings and landmarks, at a pace that the clock allows."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace

from streamfilter.audit.moment import Face, Moment
from streamfilter.audit.sampling import Pace
from streamfilter.audit.settings import AuditConfig
from streamfilter.audit.tools import Tools
from streamfilter.structures import Floats, Image

Embeddings = Mapping[str, Floats]

SMALLEST_PX = 24  # below this width no recogniser and no landmark predictor says anything


class CloserLook:
    """Fills `Face.landmarks` and `Face.identity` of the largest faces of sampled moments.

    Embeddings are taken at most every `identity_interval_s` of a track. Original and result are both aligned by the
    points of the original: the attacker is assumed to know where the face is.
    """

    def __init__(self, tools: Tools, config: AuditConfig) -> None:
        self._tools, self._config = tools, config
        self._pace = Pace(config.identity_interval_s)

    def __call__(
        self, moment: Moment, parrot: Image | None = None
    ) -> tuple[Moment, Mapping[int, Mapping[str, Floats]]]:
        """The moment with what was seen; and of the faces whose embeddings were taken, those in `parrot` by track.

        Args:
            parrot: (H, W, 3) the same moment in a second result of the same tool.
        """
        if not moment.sampled:
            return moment, {}
        chosen = {face.track for face in self._largest(moment)}
        faces, second = [], {}
        for face in moment.faces:
            closer = self._look(moment, face) if face.track in chosen else face
            if closer.identity and parrot is not None:
                second[face.track] = {r.name: r.embed(parrot, face.points[None])[0] for r in self._tools.recognisers}
            faces.append(closer)
        return replace(moment, faces=tuple(faces)), second

    def _largest(self, moment: Moment) -> list[Face]:
        large = [face for face in moment.faces if face.width >= SMALLEST_PX]
        return sorted(large, key=lambda face: -face.width)[: self._config.faces_at_once]

    def _look(self, moment: Moment, face: Face) -> Face:
        face = replace(face, landmarks=self._tools.landmarks.pair(moment.original, moment.result, face.points))
        due = self._pace.due(moment.source, moment.time_s, face.track)
        return replace(face, identity=self._identity(moment, face)) if due else face

    def _identity(self, moment: Moment, face: Face) -> Mapping[str, tuple[Floats, Floats]]:
        points = face.points[None]
        return {
            recogniser.name: (
                recogniser.embed(moment.original, points)[0],
                recogniser.embed(moment.result, points)[0],
            )
            for recogniser in self._tools.recognisers
        }
