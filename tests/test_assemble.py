"""Start-up: every model answers the known input before anything is opened, or the run ends there."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from fractions import Fraction
from pathlib import Path

import numpy as np
import pytest

from streamfilter import align, probe
from streamfilter.assemble import Models, build_filter, check
from streamfilter.config import AnonymizeConfig, Device, FilterConfig
from streamfilter.detect import Detector
from streamfilter.errors import ConfigError, ModelError
from streamfilter.structures import Detections, FaceCrop, Frame, Image, Patch, Track
from tests.scenes import FlatAnonymizer, FlatModels


@dataclass
class DescribedModel:
    metadata: dict[str, str] = field(default_factory=lambda: {"resolution": "64"})


class Painting(FlatAnonymizer):
    """One rung whose pictures the test chooses."""

    def __init__(self, face: Image) -> None:
        super().__init__()
        self.models = (DescribedModel(),)
        self._face = face

    def __call__(self, crops: Sequence[FaceCrop]) -> list[Patch]:
        return [Patch(c.track_id, self._face, c.matrix, align.face_mask(c.landmarks, len(self._face))) for c in crops]


class BlindDetector(Detector):
    def __call__(self, image: Image, *, long_side_px: int | None = None) -> Detections:
        return Detections.empty()


def models() -> Models:
    return FlatModels()(FilterConfig(), device=Device.CPU)


def test_models_that_answer_pass() -> None:
    noise = np.random.default_rng(0).integers(0, 255, (64, 64, 3)).astype(np.uint8)
    check(replace(models(), anonymizer=Painting(noise)))


def test_a_generator_that_paints_one_flat_colour_is_refused() -> None:
    with pytest.raises(ModelError, match="64 px does not paint"):
        check(replace(models(), anonymizer=Painting(np.full((64, 64, 3), 99, np.uint8))))


def test_a_detector_that_sees_nothing_is_refused() -> None:
    sound = models()
    with pytest.raises(ModelError, match=r"detector\.onnx does not find"):
        check(replace(sound, detector=BlindDetector(sound.detector.model)))


@pytest.mark.parametrize("shift", [60.0, np.nan])
def test_landmarks_far_from_the_truth_are_refused(shift: float) -> None:
    def astray(image: Image, tracks: Sequence[Track]) -> list[Track]:
        return [replace(track, landmarks=probe.landmarks(probe.SIDE_PX) + np.float32(shift)) for track in tracks]

    with pytest.raises(ModelError, match="landmark"):
        check(replace(models(), landmarker=astray))


@pytest.mark.slow
def test_the_shipped_models_replace_the_drawn_face() -> None:
    config = FilterConfig(anonymize=AnonymizeConfig(seed=1))
    guard = build_filter(config, device=Device.CPU, threads=1)
    picture = probe.picture()
    source = Frame(picture, 0, 0, Fraction(1, 25))
    safe = [*guard.push(source), *guard.flush()]
    assert len(safe) == 1
    assert safe[0].blanked is None
    assert len(safe[0].regions) == 1
    x0, y0, x1, y1 = probe.track().xyxy.astype(int)
    change = np.abs(safe[0].image[y0:y1, x0:x1].astype(int) - picture[y0:y1, x0:x1])
    assert change.mean() > 10
    around = np.abs(safe[0].image[:20].astype(int) - picture[:20])
    assert around.max() == 0


def test_a_missing_predictor_or_model_is_refused(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match="predictor"):
        build_filter(device=Device.CPU, landmarks=tmp_path / "none.dat")
    with pytest.raises(ModelError, match=r"none\.onnx"):
        build_filter(device=Device.CPU, model=tmp_path / "none.onnx")


def test_the_drawn_face_has_dlib_order() -> None:
    points = probe.landmarks(100)
    assert points.shape == (68, 2)
    assert points[0, 0] < points[16, 0]
    assert points[8, 1] == points[:, 1].max()
    assert points[36:42, 0].mean() < points[42:48, 0].mean()
    assert points[17:27, 1].max() < points[48:68, 1].min()
    assert (points >= 0).all()
    assert (points < 100).all()
