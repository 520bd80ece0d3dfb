"""The work of `streamfilter models calibrate`: open what is named, measure, show, write."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, replace
from pathlib import Path

from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn
from rich.table import Table

from streamfilter.audit.detect.reference import ReferenceDetector
from streamfilter.audit.recognise import calibration
from streamfilter.audit.recognise.arcface import ArcFace
from streamfilter.audit.recognise.calibration import RATES, Calibration
from streamfilter.audit.recognise.load import BUILT_IN, load_network
from streamfilter.audit.recognise.measure import Detect, calibration_of, embed, find_preparation, sample
from streamfilter.audit.recognise.photos import Photo, photos_in, read_pairs
from streamfilter.audit.recognise.recogniser import Network
from streamfilter.cli.console import say, stderr_console
from streamfilter.errors import ConfigError
from streamfilter.media.target import check_target
from streamfilter.model_files import sha256
from streamfilter.model_store.store import Store

LINE_INTERVAL_S = 10.0
FEWEST_ACCEPTED = 10  # pairs of different people above a threshold, for it to mean something


@dataclass(frozen=True, kw_only=True)
class Subject:
    """A recogniser to be calibrated, its file, and whether that is the user's own."""

    network: Network
    path: Path
    own: bool = False


def run(
    names: Sequence[str],
    *,
    photos: Path,
    pairs: Path | None,
    out: Path | None,
    threads: int,
    overwrite: bool = False,
) -> None:
    """Calibrate the recognisers of these names on the photos of a folder.

    Raises:
        ConfigError: A name is neither a recogniser's nor a file in ONNX.
        InputError: The photos or the pairs cannot be used.
        ModelError: A model is missing, damaged, or fails.
        OutputError: The calibration cannot be written, or what is named for it is read or exists already.
    """
    console = stderr_console()
    pairs = pairs or _usual_pairs(photos)
    known, listed = photos_in(photos), read_pairs(pairs) if pairs else ()
    store = Store.default()
    subjects = [open_recogniser(name, store, threads) for name in dict.fromkeys(names)]
    read = [*(subject.path for subject in subjects), *([pairs] if pairs else []), *(photo.path for photo in known)]
    for target in _targets(subjects, out):
        check_target(target, sources=read, overwrite=overwrite or target != out)
    detect = open_detector(store, threads)
    subjects = [_fed_rightly(subject, known, detect, console) for subject in subjects]
    with _progress(console, "embedding", len(known)) as after_photo:
        embedded = embed(known, detect, [subject.network for subject in subjects], after_photo)
    found = [
        calibration_of(
            item,
            model=subject.network.name,
            sha256=sha256(subject.path),
            photos=_description(photos, len(known) - len(item.photos)),
            pairs=listed,
            preparation=getattr(subject.network, "preparation", None),
        )
        for subject, item in zip(subjects, embedded, strict=True)
    ]
    show(Console(highlight=False), found, listed=len(listed))
    _warn(found, console)
    _write(subjects, found, out, console)


def open_recogniser(name: str, store: Store, threads: int) -> Subject:
    """`sface`, `dlib`, or the file of a network of the ArcFace type.

    Raises:
        ConfigError: It is neither.
        ModelError: The model is missing or damaged.
    """
    if name in BUILT_IN:
        return Subject(network=load_network(name, store, threads=threads), path=store.path(BUILT_IN[name]))
    if not name.lower().endswith(".onnx"):
        raise ConfigError(f"{name} is no recogniser; name {', '.join(BUILT_IN)}, or a file that ends in .onnx")
    return Subject(network=ArcFace.load(Path(name), threads=threads), path=Path(name), own=True)


def open_detector(store: Store, threads: int) -> Detect:
    """What finds the faces: the detectors that the audit itself uses."""
    return ReferenceDetector.load(store, threads=threads)


def show(console: Console, found: Sequence[Calibration], *, listed: int) -> None:
    """Print the figures, one column for each recogniser."""
    table = Table(pad_edge=False, box=None, title_justify="left")
    table.add_column("")
    for item in found:
        table.add_column(item.model, overflow="fold")
    for label, cells in _rows(found, listed):
        table.add_row(label, *cells)
    console.print(table)


