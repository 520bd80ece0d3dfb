"""Compare models with pixelisation and blur on aligned photos: the paper's Tables 1 and 2, and more.

    python -m training.evaluate MODEL.onnx PACK --weights DIR --predictor FILE.dat --out OUT

What is measured is kept in OUT: a run that was stopped goes on, and another model costs only its own time.
"""

from __future__ import annotations

import json
import shlex
import sys
from collections.abc import Sequence
from dataclasses import asdict
from pathlib import Path

import click
import cv2
import torch

from streamfilter.errors import InputError, StreamFilterError
from streamfilter.metrics.frechet import Gaussian
from training.evaluation import comparison, faces_picture, jobs
from training.evaluation.comparison_table import Result, markdown
from training.evaluation.features import distance_name
from training.evaluation.jobs import Part, RowPart, Setup, SharedPart
from training.evaluation.methods import BASELINES, Foreign, Method, Painted
from training.evaluation.photos import Photos, open_photos
from training.evaluation.progress import Progress
from training.prepare.build import build, plan
from training.prepare.sources import chosen, open_folder
from training.prepare.teachers import DlibLandmarks, make_teacher

IDENTITIES, PHOTOS_EACH = 60, 4
FOLDER = click.Path(path_type=Path, exists=True, file_okay=False)
FILE = click.Path(path_type=Path, exists=True, dir_okay=False)
HELP = """Compare each MODEL on the photos of IMAGES.

MODEL is an ONNX file of the runtime's contract, or NAME=FILE to name its row; the identity model is `identity.onnx`
beside it, or else the shipped one. There may be none. IMAGES is a pack of `python -m training.prepare`, or a folder of
photos, which is prepared first (in OUT/photos).

Writes OUT/table.md, OUT/results.json and OUT/faces.jpg. The last shows real people side by side with the results: look
at it, and never publish or commit it. OUT/cache holds what recognisers say of these photos: delete it when done.
"""


def read_names(path: Path) -> tuple[str, ...]:
    """Names from a text file, one a line, in their order.

    Raises:
        InputError: there is none.
    """
    names = tuple(line.strip() for line in path.read_text("utf-8").splitlines() if line.strip())
    if not names:
        raise InputError(f"{path} names no photo; it should hold one name a line")
    return names


def prepared(images: Path, out: Path, predictor: Path, count: int, names: Sequence[str] | None) -> Path:
    """The folder of a pack: `images` itself, or one that is made of the photos in it."""
    if any(images.glob("part_*.npz")):
        return images
    source = open_folder(str(images))
    wanted = {unit.name for unit in source.units[:count]} if names is None else set(names)
    source = chosen(source, lambda unit: unit.name in wanted)
    folder = out / "photos" / f"{jobs.slug(images.resolve().name)}-{len(source.units)}"
    teacher = make_teacher(DlibLandmarks.name, predictor)
    build(folder, plan([source], teacher.name), teacher, lambda line: click.echo(line, err=True))
    return folder


def named(text: str) -> tuple[str, str]:
    """NAME=VALUE, or a VALUE that names itself by its stem."""
    name, equals, value = text.partition("=")
    return (name, value) if equals and name and not Path(text).exists() else (Path(text).stem, text)


def gather(models: Sequence[str], also: Sequence[str], photos: Photos) -> list[Method]:
    """All rows, in the order of the tables.

    Raises:
        InputError: a file or folder is missing or has no place here, or two rows have one name.
    """
    methods: list[Method] = list(BASELINES)
    for text in models:
        name, value = named(text)
        methods.append(Painted.of(name, Path(value)))
    for text in also:
        name, value = named(text)
        if not Path(value).is_dir():
            raise InputError(f"--also {text}: no folder at {value}; give NAME=DIR")
        foreign = Foreign(name, Path(value))
        foreign.check(photos.names)
        methods.append(foreign)
    slugs = [jobs.slug(method.name) for method in methods]
    twice = [method.name for i, method in enumerate(methods) if slugs[i] in slugs[:i]]
    if twice:
        raise InputError(f"two rows are called {twice[0]!r}; name them apart with NAME=FILE")
    return methods


def measure(parts: Sequence[Part], setup: Setup, workers: int) -> None:
    """Do what is not done yet, saying how long it will take."""
    open_ = sum(not part.path.is_file() for part in parts)
    if open_ < len(parts):
        click.echo(f"{len(parts) - open_} of {len(parts)} parts are measured already", err=True)
    progress = Progress(open_, lambda line: click.echo(line, err=True))
    for part in jobs.run(parts, setup, workers):
        progress.step(part.method.name)


