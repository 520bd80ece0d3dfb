"""From what the judges saw to the numbers of a row."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from streamfilter.metrics import over_time, pose
from streamfilter.metrics.bootstrap import Estimate, estimate
from streamfilter.metrics.frechet import Gaussian, frechet_distance
from streamfilter.metrics.pose import angle_differences, degrees_between
from streamfilter.metrics.verification import cosines, equal_error_rate, threshold_at
from streamfilter.structures import Floats
from training.evaluation.photos import SIDE_PX
from training.evaluation.portrait import Seen
from training.evaluation.summary import SAME_PERSON

FALSE_ACCEPTS = 1e-3
SURE = 0.95


@dataclass(frozen=True, kw_only=True)
class Comparison:
    """One row; None where nothing could be measured. Shares are 0..1, lengths pixels of 256.

    Attributes:
        dlib: Share still found by dlib of the faces that it finds in the original.
        mtcnn: The same of MTCNN at its published thresholds; `mtcnn_sure` of those with a probability of .95 or more.
        identity_distance: 1 - cosine of the recogniser y1 between photo and result.
        unrecognised: Share whose cosine is below `SAME_PERSON`, y1's threshold at a false accept rate of 1e-3.
        ssim: With the photo, whole crop, on luma.
        frechet: Distance to the photos; of the photos to themselves 0.
        landmarks: Mean distance of dlib's 68 points where it finds the face in both; `landmarks_inner` without jaw.
        head: Mean difference of yaw, pitch and roll in degrees; `head_turn` the one angle between both rotations.
        eyes: Correlation over the photos of how far the eyes are open; `mouth` likewise.
        measured: Share of all photos with dlib's landmarks in both, which `landmarks`, `eyes` and `mouth` are over.
    """

    dlib: Estimate | None
    mtcnn: Estimate | None
    mtcnn_sure: Estimate | None
    identity_distance: Estimate | None
    unrecognised: Estimate | None
    ssim: Estimate | None
    frechet: float
    landmarks: Estimate | None
    landmarks_inner: Estimate | None
    head: Estimate | None
    head_turn: Estimate | None
    eyes: float | None
    mouth: float | None
    measured: Estimate | None


@dataclass(frozen=True, kw_only=True)
class OneIdentity:
    """Invented people over several photos: y1's cosine between results with one z, and with different z."""

    identities: int
    photos_each: int
    same: Estimate | None
    different: Estimate | None
    equal_error_rate: float | None


def compare(before: Seen, after: Seen, reference: Gaussian) -> Comparison:
    """The row of results `after` on the photos `before`; `reference` are the photos' features."""
    seen, kept = has_landmarks(before), has_landmarks(after)
    known, sure = ~np.isnan(before["mtcnn"]), before["mtcnn"] >= SURE
    alike = (before["identity"].astype(np.float64) * after["identity"]).sum(-1)
    both = seen & kept
    apart = pose.distances(before["landmarks"][both], after["landmarks"][both])
    heads = before["head"].astype(np.float64), after["head"].astype(np.float64)
    return Comparison(
        dlib=estimate(kept[seen]),
        mtcnn=estimate(~np.isnan(after["mtcnn"][known])),
        mtcnn_sure=estimate(~np.isnan(after["mtcnn"][sure])),
        identity_distance=estimate(np.maximum(1 - alike, 0)),  # of itself: a rounding error below 0
        unrecognised=estimate(alike < SAME_PERSON),
        ssim=estimate(after["ssim"]),
        frechet=0.0 if before is after else frechet_distance(reference, Gaussian.of(after["features"])),
        landmarks=estimate(apart.mean(-1)),
        landmarks_inner=estimate(apart[:, pose.INNER].mean(-1)),
        head=estimate(angle_differences(*heads).mean(-1)),
        head_turn=estimate(degrees_between(*heads)),
        measured=estimate(both),
        **_openings(before["landmarks"][both], after["landmarks"][both]),
    )


def has_landmarks(seen: Seen) -> NDArray[np.bool_]:
    """Where dlib found the face, (n,)."""
    return np.isfinite(seen["landmarks"]).all((1, 2))


def _openings(before: Floats, after: Floats) -> dict[str, float | None]:
    if not len(before):
        return {"eyes": None, "mouth": None}
    series = [pose.openings(landmarks, SIDE_PX) for landmarks in (before, after)]
    a, b = (one - one.mean(0) for one in series)
    return {name: over_time.correlation(a[:, k], b[:, k]) for k, name in enumerate(("eyes", "mouth"))}


def floor(before: Seen) -> float | None:
    """Frechet distance between every other photo and the rest: what chance alone makes of half as many photos."""
    features = before["features"]
    if len(features) < 4:
        return None
    return frechet_distance(Gaussian.of(features[::2]), Gaussian.of(features[1::2]))


def threshold(before: Seen, people: Sequence[str]) -> float | None:
    """y1's cosine at a false accept rate of 1e-3 over all pairs of different people among these photos."""
    return threshold_at(cosines(before["identity"], people)[1], FALSE_ACCEPTS)


def one_identity(seen: Seen) -> OneIdentity:
    """Of what `jobs.SharedPart` measured."""
    people, identities = seen["drawn"], seen["identity"].astype(np.float64)
    numbers = np.unique(people)
    same, different = cosines(identities, people.tolist())
    # One value per identity: pairs that share a picture are not independent.
    within = [cosines(identities[people == number], ["one"] * int((people == number).sum()))[0] for number in numbers]
    others = [(identities[people == k] @ identities[people != k].T).mean() for k in numbers if len(numbers) > 1]
    return OneIdentity(
        identities=len(numbers),
        photos_each=len(people) // max(len(numbers), 1),
        same=estimate(np.array([pairs.mean() for pairs in within if len(pairs)])),
        different=estimate(np.array(others)),
        equal_error_rate=equal_error_rate(same, different),
    )