def _rows(found: Sequence[Calibration], listed: int) -> Iterator[tuple[str, list[str]]]:
    yield "accuracy", [_accuracy(item) for item in found]
    yield "  over pairs", [f"{item.benchmark_pairs:,} of {listed:,}" if listed else "-" for item in found]
    for rate in RATES:
        yield f"threshold at FAR {rate:g}", [f"{item.threshold(rate):.4f}" for item in found]
        yield f"  TAR at FAR {rate:g}", [f"{item.true_accepts(rate):.4f}" for item in found]
    yield "people", [f"{item.people:,}" for item in found]
    yield "photos", [f"{item.pictures:,}" for item in found]
    yield "pairs of different people", [f"{item.impostor_pairs:,}" for item in found]
    yield "pairs of one person", [f"{item.genuine_pairs:,}" for item in found]
    yield "takes", [str(item.preparation or "-") for item in found]
    yield "ms per face", [f"{item.ms_per_face:.0f}" if item.ms_per_face is not None else "-" for item in found]


def _accuracy(item: Calibration) -> str:
    if item.accuracy is None or item.accuracy_error is None:
        return "no pairs"
    return f"{item.accuracy:.2%} +- {item.accuracy_error:.2%}"


def _usual_pairs(photos: Path) -> Path | None:
    usual = photos / "pairs.txt"
    return usual if usual.is_file() else None


def _targets(subjects: Sequence[Subject], out: Path | None) -> list[Path]:
    """What will be written: one file that is named, or else one beside each of the user's own models."""
    return [out] if out else [calibration.beside(subject.path) for subject in subjects if subject.own]


def _description(photos: Path, without: int) -> str:
    rest = f"; {without} more show no face or cannot be read" if without else ""
    return f"{photos.resolve().name}, the most central face of each photo{rest}"


def _fed_rightly(subject: Subject, photos: Sequence[Photo], detect: Detect, console: Console) -> Subject:
    """A user's network as it wants to be fed; the others know."""
    if not subject.own or not isinstance(subject.network, ArcFace):
        return subject
    chosen = sample(photos)
    with _progress(console, f"trying out {subject.network.name}", len(chosen)) as after_photo:
        network = find_preparation(subject.network, chosen, detect, after_photo)
    say(console, f"{network.name}: takes {network.preparation}, by trial on photos of these people")
    return replace(subject, network=network)


def _write(subjects: Sequence[Subject], found: Sequence[Calibration], out: Path | None, console: Console) -> None:
    targets = _targets(subjects, out)
    own = [[item] for subject, item in zip(subjects, found, strict=True) if subject.own]
    for path, items in zip(targets, [found] if out else own, strict=True):
        calibration.save(path, items)
        say(console, f"written: {path}")
    if not targets:
        say(console, "nothing was written: these recognisers come calibrated; --out FILE keeps the figures")


def _warn(found: Sequence[Calibration], console: Console) -> None:
    """Say which thresholds rest on a handful of pairs."""
    pairs = found[0].impostor_pairs
    for rate in RATES:
        if pairs * rate < FEWEST_ACCEPTED:
            least = round(FEWEST_ACCEPTED / rate)
            say(console, f"FAR {rate:g} rests on {pairs * rate:.1f} of {pairs:,} pairs; for {least:,} take more photos")


@contextmanager
def _progress(console: Console, label: str, photos: int) -> Iterator[Callable[[], None]]:
    """Yield what is to be called after every photo: a bar on a terminal, else a line now and then."""
    if not console.is_terminal:
        yield _lines(console, label, photos)
        return
    columns = (TextColumn("{task.description}", markup=False), BarColumn(), MofNCompleteColumn())
    # Refreshed by hand: threads live in the pipeline only.
    with Progress(*columns, console=console, transient=True, auto_refresh=False) as bars:
        task = bars.add_task(label, total=photos)

        def advance() -> None:
            bars.advance(task)
            bars.refresh()

        yield advance


def _lines(console: Console, label: str, photos: int) -> Callable[[], None]:
    done, last = 0, time.monotonic()

    def advance() -> None:
        nonlocal done, last
        done += 1
        if time.monotonic() - last >= LINE_INTERVAL_S:
            last = time.monotonic()
            say(console, f"{label}: {done} of {photos} photos")

    return advance
