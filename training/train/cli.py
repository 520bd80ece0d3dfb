"""The command: resolve -> print -> --dry-run stops here -> run folder -> options.json -> loop."""

from __future__ import annotations

import json
import math
import time
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import click
import cv2
import torch

from streamfilter.errors import ConfigError, StreamFilterError
from training.limits import parse_duration
from training.train import presets, runs
from training.train.assemble import Sources, shown, trainer_of
from training.train.checkpoint import checkpoints, load_resume
from training.train.loop import Job, train
from training.train.presets import Preset
from training.train.records import Records, has_tensorboard
from training.train.references import Unsteered
from training.train.stop import Stop

PEOPLE, TELL_EVERY = "people.pt", 320
FILE = click.Path(exists=True, dir_okay=False, path_type=Path)
FOLDER = click.Path(exists=True, file_okay=False, path_type=Path)
PATH = click.Path(exists=True, path_type=Path)
EPILOG = """\b
Examples:
  A light controller on two CPU cores, for 25 minutes, into RUNS/00000-light:
    python -m training.train --preset light --pack PACK --decoder decoder.pt \\
      --closed-form controller.npz --weights WEIGHTS --landmarks RUN_68 --out RUNS --for 25m
  Go on with it; files and options are those it was started with:
    python -m training.train --run RUNS/00000-light --for 25m
  An encoder on top of it, on a GPU, with half the rate:
    python -m training.train --preset gpu --light RUNS/00000-light --pack PACK --decoder decoder.pt \\
      --weights WEIGHTS --landmarks RUN_68 --out RUNS --set rate=2e-4

\b
A run folder holds options.json, stats.jsonl, curves.png, grid_STEP.png and step_STEP/ with snapshot.pt (read by
training.evaluate and export.to_onnx) and what a resume needs. Ctrl-C and SIGTERM end a run with a checkpoint.
"""


@dataclass(frozen=True, kw_only=True)
class Plan:
    """A resolved run."""

    run: Path
    preset: Preset
    sources: Sources
    tensorboard: bool

    def options(self) -> dict[str, Any]:
        """What is printed, and kept in options.json."""
        return {
            "preset": presets.to_dict(self.preset),
            "sources": self.sources.to_dict(),
            "tensorboard": self.tensorboard,
        }


def _duration(context: click.Context, parameter: click.Parameter, text: str | None) -> float:
    try:
        return math.inf if text is None else parse_duration(text)
    except ValueError as error:
        raise click.BadParameter(str(error)) from error


@click.command(epilog=EPILOG, context_settings={"help_option_names": ["-h", "--help"]})
@click.option("--preset", "preset_name", type=click.Choice(list(presets.PRESETS)), help="Every number of the run.")
@click.option("--set", "settings", multiple=True, metavar="NAME=VALUE", help="Override one; repeatable. Inside others:"
              " weights.identity=0.2, model.hidden=256. --dry-run prints all names.")  # fmt: skip
@click.option("--pack", "packs", multiple=True, type=FOLDER, help="Faces, from training.prepare; repeatable.")
@click.option("--decoder", type=FILE, help="Decoder checkpoint: of training.generator.readouts, or a StyleGAN2.")
@click.option("--weights", type=FOLDER, help="Folder with identity/ and perceptual/: the networks that judge.")
@click.option("--landmarks", type=FOLDER, help="Run folder of the landmark network, from training.landmarks.train.")
@click.option("--closed-form", type=FILE, help="controller.npz of training.generator.fit; a light controller's start.")
@click.option("--light", type=PATH, help="Snapshot or run of a light controller that an encoder starts from.")
@click.option("--start", type=PATH, help="Snapshot or run whose weights a new run goes on with.")
@click.option("--out", type=click.Path(file_okay=False, path_type=Path), help="Make a new numbered run folder in here.")
@click.option("--run", type=click.Path(file_okay=False, path_type=Path), help="Use this run folder; one that was begun"
              " is gone on with.")  # fmt: skip
@click.option(
    "--for", "limit_s", callback=_duration, metavar="TIME", help="Stop after 90s, 25m or 2h, with a checkpoint."
)
@click.option(
    "--tensorboard/--no-tensorboard", default=None, help="Write TensorBoard events. Default: where installed."
)
@click.option("--dry-run", is_flag=True, help="Resolve and print everything, then stop.")
def main(
    *,
    preset_name: str | None,
    settings: tuple[str, ...],
    packs: tuple[Path, ...],
    decoder: Path | None,
    weights: Path | None,
    landmarks: Path | None,
    closed_form: Path | None,
    light: Path | None,
    start: Path | None,
    out: Path | None,
    run: Path | None,
    limit_s: float,
    tensorboard: bool | None,
    dry_run: bool,
) -> None:
    """Train the model that steers the decoder: a light controller or an image encoder."""
    began = time.monotonic()
    files = {
        "packs": packs, "decoder": decoder, "weights": weights, "landmarks": landmarks, "closed_form": closed_form,
        "light": light, "start": start,
    }  # fmt: skip
    try:
        plan = resolve(preset_name, settings, files, out=out, run=run, tensorboard=tensorboard)
        click.echo(f"{plan.run}\n{json.dumps(plan.options(), indent=2)}")
        if not dry_run:
            carry_out(plan, Stop(limit_s, began))
    except StreamFilterError as error:
        raise click.ClickException(str(error)) from error


