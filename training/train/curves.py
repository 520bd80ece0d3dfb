"""Loss curves as one picture: a small panel per number, drawn with OpenCV."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path

import cv2
import numpy as np

from streamfilter.structures import Floats, Image

PANEL_W, PANEL_H, COLUMNS = 360, 210, 3
LEFT, RIGHT, TOP, BOTTOM = 62, 12, 30, 26
INK, LINE, THIN, PAPER = (40, 40, 40), (30, 90, 200), (205, 218, 240), (255, 255, 255)


def draw(rows: Sequence[Mapping[str, float]], names: Sequence[str]) -> Image:
    """A sheet (H, W, 3) RGB with one panel per name over `kimg`; rows that lack a name are passed over."""
    panels = [panel(name, *series(rows, name)) for name in names]
    while len(panels) % COLUMNS:
        panels.append(np.full((PANEL_H, PANEL_W, 3), 255, np.uint8))
    lines = [np.hstack(panels[i : i + COLUMNS]) for i in range(0, len(panels), COLUMNS)]
    return np.asarray(np.vstack(lines), np.uint8)


def series(rows: Sequence[Mapping[str, float]], name: str) -> tuple[Floats, Floats]:
    """kimg and values of one name."""
    found = [(row["kimg"], row[name]) for row in rows if name in row]
    pairs = np.array(found, np.float32).reshape(-1, 2)
    return pairs[:, 0], pairs[:, 1]


def panel(name: str, x: Floats, y: Floats) -> Image:
    """One curve: thin as it is, thick as its running mean; its range and its last mean in figures."""
    canvas = np.full((PANEL_H, PANEL_W, 3), PAPER, np.uint8)
    if not len(y):
        return _text(canvas, name, (LEFT, 20))
    low, high = float(y.min()), float(y.max())
    smooth = running_mean(y, max(1, len(y) // 25))
    box = (LEFT, TOP), (PANEL_W - RIGHT, PANEL_H - BOTTOM)
    cv2.rectangle(canvas, *box, (225, 225, 225), 1)
    for values, colour, thickness in ((y, THIN, 1), (smooth, LINE, 2)):
        cv2.polylines(canvas, [_places(x, values, low, high)], False, colour, thickness, cv2.LINE_AA)
    _text(canvas, f"{name}  {smooth[-1]:.4g}", (LEFT, 20))
    _text(canvas, f"{high:.3g}", (4, TOP + 10))
    _text(canvas, f"{low:.3g}", (4, PANEL_H - BOTTOM))
    _text(canvas, f"{x[0]:.4g}", (LEFT, PANEL_H - 8))
    return _text(canvas, f"{x[-1]:.4g} kimg", (PANEL_W - 90, PANEL_H - 8))


def running_mean(y: Floats, span: int) -> Floats:
    """Mean over the last `span` values, over fewer at the beginning."""
    sums = np.cumsum(np.concatenate([[0.0], y.astype(np.float64)]))
    after = np.arange(1, len(y) + 1)
    before = np.maximum(after - span, 0)
    return np.asarray((sums[after] - sums[before]) / (after - before), np.float32)


def write(path: Path, rows: Sequence[Mapping[str, float]], names: Sequence[str]) -> None:
    """Draw and write a PNG, whole or not at all."""
    write_picture(path, draw(rows, names))


def write_picture(path: Path, image: Image) -> None:
    """Write an RGB picture, whole or not at all."""
    part = path.with_name(f"part_{path.name}")
    if not cv2.imwrite(str(part), cv2.cvtColor(image, cv2.COLOR_RGB2BGR)):
        raise OSError(f"{path} could not be written")
    part.replace(path)


def _places(x: Floats, y: Floats, low: float, high: float) -> np.ndarray[tuple[int, ...], np.dtype[np.int32]]:
    across = (x - x[0]) / max(float(x[-1] - x[0]), 1e-9)
    up = (y - low) / max(high - low, 1e-12)
    places = [LEFT + across * (PANEL_W - LEFT - RIGHT), PANEL_H - BOTTOM - up * (PANEL_H - TOP - BOTTOM)]
    return np.stack(places, 1).round().astype(np.int32)


def _text(canvas: Image, text: str, place: tuple[int, int]) -> Image:
    cv2.putText(canvas, text, place, cv2.FONT_HERSHEY_SIMPLEX, 0.42, INK, 1, cv2.LINE_AA)
    return canvas
