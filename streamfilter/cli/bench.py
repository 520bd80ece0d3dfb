"""`streamfilter bench`: the main job, timed."""

from __future__ import annotations

import json
from dataclasses import asdict
from pathlib import Path

import click
from rich.console import Console

from streamfilter.bench import Measurement, measure
from streamfilter.cli import options
from streamfilter.cli.console import log_lines, say, stderr_console
from streamfilter.cli.summary import times_table
from streamfilter.config import Device, FilterConfig, MediaConfig
from streamfilter.errors import OutputError
from streamfilter.file_job import Outcome

HELP = """Time the main job on CLIP: the same pipeline as `run`, with a real decode and a real encode, after a burn-in.

\b
Examples:
  streamfilter bench samples/two_people.mp4
  streamfilter bench samples/two_people.mp4 --repeat 3 --json bench.json
  streamfilter bench clip.mp4 --device cuda --json - | jq .fps

The result goes to a temporary folder and is removed. With --repeat the pass of median duration is shown.
"""
STDOUT = Path("-")


@click.command("bench", help=HELP, short_help="Time every stage of the main job on a clip.")
@click.argument("clip", type=options.PATH)
@options.encoding_options
@options.device_options
@click.option("--repeat", type=click.IntRange(min=1), default=1, show_default=True, help="Passes over the clip.")
@click.option("--json", "json_path", type=options.PATH, metavar="FILE", help="Write the figures as JSON; - is stdout.")
@click.pass_context
def bench(
    context: click.Context,
    *,
    clip: Path,
    codec: str | None,
    crf: int,
    preset: str,
    device: Device,
    threads: int,
    repeat: int,
    json_path: Path | None,
) -> None:
    """Load, measure, show; see HELP."""
    console = stderr_console()
    context.find_root().with_resource(log_lines(console, verbose=False))
    config, media_config = FilterConfig(), MediaConfig(codec=codec, crf=crf, preset=preset)
    models = options.loader(context)(config, device=device, threads=threads)

    def tell(outcome: Outcome) -> None:
        say(console, f"pass: {outcome.summary.frames} frames in {outcome.duration_s:.2f} s")

    figures = measure(clip, models, config, media_config, passes=repeat, after_pass=tell)
    if json_path != STDOUT:
        show(Console(highlight=False), figures)
    if json_path:
        write_json(json_path, json.dumps(asdict(figures), indent=2))


def show(console: Console, figures: Measurement) -> None:
    """Print a measurement."""
    size = f"{figures.width}x{figures.height}, {figures.frames} frames"
    pace = f"{figures.fps:.1f} frames per second"
    if figures.source_fps:
        pace += f", {figures.fps / figures.source_fps:.2f} times the clip's own speed"
    memory = "unknown" if figures.peak_memory_mb is None else f"{figures.peak_memory_mb:.0f} MB"
    lines = (
        f"{figures.clip}: {size}, {figures.faces_per_frame:.2f} faces per frame",
        f"{pace}; peak memory {memory}; on {figures.device}",
        f"{figures.replaced} faces replaced, {figures.covered} covered, {figures.blanked} frames blanked",
    )
    for line in lines:
        say(console, line)
    console.print(times_table(figures.stages))


def write_json(path: Path, text: str) -> None:
    """Write the figures to a file or to stdout.

    Raises:
        OutputError: The file cannot be written.
    """
    if path == STDOUT:
        click.echo(text)
        return
    try:
        path.write_text(text + "\n", encoding="utf-8")
    except OSError as error:
        raise OutputError(f"{path} cannot be written: {error.strerror}; name another place") from error
