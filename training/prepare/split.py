"""Decides who is kept out of training; the same on every machine, and always whole people.

    python -m training.prepare.split people LFW --count 3000 --predictor FILE.dat --out-names N.txt --out-people P.txt
    python -m training.prepare.split clips VIDEOS --out-people P.txt

People are taken in the order of the CRC-32 of their names until so many usable photos are found; of clips, those
whose name has an even CRC-32. `training.prepare --only N.txt` then packs the photos for evaluation, and
`--skip-people P.txt` packs the rest for training.
"""

from __future__ import annotations

import zlib
from collections.abc import Callable, Iterable
from itertools import groupby
from pathlib import Path

import click
import cv2

from streamfilter.errors import ConfigError, InputError, StreamFilterError
from training.evaluation.progress import Progress
from training.prepare.__main__ import FILE
from training.prepare.faces import face_of
from training.prepare.sources import Layout, Unit, open_folder
from training.prepare.teachers import Teacher, Unusable, make_teacher

FOLDER = click.Path(exists=True, file_okay=False, path_type=Path)
TEXT = click.Path(dir_okay=False, path_type=Path)


def order(person: str) -> int:
    """Where a person stands in line for evaluation: CRC-32 of the name."""
    return zlib.crc32(person.encode())


def is_held_out(clip: str) -> bool:
    """Whether a clip, named without its ending, is kept for evaluation."""
    return order(clip) % 2 == 0


def split_people(units: Iterable[Unit], count: int, usable: Callable[[Unit], bool]) -> tuple[list[str], list[str]]:
    """Names of exactly `count` usable photos, and the people that they show.

    Raises:
        ConfigError: there are not that many.
    """
    names: list[str] = []
    people: list[str] = []
    in_line = sorted(units, key=lambda unit: (order(unit.person), unit.person, unit.name))
    for person, photos in groupby(in_line, key=lambda unit: unit.person):
        people.append(person)
        names += [photo.name for photo in photos if len(names) < count and usable(photo)]
        if len(names) >= count:
            return sorted(names[:count]), sorted(people)
    raise ConfigError(f"--count {count}: only {len(names)} photos are usable")


def is_usable(unit: Unit, teacher: Teacher) -> bool:
    """Whether a photo gives a sample."""
    try:
        for picture in unit.pictures():
            face_of(picture.image, teacher)
    except (Unusable, InputError):
        return False
    return True


def write_lines(path: Path, lines: Iterable[str]) -> None:
    """One line each."""
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text("".join(f"{line}\n" for line in lines), "utf-8")


@click.group()
def main() -> None:
    """Decide who is kept out of training: whole people, the same ones on every machine."""
    cv2.setNumThreads(1)


@main.command("people")
@click.argument("folder", type=FOLDER)
@click.option("--count", type=click.IntRange(min=1), default=3000, show_default=True, help="Photos for evaluation.")
@click.option("--predictor", type=FILE, help="dlib's 68-point predictor (.dat).")
@click.option("--teacher", type=click.Choice(["dlib", "own"]), default="dlib", show_default=True,
              help="Who decides whether a photo is usable.")  # fmt: skip
@click.option("--out-names", type=TEXT, required=True, help="Write the photos for evaluation here.")
@click.option("--out-people", type=TEXT, required=True, help="Write the people to keep out of training here.")
def people_command(
    folder: Path, count: int, predictor: Path | None, teacher: str, out_names: Path, out_people: Path
) -> None:
    """Choose photos for evaluation from a FOLDER with one folder per person."""
    progress = Progress(count, lambda line: click.echo(line, err=True))
    try:
        judge = make_teacher(teacher, predictor)

        def usable(unit: Unit) -> bool:
            progress.step("usable photos")
            return is_usable(unit, judge)

        units = open_folder(f"{Layout.PEOPLE}:{folder}").units
        names, people = split_people(units, count, usable)
    except StreamFilterError as error:
        raise click.ClickException(str(error)) from error
    write_lines(out_names, names)
    write_lines(out_people, people)
    others = sum(unit.person not in set(people) for unit in units)
    click.echo(f"{len(names)} photos of {len(people)} people for evaluation; {others} photos of others for training")


@main.command("clips")
@click.argument("folder", type=FOLDER)
@click.option("--out-people", type=TEXT, required=True, help="Write the clips to keep out of training here.")
def clips_command(folder: Path, out_people: Path) -> None:
    """Choose the clips of a FOLDER that are kept for evaluation."""
    try:
        units = open_folder(f"{Layout.CLIPS}:{folder}").units
    except StreamFilterError as error:
        raise click.ClickException(str(error)) from error
    held_out = [unit.person for unit in units if is_held_out(unit.person)]
    write_lines(out_people, held_out)
    click.echo(f"{len(held_out)} of {len(units)} clips are kept for evaluation")


if __name__ == "__main__":
    main()
