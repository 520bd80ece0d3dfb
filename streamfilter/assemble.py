"""The one place that loads the models and wires the steps; nothing opens a target before all of it has answered."""

from __future__ import annotations

from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np

from streamfilter import align, probe
from streamfilter.anonymize import Anonymizer
from streamfilter.composite import Compositor
from streamfilter.config import Device, FilterConfig
from streamfilter.cover import cover
from streamfilter.detect import Detector, Lookout
from streamfilter.errors import ModelError
from streamfilter.face_filter import FaceFilter
from streamfilter.guard import Guard
from streamfilter.landmarks import AnyLandmarker, DlibLandmarker, Landmarker
from streamfilter.onnx_model import OnnxModel
from streamfilter.pipeline.beside import Beside
from streamfilter.smooth import smooth_window
from streamfilter.still import StillDetector
from streamfilter.structures import FaceCrop

REINSTALL = "the file may be damaged: reinstall streamfilter"
MAX_OFFSET = (
    0.08  # of the probe's side: how far the landmarks of the known face may lie from where they are, on average
)
MIN_CONTRAST = 2.0  # grey levels: a generator that paints one flat colour is not working


@dataclass(frozen=True, kw_only=True)
class Models:
    """Every network that the main job needs, loaded and proven to answer."""

    detector: Detector
    landmarker: AnyLandmarker
    anonymizer: Anonymizer

    @property
    def onnx(self) -> tuple[OnnxModel, ...]:
        """The model files behind them."""
        landmarks = (self.landmarker.model,) if isinstance(self.landmarker, Landmarker) else ()
        return (self.detector.model, *landmarks, *self.anonymizer.models)


def load_models(
    config: FilterConfig,
    *,
    device: Device = Device.AUTO,
    threads: int = 0,
    model: Path | None = None,
    landmarks: Path | None = None,
) -> Models:
    """Load every model, warm it up, and check its answer to a known input.

    Args:
        config: All settings of the filter.
        device: Anything but `AUTO` is met or refused.
        threads: CPU threads of each network; 0: one for every core.
        model: Another generator that keeps the contract of the shipped ones.
        landmarks: dlib's predictor in the place of the shipped landmark network.

    Raises:
        ModelError: A model is missing, damaged, of another kind, or answers the known input wrongly.
        DeviceError: The device is not to be had.
        ConfigError: `landmarks` is not a predictor.
    """
    models = Models(
        detector=Detector.load(device=device, threads=threads, config=config.detect),
        landmarker=DlibLandmarker(landmarks) if landmarks else Landmarker.load(device=device, threads=threads),
        anonymizer=Anonymizer.load(config=config.anonymize, device=device, threads=threads, model=model),
    )
    check(models)
    return models


def wire(models: Models, config: FilterConfig) -> Guard:
    """A filter for one stream around loaded models; the models' own memory begins afresh."""
    models.anonymizer.reset()
    return Guard(
        FaceFilter(
            detect=Lookout(models.detector),
            detect_still=StillDetector(models.detector),
            landmark=models.landmarker,
            anonymizer=models.anonymizer,
            compositor=Compositor(),
            cover=cover,
            smooth=smooth_window,
            config=config,
            beside=Beside(),
        )
    )


def wire_camera(models: Models, config: FilterConfig) -> Guard:
    """A filter for one of several streams that run at once: the networks are shared, all memory is its own.

    Safe to call, and its result to use, in a thread of its own; `config` may differ from camera to camera.
    """
    same = models.detector.config == config.detect
    detector = models.detector if same else Detector(models.detector.model, config.detect)
    own = replace(models, detector=detector, anonymizer=models.anonymizer.sibling(config.anonymize))
    return wire(own, config)


def build_filter(
    config: FilterConfig | None = None,
    *,
    device: Device = Device.AUTO,
    threads: int = 0,
    model: Path | None = None,
    landmarks: Path | None = None,
) -> Guard:
    """A filter that is ready to work: `load_models`, then `wire`."""
    config = config or FilterConfig()
    return wire(load_models(config, device=device, threads=threads, model=model, landmarks=landmarks), config)


def check(models: Models) -> None:
    """Put the known input to every model.

    Raises:
        ModelError: An answer is missing, not finite, misshapen, or plainly wrong.
    """
    image, track, landmarks = probe.picture(), probe.track(), probe.landmarks(probe.SIDE_PX)
    found = models.detector(image)
    centre = (track.xyxy[:2] + track.xyxy[2:]) / 2
    if not any((box[:2] < centre).all() and (centre < box[2:]).all() for box in found.xyxy):
        raise ModelError(f"{models.detector.model.path.name} does not find the known face; {REINSTALL}")
    (located,) = models.landmarker(image, [replace(track, landmarks=None, confidence=0.0)])
    offset = np.inf if located.landmarks is None else np.abs(located.landmarks - landmarks).mean()
    if not offset < MAX_OFFSET * probe.SIDE_PX:
        raise ModelError(f"the landmark model does not find the known face's landmarks; {REINSTALL}")
    for model in models.anonymizer.models:
        if "resolution" in model.metadata:
            _check_generator(models.anonymizer, int(model.metadata["resolution"]))
    models.anonymizer.reset()


def _check_generator(anonymizer: Anonymizer, side: int) -> None:
    """One face at one rung of the ladder."""
    image, landmarks = probe.picture(), probe.landmarks(probe.SIDE_PX)
    matrix = align.ffhq_matrix(landmarks, side)
    crop = FaceCrop(probe.TRACK_ID, align.crop(image, matrix, side), align.transform(landmarks, matrix), matrix)
    (patch,) = anonymizer([crop])
    if patch.image.shape != (side, side, 3) or patch.image.std() < MIN_CONTRAST:
        raise ModelError(f"the generator for {side} px does not paint a face on the known input; {REINSTALL}")
