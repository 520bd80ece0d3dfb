"""The models that an audit looks with. None of them took part in protecting or in training."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from streamfilter.audit.consistency.jittering import Landmarker
from streamfilter.audit.detect.hog import Hog
from streamfilter.audit.detect.mtcnn import Mtcnn
from streamfilter.audit.detect.reference import ReferenceDetector
from streamfilter.audit.landmarks import Landmarks68
from streamfilter.audit.recognise import Recogniser, load_recognisers
from streamfilter.audit.report import CalibrationSummary, UsedModel
from streamfilter.audit.scout import Detect
from streamfilter.audit.utility.redetection import NearDetector
from streamfilter.model_store.store import Store

PREDICTOR = "shape_predictor_68_face_landmarks.dat"


@dataclass(frozen=True, eq=False, kw_only=True)
class Tools:
    """What looks.

    Attributes:
        detect: Which faces of the original count.
        recognisers: Attackers, each with its calibration.
        landmarks: dlib's 68 points.
        near: Detectors of which is asked whether they still find a face, by name.
        used: What the report says of the models.
    """

    detect: Detect
    recognisers: tuple[Recogniser, ...]
    landmarks: Landmarker
    near: Mapping[str, NearDetector]
    used: tuple[UsedModel, ...] = ()

    @classmethod
    def load(cls, store: Store, recognisers: Sequence[Path] = (), *, threads: int = 0) -> Tools:
        """From the models that were pulled, and the user's own recognisers.

        Raises:
            ModelError: a model is missing, damaged, or not calibrated; the message says what to do.
        """
        attackers = load_recognisers(store, recognisers, threads)
        pulled, known = _pulled(store), {item.calibration.sha256 for item in attackers}
        others = (model for model in pulled if model.sha256 not in known)
        mtcnn = Mtcnn.load(store, threads=threads)
        return cls(
            detect=ReferenceDetector.load(store, threads=threads, mtcnn=mtcnn),
            recognisers=attackers,
            landmarks=Landmarks68.load(store.path(PREDICTOR)),
            near={"dlib": Hog(), "mtcnn": mtcnn},
            used=(*(_attacker(item, pulled) for item in attackers), *others),
        )


def _pulled(store: Store) -> list[UsedModel]:
    return [
        UsedModel(
            name=holding.file.name,
            sha256=holding.file.sha256,
            version=f"{holding.package.name} {holding.package.version}",
            licence=holding.file.licence,
            task=holding.file.purpose,
        )
        for holding in store.state()
    ]


def _attacker(recogniser: Recogniser, pulled: Sequence[UsedModel]) -> UsedModel:
    known = recogniser.calibration
    origin = next((model for model in pulled if model.sha256 == known.sha256), None)
    return UsedModel(
        name=recogniser.name,
        sha256=known.sha256,
        version=origin.version if origin else "a file of the user's",
        licence=origin.licence if origin else "known to the user",
        task="recogniser",
        calibration=CalibrationSummary(
            photos=known.photos,
            accuracy=known.accuracy,
            genuine_pairs=known.genuine_pairs,
            impostor_pairs=known.impostor_pairs,
            thresholds={point.false_accepts: point.threshold for point in known.points},
            true_accepts={point.false_accepts: point.true_accepts for point in known.points},
        ),
    )
