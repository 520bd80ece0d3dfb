"""Files and a preset -> everything that a run needs."""

from __future__ import annotations

import copy
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn

from streamfilter.errors import ConfigError, DeviceError
from training.generator.vet import covariance
from training.networks.decoders import PaintingDecoder, load_decoder
from training.networks.encoder import Encoder
from training.networks.encoder import preset as encoder_sizes
from training.networks.light import LightConfig, LightController, root
from training.objective import Judges
from training.prepare.pack import Pack
from training.train.batches import BatchConfig, BatchMaker, Row, Sample, collate
from training.train.checkpoint import load_snapshot
from training.train.expressions import ExpressionConfig
from training.train.presets import Preset
from training.train.references import Unsteered
from training.train.trainer import Frozen, Trainer, resized

SHOWN = 8  # faces in a grid


@dataclass(frozen=True, kw_only=True)
class Sources:
    """The files that a run starts from."""

    packs: tuple[Path, ...]
    decoder: Path
    weights: Path  # folder with `identity` and `perceptual`
    landmarks: Path  # run folder of the landmark network
    closed_form: Path | None = None  # for a light controller
    light: Path | None = None  # snapshot of a light controller that an encoder starts from
    start: Path | None = None  # snapshot whose weights are gone on with

    def to_dict(self) -> dict[str, Any]:
        """As JSON can hold it."""
        values = {name: None if value is None else str(value) for name, value in asdict(self).items()}
        return {**values, "packs": [str(path) for path in self.packs]}


def device_of(name: str) -> torch.device:
    """The device meant by `auto`, `cpu` or `cuda`.

    Raises:
        DeviceError: there is no GPU but one is demanded.
    """
    if name == "cuda" and not torch.cuda.is_available():
        raise DeviceError("PyTorch sees no GPU; use --set device=cpu, or the preset light")
    return torch.device("cuda" if name != "cpu" and torch.cuda.is_available() else "cpu")


def batch_config(preset: Preset) -> BatchConfig:
    """What the preset says about batches."""
    return BatchConfig(
        size=preset.batch, side=preset.side, seed=preset.seed, mirror=preset.mirror, temporal=preset.temporal,
        people=preset.people, rare=preset.rare, jitter=preset.jitter,
        expressions=ExpressionConfig(blinks=preset.blinks, mouths=preset.mouths),
    )  # fmt: skip


def model_of(preset: Preset, sources: Sources, decoder: PaintingDecoder) -> nn.Module:
    """The model to be trained: of a snapshot, or new.

    Raises:
        ConfigError: a file is missing for this kind of model, or is of another kind.
    """
    if sources.start is not None:
        model, head = load_snapshot(sources.start)
        if head["kind"] != preset.kind:
            raise ConfigError(f"--start is of kind {head['kind']}, the preset trains {preset.kind}")
        return model
    torch.manual_seed(preset.seed)
    if preset.kind == "light":
        return new_light(preset.model, sources.closed_form, decoder)
    if preset.kind == "encoder":
        return new_encoder(preset.model, sources.light, decoder)
    raise ConfigError(f"kind is {preset.kind!r}; light and encoder can be trained")


def new_light(options: Mapping[str, Any], closed_form: Path | None, decoder: PaintingDecoder) -> LightController:
    """A light controller at its closed form."""
    if closed_form is None:
        raise ConfigError("a light controller starts from --closed-form, the controller.npz of training.generator.fit")
    with np.load(closed_form) as file:
        values = dict(file)
    if "metric" not in values:
        with torch.no_grad():
            spread = covariance(decoder.mapping, decoder.latent_avg)
        values["metric"] = root(spread.double().numpy())
    return LightController(LightConfig(**_tuples(options)), values)


def new_encoder(options: Mapping[str, Any], light: Path | None, decoder: PaintingDecoder) -> Encoder:
    """An encoder that paints what its start paints."""
    sizes = encoder_sizes(options.get("preset", "full"), decoder.n_styles)
    sizes = replace(sizes, **_tuples({name: value for name, value in options.items() if name != "preset"}))
    start = load_snapshot(light)[0] if light is not None else None
    return Encoder(sizes, start, decoder.latent_avg)


def _tuples(options: Mapping[str, Any]) -> dict[str, Any]:
    return {name: tuple(value) if isinstance(value, list) else value for name, value in options.items()}


def trainer_of(preset: Preset, sources: Sources) -> tuple[Trainer, BatchMaker]:
    """Trainer and batches of a run, before any resume."""
    device = device_of(preset.device)
    decoder = load_decoder(sources.decoder)
    wrong = {preset.side, *preset.rungs} - set(decoder.sides)
    if wrong:
        raise ConfigError(f"the decoder paints at {decoder.sides} px, not at {sorted(wrong)}: see side and rungs")
    pack = Pack(sources.packs)
    # The workers draw people on the CPU, whatever the decoder runs on.
    maker = BatchMaker(pack, copy.deepcopy(decoder.identities()), batch_config(preset))
    model = model_of(preset, sources, decoder).to(device)
    if model.n_styles != decoder.n_styles:
        raise ConfigError(f"the model has {model.n_styles} styles, the decoder {decoder.n_styles}")
    judges = Judges.load(sources.weights, sources.landmarks).to(device)
    near = torch.from_numpy(pack.landmarks.mean(0)).float().to(device)
    return build_trainer(preset, model, decoder.to(device), judges, maker, near, device), maker


def build_trainer(
    preset: Preset,
    model: nn.Module,
    decoder: PaintingDecoder,
    judges: Judges,
    maker: BatchMaker,
    near: Tensor,
    device: torch.device,
) -> Trainer:
    """A trainer whose invented people are those of `maker`; `near` (68, 2) is an average face's landmarks."""

    def faces_of(people: Sequence[int]) -> Tensor:
        return resized(decoder.paint(maker.identities(people).to(device), preset.side).float(), preset.side)

    own = Unsteered(faces_of, judges, near, preset.people)
    return Trainer(preset, model, Frozen(decoder=decoder, judges=judges, own=own), device)


def shown(maker: BatchMaker) -> Sample:
    """The faces of every grid: spread over the packs, as they are, each with another person."""
    config, faces = maker.config, maker.faces
    people = tuple(k % config.people for k in range(SHOWN))
    rows = []
    for index in np.linspace(0, len(faces) - 1, SHOWN).round().astype(int):
        points = np.asarray(faces.landmarks[index], np.float32)
        rows.append(Row(faces.image(int(index), config.side), points, points, True, False))
    return Sample(collate(rows, maker.identities(people), config.side), people)
