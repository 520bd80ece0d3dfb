"""`streamfilter doctor`: what would run where, and what is missing."""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import asdict

import click
from rich.console import Console
from rich.table import Table

from streamfilter.cli import options
from streamfilter.cli.exits import Exit, one_line
from streamfilter.config import Device
from streamfilter.doctor import Examination, examine

HELP = """Say what would run where: versions, devices, codecs, models and their hashes; and what is missing.

\b
Examples:
  streamfilter doctor
  streamfilter doctor --device cuda
  streamfilter doctor --json > doctor.json

The exit code is 1 if `streamfilter run` could not do its work here, else 0.
"""


@click.command("doctor", help=HELP, short_help="Say what would run where, and what is missing.")
@options.device_options
@click.option("--json", "as_json", is_flag=True, help="Write JSON to stdout instead of tables.")
@click.pass_context
def doctor(context: click.Context, device: Device, threads: int, as_json: bool) -> None:
    """Examine and show; see HELP."""
    examination = examine(device=device, threads=threads, load=options.loader(context))
    if as_json:
        click.echo(json.dumps({"ok": examination.ok, **asdict(examination)}, indent=2))
    else:
        show(Console(highlight=False), examination)
    context.exit(Exit.OK if examination.ok else Exit.FAILED)


def show(console: Console, found: Examination) -> None:
    """Print an examination as tables."""
    console.print(_table("package", "version", rows=list(found.versions.items())))
    devices = [
        (fact.device, "yes" if fact.usable else "no", fact.detail and one_line(fact.detail)) for fact in found.devices
    ]
    console.print(_table("device", "usable", "why not", rows=devices))
    codecs = [("reads", _list(found.decoders)), ("writes", _list(found.encoders))]
    console.print(_table("FFmpeg", "codecs built in (hardware encoders need the hardware, too)", rows=codecs))
    models = [
        (model.file, model.kind, model.version, f"{model.bytes / 2**20:.1f}", _short(model.runs_on), model.sha256[:16])
        for model in found.models
    ]
    console.print(_table("model", "kind", "version", "MiB", "runs on", "SHA-256 begins", rows=models))
    console.print(_table("model", "licence", rows=[(model.file, model.licence) for model in found.models]))
    for problem in found.problems:
        console.print(f"missing: {one_line(problem.what)}; {problem.remedy}", style="red", markup=False, soft_wrap=True)
    if found.ok:
        console.print("ready: streamfilter run would work here")


def _short(provider: str | None) -> str:
    return "-" if provider is None else provider.removesuffix("ExecutionProvider")


def _list(built_in: dict[str, bool]) -> str:
    return " ".join(name for name, there in built_in.items() if there)


def _table(*columns: str, rows: Sequence[tuple[str, ...]]) -> Table:
    table = Table(pad_edge=False, box=None, title_justify="left")
    for name in columns:
        table.add_column(name, overflow="fold")
    for row in rows:
        table.add_row(*row)
    table.add_row()
    return table
