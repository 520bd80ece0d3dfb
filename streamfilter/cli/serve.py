"""`streamfilter serve`: many cameras in one process, and a page that shows them."""

from __future__ import annotations

import logging
import sys
from pathlib import Path

import click

from streamfilter.cli import options
from streamfilter.cli.exits import exit_code
from streamfilter.errors import StreamFilterError
from streamfilter.json_log import LineFormatter, LogForm, log_to, tell

HELP = """Filter all cameras of CONFIG.toml for as long as they run, and show them on a page.

The cameras share the networks and nothing else: each has its own memory of people, its own threads and its own
restarts. samples/serve.toml explains every key. The file is read again when it changes, and on SIGHUP: cameras that
are the same go on untouched; a file with an error is refused, and the old one stays.

\b
Examples:
  streamfilter serve serve.toml
  streamfilter serve serve.toml --check
  DOOR_PASSWORD=secret streamfilter serve serve.toml --log json

\b
Exit codes:
  0    stopped by SIGTERM or Ctrl-C, or every camera came to its end; all was finished properly
  1    it could not start, a camera failed for good, or one did not end within stop_s
  2    the configuration cannot work; one line names the file, the line and the key
  130  a second signal: ended at once, nothing was finished
"""


@click.command("serve", help=HELP, short_help="Filter many cameras for as long as they run.")
@click.argument("path", metavar="CONFIG.toml", type=click.Path(path_type=Path))
@click.option(
    "--log",
    "form",
    type=click.Choice([str(form) for form in LogForm]),
    default=str(LogForm.TEXT),
    show_default=True,
    help="How events are written on stderr, one a line.",
)
@click.option("--check", is_flag=True, help="Read the configuration, say what is in it, and end.")
@click.option("-v", "--verbose", is_flag=True, help="Show what goes on inside, too.")
@click.pass_context
def serve(context: click.Context, path: Path, form: str, *, check: bool, verbose: bool) -> None:
    """Read, load, supervise; see HELP."""
    from streamfilter.cli import serve_job  # noqa: PLC0415 - the page and the encoders take their time to load

    formatter = LineFormatter(LogForm(form))
    with log_to(sys.stderr, formatter, verbose=verbose):
        try:
            code = serve_job.check(path) if check else serve_job.serve(path, formatter, options.loader(context))
        except StreamFilterError as error:
            if LogForm(form) is LogForm.TEXT:
                raise
            tell("server.failed", logging.ERROR, reason=str(error))
            code = exit_code(error)
    context.exit(code)
