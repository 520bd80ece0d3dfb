"""The command line: the only place that parses arguments, prints, and sets exit codes."""

from __future__ import annotations

import click

from streamfilter import __version__
from streamfilter.cli.audit import audit
from streamfilter.cli.bench import bench
from streamfilter.cli.calibrate import calibrate
from streamfilter.cli.console import Commands
from streamfilter.cli.doctor import doctor
from streamfilter.cli.models import models
from streamfilter.cli.options import CONTEXT_SETTINGS
from streamfilter.cli.run import run
from streamfilter.cli.serve import serve

__all__ = ["main"]


@click.group(cls=Commands, context_settings=CONTEXT_SETTINGS)
@click.version_option(__version__, prog_name="streamfilter")
def main() -> None:
    """Replace every face in a video by the face of a person who does not exist.

    \b
    Start with:
      streamfilter run in.mp4 out.mp4
      streamfilter run webcam:0 window:
      streamfilter serve cameras.toml
      streamfilter audit in.mp4 out.mp4
      streamfilter run --help
      streamfilter doctor
    """


for command in (run, serve, audit, doctor, bench, models):
    main.add_command(command)
models.add_command(calibrate)
