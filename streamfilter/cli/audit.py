"""`streamfilter audit`: what a stranger can still learn from a result, whoever made it."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING

import click
from rich.console import Console

from streamfilter.audit.footage import Footage, footage_of
from streamfilter.audit.pairs import Pair, pairs_of
from streamfilter.audit.section import Verdict
from streamfilter.audit.settings import SECTIONS, AuditConfig
from streamfilter.cli import options
from streamfilter.cli.console import log_lines, say, stderr_console
from streamfilter.cli.exits import Exit
from streamfilter.cli.progress import progress
from streamfilter.errors import InputError, OutputError
from streamfilter.media.kinds import MEDIA_SUFFIXES
from streamfilter.media.target import check_target, same_file
from streamfilter.model_store.store import Store

if TYPE_CHECKING:
    from streamfilter.audit.report import AuditReport

HELP = """Measure what a stranger can still learn from ANONYMISED, given the ORIGINAL that it was made of.

Both are a video, a GIF, a picture, or folders that mirror each other; it does not matter which tool made the result.
Four questions are answered, each with numbers, limits and a verdict:

\b
  leak         can an original face be seen? (every frame is compared)
  reid         do face recognisers still know the people?
  consistency  is each person one invented person, without flicker?
  utility      are pose, expression, sound, times and the background kept?

The models for it are pulled once: streamfilter models pull audit. Nothing is uploaded; original faces and their
embeddings are never stored.

\b
Examples:
  streamfilter audit in.mp4 out.mp4
  streamfilter audit in.mp4 blurred.mp4 --html report.html
  streamfilter audit originals/ published/ --json audit.json --fail-on leak
  streamfilter audit in.mp4 out.mp4 --recogniser arcface.onnx --parrot out_again.mp4

\b
Exit codes:
  0    the demanded sections (--fail-on) keep their limits
  1    a limit is broken, or a file could not be compared: do not publish
  2    the command itself cannot work: an unknown option, a value out of range
  3    nothing demanded failed, but something demanded could not be judged: not safe either
  130  stopped by Ctrl-C or a termination signal
