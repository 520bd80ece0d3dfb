"""Faces side by side, as in the paper's Figures 2 and 3: a row per photo, a column per method.

The picture shows real people: it is for looking at, and must not be published or committed.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path

import cv2
import numpy as np

from streamfilter.structures import Image
from training.evaluation.jobs import first_of_each
from training.evaluation.methods import Method
from training.evaluation.photos import SIDE_PX, Photos

PEOPLE = 10
HEADING_PX, GAP_PX = 26, 4
WHITE = 255


def chosen(photos: Photos, count: int = PEOPLE) -> list[int]:
    """Photos of different people, evenly spread."""
    first = first_of_each(photos.persons)
    return [int(first[i]) for i in np.linspace(0, len(first) - 1, min(count, len(first))).round().astype(int)]


def columns(methods: Sequence[Method], photos: Photos, indices: Sequence[int]) -> dict[str, list[Image]]:
    """Every method's results of these photos."""
    found = {}
    for method in methods:
        change = method.open()
        found[method.name] = [change(photos[index]) for index in indices]
    return found


def sheet(pictures: Mapping[str, Sequence[Image]]) -> Image:
    """One picture of all columns, each under its name."""
    return np.hstack([_column(name, images) for name, images in pictures.items()])


def _column(name: str, images: Sequence[Image]) -> Image:
    heading = np.full((HEADING_PX, SIDE_PX, 3), WHITE, np.uint8)
    width = cv2.getTextSize(name, cv2.FONT_HERSHEY_SIMPLEX, 0.6, 1)[0][0]
    size = 0.6 * min(1.0, (SIDE_PX - 8) / max(width, 1))
    cv2.putText(heading, name, (4, 18), cv2.FONT_HERSHEY_SIMPLEX, size, (0, 0, 0), 1, cv2.LINE_AA)
    gap = np.full((GAP_PX, SIDE_PX, 3), WHITE, np.uint8)
    column = np.vstack([heading, *(part for image in images for part in (image, gap))])
    return np.pad(column, ((0, 0), (0, GAP_PX), (0, 0)), constant_values=WHITE)


def save(image: Image, path: Path) -> None:
    """As JPEG."""
    path.write_bytes(cv2.imencode(".jpg", image[..., ::-1], [cv2.IMWRITE_JPEG_QUALITY, 90])[1].tobytes())
