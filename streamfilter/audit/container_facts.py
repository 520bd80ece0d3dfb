"""What became of everything but the faces: number and times of the pictures, their size, sound and subtitles."""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum

import numpy as np

from streamfilter.audit.footage import Footage
from streamfilter.media.contents import Contents, TrackContents

# A re-encoder may pad its first and last packet.
LENGTH_TOLERANCE_S = 0.25
LENGTH_TOLERANCE = 0.02


class Fate(StrEnum):
    """Of one track beside the picture."""

    IDENTICAL = "identical"
    """Every byte of every packet."""
    REENCODED = "re-encoded"
    """Other bytes, the same length within 0.25 s or 2 %."""
    ALTERED = "of another length"
    MISSING = "missing"


@dataclass(frozen=True, kw_only=True)
class TrackFacts:
    """One audio or subtitle track of the original; `shift_ms`: how much later its first packet is presented."""

    kind: str
    codec: str
    fate: Fate
    result_codec: str | None = None
    shift_ms: float | None = None
    time_error_ms: float | None = None
    """Largest deviation of a packet's time from that shift; None where the packets are not as many."""


@dataclass(frozen=True, kw_only=True)
class ContainerFacts:
    """Two files compared.

    Attributes:
        original_frames, result_frames: How many pictures each holds.
        unpaired_frames: Pictures of the original during which the result shows nothing.
        unexamined_frames: Pictures of the result that are shown beside no picture of the original, for example
            duplicates; whether they are is told by `Unseen`.
        shift_ms: Median of how much later the result shows the same picture.
        time_error_ms: Largest deviation from that shift.
        original_size, result_size: (width, height) of the upright pictures.
        tracks: One entry for each audio and subtitle track of the original.
        added_tracks: Audio and subtitle tracks that only the result has.
        still: A picture: times and tracks say nothing.
        matched_by: How frames were paired, in words.
        notes: What a reader should know of the pairing.
    """

    original_frames: int
    result_frames: int
    unpaired_frames: int
    unexamined_frames: int
    shift_ms: float
    time_error_ms: float
    original_size: tuple[int, int]
    result_size: tuple[int, int]
    tracks: tuple[TrackFacts, ...]
    added_tracks: int
    still: bool
    matched_by: str
    notes: tuple[str, ...] = ()

    @property
    def frames_equal(self) -> bool:
        """As many pictures in both."""
        return self.original_frames == self.result_frames

    @property
    def size_equal(self) -> bool:
        """The same width and height."""
        return self.original_size == self.result_size

    def identical(self, kind: str) -> bool | None:
        """Whether all tracks of a kind (`audio`, `subtitle`) kept every byte; None where the original has none."""
        fates = [track.fate for track in self.tracks if track.kind == kind]
        return all(fate is Fate.IDENTICAL for fate in fates) if fates else None


def container_facts(footage: Footage) -> ContainerFacts:
    """Compare what two files hold beside the faces; decodes nothing."""
    original, result = footage.original, footage.result
    paired = footage.partners >= 0
    shown = footage.partners[paired]
    lateness = (result.times[shown] - original.times[paired]) * 1000
    shift = float(np.median(lateness)) if len(lateness) else 0.0
    tracks = tuple(fact for kind in ("audio", "subtitle") for fact in _tracks(original, result, kind))
    kept = sum(fact.fate is not Fate.MISSING for fact in tracks)
    return ContainerFacts(
        original_frames=original.frames,
        result_frames=result.frames,
        unpaired_frames=int((~paired).sum()),
        unexamined_frames=result.frames - len(np.unique(shown)),
        shift_ms=shift,
        time_error_ms=float(np.abs(lateness - shift).max()) if len(lateness) else 0.0,
        original_size=(original.width, original.height),
        result_size=(result.width, result.height),
        tracks=tracks,
        added_tracks=len(result.tracks) - kept,
        still=footage.still,
        matched_by=str(footage.matched_by),
        notes=footage.notes,
    )


def _tracks(original: Contents, result: Contents, kind: str) -> list[TrackFacts]:
    """Pair tracks of a kind: equal bytes first, the rest in order."""
    partners: dict[int, TrackContents] = {}
    left = list(result.of(kind))
    ours = original.of(kind)
    for number, track in enumerate(ours):
        same = next((other for other in left if other.sha256 == track.sha256), None)
        if same is not None:
            partners[number] = same
            left.remove(same)
    for number in range(len(ours)):
        if number not in partners and left:
            partners[number] = left.pop(0)
    return [_compared(track, partners.get(number)) for number, track in enumerate(ours)]


def _compared(track: TrackContents, other: TrackContents | None) -> TrackFacts:
    if other is None:
        return TrackFacts(kind=track.kind, codec=track.codec, fate=Fate.MISSING)
    shift = other.start_s - track.start_s
    error = None
    if len(track.times) == len(other.times) > 0:
        error = float(np.abs(other.times - track.times - shift).max()) * 1000
    return TrackFacts(
        kind=track.kind,
        codec=track.codec,
        fate=_fate(track, other),
        result_codec=other.codec,
        shift_ms=shift * 1000,
        time_error_ms=error,
    )


def _fate(track: TrackContents, other: TrackContents) -> Fate:
    if track.sha256 == other.sha256:
        return Fate.IDENTICAL
    tolerance = max(LENGTH_TOLERANCE_S, LENGTH_TOLERANCE * track.duration_s)
    return Fate.REENCODED if abs(track.duration_s - other.duration_s) <= tolerance else Fate.ALTERED
