"""`streamfilter models calibrate`: what the scores of a recogniser mean, measured on photos of known people."""

from __future__ import annotations

from pathlib import Path

import click

from streamfilter.cli import options

HELP = """Measure what the scores of a recogniser mean, on photos of people you know: `streamfilter audit` needs that.

RECOGNISER is sface, dlib (both are pulled by `streamfilter models pull audit` and come calibrated), or a FILE.onnx of
the ArcFace type: aligned faces of 112 px in, one vector out. How such a file wants its pixels is found out, too.

\b
Examples:
  streamfilter models calibrate my_arcface.onnx --photos lfw
  streamfilter models calibrate sface dlib --photos lfw --pairs lfw/pairs.txt
  streamfilter models calibrate sface my_arcface.onnx --photos staff --out measured.json

The photos lie as DIR/PERSON/PHOTO.jpg, as in Labeled Faces in the Wild; of each photo the most central face counts.
A threshold at a false accept rate (FAR) is the score that this share of ALL pairs of different people reaches; for
1e-4 to mean something it takes 100,000 such pairs, which 450 photos of different people give. The true accept rate
(TAR) is the share of pairs of one person that reach it, at most 45 pairs of each person. With a list of pairs (by
default DIR/pairs.txt, if it is there) the accuracy is told, cross-validated over its folds as LFW prescribes.

The calibration of FILE.onnx is written to FILE.onnx.calibration.json, where the audit looks for it; one that is there
is replaced. Only numbers are written, never a face or an embedding.
"""


@click.command("calibrate", help=HELP, short_help="Measure what the scores of a recogniser mean.")
@click.argument("recognisers", nargs=-1, required=True, metavar="RECOGNISER...")
@click.option("--photos", type=options.PATH, required=True, metavar="DIR", help="Photos as DIR/PERSON/PHOTO.jpg.")
@click.option("--pairs", type=options.PATH, metavar="FILE", help="Pairs in LFW's format. Default: DIR/pairs.txt.")
@click.option("--out", type=options.PATH, metavar="FILE", help="Write all calibrations here, and nowhere else.")
@click.option("--overwrite", is_flag=True, help="Replace the file of --out if it exists already.")
@click.option(
    "--threads", type=click.IntRange(min=1), default=1, show_default=True, help="CPU threads of each ONNX network."
)
def calibrate(
    *,
    recognisers: tuple[str, ...],
    photos: Path,
    pairs: Path | None,
    out: Path | None,
    overwrite: bool,
    threads: int,
) -> None:
    """Measure and show; see HELP."""
    # Other commands need neither the audit nor what it loads, and should start quickly.
    from streamfilter.cli.calibration_job import run  # noqa: PLC0415

    run(recognisers, photos=photos, pairs=pairs, out=out, overwrite=overwrite, threads=threads)
