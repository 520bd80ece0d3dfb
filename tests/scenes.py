"""Clips with drawn faces, and models that need no weights: what several test files start from."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import av
import numpy as np

from streamfilter import align, probe
from streamfilter.assemble import Models
from streamfilter.config import AnonymizeConfig, Device, FilterConfig
from streamfilter.detect import Detector
from streamfilter.landmarks import Landmarker
from streamfilter.onnx_model import OnnxModel
from streamfilter.structures import FaceCrop, Image, Patch, Track

FPS = 25
FACE_PX = 96
PAINT = 200


def scene(index: int = 0, *, width: int = 192, height: int = 144, faces: int = 1) -> Image:
    """A picture with drawn faces that move a little from one index to the next."""
    picture = np.full((height, width, 3), probe.WALL, np.uint8)
    picture[::8] = 90
    face = probe.picture(FACE_PX)
    for each in range(faces):
        x = (each * width // max(faces, 1) + 2 * (index % 8)) % (width - FACE_PX)
        picture[height - FACE_PX - 8 : height - 8, x : x + FACE_PX] = face
    return picture


def write_clip(path: Path, *, frames: int = 12, faces: int = 1, sound: bool = False, width: int = 192) -> Path:
    """A clip of `scene`s, with a silent audio track if wanted."""
    with av.open(str(path), "w") as container:
        video = container.add_stream("libx264", rate=FPS, options={"preset": "ultrafast", "crf": "12", "g": "10"})
        video.width, video.height, video.pix_fmt = width, 144, "yuv420p"
        audio = container.add_stream("aac", rate=48000, layout="mono") if sound else None
        for index in range(frames):
            frame = av.VideoFrame.from_ndarray(scene(index, width=width, faces=faces), format="rgb24")
            container.mux(video.encode(frame))
        container.mux(video.encode(None))
        if audio is not None:
            for start in range(0, 48000 * frames // FPS, 1024):
                samples = av.AudioFrame.from_ndarray(np.zeros((1, 1024), np.float32), format="fltp", layout="mono")
                samples.sample_rate, samples.pts = 48000, start
                container.mux(audio.encode(samples))
            container.mux(audio.encode(None))
    return path


class FlatAnonymizer:
    """Paints every face in one flat colour, at once; `failing` makes each call raise."""

    def __init__(self, *, failing: bool = False) -> None:
        self.failing = failing
        self.models: tuple[OnnxModel, ...] = ()

    def sibling(self, config: AnonymizeConfig) -> FlatAnonymizer:
        return FlatAnonymizer(failing=self.failing)

    def reset(self) -> None:
        pass

    def forget(self, track_id: int) -> None:
        pass

    def crop(self, image: Image, track: Track) -> FaceCrop | None:
        if track.landmarks is None:
            return None
        matrix = align.ffhq_matrix(track.landmarks, 64)
        return FaceCrop(track.track_id, align.crop(image, matrix, 64), align.transform(track.landmarks, matrix), matrix)

    def __call__(self, crops: Sequence[FaceCrop]) -> list[Patch]:
        if self.failing:
            raise RuntimeError("the generator broke")
        flat = np.full((64, 64, 3), PAINT, np.uint8)
        return [Patch(crop.track_id, flat, crop.matrix, align.face_mask(crop.landmarks, 64)) for crop in crops]


class FlatModels:
    """Loads the real detector and landmark network, and `FlatAnonymizer` for the generator."""

    def __init__(self, *, anonymizer: FlatAnonymizer | None = None, detector: object | None = None) -> None:
        self.anonymizer = anonymizer or FlatAnonymizer()
        self.detector = detector
        self.calls: list[dict[str, object]] = []

    def __call__(
        self,
        config: FilterConfig,
        *,
        device: Device = Device.AUTO,
        threads: int = 0,
        model: Path | None = None,
        landmarks: Path | None = None,
    ) -> Models:
        self.calls.append(
            {"config": config, "device": device, "threads": threads, "model": model, "landmarks": landmarks}
        )
        return Models(
            detector=self.detector or Detector.load(device=device, threads=1, config=config.detect),
            landmarker=Landmarker.load(device=device, threads=1),
            anonymizer=self.anonymizer,
        )
