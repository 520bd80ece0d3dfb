"""Strips of result crops over time, one for each of the longest tracks: what a reader judges by eye."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from streamfilter.audit.crops import Square
from streamfilter.audit.moment import Face, Moment
from streamfilter.audit.original_faces import PARTLY
from streamfilter.audit.sampling import Thinned
from streamfilter.audit.section import Picture
from streamfilter.audit.showable import Showable
from streamfilter.metrics.survival import coding_floor, survival
from streamfilter.metrics.track_identity import spread_out
from streamfilter.structures import Image

SIDE_PX = 96
PER_STRIP = 8
MOST_STRIPS = 6
MOST_TRACKS = 24  # that are remembered at one time
SURROUNDINGS = 1.4  # crop to box


@dataclass(frozen=True, eq=False)
class Crop:
    """A face of the result.

    Attributes:
        bare: In what is cut out an original face survives, this one's or a neighbour's.
        tracks: Whose places are in it.
    """

    time_s: float
    image: Image
    bare: bool
    tracks: tuple[int, ...]


class Strips:
    """Keeps an even sample of crops of each of the tracks with the most faces.

    Args:
        showable: Which crops may be shown to anyone; asked at the end.
    """

    def __init__(self, showable: Showable) -> None:
        self._showable = showable
        self._tracks: dict[int, tuple[str, Thinned[Crop]]] = {}
        self._seen: dict[int, int] = {}

    def look(self, moment: Moment) -> None:
        """The faces of a sampled moment."""
        if not moment.sampled or moment.still:
            return
        for face in moment.faces:
            kept = self._kept(face.track, moment.source)
            self._seen[face.track] += 1
            kept.add(self._crop(face, moment) if kept.wanted else None)

    def _kept(self, track: int, source: str) -> Thinned[Crop]:
        if track not in self._tracks:
            if len(self._tracks) >= MOST_TRACKS:
                shortest = min(self._seen, key=lambda number: self._seen[number])
                del self._tracks[shortest], self._seen[shortest]
            self._tracks[track], self._seen[track] = (source, Thinned(2 * PER_STRIP)), 0
        return self._tracks[track][1]

    def _crop(self, face: Face, moment: Moment) -> Crop | None:
        area = Square.around(face.xyxy, SURROUNDINGS)
        if area is None:
            return None
        floor = coding_floor(moment.original, moment.result, [other.xyxy for other in moment.faces])
        there = [other for other in moment.faces if area.touches(other.xyxy)]
        shares = (survival(moment.original, moment.result, other.xyxy, floor).share for other in there)
        bare = any(share >= PARTLY for share in shares)
        tracks = (face.track, *(other.track for other in there))
        return Crop(moment.time_s, area.cut(moment.result, SIDE_PX), bare, tracks)

    def pictures(self) -> tuple[Picture, ...]:
        """One strip for each of the longest tracks."""
        longest = sorted(self._tracks, key=lambda track: (-self._seen[track], track))[:MOST_STRIPS]
        shown = (track for track in longest if self._tracks[track][1].items)
        return tuple(_strip(track, *self._tracks[track], self._showable) for track in shown)


def _strip(track: int, source: str, kept: Thinned[Crop], showable: Showable) -> Picture:
    chosen = [kept.items[i] for i in spread_out(len(kept.items), PER_STRIP)]
    first, last = chosen[0].time_s, chosen[-1].time_s
    return Picture(
        name=f"track_{track}",
        caption=f"Track {track} of {source}, result, {first:.1f} to {last:.1f} s",
        image=np.concatenate([crop.image for crop in chosen], 1),
        original=any(crop.bare or not showable(source, crop.tracks) for crop in chosen),
    )
