"""What the search remembers: who was recognised when, and the faces that nobody was known in yet."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from streamfilter.audit.sampling import Lottery
from streamfilter.structures import Floats, Image

MOST_WAITING = 4000
"""Faces; with two recognisers of 128 numbers that is 4 MB."""
MOST_LISTED = 200
MOST_PICTURES = 12


@dataclass(frozen=True, slots=True, kw_only=True)
class Place:
    """In which file, when in seconds, and by how many degrees against the clock the picture was turned."""

    source: str
    time_s: float
    turned: int

    @property
    def picture(self) -> str:
        """Which picture it was, in words."""
        return f"turned by {self.turned}°" if self.turned else "upright"


@dataclass(frozen=True, eq=False, slots=True, kw_only=True)
class Waiting:
    """A face of the result in which nobody was known when it came: somebody who comes later may be."""

    place: Place
    embeddings: Mapping[str, Floats]


@dataclass(frozen=True, eq=False, slots=True, kw_only=True)
class Known:
    """A face of the result in which a person of the original was recognised; `crop` where there is room for one."""

    place: Place
    cosines: Mapping[str, float]
    crop: Image | None = None


class Records:
    """Counts all, remembers a bounded number."""

    def __init__(self, seed: int = 0, most_waiting: int = MOST_WAITING) -> None:
        self.faces = self.pictures = self.count = 0
        self.known: list[Known] = []
        self.known_in: set[str] = set()
        self.waiting: list[Waiting] = []
        self._lottery = Lottery(most_waiting, seed)

    @property
    def room_for_a_picture(self) -> bool:
        """Whether the next crop will be kept."""
        return len(self.known) < MOST_PICTURES

    def recognised(self, known: Known) -> None:
        """One more."""
        self.count += 1
        self.known_in.add(known.place.source)
        if len(self.known) < MOST_LISTED:
            self.known.append(known)

    def wait(self, face: Waiting) -> None:
        """One more face that is nobody yet; of too many, each is as likely to be kept as any other."""
        place = self._lottery.place()
        if place is not None:
            self.waiting[place : place + 1] = [face]
