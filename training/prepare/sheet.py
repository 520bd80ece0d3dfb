"""The contact sheet: a few evenly chosen samples as aligned crop | face removed | pose image."""

from __future__ import annotations

from pathlib import Path

import cv2
import numpy as np

from streamfilter.structures import Image
from training.prepare.pack import Pack

SHEET = "contact_sheet.jpg"
TILE_PX = 160
ROWS, COLUMNS = 8, 2
GAP_PX = 8
WHITE = 255


def contact_sheet(pack: Pack) -> Image:
    """Up to 16 samples, evenly chosen, in two columns of three pictures each; RGB."""
    count = min(len(pack), ROWS * COLUMNS)
    chosen = np.linspace(0, len(pack) - 1, count).round().astype(int)
    rows = -(-count // COLUMNS)
    width = 3 * TILE_PX
    sheet = np.full((rows * (TILE_PX + GAP_PX), COLUMNS * (width + GAP_PX), 3), WHITE, np.uint8)
    for place, index in enumerate(chosen):
        y, x = place % rows * (TILE_PX + GAP_PX), place // rows * (width + GAP_PX)
        sheet[y : y + TILE_PX, x : x + width] = _row(pack, int(index))
    return sheet


def _row(pack: Pack, index: int) -> Image:
    pose = (pack.pose(index, TILE_PX) * 255).astype(np.uint8)
    tiles = [pack.image(index, TILE_PX), pack.surroundings(index, TILE_PX), np.dstack([pose] * 3)]
    return np.concatenate(tiles, axis=1)


def write_sheet(folder: Path) -> None:
    """Write `contact_sheet.jpg` of a pack, if there is anything to show."""
    pack = Pack([folder])
    if len(pack):
        cv2.imwrite(str(folder / SHEET), cv2.cvtColor(contact_sheet(pack), cv2.COLOR_RGB2BGR))
