"""Measure results against their originals with detectors, landmarks and a recogniser that the project does not use.

Every `--step`-th of the first `--max` frames is looked at by dlib (faces, landmarks) and a recogniser, every second of
these by MTCNN. Run as:

    python -m training.evaluation.clips ORIGINAL RESULT [ORIGINAL RESULT ...] --weights DIR --predictor FILE.dat \
        --json OUT.json --markdown OUT.md
"""

from __future__ import annotations

import json
from collections.abc import Sequence
from pathlib import Path

import click
import cv2
import torch

from streamfilter.errors import InputError
from training.evaluation.frames import expected, pairs
from training.evaluation.observe import Judges, observe
from training.evaluation.progress import Progress
from training.evaluation.summary import Clip, lost, rounded, summarise, together
from training.evaluation.table import markdown

MTCNN_EVERY = 2
EXISTING = click.Path(path_type=Path, exists=True)


def in_pairs(paths: Sequence[Path]) -> list[tuple[Path, Path]]:
    """ORIGINAL RESULT ORIGINAL RESULT ... -> [(ORIGINAL, RESULT), ...].

    Raises:
        InputError: a result is missing.
    """
    if len(paths) % 2:
        raise InputError(f"files come in pairs ORIGINAL RESULT, got {len(paths)}: {paths[-1]} has no result")
    return list(zip(paths[::2], paths[1::2], strict=True))


def measure(judges: Judges, original: Path, result: Path, *, step: int, limit: int, progress: Progress) -> Clip:
    """Let the judges look at one clip."""
    observations = []
    for i, pair in enumerate(pairs(original, result, step=step, limit=limit)):
        observations.append(observe(judges, pair, with_mtcnn=i % MTCNN_EVERY == 0))
        progress.step(original.stem)
    return Clip.of(original.stem, observations)


def as_json(clips: Sequence[Clip]) -> str:
    """All numbers, per clip and over all, with the frames to look at."""
    found = {clip.name: {**rounded(summarise(clip)), "look_at_frames": lost(clip)} for clip in clips}
    return json.dumps({"clips": found, "all": rounded(summarise(together(clips)))}, indent=1)


def as_table(clips: Sequence[Clip]) -> str:
    """The same as a table."""
    return markdown({clip.name: summarise(clip) for clip in [*clips, together(clips)]})


@click.command()
@click.argument("files", type=EXISTING, nargs=-1, required=True)
@click.option("--weights", type=EXISTING, required=True, help="Folder with detector/mtcnn and identity.")
@click.option("--predictor", type=EXISTING, required=True, help="dlib's 68-point predictor.")
@click.option("--step", type=click.IntRange(min=1), default=5, show_default=True, help="Look at every n-th frame.")
@click.option("--max", "limit", type=click.IntRange(min=1), default=200, show_default=True, help="Frames per clip.")
@click.option("--json", "json_file", type=click.Path(path_type=Path), help="Write all numbers here.")
@click.option("--markdown", "table_file", type=click.Path(path_type=Path), help="Write the table here.")
def main(
    *,
    files: tuple[Path, ...],
    weights: Path,
    predictor: Path,
    step: int,
    limit: int,
    json_file: Path | None,
    table_file: Path | None,
) -> None:
    """Measure FILES: an original and its result, another original and its result, and so on."""
    cv2.setNumThreads(1)
    torch.set_num_threads(1)
    jobs = in_pairs(files)
    judges = Judges.load(weights, predictor)
    total = sum(expected(original, step=step, limit=limit) for original, _ in jobs)
    progress = Progress(total, lambda line: click.echo(line, err=True))
    clips = []
    for original, result in jobs:
        clips.append(measure(judges, original, result, step=step, limit=limit, progress=progress))
        # Written after each clip: what is measured stays, whatever happens to the next one.
        for path, text in ((json_file, as_json(clips)), (table_file, as_table(clips))):
            if path:
                path.write_text(text, encoding="utf-8")
    click.echo(as_table(clips))


if __name__ == "__main__":
    main()