"""
CODES = {Verdict.PASSED: Exit.OK, Verdict.FAILED: Exit.FAILED, Verdict.UNKNOWN: Exit.INCOMPLETE}
FILE = click.Path(path_type=Path, dir_okay=False)


def _names(_context: click.Context, _parameter: click.Parameter, value: str) -> tuple[str, ...]:
    names = tuple(part.strip() for part in value.split(",") if part.strip())
    unknown = [name for name in names if name not in SECTIONS]
    if unknown or not names:
        raise click.BadParameter(f"{value!r}: choose among {', '.join(SECTIONS)}, separated by commas")
    return names


@click.command("audit", help=HELP, short_help="Measure what a stranger can still learn from a result.")
@click.argument("original", type=options.PATH)
@click.argument("anonymised", type=options.PATH)
@click.option("--html", type=FILE, metavar="FILE.html", help="Write one self-contained page with plots and pictures.")
@click.option("--json", "json_path", type=FILE, metavar="FILE.json", help="Write all numbers (schema versioned).")
@click.option(
    "--fail-on",
    callback=_names,
    default="leak,reid",
    show_default=True,
    metavar="NAMES",
    help="Sections whose limits decide the exit code.",
)
@click.option(
    "--recogniser",
    "recognisers",
    multiple=True,
    type=FILE,
    metavar="FILE.onnx",
    help="A further attacker: your own ArcFace-type model, after `streamfilter models calibrate FILE.onnx`.",
)
@click.option(
    "--parrot",
    type=options.PATH,
    metavar="FILE",
    help="A second result of the same tool for ORIGINAL: an attacker who anonymises his own gallery with it.",
)
@click.option(
    "--interval",
    type=click.FloatRange(0, 10, min_open=True),
    default=0.2,
    show_default=True,
    help="Seconds between two looks of the detectors; every frame is compared anyway.",
)
@click.option(
    "--include-originals",
    is_flag=True,
    help="Show crops of ORIGINAL faces on the page. Such a page must not be published.",
)
@click.option("--overwrite", is_flag=True, help="Replace reports that exist already.")
@click.option(
    "--models",
    "folder",
    type=options.PATH,
    metavar="FOLDER",
    help="Where pulled models lie. Default: STREAMFILTER_MODELS, else a folder in your cache.",
)
@click.option("--seed", type=int, default=0, show_default=True, help="Of the draws behind intervals and samples.")
@click.option(
    "--threads",
    type=click.IntRange(0),
    default=0,
    show_default=True,
    help="CPU threads of each network; 0: one for every core.",
)
@click.option("-q", "--quiet", is_flag=True, help="Show errors only.")
@click.option("-v", "--verbose", is_flag=True, help="Show what goes on inside, and where an error came from.")
@click.pass_context
def audit(
    context: click.Context,
    *,
    original: Path,
    anonymised: Path,
    html: Path | None,
    json_path: Path | None,
    fail_on: tuple[str, ...],
    recognisers: tuple[Path, ...],
    parrot: Path | None,
    interval: float,
    include_originals: bool,
    overwrite: bool,
    folder: Path | None,
    seed: int,
    threads: int,
    quiet: bool,
    verbose: bool,
) -> None:
    """Check, load, look, report; see HELP."""
    # Here, or every other command would wait for what only this one needs.
    from streamfilter.audit.run import audit as run_audit  # noqa: PLC0415
    from streamfilter.audit.tools import Tools  # noqa: PLC0415
    from streamfilter.cli.audit_report import print_report  # noqa: PLC0415

    console = stderr_console()
    context.find_root().with_resource(log_lines(console, verbose=verbose))
    config = AuditConfig(interval_s=interval, fail_on=fail_on, seed=seed)
    pairs = pairs_of(original, anonymised)
    seconds = _parrots(pairs, original, parrot) if parrot else ()
    for target in filter(None, (html, json_path)):
        _check_report(target, (*pairs, *seconds), recognisers, overwrite=overwrite)
    if html and json_path and html.resolve() == json_path.resolve():
        raise click.UsageError(f"{html} cannot be both the page and the JSON report; give them two names")
    if include_originals and not quiet:
        say(console, "warning: the page will show original faces; do not publish it", style="yellow")
    ready = _looked_at(pairs, seconds)
    tools = context.obj or Tools.load(Store(folder) if folder else Store.default(), recognisers, threads=threads)
    expected = ready[0].original.frames if ready else len(pairs)
    with _watch(console, original.name, expected, by_file=not ready, quiet=quiet) as watch:
        report = run_audit(original, anonymised, tools, config, parrot=parrot, progress=watch, ready=ready)
    if not quiet:
        print_report(report, Console(highlight=False))
    try:
        _write(report, html, json_path, include_originals=include_originals)
    except OutputError:
        if quiet:  # what took an hour to measure shall not be lost
            print_report(report, Console(highlight=False))
        raise
    context.exit(CODES[report.verdict])


def _parrots(pairs: Sequence[Pair], original: Path, parrot: Path) -> tuple[Pair, ...]:
    """Pairs of the originals and their second results.

    Raises:
        InputError: they are the first results, or do not belong to the originals.
    """
    try:
        seconds = pairs_of(original, parrot)
    except InputError as error:
        raise InputError(f"--parrot: {error}") from error
    for first, second in zip(pairs, seconds, strict=False):
        if same_file(first.result, second.result):
            what = f"--parrot: {second.result} is the result that is audited"
            raise InputError(f"{what}; give another result of the same tool for the same original")
    return seconds


def _looked_at(pairs: Sequence[Pair], seconds: Sequence[Pair]) -> tuple[Footage, ...]:
    """Of two files the pair and, if there is one, that with the second result: refused before models are loaded.

    Raises:
        InputError: they cannot be compared.
    """
    if len(pairs) > 1:
        return ()
    first = footage_of(pairs[0])
    try:
        return (first, *map(footage_of, seconds))
    except InputError as error:
        raise InputError(f"--parrot: {error}") from error


def _check_report(path: Path, pairs: Sequence[Pair], recognisers: Sequence[Path], *, overwrite: bool) -> None:
    """Refuse a report in place of anything that is read, and one that would look like a video or picture.

    Raises:
        OutputError: it cannot be written there.
    """
    from streamfilter.audit.recognise.calibration import beside  # noqa: PLC0415

    files = [file for pair in pairs for file in (pair.original, pair.result)]
    models = [file for model in recognisers for file in (model, beside(model))]
    check_target(path, sources=[*files, *models], overwrite=overwrite)
    if path.suffix.lower() in MEDIA_SUFFIXES:
        raise OutputError(f"the report {path} has the ending of a video or picture; end it in .json or .html")


def _write(report: AuditReport, html: Path | None, json_path: Path | None, *, include_originals: bool) -> None:
    from streamfilter.audit.report import write_json, write_page  # noqa: PLC0415

    if json_path:
        write_json(report, json_path)
    if html:
        write_page(report, html, include_originals=include_originals)


@contextmanager
def _watch(
    console: Console, name: str, expected: int | None, *, by_file: bool, quiet: bool
) -> Iterator[Callable[[str, int], None]]:
    """Progress by frames, or by files where there are several."""
    last = ""
    with progress(console, name, expected, unit="files" if by_file else "frames", quiet=quiet) as advance:

        def after_frame(source: str, faces: int) -> None:
            nonlocal last
            if not by_file or source != last:
                advance(faces)
            last = source

        yield after_frame
