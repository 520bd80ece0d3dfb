"""A comparison as Markdown: the paper's Tables 1 and 2 with our rows, what else was measured, and how."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass

from streamfilter.metrics.bootstrap import Estimate
from training.evaluation.comparison import Comparison, OneIdentity
from training.evaluation.portrait import LEAST_FACE_PX
from training.evaluation.summary import SAME_PERSON
from training.evaluation.table import number

PAPER_1 = {"paper (CelebA-HQ)": ("100 %", "100 %", "-")}
PAPER_2 = {"paper (CelebA-HQ)": ("0.7007 (ArcFace)", "-", "0.9157", "13.93 (FID)")}
FURTHER = (
    "method", "landmarks 68, px", "landmarks 51, px", "yaw, pitch, roll, degrees", "head, one angle",
    "eyes open, r", "mouth open, r", "measured",
)  # fmt: skip
SHARED = ("method", "identities x photos", "cosine (y1), one z", "cosine, different z", "equal error rate")
DEFINITIONS = """\
* dlib: frontal detector, at 256 px or else at 512 px. It finds {dlib} of the originals. A face counts where a box
  overlaps the extent of the photo's landmarks by .4 of the union.
* MTCNN: at 256 px, faces from {least} px, thresholds .6, .7, .7. It finds {mtcnn} of the originals; the sure are those
  with .95 or more there.
* Identity distance: 1 - cosine of InsightFace's MobileFaceNet `y1`, which takes part in no loss; aligned by the
  result's own dlib landmarks, or by the original's where dlib finds no face.
* y1's threshold for a false accept rate of 1e-3 is {same}, over 1,659 other photos; over all pairs of different people
  among these photos it is {threshold}.
* SSIM: Wang et al. 2004, whole crop, on luma (BT.601), Gaussian window of 11 px, sigma 1.5, no padding.
* {frechet}: Frechet distance of the features of {photos} whole crops to those of the same photos unchanged; these are
  at 0 by definition. Between every other photo and the rest it is {floor}: what chance makes of half as many.
* Landmarks: mean distance of dlib's 68 points, and of all but the jaw line, where dlib finds the face in both
  ("measured"). Eyes and mouth: correlation over these photos of how far lids and lips are apart.
* Head pose: 3DDFA (MobileNet 0.5), looking at the place of the photo's landmarks, over all photos: mean of the
  differences of yaw, pitch and roll, and the angle of the one rotation between both heads.
* Pixelisation: squares of 15 or 25 px. Blur: Gaussian kernel of 15 or 25 px, sigma 2.6 and 4.1. Both over the bounding
  box of the protected region (jaw line to raised brows), with a hard edge.
* Models: run by the runtime's own alignment, face removal, ONNX Runtime and compositor; landmarks by dlib; one
  identity per photo, from a fixed seed.
* One identity: each z is painted into photos of different people, none of whom serves twice. Cosine of all pairs of
  results, one mean per z.
"""


@dataclass(frozen=True, kw_only=True)
class Result:
    """Everything that was measured; `people` are the rows with a model."""

    command: str
    photos: int
    dlib_faces: int
    mtcnn_faces: int
    frechet_name: str
    frechet_floor: float | None
    threshold: float | None
    rows: Mapping[str, Comparison]
    people: Mapping[str, OneIdentity]


def markdown(result: Result) -> str:
    """The whole file."""
    second = ("method", "identity distance (y1)", f"below {SAME_PERSON} (y1)", "SSIM", result.frechet_name)
    parts = (
        "# Comparison of methods on aligned photos\n",
        f"{result.photos} photos, 256 px. Made by\n\n    {result.command}\n",
        "± is half the width of the mean's 95 % bootstrap interval. The paper's own numbers are of other\n"
        "photos (CelebA-HQ) and by other networks.\n",
        "## Table 1: faces still detected, of those detected in the original\n",
        _table(("method", "dlib", "MTCNN", "MTCNN, of the sure"), _rows(result, _detected) | PAPER_1),
        "## Table 2: identity, similarity, distance of the distributions\n",
        _table(second, _rows(result, _table_2) | PAPER_2),
        "## What else is kept\n",
        _table(FURTHER, _rows(result, _further)),
        "## One identity over several photos\n",
        _table(SHARED, {name: _one(people) for name, people in result.people.items()}),
        "## How it was measured\n",
        _definitions(result),
    )
    return "\n".join(parts)


def _definitions(result: Result) -> str:
    numbers = {
        "photos": result.photos,
        "dlib": result.dlib_faces,
        "mtcnn": result.mtcnn_faces,
        "least": LEAST_FACE_PX,
        "same": SAME_PERSON,
        "threshold": number(result.threshold, 4),
        "frechet": result.frechet_name,
        "floor": number(result.frechet_floor, 2),
    }
    return DEFINITIONS.format(**numbers)


def _rows(result: Result, cells: Callable[[Comparison], tuple[str, ...]]) -> dict[str, tuple[str, ...]]:
    return {name: cells(row) for name, row in result.rows.items()}


def _detected(row: Comparison) -> tuple[str, ...]:
    return _percent(row.dlib, 2), _percent(row.mtcnn, 2), _percent(row.mtcnn_sure, 2)


def _table_2(row: Comparison) -> tuple[str, ...]:
    return (
        _mean(row.identity_distance, 4),
        _percent(row.unrecognised, 2),
        _mean(row.ssim, 4),
        number(row.frechet, 2),
    )


def _further(row: Comparison) -> tuple[str, ...]:
    return (
        _mean(row.landmarks, 2),
        _mean(row.landmarks_inner, 2),
        _mean(row.head, 2),
        _mean(row.head_turn, 2),
        number(row.eyes, 3),
        number(row.mouth, 3),
        _percent(row.measured, 1),
    )


def _one(people: OneIdentity) -> tuple[str, ...]:
    return (
        f"{people.identities} x {people.photos_each}",
        _mean(people.same, 3),
        _mean(people.different, 3),
        number(people.equal_error_rate, 4),
    )


def _mean(value: Estimate | None, digits: int, unit: str = "") -> str:
    if value is None:
        return "-"
    return f"{value.value:.{digits}f}{unit} ± {(value.high - value.low) / 2:.{digits}f}"


def _percent(value: Estimate | None, digits: int) -> str:
    if value is None:
        return "-"
    return _mean(Estimate(100 * value.value, 100 * value.low, 100 * value.high, value.n), digits, " %")


def _table(headings: Sequence[str], rows: Mapping[str, Sequence[str]]) -> str:
    lines = [headings, ("---",) * len(headings), *((name, *cells) for name, cells in rows.items())]
    return "".join(f"| {' | '.join(line)} |\n" for line in lines)
