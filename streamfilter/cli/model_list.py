"""What `streamfilter models list` shows: pulled models and those that come along, as tables or as JSON."""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from pathlib import Path

from rich.console import Console
from rich.table import Table

from streamfilter import onnx_model
from streamfilter.cli.console import say
from streamfilter.config import Device
from streamfilter.errors import StreamFilterError
from streamfilter.model_files import MODELS, sha256, weights_beside
from streamfilter.model_store import Condition, Holding, Store, StoredFile
from streamfilter.model_store.store import mebibytes


@dataclass(frozen=True, kw_only=True)
class Shipped:
    """One model file that comes with streamfilter; what it says about itself."""

    file: str
    kind: str
    version: str
    licence: str
    bytes: int
    sha256: str
    path: str
    condition: Condition


def shipped_models(folder: Path = MODELS) -> tuple[Shipped, ...]:
    """Every model in the installation, and the weights that they share."""
    shared = {"kind": "weights", "version": "-", "licence": "as the models that use it"}
    networks = [_shipped_network(path) for path in sorted(folder.glob("*.onnx"))]
    return (*networks, *(_shipped(path, shared, Condition.INTACT) for path in weights_beside([folder / "any"])))


def to_json(store: Store) -> str:
    """All that is known, for programs."""
    record = {
        "folder": str(store.folder),
        "pulled": [_record(held) for held in store.state()],
        "shipped": [asdict(model) for model in shipped_models()],
    }
    return json.dumps(record, indent=2)


def show(store: Store, console: Console | None = None) -> None:
    """Print tables and licences to stdout, and what to do where something is not there."""
    console = console or Console(highlight=False)
    held, shipped = store.state(), shipped_models()
    say(console, f"pulled models: {store.folder}")
    console.print(_table("file", "for", "package", "MiB", "there", rows=[_pulled_row(each) for each in held]))
    for each in held:
        say(console, f"  {each.file.name}: {licence_of(each.file)}")
    say(console, f"\nmodels that come with streamfilter: {MODELS}")
    rows = [(each.file, each.kind, each.version, _size(each.bytes), each.condition) for each in shipped]
    console.print(_table("file", "kind", "version", "MiB", "there", rows=rows))
    for licence in dict.fromkeys(each.licence for each in shipped):
        files = ", ".join(each.file for each in shipped if each.licence == licence)
        say(console, f"  {files}: {licence}")
    for line in _remedies(store, held):
        say(console, line)


def licence_of(file: StoredFile) -> str:
    """The licence of a pulled model, and what it does not tell."""
    return f"{file.licence}; {file.caveat}" if file.caveat else file.licence


def _remedies(store: Store, held: Sequence[Holding]) -> list[str]:
    """One line for each group that is not whole."""
    lines = []
    for group in dict.fromkeys(each.group for each in held):
        lacking = [each for each in held if each.group == group and each.condition is not Condition.INTACT]
        if lacking:
            size = mebibytes(sum(package.bytes for package in dict.fromkeys(each.package for each in lacking)))
            count = f"{len(lacking)} of {sum(each.group == group for each in held)} models of {group}"
            lines.append(f"\nmissing or damaged: {count}; get them ({size}): {store.pull_command(group)}")
    return lines


def _record(held: Holding) -> dict[str, object]:
    package = held.package
    return {
        **asdict(held.file),
        "group": held.group,
        "package": package.name,
        "version": package.version,
        "package_licence": package.licence,
        "url": package.url,
        "path": str(held.path),
        "condition": held.condition,
    }


def _pulled_row(held: Holding) -> tuple[str, ...]:
    file, package = held.file, held.package
    origin = f"{package.name} {package.version}"
    return file.name, file.purpose, origin, _size(file.bytes), held.condition


def _shipped_network(path: Path) -> Shipped:
    try:
        return _shipped(path, onnx_model.describe(path, device=Device.CPU), Condition.INTACT)
    except StreamFilterError:
        return _shipped(path, {}, Condition.DAMAGED)


def _shipped(path: Path, facts: dict[str, str], condition: Condition) -> Shipped:
    return Shipped(
        file=path.name,
        kind=facts.get("kind", "unknown"),
        version=facts.get("version", "unknown"),
        licence=facts.get("licence", "unknown"),
        bytes=path.stat().st_size,
        sha256=sha256(path),
        path=str(path),
        condition=condition,
    )


def _size(count: int) -> str:
    return f"{count / 2**20:.2f}"


def _table(*columns: str, rows: Sequence[tuple[str, ...]]) -> Table:
    table = Table(pad_edge=False, box=None)
    for name in columns:
        table.add_column(name, overflow="fold", justify="right" if name == "MiB" else "left")
    for row in rows:
        table.add_row(*row)
    return table
