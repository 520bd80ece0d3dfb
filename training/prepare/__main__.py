"""Make a pack for training from folders of pictures, from clips, or from the generator itself.

python -m training.prepare OUT lfw/ celebahq/ --predictor FILE.dat --skip-people held_out.txt
python -m training.prepare OUT clips:videos/ --predictor FILE.dat --pairs 60
python -m training.prepare OUT --generator decoder.pt --draw 2000 --predictor FILE.dat
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import click
import cv2
import torch

from streamfilter.errors import ConfigError, StreamFilterError
from training.prepare.build import Plan, build, missing, plan
from training.prepare.drawn import Generator, drawn
from training.prepare.report import report, summary, write_report
from training.prepare.sheet import write_sheet
from training.prepare.sources import PAIRS, Source, chosen, open_folder, read_names
from training.prepare.teachers import make_teacher

FILE = click.Path(exists=True, dir_okay=False, path_type=Path)
HELP = """Make a pack in the folder OUT from SOURCES.

A SOURCE is a folder, whose layout is recognised or named before a colon:

\b
  flat:DIR    CelebA-HQ: 000001.jpg, each file is a person
  ffhq:DIR    FFHQ: 00000/00000.png, each file is a person
  people:DIR  LFW: Ann_Lee/Ann_Lee_0001.jpg, each folder is a person
  clips:DIR   videos, each is a person: pairs of neighbouring frames

With --generator, faces G(w) are drawn as well; their latents are kept.

The largest face of each picture gets its 68 landmarks, is aligned as in FFHQ at 256 px and packed into a few files
like part_0000.npz. report.json tells the share of usable faces and lists what was left out and why;
contact_sheet.jpg shows some samples. A second run goes on where the first one stopped.
"""


def gather(folders: Sequence[str], pairs: int, generator: Path | None, draw: int, seed: int) -> list[Source]:
    """All sources of a command line.

    Raises:
        ConfigError: there is none, or one cannot be used.
    """
    sources = [open_folder(text, pairs) for text in folders]
    if generator:
        sources.append(drawn(Generator.load(generator), draw, seed))
    if not sources:
        raise ConfigError("nothing to prepare: name a SOURCE, or give --generator")
    return sources


def restrict(sources: Sequence[Source], only: Path | None, skip_people: Path | None) -> list[Source]:
    """Keep what the lists allow.

    Raises:
        ConfigError: a name of `only` is in no source, or nothing is left.
    """
    names = read_names(only) if only else None
    skipped = read_names(skip_people) if skip_people else frozenset[str]()
    if names is not None:
        absent = names - {unit.name for source in sources for unit in source.units}
        if absent:
            raise ConfigError(f"--only {only}: {len(absent)} of {len(names)} names are in no source: {min(absent)} ...")
    kept = [
        chosen(source, lambda unit: (names is None or unit.name in names) and unit.person not in skipped)
        for source in sources
    ]
    if not any(source.units for source in kept):
        raise ConfigError("the lists leave no picture; look at --only and --skip-people")
    return kept


def announce(sources: Sequence[Source], plans: Sequence[Plan], left: int) -> None:
    """Say what will be done."""
    for source in sources:
        pictures = sum(unit.count for unit in source.units)
        click.echo(f"{source.label}: about {pictures} pictures in {len(source.units)} units")
    click.echo(f"{len(plans)} parts, {left} to be made")


@click.command(help=HELP)
@click.argument("out", type=click.Path(file_okay=False, path_type=Path))
@click.argument("sources", nargs=-1)
@click.option("--predictor", type=FILE, help="dlib's 68-point predictor (.dat).")
@click.option("--teacher", type=click.Choice(["dlib", "own"]), default="dlib", show_default=True,
              help="Who places the landmarks: dlib's predictor, or the network that streamfilter ships.")  # fmt: skip
@click.option("--only", type=FILE, help="Take only these files, one name a line, as they are called in their source.")
@click.option("--skip-people", type=FILE, help="Leave out these people (of clips: names without ending), one a line.")
@click.option("--pairs", type=click.IntRange(min=1), default=PAIRS, show_default=True, help="Frame pairs of a clip.")
@click.option("--generator", type=FILE, help="Decoder checkpoint to draw faces from.")
@click.option("--draw", type=click.IntRange(min=1), default=1000, show_default=True, help="Faces to draw.")
@click.option("--seed", type=click.IntRange(min=0), default=1, show_default=True, help="Seed of the drawn faces.")
@click.option("--dry-run", is_flag=True, help="Say what would be done, and stop.")
def main(
    *,
    out: Path,
    sources: tuple[str, ...],
    predictor: Path | None,
    teacher: str,
    only: Path | None,
    skip_people: Path | None,
    pairs: int,
    generator: Path | None,
    draw: int,
    seed: int,
    dry_run: bool,
) -> None:
    """Resolve, announce, make, report."""
    cv2.setNumThreads(1)
    torch.set_num_threads(1)
    try:
        kept = restrict(gather(sources, pairs, generator, draw, seed), only, skip_people)
        plans = plan(kept, teacher)
        announce(kept, plans, len(missing(out, plans)))
        if dry_run:
            return
        build(out, plans, make_teacher(teacher, predictor), lambda line: click.echo(line, err=True))
    except StreamFilterError as error:
        raise click.ClickException(str(error)) from error
    numbers = report(out, teacher)
    write_report(out, numbers)
    write_sheet(out)
    click.echo(summary(numbers))


if __name__ == "__main__":
    main()