def summarise(
    command: str, photos: Photos, setup: Setup, rows: dict[str, list[RowPart]], people: dict[str, list[SharedPart]]
) -> Result:
    """All numbers of what was measured."""
    before = jobs.load(rows[BASELINES[0].name])
    reference = Gaussian.of(before["features"])
    found = {}
    for name, parts in rows.items():
        after = before if name == BASELINES[0].name else jobs.load(parts)
        found[name] = comparison.compare(before, after, reference)
    return Result(
        command=command,
        photos=len(photos),
        dlib_faces=int(comparison.has_landmarks(before).sum()),
        mtcnn_faces=int((before["mtcnn"] > 0).sum()),
        frechet_name=distance_name(setup.inception),
        frechet_floor=comparison.floor(before),
        threshold=comparison.threshold(before, photos.persons),
        rows=found,
        people={name: comparison.one_identity(jobs.load(parts)) for name, parts in people.items() if parts},
    )


def write_crops(photos: Photos, folder: Path) -> None:
    """The aligned photos as PNG, under the names that `--also` expects."""
    for i, name in enumerate(photos.names):
        path = (folder / name).with_suffix(".png")
        path.parent.mkdir(parents=True, exist_ok=True)
        cv2.imwrite(str(path), photos[i].image[..., ::-1])
    click.echo(f"{len(photos)} aligned photos of real people in {folder}: for other tools only, not for publication")


def compare_all(photos: Photos, methods: Sequence[Method], setup: Setup, out: Path, workers: int) -> Result:
    """Measure, write the three files, and return the numbers."""
    cache = out / "cache"
    rows = {method.name: jobs.row_parts(method, photos, setup, cache) for method in methods}
    people = {
        method.name: jobs.shared_parts(method, photos, setup, cache, identities=IDENTITIES, each=PHOTOS_EACH)
        for method in methods
        if isinstance(method, Painted)
    }
    measure([part for parts in (*rows.values(), *people.values()) for part in parts], setup, workers)
    command = f"python -m training.evaluate {shlex.join(sys.argv[1:])}"
    result = summarise(command, photos, setup, rows, people)
    (out / "results.json").write_text(json.dumps(asdict(result), indent=1) + "\n", encoding="utf-8")
    (out / "table.md").write_text(markdown(result), encoding="utf-8")
    pictures = faces_picture.columns(methods, photos, faces_picture.chosen(photos))
    faces_picture.save(faces_picture.sheet(pictures), out / "faces.jpg")
    return result


@click.command(help=HELP)
@click.argument("models", nargs=-1)
@click.argument("images", type=FOLDER)
@click.option(
    "--weights", type=FOLDER, required=True, help="Folder with detector/mtcnn, identity, perceptual, utility."
)
@click.option("--predictor", type=FILE, required=True, help="dlib's 68-point predictor.")
@click.option("--out", type=click.Path(path_type=Path, file_okay=False), required=True, help="Results and cache.")
@click.option("--also", multiple=True, metavar="NAME=DIR", help="Results of another tool, under the photos' names.")
@click.option("--count", type=click.IntRange(min=2), default=3000, show_default=True, help="Photos at most.")
@click.option("--names", type=FILE, help="Take these photos, one name a line, instead of the first ones.")
@click.option("--inception", type=FILE, help="Features for the FID: TorchScript or ONNX; default: MobileNetV2.")
@click.option("--workers", type=click.IntRange(min=1), default=1, show_default=True, help="Processes.")
@click.option(
    "--crops", type=click.Path(path_type=Path, file_okay=False), help="Write the aligned photos here and stop."
)
def main(
    *,
    models: tuple[str, ...],
    images: Path,
    weights: Path,
    predictor: Path,
    out: Path,
    also: tuple[str, ...],
    count: int,
    names: Path | None,
    inception: Path | None,
    workers: int,
    crops: Path | None,
) -> None:
    """Resolve, measure, write."""
    cv2.setNumThreads(1)
    torch.set_num_threads(1)
    out.mkdir(parents=True, exist_ok=True)
    try:
        chosen_names = read_names(names) if names else None
        folder = prepared(images, out, predictor, count, chosen_names)
        setup = Setup(folder, count, chosen_names, weights, predictor, inception)
        photos = open_photos(folder, count=count, names=chosen_names)
        if crops:
            write_crops(photos, crops)
            return
        result = compare_all(photos, gather(models, also, photos), setup, out, workers)
    except StreamFilterError as error:
        raise click.ClickException(str(error)) from error
    click.echo(markdown(result))


if __name__ == "__main__":
    main()
