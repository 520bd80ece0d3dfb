"""What is remembered of leaks: counts, runs of frames, the worst moments; bounded, however long."""

from __future__ import annotations

import heapq
from collections import Counter
from dataclasses import dataclass, field

from streamfilter.structures import Image

MOST_FRAMES = 10_000  # listed by number; counting goes on beyond


@dataclass(frozen=True, order=True)
class Worst:
    """A moment to look at, the more of the face survives the worse; `order` breaks ties.

    `shows`: at least a part of an original face survives in the crop, this one or a neighbour. `tracks`: whose places
    are in the crop.
    """

    share: float
    order: int
    source: str = field(compare=False)
    index: int = field(compare=False)
    time_s: float = field(compare=False)
    shows: bool = field(compare=False)
    tracks: tuple[int, ...] = field(compare=False)
    crop: Image = field(compare=False, repr=False)
    original: Image = field(compare=False, repr=False)
    place: Image = field(compare=False, repr=False)


@dataclass(kw_only=True)
class Runs:
    """Stretches of consecutive frames with a bare face, within one file."""

    count: int = 0
    longest_frames: int = 0
    longest_s: float = 0.0
    longest_at: tuple[str, float] | None = None
    _last: tuple[str, int] | None = None
    _start: tuple[int, float] = (0, 0.0)

    def add(self, source: str, index: int, time_s: float, frame_s: float) -> None:
        """One more frame with a bare face; frames come in order."""
        if self._last != (source, index - 1):
            self.count += 1
            self._start = index, time_s
        self._last = source, index
        frames = index - self._start[0] + 1
        if frames > self.longest_frames:
            self.longest_frames = frames
            self.longest_s = time_s - self._start[1] + frame_s
            self.longest_at = source, self._start[1]


class Ranking:
    """The `size` worst moments, at most one per track and second, so that one leak does not fill the sheet."""

    def __init__(self, size: int) -> None:
        self._size = size
        self._kept: dict[tuple[str, int, int], Worst] = {}
        self._order = 0

    def wants(self, share: float) -> bool:
        """Whether a moment with this share could be among the worst; asked before its pictures are cut out."""
        return len(self._kept) < self._size or share > min(self._kept.values()).share

    def add(self, track: int, worst: Worst) -> None:
        """One more moment."""
        key = worst.source, track, int(worst.time_s)
        if key in self._kept and self._kept[key].share >= worst.share:
            return
        self._kept[key] = worst
        if len(self._kept) > self._size:
            del self._kept[min(self._kept, key=lambda k: self._kept[k])]

    def next_order(self) -> int:
        """A number that is lower the later it is drawn: of two equals the earlier moment stays."""
        self._order -= 1
        return self._order

    def ranked(self) -> list[Worst]:
        """The worst first."""
        return heapq.nlargest(self._size, self._kept.values())


@dataclass(kw_only=True)
class Counts:
    """How many of what."""

    faces: int = 0
    bare: int = 0
    partly: int = 0
    unconfirmed: int = 0
    frames: int = 0
    bare_frames: int = 0
    unseen: int = 0
    further_pictures: int = 0
    listed: list[tuple[str, int]] = field(default_factory=list)
    by_source: Counter[str] = field(default_factory=Counter)
    faces_by_source: Counter[str] = field(default_factory=Counter)

    def list_frame(self, source: str, index: int) -> None:
        """Remember the number of a frame with a bare face, as far as there is room."""
        self.bare_frames += 1
        if len(self.listed) < MOST_FRAMES:
            self.listed.append((source, index))
