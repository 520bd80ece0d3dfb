"""What makes a result of a photo: nothing, pixels, blur, a model as the runtime runs it, or another tool's files."""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Protocol

import cv2
import numpy as np

from streamfilter import align, anonymize, composite, crop_grid, grain, light, silhouette
from streamfilter.anonymize import Anonymizer
from streamfilter.composite import blend
from streamfilter.config import AnonymizeConfig, Device
from streamfilter.errors import InputError
from streamfilter.metrics.baselines import blurred, face_box, pixelised
from streamfilter.model_files import sha256, weights_beside
from streamfilter.structures import Image, Track
from training.evaluation.photos import SIDE_PX, Photo

SEED = 20
SUFFIXES = (".png", ".jpg", ".jpeg", ".webp", ".bmp")
# The modules of the runtime that decide how a face is fused: a change there makes what was measured before stale.
PASTED_BY = (align, anonymize, composite, crop_grid, grain, light, silhouette)
PASTING = hashlib.sha256("".join(sha256(Path(str(module.__file__))) for module in PASTED_BY).encode()).hexdigest()

Change = Callable[[Photo], Image]


class Method(Protocol):
    """One row of the tables."""

    @property
    def name(self) -> str:
        """How the row is called."""
        ...

    def key(self, names: Sequence[str]) -> str:
        """Changes when the results for these photos would."""
        ...

    def open(self) -> Change:
        """Ready to work; done in the process that works."""
        ...


@dataclass(frozen=True)
class Original:
    """The photo as it is."""

    name: str = "original"

    def key(self, names: Sequence[str]) -> str:
        """The photo alone decides."""
        return self.name

    def open(self) -> Change:
        """Nothing is changed."""
        return lambda photo: photo.image


@dataclass(frozen=True)
class Pixelised:
    """Squares of `block` px in the face's box."""

    block: int

    @property
    def name(self) -> str:
        """As in the paper's tables."""
        return f"pixelisation {self.block}x{self.block}"

    def key(self, names: Sequence[str]) -> str:
        """The name says all."""
        return self.name

    def open(self) -> Change:
        """See `baselines.pixelised`."""
        return lambda photo: pixelised(photo.image, photo.landmarks, self.block)


@dataclass(frozen=True)
class Blurred:
    """A Gaussian of `kernel` px over the face's box."""

    kernel: int

    @property
    def name(self) -> str:
        """As in the paper's tables."""
        return f"Gaussian blur {self.kernel}"

    def key(self, names: Sequence[str]) -> str:
        """The name says all."""
        return self.name

    def open(self) -> Change:
        """See `baselines.blurred`."""
        return lambda photo: blurred(photo.image, photo.landmarks, self.kernel)


@dataclass(frozen=True)
class Painted:
    """A model of the runtime's contract; the identity model beside it is used, or else the shipped one."""

    name: str
    model: Path
    digest: str

    @classmethod
    def of(cls, name: str, model: Path) -> Painted:
        """A model file, tried once.

        Raises:
            ModelError: it is missing, damaged or of another kind.
        """
        generator(model)
        files = [model, anonymize.identity_path(model), *weights_beside([model])]
        return cls(name, model, hashlib.sha256("".join(sha256(file) for file in files).encode()).hexdigest())

    def key(self, names: Sequence[str]) -> str:
        """Bytes of all its files and of the code that pastes its faces, and the seed."""
        return f"{self.digest} {PASTING} {SEED}"

    def open(self) -> Change:
        """One new identity per photo, drawn from `SEED` and the photo's number."""
        anonymizer = generator(self.model)

        def change(photo: Photo) -> Image:
            result = paint(anonymizer, photo, photo.index)
            anonymizer.forget(photo.index)
            return result

        return change


@dataclass(frozen=True)
class Foreign:
    """Pictures of the aligned photos that another tool made, under the photos' names (any usual suffix)."""

    name: str
    folder: Path

    def key(self, names: Sequence[str]) -> str:
        """Sizes and times of the files."""
        stats = [self.find(name).stat() for name in names]
        return hashlib.sha256(str([(s.st_size, s.st_mtime_ns) for s in stats]).encode()).hexdigest()

    def check(self, names: Sequence[str]) -> None:
        """See that no picture is missing.

        Raises:
            InputError: one is.
        """
        missing = [name for name in names if not self._candidates(name)]
        if missing:
            raise InputError(
                f"{self.name}: {len(missing)} of {len(names)} pictures are missing in {self.folder}, the first is "
                f"{missing[0]!r}; --crops DIR writes the photos that the tool is to work on, under the names needed"
            )

    def find(self, name: str) -> Path:
        """The file of one photo.

        Raises:
            InputError: there is none.
        """
        self.check([name])
        return self._candidates(name)[0]

    def open(self) -> Change:
        """The file's picture at 256 px."""

        def change(photo: Photo) -> Image:
            path = self.find(photo.name)
            image = cv2.imread(str(path), cv2.IMREAD_COLOR)
            if image is None or image.shape[0] != image.shape[1]:
                raise InputError(f"{path} is no square picture: results on the aligned photos are needed (see --crops)")
            if len(image) != SIDE_PX:
                image = cv2.resize(image, (SIDE_PX, SIDE_PX), interpolation=cv2.INTER_AREA)
            return np.ascontiguousarray(image[..., ::-1])

        return change

    def _candidates(self, name: str) -> list[Path]:
        path = self.folder / name
        return [file for file in (path, *(path.with_suffix(suffix) for suffix in SUFFIXES)) if file.is_file()]


BASELINES: tuple[Method, ...] = (Original(), Pixelised(15), Pixelised(25), Blurred(15), Blurred(25))


def generator(model: Path) -> Anonymizer:
    """The runtime's own painter with this one model, on the CPU with one thread.

    Raises:
        ModelError: the file is missing, damaged or of another kind.
    """
    return Anonymizer.load(config=AnonymizeConfig(seed=SEED), device=Device.CPU, threads=1, model=model)


def paint(anonymizer: Anonymizer, photo: Photo, identity: int) -> Image:
    """The photo with the invented face number `identity`, composed as the runtime does for a still picture."""
    x0, y0, x1, y1 = face_box(photo.landmarks, len(photo.image))
    track = Track(identity, np.array([x0, y0, x1, y1], np.float32), landmarks=photo.landmarks, confidence=1.0)
    crop = anonymizer.crop(photo.image, track)
    if crop is None:
        raise InputError(f"{photo.name}: its landmarks make no face")
    canvas = photo.image.copy()
    for patch in anonymizer([crop]):
        blend(canvas, photo.image, patch)
    return canvas
