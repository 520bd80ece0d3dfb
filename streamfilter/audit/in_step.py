"""Reads an original and its result in step: every picture of the one beside what the other shows at its time."""

from __future__ import annotations

from collections.abc import Generator, Iterator
from contextlib import closing
from pathlib import Path

import cv2
import numpy as np

from streamfilter.audit.footage import Footage
from streamfilter.audit.losses import Losses
from streamfilter.audit.simultaneous import NOBODY
from streamfilter.audit.unseen import Unseen
from streamfilter.errors import InputError
from streamfilter.media import open_source
from streamfilter.structures import Doubles, Image


def frame_pairs(footage: Footage) -> Iterator[tuple[int, float, Image, Image]]:
    """Index and time of each picture of the original, it, and the result's picture shown then, in the same size.

    Pictures of the original during which the result shows nothing are left out, and so are those beside a picture of
    the result that cannot be decoded: `footage.losses` counts these. Pictures of the result that stand beside none of
    the original are counted by `footage.unseen`. Both are complete at the end. Both files are decoded once, in step;
    one picture of each is held.

    Raises:
        InputError: the result ends before its packets do; it is damaged.
    """
    unseen, losses = footage.unseen, footage.losses
    unseen.restart()
    losses.restart()
    with closing(_results(footage)) as results:
        number, shown = _advance(results, footage, 0)
        for index, image, time_s in _originals(footage):
            wanted = int(footage.partners[index])
            if wanted == NOBODY:
                continue
            while number < wanted:
                _skip(unseen, shown)
                number, shown = _advance(results, footage, wanted)
            if number > wanted:  # the one that is wanted could not be decoded; the next is another moment
                losses.uncompared += 1
                continue
            unseen.compare(shown)
            yield index, time_s, image, fitted(shown, image.shape[1], image.shape[0])
        _skip(unseen, shown)
        for _, picture in results:
            unseen.skip(picture)
        unseen.finish()


def fitted(image: Image, width: int, height: int) -> Image:
    """The picture in another size; untouched where it has that size."""
    if image.shape[:2] == (height, width):
        return image
    way = cv2.INTER_AREA if width * height < image.shape[0] * image.shape[1] else cv2.INTER_LINEAR
    return np.asarray(cv2.resize(image, (width, height), interpolation=way), np.uint8)


def _originals(footage: Footage) -> Iterator[tuple[int, Image, float]]:
    """Those that the packets told of: others have no partner."""
    contents = footage.original
    numbered = _timed(contents.path, contents.times, footage.losses, "original")
    return (picture for picture in numbered if picture[0] < contents.frames)


def _results(footage: Footage) -> Generator[tuple[int, Image]]:
    """Number and picture; numbers that are left out, also at the end, were not decoded: nobody sees them."""
    contents, before = footage.result, -1
    for number, image, _ in _timed(contents.path, contents.times, footage.losses, "result"):
        footage.unseen.lose(number - before - 1)
        before = number
        yield number, image
    footage.unseen.lose(contents.frames - before - 1)


def _timed(path: Path, times: Doubles, losses: Losses, which: str) -> Generator[tuple[int, Image, float]]:
    """Number, picture and time. A decoder leaves out what is damaged: the time tells the number, not counting.

    Numbers from `len(times)` on belong to pictures of which the packets told nothing.
    """
    number = -1
    with open_source(path) as source:
        for frame in source:
            number = max(number + 1, int(np.searchsorted(times, frame.time_s - 1e-6)))
            yield number, frame.image, frame.time_s
        if source.damage:
            losses.damage[which] = str(source.damage)


def _skip(unseen: Unseen, shown: Image) -> None:
    """A picture of the result that is followed by another, if it was not compared."""
    if not unseen.compared(shown):
        unseen.skip(shown)


def _advance(results: Iterator[tuple[int, Image]], footage: Footage, wanted: int) -> tuple[int, Image]:
    following = next(results, None)
    if following is None:
        raise InputError(
            f"{footage.pair.result} ends before its picture {wanted + 1} of {footage.result.frames}; "
            "it is damaged, and what is left of it would not tell enough"
        )
    return following


class Beside:
    """The pictures of a second result, by the number of the original's picture that they stand beside.

    Args:
        footage: The same original and its second result; None: there is none.
    """

    def __init__(self, footage: Footage | None) -> None:
        self._pairs = iter(frame_pairs(footage)) if footage else iter(())
        self._next: tuple[int, Image] | None = None
        self._step()

    def at(self, index: int) -> Image | None:
        """The picture (H, W, 3) beside this one, None where the result shows nothing then; `index` rises."""
        while self._next is not None and self._next[0] < index:
            self._step()
        return self._next[1] if self._next is not None and self._next[0] == index else None

    def _step(self) -> None:
        found = next(self._pairs, None)
        self._next = None if found is None else (found[0], found[3])
