"""What a result must keep to, section by section. Every limit can be changed; the report states those that applied."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, kw_only=True)
class Limits:
    """Bounds; shares are 0..1.

    Attributes:
        bare_faces: Face-frames whose pixels survive.
        doubtful_places: Untouched places where a face was expected between two looks and no detector finds one; with
            more, leaks are not judged.
        unseen_frames: Frames of the result that cannot be decoded, or stand beside none of the original and repeat no
            neighbour; with more, leaks are not judged.
        further_pictures: Other video streams, covers, thumbnails; with more, leaks are not judged.
        true_accepts: TAR at a false accept rate of 1e-3, gallery of originals against the result, for each recogniser.
        recognised_anywhere: Faces found in the result, at any place, in which a person of the original is recognised.
        fewest_pairs: Below this many compared pairs re-identification is not judged.
        equal_error_rate: Of invented identities, same track against different tracks.
        within_track: Mean cosine of a track's faces to their mean, for the first recogniser.
        flicker: Mean warped difference of the result less that of the original, grey levels.
        flicker_jumps: Share of consecutive frames on which a face jumps by more than 8 grey levels.
        redetected: Least share of what dlib, and MTCNN, find in the original that they still find.
        background_psnr_db: Outside the faces.
    """

    bare_faces: int = 0
    doubtful_places: int = 0
    unseen_frames: int = 0
    further_pictures: int = 0
    true_accepts: float = 0.01
    recognised_anywhere: int = 0
    fewest_pairs: int = 20
    equal_error_rate: float = 0.05
    within_track: float = 0.75
    flicker: float = 2.0
    flicker_jumps: float = 0.02
    redetected: float = 0.9
    background_psnr_db: float = 30.0
