"""Stand-ins for the models of an audit, and small films for it: who is shown is a matter of the texture in a box."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import av
import cv2
import numpy as np

from streamfilter.audit.recognise.calibration import Calibration, OperatingPoint
from streamfilter.audit.report import UsedModel
from streamfilter.audit.tools import Tools
from streamfilter.structures import Doubles, Floats, Image
from tests.audit_kit import SIZE, box_of, landmarks_of, painted, points_of, texture

BOX = box_of(70, 50, 80)
SAME = 0.5


@dataclass(frozen=True, eq=False)
class Sighting:
    """A face that is always in one place."""

    xyxy: Floats
    points: Floats
    score: float = 0.9


class Detector:
    """Finds a face in the box wherever there is a strong pattern: a blurred or empty box holds none."""

    def __init__(self, boxes: Sequence[Floats] = (BOX,)) -> None:
        self.boxes = boxes
        self.looks = 0

    def __call__(self, image: Image) -> tuple[Sighting, ...]:
        self.looks += 1
        found = [box for box in self.boxes if cut(image, box).std() > 25]
        return tuple(Sighting(box, points_of(box)) for box in found)

    def near(self, image: Image, box: Doubles) -> bool:
        return bool(self(image))


def cut(image: Image, box: Floats) -> Image:
    x0, y0, x1, y1 = np.asarray(box).round().astype(int)
    return image[max(y0, 0) : y1, max(x0, 0) : x1]


class Recogniser:
    """Knows a texture again, in colour and coarse form."""

    name = "fake"
    calibration = Calibration(
        model="fake",
        sha256="0" * 64,
        photos="drawn",
        people=9,
        pictures=9,
        genuine_pairs=9,
        impostor_pairs=9,
        points=tuple(OperatingPoint(false_accepts=far, threshold=SAME, true_accepts=1.0) for far in (1e-2, 1e-3, 1e-4)),
    )

    def embed(self, image: Image, points: Floats) -> Floats:
        return np.stack([self._one(image, face) for face in points])

    def _one(self, image: Image, points: Floats) -> Floats:
        low, high = points.min(0), points.max(0)
        small = cv2.resize(cut(image, np.concatenate([low, high])), (10, 10), interpolation=cv2.INTER_AREA)
        vector = small.astype(np.float32).ravel()
        vector -= vector.mean()
        return vector / max(float(np.linalg.norm(vector)), 1e-6)


class Landmarks:
    """The same frontal face everywhere."""

    def pair(self, original: Image, result: Image, points: Floats) -> tuple[Floats, Floats]:
        low, high = points.min(0), points.max(0)
        found = landmarks_of(np.concatenate([low, high]).astype(np.float32))
        return found, found


def tools(detector: Detector | None = None) -> Tools:
    """All stand-ins."""
    detector = detector or Detector()
    return Tools(
        detect=detector,
        recognisers=(Recogniser(),),
        landmarks=Landmarks(),
        near={"dlib": detector, "mtcnn": detector},
        used=(UsedModel(name="fake", sha256="0" * 64, version="1", licence="none", task="recogniser"),),
    )


def film(
    path: Path, seeds: Sequence[int | None], *, size: tuple[int, int] = SIZE, boxes: Sequence[Floats] = (BOX,)
) -> Path:
    """A video at 25 fps; each frame shows the face with this seed in each box, or, for None, a blurred one."""
    return written(path, [picture(seed, size, boxes) for seed in seeds])


def written(path: Path, pictures: Sequence[Image]) -> Path:
    """A video at 25 fps of these pictures."""
    with av.open(str(path), "w") as output:
        stream = output.add_stream("libx264", rate=25, options={"crf": "12", "preset": "ultrafast"})
        stream.height, stream.width = pictures[0].shape[:2]
        stream.pix_fmt = "yuv444p"
        for image in pictures:
            output.mux(stream.encode(av.VideoFrame.from_ndarray(image, format="rgb24")))
        output.mux(stream.encode())
    return path


def picture(seed: int | None, size: tuple[int, int] = SIZE, boxes: Sequence[Floats] = (BOX,)) -> Image:
    """One frame of `film`."""
    image = texture(0, *size)
    for number, box in enumerate(boxes):
        image = painted(image, box, (seed or 0) + 100 * number)
        if seed is None:
            cut(image, box)[...] = cv2.GaussianBlur(cut(image, box), (0, 0), 12)
    return image
