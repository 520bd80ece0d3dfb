"""Shows what each loss buys and costs: optimises faces' shifts with one term left out or added.

python -m training.ablate SNAPSHOT --pack PACK --decoder DECODER --weights DIR --landmarks RUN --out OUT
"""

from __future__ import annotations

import json
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import click
import cv2
import numpy as np
import torch

from streamfilter.errors import ConfigError, StreamFilterError
from streamfilter.structures import Image
from training.ablation.shifts import Bench, Descent, Scene, scenes_of
from training.ablation.table import Outcome, markdown, to_dict
from training.ablation.variants import TRIED, Variant, variants_of
from training.ablation.witnesses import Measurer, Witnesses, correlations, joined, per_face
from training.evaluation.progress import Progress
from training.prepare.pack import Pack
from training.train import presets
from training.train.assemble import Sources, trainer_of
from training.train.batches import BatchMaker
from training.train.checkpoint import load_snapshot
from training.train.cli import set_up
from training.train.curves import write_picture
from training.train.presets import Preset

SHARP_PX, COLUMNS, CELL_PX = 256, 8, 128
FILE = click.Path(exists=True, dir_okay=False, path_type=Path)
FOLDER = click.Path(exists=True, file_okay=False, path_type=Path)
HELP = """Optimise the shift of held-out faces directly, under the losses of a preset and with each term out or in.

A training of networks per term would take hours and mix up the objective with what a network can learn. Here Adam moves
the latent of each face itself, from where the model of SNAPSHOT puts it, in the groups of slots that the model moves,
in standard deviations of the latents. Every variant starts there and takes as many steps, so the differences are the
terms'. `full` are the preset's weights, `start` takes no step, `paper` has the paper's weights. Terms that the preset
leaves out are tried at the weight of an encoder's preset, or at one that makes them as large as the others. Not tried:
`adversarial`, whose discriminator would have to be trained along.

Reported are all terms, unweighted, and numbers that are in no loss, at 256 px whatever the losses looked at: cosines of
the recogniser y1 to the person's own unsteered face (want: high), between two poses of one person (high), to other
people's results (low), to the person filmed (low); MTCNN's probability of a face; with --predictor, dlib's landmarks.
The landmark distance and openings by our network are of the network that the losses ask: dlib's are the test.

Writes OUT/ablation.md, OUT/ablation.json and OUT/faces.png (invented people only), anew after every variant.
"""
EPILOG = """\b
Examples:
  All terms of a light controller, on 24 photos and 8 frames:
    python -m training.ablate RUNS/00000-light --pack HELD_OUT --clips CLIPS --decoder decoder.pt \\
      --weights WEIGHTS --landmarks RUN_68 --out OUT --faces 32
  Only what `away` does, quickly:
    python -m training.ablate RUNS/00000-light ... --only away --faces 8 --steps 10
"""


@dataclass(frozen=True, kw_only=True, eq=False)
class Ablation:
    """Everything that a comparison needs."""

    bench: Bench
    measure: Measurer
    scenes: Sequence[Scene]
    side: int

    def outcome(self, variant: Variant, tell: Callable[[], None]) -> tuple[Outcome, Image]:
        """Optimise all scenes under one variant and measure; with the first scene's faces as a strip."""
        shifts = [self.bench.optimise(scene, variant.weights, tell) for scene in self.scenes]
        pairs = list(zip(self.scenes, shifts, strict=True))
        terms = [self.bench.terms(*pair) for pair in pairs]
        looks = [self.measure(*pair) for pair in pairs]
        seen = joined([found for found, _ in looks])
        outcome = Outcome(
            variant=variant,
            terms={name: mean_of(name, [t[name] for t in terms], self.scenes) for name in terms[0]},
            faces=per_face(seen, self.side),
            whole=correlations(seen, self.side),
        )
        return outcome, strip(looks[0][1])


def mean_of(name: str, values: Sequence[float], scenes: Sequence[Scene]) -> float:
    """Mean over the scenes; of `flicker` over those with frames that follow each other."""
    counts = [name != "flicker" or bool(scene.batch.follows.any()) for scene in scenes]
    return float(np.average(values, weights=counts)) if any(counts) else 0.0


def strip(faces: Sequence[Image]) -> Image:
    """Faces side by side."""
    small = [cv2.resize(face, (CELL_PX, CELL_PX), interpolation=cv2.INTER_AREA) for face in faces[:COLUMNS]]
    return np.concatenate(small, 1)


def compare(
    ablation: Ablation, variants: Sequence[Variant], say: Callable[[str], None],
    keep: Callable[[Sequence[Outcome], Image], None],
) -> list[Outcome]:  # fmt: skip
    """All variants in turn; after each, `keep` gets those so far and a sheet of one row of faces each."""
    steps = ablation.bench.descent.steps * len(ablation.scenes)
    progress = Progress(steps * sum(variant.weights is not None for variant in variants), say)
    outcomes, rows = [], []
    for variant in variants:
        outcome, row = ablation.outcome(variant, lambda v=variant: progress.step(v.name))
        outcomes.append(outcome)
        rows.append(row)
        keep(outcomes, np.concatenate(rows))
    return outcomes


def makers_of(photos: BatchMaker, clips: Pack | None, side: int) -> list[tuple[BatchMaker, BatchMaker]]:
    """Makers of photos and, where there are clips, of neighbouring frames, each at the losses' side and at `side`."""
    kinds = [photos]
    if clips is not None:
        kinds.append(BatchMaker(clips, photos.identify, replace(photos.config, temporal=1.0)))
    return [(make, BatchMaker(make.faces, make.identify, replace(make.config, side=side))) for make in kinds]


