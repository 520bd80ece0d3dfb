"""What would run where: versions, execution providers, codecs, models; and what is missing."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Protocol

from streamfilter import onnx_model
from streamfilter.assemble import Models, load_models
from streamfilter.config import Device, FilterConfig
from streamfilter.errors import StreamFilterError
from streamfilter.media import ffmpeg_build
from streamfilter.model_files import MODELS, sha256, weights_beside
from streamfilter.versions import versions

NEEDED_ENCODER = "libx264"
EXPECTED_ENCODERS = (NEEDED_ENCODER, "libx265", "libsvtav1", "libvpx-vp9")
UNKNOWN = "unknown"
REINSTALL = "reinstall streamfilter: pip install --force-reinstall ."


@dataclass(frozen=True, kw_only=True)
class DeviceFact:
    """Whether the networks can run on a device, and if not, why."""

    device: str
    provider: str
    usable: bool
    detail: str


@dataclass(frozen=True, kw_only=True)
class ModelFact:
    """One shipped model file; `runs_on` is the provider that would run it, None if it is not loaded."""

    file: str
    kind: str
    version: str
    licence: str
    bytes: int
    sha256: str
    runs_on: str | None


@dataclass(frozen=True, kw_only=True)
class Problem:
    """Something that is missing, and what to do; the main job cannot run if it is `fatal`."""

    what: str
    remedy: str
    fatal: bool


@dataclass(frozen=True, kw_only=True)
class Examination:
    """All that `streamfilter doctor` found out."""

    versions: dict[str, str]
    devices: tuple[DeviceFact, ...]
    decoders: dict[str, bool]
    encoders: dict[str, bool]
    models: tuple[ModelFact, ...]
    problems: tuple[Problem, ...]

    @property
    def ok(self) -> bool:
        """Whether the main job can run."""
        return not any(problem.fatal for problem in self.problems)


class Load(Protocol):
    """Loads the models as the main job does: `assemble.load_models`."""

    def __call__(self, config: FilterConfig, *, device: Device, threads: int = 0) -> Models:
        """Load every model and check its answer to a known input."""
        ...


def examine(
    *, device: Device = Device.AUTO, threads: int = 0, models: Path = MODELS, load: Load = load_models
) -> Examination:
    """Look at everything that the main job needs, by doing it: load every model, answer a known input.

    Args:
        device: Where the networks are to run.
        threads: CPU threads of each network; 0: one for every core.
        models: The folder of the shipped models.
        load: What loads them for the main job.
    """
    loaded, problems = _try_to_load(load, device, threads)
    facts, broken = _model_facts(models, loaded)
    encoders = ffmpeg_build.encoders()
    return Examination(
        versions=versions(),
        devices=tuple(_device_fact(each, models) for each in Device if each is not Device.AUTO),
        decoders=ffmpeg_build.decoders(),
        encoders=encoders,
        models=facts,
        problems=(*problems, *broken, *_encoder_problems(encoders)),
    )


def _try_to_load(load: Load, device: Device, threads: int) -> tuple[Models | None, list[Problem]]:
    try:
        return load(FilterConfig(), device=device, threads=threads), []
    except StreamFilterError as error:
        remedy = "choose another --device" if device is not Device.AUTO else REINSTALL
        return None, [Problem(what=f"the models cannot run: {error}", remedy=remedy, fatal=True)]


def _device_fact(device: Device, models: Path) -> DeviceFact:
    provider = onnx_model.PROVIDER[device]
    smallest = min(models.glob("*.onnx"), key=lambda path: path.stat().st_size, default=None)
    if smallest is None:
        return DeviceFact(device=device, provider=provider, usable=False, detail="no model to try it with")
    try:
        onnx_model.describe(smallest, device=device)
    except StreamFilterError as error:
        return DeviceFact(device=device, provider=provider, usable=False, detail=str(error))
    return DeviceFact(device=device, provider=provider, usable=True, detail="")


def _model_facts(folder: Path, loaded: Models | None) -> tuple[tuple[ModelFact, ...], list[Problem]]:
    running = {model.path.resolve(): model.provider for model in loaded.onnx} if loaded else {}
    facts, problems = [], []
    for path in sorted(folder.glob("*.onnx")):
        try:
            metadata = onnx_model.describe(path, device=Device.CPU)
        except StreamFilterError as error:
            problems.append(Problem(what=str(error), remedy=REINSTALL, fatal=True))
            metadata = {}
        facts.append(_model_fact(path, metadata, running.get(path.resolve())))
    for path in weights_beside([folder / "any"]):
        facts.append(
            _model_fact(path, {"kind": "weights", "version": "-", "licence": "as the models that use it"}, None)
        )
    return tuple(facts), problems


def _model_fact(path: Path, metadata: dict[str, str], provider: str | None) -> ModelFact:
    return ModelFact(
        file=path.name,
        kind=metadata.get("kind", UNKNOWN),
        version=metadata.get("version", UNKNOWN),
        licence=metadata.get("licence", UNKNOWN),
        bytes=path.stat().st_size,
        sha256=sha256(path),
        runs_on=provider,
    )


def _encoder_problems(encoders: dict[str, bool]) -> list[Problem]:
    return [
        Problem(
            what=f"this FFmpeg has no encoder {name}",
            remedy="reinstall PyAV from its wheel: pip install --force-reinstall --only-binary av av",
            fatal=name == NEEDED_ENCODER,
        )
        for name in EXPECTED_ENCODERS
        if not encoders.get(name)
    ]
