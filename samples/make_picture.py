"""Makes samples/before_after.jpg, the picture of the README: frames of a clip above what streamfilter made of them.

streamfilter run samples/two_people.mp4 out.mp4
python -m samples.make_picture samples/two_people.mp4 out.mp4
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import av
import click
import cv2
import numpy as np
from numpy.typing import NDArray

WIDTH, GAP, QUALITY = 400, 6, 88
SECONDS = (0.4, 2.9, 5.2, 6.9)


def pick(path: Path, seconds: Sequence[float]) -> list[NDArray[np.uint8]]:
    """The frames of a clip at these times, in order."""
    left, found = sorted(seconds), []
    with av.open(str(path)) as container:
        for frame in container.decode(video=0):
            if left and frame.time >= left[0] - 1e-3:
                found.append(frame.to_ndarray(format="rgb24"))
                left.pop(0)
    if left:
        raise click.ClickException(f"{path} ends before {left[0]} s")
    return found


def sheet(rows: Sequence[Sequence[NDArray[np.uint8]]]) -> NDArray[np.uint8]:
    """Rows of frames, scaled down, with white gaps."""
    lines = [np.hstack([_small(frame) for frame in row]) for row in rows]
    return np.asarray(np.vstack(lines)[:-GAP, :-GAP], np.uint8)


def _small(frame: NDArray[np.uint8]) -> NDArray[np.uint8]:
    height = round(WIDTH * frame.shape[0] / frame.shape[1])
    small = cv2.resize(frame, (WIDTH, height), interpolation=cv2.INTER_AREA)
    return cv2.copyMakeBorder(small, 0, GAP, 0, GAP, cv2.BORDER_CONSTANT, value=(255, 255, 255))


@click.command()
@click.argument("before", type=click.Path(exists=True, dir_okay=False, path_type=Path))
@click.argument("after", type=click.Path(exists=True, dir_okay=False, path_type=Path))
@click.option("--out", default=Path(__file__).with_name("before_after.jpg"), type=click.Path(path_type=Path))
@click.option("--at", "seconds", multiple=True, type=float, default=SECONDS, help="Second of a frame; repeat it.")
def main(before: Path, after: Path, out: Path, seconds: tuple[float, ...]) -> None:
    """Put frames of BEFORE above the same frames of AFTER."""
    picture = sheet([pick(before, seconds), pick(after, seconds)])
    cv2.imwrite(str(out), picture[..., ::-1], [cv2.IMWRITE_JPEG_QUALITY, QUALITY])
    click.echo(f"{out}: {out.stat().st_size / 1024:.0f} KiB")


if __name__ == "__main__":
    main()