def shares(faces: int, batch: int, clips: bool) -> list[int]:
    """How many batches of photos and of frames: a quarter are frames, at least one of each.

    Raises:
        ConfigError: too few faces.
    """
    batches = faces // batch
    if batches < 1 + clips:
        raise ConfigError(f"--faces is {faces}; the preset makes {batch} at a time, so it takes {(1 + clips) * batch}")
    frames = max(batches // 4, 1) if clips else 0
    return [batches - frames, frames][: 1 + clips]


def preset_of(snapshot: Path, name: str | None, settings: Sequence[str], people: int) -> Preset:
    """The preset whose weights are taken apart: the one named, or that of the snapshot's kind.

    Raises:
        ConfigError: there is none, or it is for another kind of model.
    """
    kind = load_snapshot(snapshot)[1]["kind"]
    preset = presets.override(presets.named(name or kind), settings)
    if preset.kind != kind:
        raise ConfigError(
            f"--preset {preset.name} is for a model of kind {preset.kind}; the snapshot is of kind {kind}"
        )
    # The losses look at one side only; photos and frames come from packs of their own.
    return replace(preset, people=people, rungs=(), temporal=0.0, compile=False)


def prepare(preset: Preset, sources: Sources, clips: Path | None, predictor: Path | None, *, faces: int,
            descent: Descent, say: Callable[[str], None]) -> Ablation:  # fmt: skip
    """Load everything, and let the judges meet the invented people."""
    trainer, maker = trainer_of(preset, sources)
    decoder = trainer.frozen.decoder
    side = max(s for s in decoder.sides if s <= max(SHARP_PX, preset.side))
    pairs = makers_of(maker, Pack([clips]) if clips else None, side)
    trainer.frozen.own.everyone(lambda k, of: say(f"looked at {k} of {of} invented people") if k % 128 == 0 else None)
    bench = Bench(trainer, descent)
    near = torch.from_numpy(maker.faces.landmarks.mean(0)).float().to(trainer.device)
    return Ablation(
        bench=bench,
        measure=Measurer(bench, Witnesses.load(sources.weights, predictor), near, side),
        scenes=scenes_of(trainer, pairs, shares(faces, preset.batch, clips is not None)),
        side=side,
    )


def write(out: Path, outcomes: Sequence[Outcome], sheet: Image) -> None:
    """The three files, anew after every variant: a run that is stopped leaves what it has."""
    out.mkdir(parents=True, exist_ok=True)
    (out / "ablation.json").write_text(json.dumps(to_dict(outcomes), indent=1) + "\n", "utf-8")
    (out / "ablation.md").write_text(markdown(outcomes), "utf-8")
    write_picture(out / "faces.png", sheet)


@click.command(help=HELP, epilog=EPILOG, context_settings={"help_option_names": ["-h", "--help"]})
@click.argument("snapshot", type=click.Path(exists=True, path_type=Path))
@click.option("--pack", "packs", multiple=True, required=True, type=FOLDER, help="Held-out faces, from"
              " training.prepare; repeatable.")  # fmt: skip
@click.option("--clips", type=FOLDER, help="Pack of clips, for pairs of neighbouring frames: a quarter of all faces.")
@click.option("--decoder", type=FILE, required=True, help="Decoder checkpoint.")
@click.option("--weights", type=FOLDER, required=True, help="Folder with identity/, perceptual/, detector/mtcnn/.")
@click.option("--landmarks", type=FOLDER, required=True, help="Run folder of the landmark network.")
@click.option("--predictor", type=FILE, help="dlib's 68-point predictor, for its landmarks and openings too.")
@click.option("--out", type=click.Path(file_okay=False, path_type=Path), required=True, help="Folder of the results.")
@click.option("--preset", type=click.Choice(list(presets.PRESETS)), help="Whose weights. Default: that of the kind.")
@click.option("--set", "settings", multiple=True, metavar="NAME=VALUE", help="Override one of its values; repeatable.")
@click.option("--only", multiple=True, type=click.Choice(list(TRIED)), help="This term only; repeatable.")
@click.option("--faces", type=click.IntRange(min=2), default=24, show_default=True, help="Faces in all.")
@click.option("--steps", type=click.IntRange(min=1), default=25, show_default=True, help="Steps of Adam.")
@click.option("--rate", type=click.FloatRange(min=0, min_open=True), default=0.03, show_default=True, help="Of Adam.")
@click.option("--people", type=click.IntRange(min=2), default=512, show_default=True, help="Invented people.")
def main(
    *,
    snapshot: Path,
    packs: tuple[Path, ...],
    clips: Path | None,
    decoder: Path,
    weights: Path,
    landmarks: Path,
    predictor: Path | None,
    out: Path,
    preset: str | None,
    settings: tuple[str, ...],
    only: tuple[str, ...],
    faces: int,
    steps: int,
    rate: float,
    people: int,
) -> None:
    """Resolve, optimise, measure, write."""
    sources = Sources(packs=packs, decoder=decoder, weights=weights, landmarks=landmarks, start=snapshot)
    try:
        chosen = preset_of(snapshot, preset, settings, people)
        set_up(chosen)
        variants = variants_of(chosen.weights, only)
        ablation = prepare(chosen, sources, clips, predictor, faces=faces, descent=Descent(steps=steps, rate=rate),
                           say=_say)  # fmt: skip
        outcomes = compare(ablation, variants, _say, lambda found, sheet: write(out, found, sheet))
    except StreamFilterError as error:
        raise click.ClickException(str(error)) from error
    click.echo(markdown(outcomes))


def _say(line: str) -> None:
    click.echo(line, err=True)


if __name__ == "__main__":
    main()
