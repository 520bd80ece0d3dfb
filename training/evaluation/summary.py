"""From observations to one row of numbers."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass

import numpy as np

from streamfilter.metrics import over_time, pose
from streamfilter.metrics.matching import tracks
from streamfilter.structures import Doubles
from training.evaluation.observe import CROP_PX, Count, Face, Observation

SAME_PERSON = 0.3181  # cosine of the recogniser at a false accept rate of 1e-3, over 1,659 photos
WORST = 5


@dataclass(frozen=True)
class Row:
    """One clip, or all of them: distances and spreads in px of a 256 px crop, None where nothing was measured."""

    frames: int
    dlib_faces: int
    dlib_kept: float | None
    mtcnn_faces: int
    mtcnn_kept: float | None
    mtcnn_sure_faces: int
    mtcnn_sure_kept: float | None
    landmarks_inner_px: float | None
    landmarks_all_px: float | None
    eyes_correlation: float | None
    eyes_spread_px: float | None
    eyes_spread_after_px: float | None
    mouth_correlation: float | None
    mouth_spread_px: float | None
    mouth_spread_after_px: float | None
    identity_distance: float | None
    unrecognised: float | None
    tracks: int
    within_track_cosine: float | None
    within_track_least: float | None
    within_track_cosine_before: float | None
    between_tracks_cosine: float | None


@dataclass(frozen=True)
class Clip:
    """Everything that was observed in one clip, with a track number per face, and where it fell short most."""

    name: str
    frames: int
    faces: list[Face]
    numbers: list[int]
    mtcnn: list[Count]

    @classmethod
    def of(cls, name: str, observations: Sequence[Observation]) -> Clip:
        """Joined over the frames."""
        faces = [face for observation in observations for face in observation.faces]
        counts = [observation.mtcnn for observation in observations if observation.mtcnn]
        return cls(name, len(observations), faces, tracks([face.seen for face in faces]), counts)


def together(clips: Sequence[Clip]) -> Clip:
    """All clips as one; tracks of different clips stay apart."""
    numbers, start = [], 0
    for clip in clips:
        numbers += [start + number for number in clip.numbers]
        start += 1 + max(clip.numbers, default=0)
    faces = [face for clip in clips for face in clip.faces]
    return Clip("all", sum(clip.frames for clip in clips), faces, numbers, [c for clip in clips for c in clip.mtcnn])


def summarise(clip: Clip) -> Row:
    """The row of a clip."""
    kept = [i for i, face in enumerate(clip.faces) if face.after is not None]
    seen, sure = sum(count.before for count in clip.mtcnn), sum(count.sure for count in clip.mtcnn)
    return Row(
        frames=clip.frames,
        dlib_faces=len(clip.faces),
        dlib_kept=share(len(kept), len(clip.faces)),
        mtcnn_faces=seen,
        mtcnn_kept=share(sum(count.kept for count in clip.mtcnn), seen),
        mtcnn_sure_faces=sure,
        mtcnn_sure_kept=share(sum(count.sure_kept for count in clip.mtcnn), sure),
        **_landmark_numbers(clip, kept),
        **_identity_numbers(clip, kept),
    )


def share(part: int, whole: int) -> float | None:
    """Part of the whole; None of nothing."""
    return part / whole if whole else None


def _stacked(clip: Clip, kept: list[int], pick: str) -> tuple[Doubles, Doubles]:
    """`landmarks` or `identity` of all faces found in both, before and after."""
    both = [(clip.faces[i].before, clip.faces[i].after) for i in kept]
    before, after = ([np.asarray(getattr(look, pick)) for look in looks] for looks in zip(*both, strict=True))
    return np.stack(before), np.stack(after)


def _landmark_numbers(clip: Clip, kept: list[int]) -> dict[str, float | None]:
    names = [name for name in Row.__annotations__ if name.startswith(("landmarks", "eyes", "mouth"))]
    if not kept:
        return dict.fromkeys(names)
    before, after = _stacked(clip, kept, "landmarks")
    numbers = [clip.numbers[i] for i in kept]
    apart = pose.distances(before, after)
    open_before, open_after = (over_time.centred(pose.openings(x, CROP_PX), numbers) for x in (before, after))
    values = [float(apart[:, pose.INNER].mean()), float(apart.mean())]
    for a, b in zip(open_before.T, open_after.T, strict=True):
        values += [over_time.correlation(a, b), over_time.spread(a), over_time.spread(b)]
    return dict(zip(names, values, strict=True))


def _identity_numbers(clip: Clip, kept: list[int]) -> dict[str, float | int | None]:
    before, after = _stacked(clip, kept, "identity") if kept else (np.zeros((0, 1)), np.zeros((0, 1)))
    numbers = [clip.numbers[i] for i in kept]
    alike = (before * after).sum(-1)
    within = over_time.to_track_mean(after, numbers)
    return {
        "identity_distance": _of(np.mean, 1 - alike),
        "unrecognised": _of(np.mean, alike < SAME_PERSON),
        "tracks": len(over_time.grouped(numbers, over_time.FEWEST_FOR_IDENTITY)),
        "within_track_cosine": _of(np.mean, within),
        "within_track_least": _of(np.min, within),
        "within_track_cosine_before": _of(np.mean, over_time.to_track_mean(before, numbers)),
        "between_tracks_cosine": _of(np.mean, over_time.between_tracks(after, numbers)),
    }


def _of(number: Callable[[Doubles], float], values: Doubles) -> float | None:
    return float(number(values)) if len(values) else None


def lost(clip: Clip) -> dict[str, list[int]]:
    """Frames to look at: where a judge no longer finds a face, and where landmarks are furthest off."""
    kept = [(i, face.after) for i, face in enumerate(clip.faces) if face.after is not None]
    off = {
        clip.faces[i].seen.frame: pose.distances(clip.faces[i].before.landmarks, after.landmarks).mean()
        for i, after in kept
    }
    return {
        "dlib": sorted({face.seen.frame for face in clip.faces if face.after is None}),
        "mtcnn": [count.frame for count in clip.mtcnn if count.kept < count.before],
        "landmarks": sorted(off, key=lambda frame: -off[frame])[:WORST],
    }


def rounded(row: Row) -> dict[str, float | int | None]:
    """A row for a file: no digits beyond what was measured."""
    return {name: round(value, 4) if isinstance(value, float) else value for name, value in asdict(row).items()}
