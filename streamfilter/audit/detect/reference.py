"""Which faces of the original count: what independent detectors agree on, so that none of them decides alone.

The tool under audit may have protected with one of these detectors, so what that one misses must be found by the other;
and a pattern that one of them takes for a face must not become a leak, since nobody protects patterns.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import Final

import numpy as np

from streamfilter.audit.detect.centerface import CenterFace
from streamfilter.audit.detect.mtcnn import Mtcnn
from streamfilter.audit.detect.yunet import YuNet
from streamfilter.metrics.matching import NOBODY, match, suppress
from streamfilter.model_store.store import Store
from streamfilter.structures import Detections, Doubles, Floats, Image

FIRST, SECOND, THIRD = "CenterFace", "YuNet", "MTCNN"
# Small faces do not count: narrower than this in the frame reduced to this long side, nobody is recognised.
LEAST_WIDTH_PX: Final = 24
COUNTED_SIDE_PX: Final = 1280

# Boxes (n, 4) of the picture -> how probable a face is there (n,).
Confirm = Callable[[Doubles], Doubles]


@dataclass(frozen=True, eq=False, slots=True, kw_only=True)
class Sighting:
    """A face of one picture.

    Attributes:
        xyxy: (4,) its box in pixels of the picture, inside it.
        points: (5, 2) eyes, nose, corners of the mouth; the left of the picture first.
        score: Of the detector that was more sure, in [0, 1].
        found_by: Names of the detectors that saw it.
    """

    xyxy: Floats
    points: Floats
    score: float
    found_by: tuple[str, ...]


@dataclass(frozen=True, kw_only=True)
class Agreement:
    """From which score a detector is heard: pairs are of CenterFace and of YuNet.

    Attributes:
        same_face: Least overlap (IoU) of two boxes of one face.
        together: Both see it, and the mean of their scores is at least `mean`.
        alone: One alone sees it, and so surely that it needs nobody else.
        doubted: One alone sees it, and MTCNN, looking closer, gives at least `confirmed`.
        confirmed: MTCNN's probability of a face.
        twice: Of two faces that share more than this of the smaller one, the surer stays; boxes of one face, which
            overlap by `same_face`, share at least this.
    """

    same_face: float = 0.4
    together: tuple[float, float] = (0.25, 0.45)
    mean: float = 0.5
    alone: tuple[float, float] = (0.8, 0.88)
    doubted: tuple[float, float] = (0.35, 0.6)
    confirmed: float = 0.9
    twice: float = 0.57


class ReferenceDetector:
    """Finds the faces of RGB pictures that an audit counts.

    Args:
        centerface: One detector.
        yunet: Another.
        mtcnn: Is asked where only one of them is fairly sure.
        agreement: Scores from which they are heard.
    """

    def __init__(self, centerface: CenterFace, yunet: YuNet, mtcnn: Mtcnn, agreement: Agreement | None = None) -> None:
        self._centerface, self._yunet, self._mtcnn = centerface, yunet, mtcnn
        self.agreement = agreement or Agreement()

    @classmethod
    def load(
        cls, store: Store, *, threads: int = 1, agreement: Agreement | None = None, mtcnn: Mtcnn | None = None
    ) -> ReferenceDetector:
        """From the pulled models, but for an `mtcnn` that is there; ModelError where a file is missing or damaged."""
        centerface, yunet = CenterFace.load(store, threads=threads), YuNet.load(store, threads=threads)
        return cls(centerface, yunet, mtcnn or Mtcnn.load(store, threads=threads), agreement)

    def __call__(self, image: Image) -> tuple[Sighting, ...]:
        """The faces of an (H, W, 3) uint8 picture, most sure first; raises ModelError if a network failed."""
        least = LEAST_WIDTH_PX * max(1.0, max(image.shape[:2]) / COUNTED_SIDE_PX)

        def confirm(boxes: Doubles) -> Doubles:
            return self._mtcnn.confirmed(image, boxes)

        return agreed(self._centerface(image), self._yunet(image), confirm, self.agreement, least_width_px=least)


def agreed(
    first: Detections, second: Detections, confirm: Confirm, agreement: Agreement, *, least_width_px: float = 0.0
) -> tuple[Sighting, ...]:
    """The faces that both detectors see, or one of them surely enough; most sure first.

    Args:
        first: What CenterFace found.
        second: What YuNet found.
        confirm: Looks closer where one alone is fairly sure; not called where nothing is in doubt.
        agreement: The rule.
        least_width_px: Narrower faces do not count.
    """
    partners = match(first.xyxy.astype(np.float64), second.xyxy.astype(np.float64), agreement.same_face)
    pairs = [(i, j) for i, j in enumerate(partners) if j != NOBODY and _both(first, i, second, j, agreement)]
    found = [_fused(first, i, second, j) for i, j in pairs]
    left = [_lone(first, {i for i, _ in pairs}, FIRST), _lone(second, {j for _, j in pairs}, SECOND)]
    for sightings, alone, doubted in zip(left, agreement.alone, agreement.doubted, strict=True):
        found += [sighting for sighting in sightings if sighting.score >= alone]
        found += _confirmed([s for s in sightings if doubted <= s.score < alone], confirm, agreement.confirmed)
    return _each_once([s for s in found if s.xyxy[2] - s.xyxy[0] >= least_width_px], agreement.twice)


def _both(first: Detections, i: int, second: Detections, j: int, agreement: Agreement) -> bool:
    scores = float(first.score[i]), float(second.score[j])
    heard = all(score >= least for score, least in zip(scores, agreement.together, strict=True))
    return heard and sum(scores) / 2 >= agreement.mean


def _fused(first: Detections, i: int, second: Detections, j: int) -> Sighting:
    """The mean of both: it lies nearer to dlib's points than either alone."""
    return Sighting(
        xyxy=(first.xyxy[i] + second.xyxy[j]) / 2,
        points=(first.landmarks[i] + second.landmarks[j]) / 2,
        score=float(max(first.score[i], second.score[j])),
        found_by=(FIRST, SECOND),
    )


def _lone(found: Detections, paired: set[int], name: str) -> list[Sighting]:
    """Those that the other detector does not see as well."""
    parts = zip(found.xyxy, found.landmarks, found.score, strict=True)
    return [
        Sighting(xyxy=xyxy, points=points, score=float(score), found_by=(name,))
        for i, (xyxy, points, score) in enumerate(parts)
        if i not in paired
    ]


def _confirmed(doubted: list[Sighting], confirm: Confirm, least: float) -> list[Sighting]:
    """Those that a closer look takes for faces too."""
    if not doubted:
        return []
    probable = confirm(np.stack([s.xyxy for s in doubted]).astype(np.float64)) >= least
    return [replace(s, found_by=(*s.found_by, THIRD)) for s, yes in zip(doubted, probable, strict=True) if yes]


def _each_once(found: list[Sighting], most: float) -> tuple[Sighting, ...]:
    if not found:
        return ()
    boxes = np.stack([np.append(s.xyxy, s.score) for s in found]).astype(np.float64)
    return tuple(found[i] for i in suppress(boxes, most, by_smaller=True))
