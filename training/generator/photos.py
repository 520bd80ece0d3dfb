"""Measures real photos and clips: aligned landmarks, patch colours, surroundings, and who it is.

    python -m training.generator.photos OUT.npz --predictor DAT --people LFW_FOLDER --clips VIDEO_FOLDER

From these come the two covariances that tell a person's shape from pose and expression, and the light estimate.
A sub-folder is a person; so is a clip, of which every `--every`th frame is taken.
"""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import click
import cv2
import numpy as np

from streamfilter.align import crop, ffhq_matrix, transform
from streamfilter.structures import Image
from training.generator.measure import DlibTeacher, patch_colours
from training.generator.sample import thumbnail

SIDE = 256
LONG_SIDE = 640


def photos(folder: Path, most: int) -> Iterator[tuple[str, Image]]:
    """(person, RGB picture) of the people with at least two photos, `most` photos of each."""
    for person in sorted(path for path in folder.iterdir() if path.is_dir()):
        paths = sorted(person.glob("*.jpg"))[:most]
        for path in paths if len(paths) > 1 else []:
            yield person.name, cv2.cvtColor(cv2.imread(str(path)), cv2.COLOR_BGR2RGB)


def clip_frames(folder: Path, every: int) -> Iterator[tuple[str, Image]]:
    """(clip, RGB picture) of every n-th frame, long side at most 640 px."""
    for path in sorted(p for p in folder.iterdir() if p.is_file()):
        capture, index = cv2.VideoCapture(str(path)), 0
        while capture.grab():
            if index % every == 0:
                _, frame = capture.retrieve()
                scale = min(1.0, LONG_SIDE / max(frame.shape[:2]))
                frame = cv2.resize(frame, None, fx=scale, fy=scale, interpolation=cv2.INTER_AREA)
                yield path.stem, cv2.cvtColor(frame, cv2.COLOR_BGR2RGB)
            index += 1
        capture.release()


def measure(teacher: DlibTeacher, image: Image) -> tuple[np.ndarray, np.ndarray, np.ndarray] | None:
    """Aligned landmarks in [0, 1], patch colours and surroundings of the largest face, or None."""
    found = teacher(image)
    if found is None:
        return None
    matrix = ffhq_matrix(found, SIDE)
    landmarks, aligned = transform(found, matrix), crop(image, matrix, SIDE)
    return (landmarks + 0.5) / SIDE, patch_colours(aligned, landmarks), thumbnail(aligned, landmarks)


@click.command()
@click.argument("out", type=click.Path(dir_okay=False, path_type=Path))
@click.option("--predictor", required=True, type=click.Path(exists=True, path_type=Path), help="dlib's 68-point .dat.")
@click.option("--people", multiple=True, type=click.Path(exists=True, path_type=Path), help="Folder of people.")
@click.option("--clips", multiple=True, type=click.Path(exists=True, path_type=Path), help="Folder of clips.")
@click.option("--most", default=4, show_default=True, help="Photos of one person.")
@click.option("--every", default=5, show_default=True, help="Frames between two samples of a clip.")
def main(out: Path, predictor: Path, people: tuple[Path, ...], clips: tuple[Path, ...], most: int, every: int) -> None:
    """Write what was measured on all faces that dlib finds."""
    teacher = DlibTeacher(predictor)
    who: list[str] = []
    rows: list[tuple[np.ndarray, ...]] = []
    sources = [photos(folder, most) for folder in people] + [clip_frames(folder, every) for folder in clips]
    for source in sources:
        for person, image in source:
            row = measure(teacher, image)
            if row is not None:
                who.append(person)
                rows.append(row)
                if len(rows) % 250 == 0:
                    click.echo(f"{len(rows)} faces, last: {person}")
    landmarks, colours, thumbs = (np.stack(column) for column in zip(*rows, strict=True))
    np.savez(out, person=np.array(who), landmarks=landmarks, colours=colours, thumb=thumbs)
    click.echo(f"{len(rows)} faces of {len(set(who))} people")


if __name__ == "__main__":
    main()
