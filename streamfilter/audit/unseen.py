"""Pictures of a result that are shown beside no picture of the original: nothing can be compared with them."""

from __future__ import annotations

from dataclasses import dataclass, field

import cv2
import numpy as np

from streamfilter.structures import Floats, Image

# A face of 20 px in 1080p still covers more than one cell of this.
LONGER_SIDE = 160
# Grey levels. Repetitions by FFmpeg were measured to reach .1 and 3, other pictures of the same scene 1.8 and 100.
MOST_MEAN, MOST_CELL = 1.0, 16.0
MOST_WAITING = 1000


@dataclass(eq=False)
class Unseen:
    """Counts the pictures of a result that nobody compared: those that could not be decoded, and the skipped ones.

    Skipped ones that merely repeat the picture compared before or after them do not count.

    A repetition differs from it by at most 1 grey level on average and 16 levels in any cell, where cells are those of
    a thumbnail 160 px long (mean over the colours). What was put into a file with a face in it differs by far more.

    Attributes:
        frames: How many there were so far; final after `finish`.
    """

    frames: int = 0
    _compared: Image | None = field(default=None, repr=False)
    _waiting: list[Floats] = field(default_factory=list, repr=False)

    def restart(self) -> None:
        """Before the first picture of a pass."""
        self.frames, self._compared = 0, None
        self._waiting.clear()

    def lose(self, count: int) -> None:
        """So many pictures that are in the file and could not be decoded: another player may show them."""
        self.frames += max(count, 0)

    def compared(self, image: Image) -> bool:
        """Whether this very picture was the last that was compared."""
        return self._compared is image

    def skip(self, image: Image) -> None:
        """A picture (H, W, 3) that stands beside none of the original."""
        small = _thumbnail(image)
        if self._compared is not None and _repeats(small, _thumbnail(self._compared)):
            return
        if len(self._waiting) < MOST_WAITING:
            self._waiting.append(small)
        else:
            self.frames += 1

    def compare(self, image: Image) -> None:
        """The picture (H, W, 3) that is compared next."""
        if self._waiting:
            shown = _thumbnail(image)
            self.frames += sum(not _repeats(small, shown) for small in self._waiting)
            self._waiting.clear()
        self._compared = image

    def finish(self) -> None:
        """After the last picture: those that still wait repeat nothing that follows."""
        self.frames += len(self._waiting)
        self._waiting.clear()
        self._compared = None


def _repeats(one: Floats, other: Floats) -> bool:
    if one.shape != other.shape:
        return False
    differences = np.abs(one - other).mean(axis=2)
    return bool(differences.mean() <= MOST_MEAN and differences.max() <= MOST_CELL)


def _thumbnail(image: Image) -> Floats:
    scale = min(LONGER_SIDE / max(image.shape[:2]), 1.0)
    width, height = (max(round(side * scale), 1) for side in image.shape[1::-1])
    return np.asarray(cv2.resize(image, (width, height), interpolation=cv2.INTER_AREA), np.float32)
