"""Which crops of a result anyone may see: those of which nothing says that an original face may be in them."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping

from streamfilter.audit.moment import Moment
from streamfilter.audit.original_faces import recognised


class Showable:
    """Remembers what recognisers said of every track, and in which files somebody was recognised at whatever place.

    A track is cleared where a recogniser looked at it and never took the face of the result for the original's. Whether
    pixels survive is asked by whoever cuts a crop out. Until `searched` was called nothing may be shown. Memory: a
    number for each track.

    Args:
        thresholds: Cosines by recogniser; without any no track is cleared.
    """

    def __init__(self, thresholds: Mapping[str, float]) -> None:
        self._thresholds = thresholds
        self._cleared: dict[int, bool] = {}
        self._known_in: frozenset[str] | None = None

    def look(self, moment: Moment) -> None:
        """One more moment."""
        for face in moment.faces:
            if self._thresholds and self._thresholds.keys() <= face.identity.keys():
                known = recognised(face, self._thresholds)
                self._cleared[face.track] = self._cleared.get(face.track, True) and not known

    def searched(self, known_in: Collection[str] | None) -> None:
        """What came of the search in the whole results.

        Args:
            known_in: The files in which somebody of the original is recognised; None: nobody could tell.
        """
        self._known_in = None if known_in is None else frozenset(known_in)

    def __call__(self, source: str, tracks: Iterable[int]) -> bool:
        """Whether a crop of this file's result may be shown; `tracks`: whose places are in it."""
        if self._known_in is None or source in self._known_in:
            return False
        return all(self._cleared.get(track, False) for track in tracks)