def resolve(
    preset_name: str | None,
    settings: tuple[str, ...],
    files: Mapping[str, Any],
    *,
    out: Path | None,
    run: Path | None,
    tensorboard: bool | None,
) -> Plan:
    """Options -> a plan with every value known; all checks across options are here.

    Raises:
        ConfigError: options are missing or contradict each other.
    """
    if (out is None) == (run is None):
        raise ConfigError("give either --out, for a new numbered run folder, or --run, for a folder of its own")
    before = runs.read_options(run) if run is not None else None
    if before is None and preset_name is None:
        raise ConfigError(f"--preset is missing; there are {', '.join(presets.PRESETS)}")
    if before is not None and preset_name not in {None, before["preset"]["name"]}:
        raise ConfigError(f"{run} was begun with --preset {before['preset']['name']}; leave --preset out, or use --out")
    base = presets.from_dict(before["preset"]) if before else presets.named(str(preset_name))
    preset = presets.override(base, settings)
    sources = _sources(files, before["sources"] if before else {}, preset)
    if tensorboard and not has_tensorboard():
        raise ConfigError("--tensorboard needs the package: pip install tensorboard, or use --no-tensorboard")
    return Plan(
        run=run or runs.new_run(Path(str(out)), preset.name),
        preset=preset,
        sources=sources,
        tensorboard=has_tensorboard() if tensorboard is None else tensorboard,
    )


def _sources(given: Mapping[str, Any], before: Mapping[str, Any], preset: Preset) -> Sources:
    """The files given now, else those of the begun run."""
    values = {name: value or before.get(name) for name, value in given.items()}
    for name, option in (("packs", "--pack"), ("decoder", "--decoder"), ("weights", "--weights"),
                         ("landmarks", "--landmarks")):  # fmt: skip
        if not values[name]:
            raise ConfigError(f"{option} is missing; see --help for where it comes from")
    if preset.kind == "light" and not (values["closed_form"] or values["start"]):
        raise ConfigError("a light controller needs --closed-form, or --start with another's snapshot")
    if preset.kind == "light" and values["light"]:
        raise ConfigError("--light is where an encoder starts; to go on with a light controller use --start")
    packs = tuple(Path(path) for path in values.pop("packs"))
    paths = {name: Path(value) for name, value in values.items() if value}
    for name, path in (*(("pack", path) for path in packs), *paths.items()):
        if not path.exists():  # of a begun run: files move, and relative paths begin elsewhere
            raise ConfigError(f"there is nothing at {path}, which the run was begun with; give its --{_dashed(name)}")
    return Sources(packs=packs, **paths)


def _dashed(name: str) -> str:
    return name.replace("_", "-")


def carry_out(plan: Plan, stop: Stop) -> None:
    """Begin or go on with the run."""
    set_up(plan.preset)
    trainer, maker = trainer_of(plan.preset, plan.sources)
    if (state := load_resume(plan.run)) is not None:
        trainer.load_state(state)
    runs.write_options(plan.run, plan.options())
    learnt = sum(parameter.numel() for parameter in trainer.model.parameters() if parameter.requires_grad)
    click.echo(
        f"{len(maker.faces)} faces, {learnt:,} learnt parameters on {trainer.device}, "
        + (f"going on at step {trainer.step}" if trainer.step else "from the start")
    )
    meet_people(plan, trainer.frozen.own)
    records = Records(plan.run, trainer.step, tensorboard=plan.tensorboard)
    try:
        reason = train(Job(run=plan.run, trainer=trainer, make=maker, shown=shown(maker), records=records), stop)
    finally:
        records.close()
    kept = checkpoints(plan.run)
    click.echo(f"stopped because {reason}; " + (f"the last checkpoint is {kept[-1]}" if kept else "no step was taken"))


def meet_people(plan: Plan, own: Unsteered) -> None:
    """Look at all invented people beforehand where the losses compare with all of them."""
    path = plan.run / PEOPLE
    if not plan.preset.weights.distinct or own.recall(path):
        return
    own.everyone(lambda k, of: click.echo(f"looked at {k} of {of} invented people") if k % TELL_EVERY == 0 else None)
    own.keep(path)


def set_up(preset: Preset) -> None:
    """Threads and precision of the process."""
    cv2.setNumThreads(1)  # a batch is made in a thread of its own already
    if preset.threads:
        torch.set_num_threads(preset.threads)
    if preset.tf32:
        torch.set_float32_matmul_precision("high")
