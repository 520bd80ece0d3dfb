"""Rows as a Markdown table."""

from __future__ import annotations

from collections.abc import Mapping

from training.evaluation.summary import Row

HEADINGS = (
    "clip", "frames", "dlib: faces, still found", "MTCNN: faces, still found", "of these sure (>= .95)",
    "landmarks 51 / 68, px",
    "eyes: correlation, spread px before > after", "mouth: correlation, spread px before > after",
    "identity distance", "not recognised", "tracks", "cosine within a track: mean / least (original's mean)",
    "between tracks",
)  # fmt: skip


def markdown(rows: Mapping[str, Row]) -> str:
    """One line per row, in the given order."""
    lines = [HEADINGS, ("---",) * len(HEADINGS), *((name, *_cells(row)) for name, row in rows.items())]
    return "".join(f"| {' | '.join(line)} |\n" for line in lines)


def _cells(row: Row) -> tuple[str, ...]:
    return (
        str(row.frames),
        f"{row.dlib_faces}, {percent(row.dlib_kept)}",
        f"{row.mtcnn_faces}, {percent(row.mtcnn_kept)}",
        f"{row.mtcnn_sure_faces}, {percent(row.mtcnn_sure_kept)}",
        f"{number(row.landmarks_inner_px, 2)} / {number(row.landmarks_all_px, 2)}",
        _course(row.eyes_correlation, row.eyes_spread_px, row.eyes_spread_after_px),
        _course(row.mouth_correlation, row.mouth_spread_px, row.mouth_spread_after_px),
        number(row.identity_distance, 3),
        percent(row.unrecognised),
        str(row.tracks),
        f"{number(row.within_track_cosine, 3)} / {number(row.within_track_least, 3)}"
        f" ({number(row.within_track_cosine_before, 3)})",
        number(row.between_tracks_cosine, 3),
    )


def _course(correlation: float | None, before: float | None, after: float | None) -> str:
    return f"{number(correlation, 2)}, {number(before, 1)} > {number(after, 1)}"


def percent(share: float | None) -> str:
    """A share as text; a dash for nothing."""
    return "-" if share is None else f"{100 * share:.1f} %"


def number(value: float | None, digits: int) -> str:
    """A number as text; a dash for nothing."""
    return "-" if value is None else f"{value:.{digits}f}"
