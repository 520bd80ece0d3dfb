"""Every number that decides a training run, as named presets; each value can be overridden by `--set NAME=VALUE`."""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict, dataclass, field, fields, replace
from typing import Any, get_type_hints

from streamfilter.errors import ConfigError
from training.objective import Weights

OPTIMIZERS, PRECISIONS, DEVICES = ("ranger", "adam"), ("fp32", "bf16"), ("auto", "cpu", "cuda")


@dataclass(frozen=True, kw_only=True)
class Preset:
    """One training run, fully spelt out. Lengths are in kimg: thousands of faces painted."""

    name: str
    kind: str = "encoder"  # which network of training.networks.build
    model: Mapping[str, Any] = field(default_factory=dict)  # its options, where they differ from the default
    side: int = 256  # of crops and painted faces, px
    batch: int = 4  # faces a step; even, since rows come in pairs
    kimg: float = 1000.0  # the whole run
    optimizer: str = "ranger"  # ranger: RAdam with Lookahead; adam
    rate: float = 1e-4  # learning rate at its level
    warmup_kimg: float = 0.0  # the rate rises over these
    cooldown_kimg: float = 0.0  # and falls to zero over the last of these
    clip: float = 10.0  # largest norm of the gradient
    ema: float = 0.999  # share of the averaged weights that a step keeps
    weights: Weights = field(default_factory=Weights)  # factor of each loss
    mirror: float = 0.5  # share of mirrored pairs
    blinks: float = 0.0  # share of targets whose lids are moved
    mouths: float = 0.0  # share of targets whose mouth is moved
    temporal: float = 0.0  # share of pairs that are neighbouring frames, where the packs have clips
    rare: float = 0.0  # how much more often closed eyes, open mouths and turned heads are drawn
    jitter: float = 0.0  # noise on the landmarks (standard deviation, crop sides), as the runtime's have
    people: int = 10000  # how many invented people there are
    rungs: tuple[int, ...] = ()  # sides that the decoder paints at, in turn; none: always `side`
    take_turns: bool = False  # one recogniser a step instead of all: half the cost
    adversary_rate: float = 2e-3  # learning rate of the discriminator, used where weights.adversarial is not 0
    adversary_r1: float = 1.0  # factor of its gradient penalty
    device: str = "auto"
    precision: str = "fp32"  # bf16: autocast of the networks, full precision for weights and losses
    compile: bool = False  # torch.compile of controller and decoder
    tf32: bool = False  # matrix products of float32 in TensorFloat32
    threads: int = 0  # of PyTorch on the CPU; 0 leaves its choice
    workers: int = 1  # threads that make batches; 0 makes them in line
    tick: int = 50  # steps between two lines of statistics
    snapshot_ticks: int = 10  # ticks between two snapshots
    seed: int = 1

    def __post_init__(self) -> None:
        """Refuse what cannot be trained, by name.

        Raises:
            ConfigError: a value is out of range.
        """
        for name, allowed in (("optimizer", OPTIMIZERS), ("precision", PRECISIONS), ("device", DEVICES)):
            if getattr(self, name) not in allowed:
                raise ConfigError(f"{name} is {getattr(self, name)!r}; it must be one of {', '.join(allowed)}")
        if self.batch < 2 or self.batch % 2:
            raise ConfigError(f"batch is {self.batch}; it must be even and at least 2, since rows come in pairs")
        for name in ("kimg", "rate", "clip", "tick", "snapshot_ticks", "side"):
            if not getattr(self, name) > 0:
                raise ConfigError(f"{name} is {getattr(self, name)}; it must be above 0")
        for name in ("mirror", "blinks", "mouths", "temporal", "ema"):
            if not 0 <= getattr(self, name) <= 1:
                raise ConfigError(f"{name} is {getattr(self, name)}; it is a share, 0 to 1")

    @property
    def steps(self) -> int:
        """Steps of the whole run."""
        return max(1, round(self.kimg * 1000 / self.batch))

    def rate_at(self, kimg: float) -> float:
        """Learning rate after `kimg`: up, level, down."""
        up = min((kimg * 1000 + self.batch) / (self.warmup_kimg * 1000), 1.0) if self.warmup_kimg else 1.0
        down = min((self.kimg - kimg) / self.cooldown_kimg, 1.0) if self.cooldown_kimg else 1.0
        return self.rate * min(up, max(down, 0.0))


BEYOND = Weights(
    landmark=0.0, landmark_emphasised=4.5, identity=0.8, perceptual=0.0, away=4.0, same=0.3, distinct=0.15,
    openings=0.5, colours=0.4, pull=0.04,
)  # fmt: skip
# An encoder sees the surroundings: it can also be held to the picture.
SEEING = replace(BEYOND, perceptual=0.2, seam=0.3, flicker=0.2)
PRESETS: Mapping[str, Preset] = {
    "paper": Preset(name="paper"),
    "light": Preset(
        name="light", kind="light", side=128, batch=8, kimg=48, optimizer="adam", rate=6e-4, warmup_kimg=0.8,
        cooldown_kimg=32, clip=1.0, ema=0.999, weights=BEYOND,
        rungs=(256, 128, 256, 128, 128, 256, 128, 64), blinks=0.25, mouths=0.2, temporal=0.25, rare=1.5,
        jitter=0.0015, people=2400, take_turns=True, device="cpu", precision="bf16", threads=1,
    ),
    "encoder": Preset(
        name="encoder", side=128, batch=8, kimg=24, optimizer="adam", rate=5e-4, warmup_kimg=0.8, cooldown_kimg=12,
        clip=1.0, ema=0.998, weights=SEEING, rungs=(128, 256, 128, 128), blinks=0.2, mouths=0.15, temporal=0.25,
        rare=1.5, jitter=0.0015, people=1200, take_turns=True, device="cpu", precision="bf16", threads=1, tick=25,
        snapshot_ticks=8, model={"preset": "compact"},
    ),
    "gpu": Preset(
        name="gpu", side=256, batch=64, kimg=2000, optimizer="ranger", rate=4e-4, warmup_kimg=10, cooldown_kimg=400,
        clip=5.0, ema=0.9995, weights=SEEING, blinks=0.2, mouths=0.15, temporal=0.25, rare=1.5,
        jitter=0.0015, device="cuda", precision="bf16",
        compile=True, tf32=True, workers=12, tick=100, model={"preset": "compact"},
    ),
    "smoke": Preset(
        name="smoke", kind="light", side=64, batch=4, kimg=0.08, optimizer="adam", rate=1e-3, ema=0.9, device="cpu",
        people=16, workers=0, threads=1, tick=5, snapshot_ticks=2,
    ),
}  # fmt: skip


SWITCHES = {"true": True, "false": False, "1": True, "0": False, "yes": True, "no": False}
READERS: Mapping[Any, Callable[[str], Any]] = {
    str: str,
    int: int,
    float: float,
    bool: lambda text: SWITCHES[text.lower()],
    tuple[int, ...]: lambda text: tuple(int(part) for part in text.split(",") if part),
}


def named(name: str) -> Preset:
    """A preset by its name.

    Raises:
        ConfigError: there is none.
    """
    if name not in PRESETS:
        raise ConfigError(f"no preset {name!r}; there are {', '.join(PRESETS)}")
    return PRESETS[name]


def override(preset: Preset, settings: Sequence[str]) -> Preset:
    """The preset with `name=value` settings; `weights.name=value` and `model.name=value` reach inside.

    Raises:
        ConfigError: a name is unknown or a value does not fit its type.
    """
    for setting in settings:
        name, equals, text = setting.partition("=")
        if not equals:
            raise ConfigError(f"{setting!r}: write NAME=VALUE, for example rate=2e-4 or weights.identity=0.2")
        preset = _set(preset, name.strip(), text.strip())
    return preset


def _set(preset: Preset, name: str, text: str) -> Preset:
    outer, _, inner = name.partition(".")
    if outer == "model" and inner:
        return replace(preset, model={**preset.model, inner: _json(text)})
    if outer == "weights" and inner:
        return replace(preset, weights=replace(preset.weights, **{inner: _value(preset.weights, inner, text)}))
    if inner or outer in {"name", "model", "weights"}:
        raise ConfigError(f"no setting {name!r}; inside there are weights.NAME and model.NAME")
    return replace(preset, **{outer: _value(preset, outer, text)})


def _value(owner: Preset | Weights, name: str, text: str) -> Any:
    """The text as the type that the field has."""
    if name not in {f.name for f in fields(owner)}:
        raise ConfigError(f"no setting {name!r}; there are {', '.join(f.name for f in fields(owner))}")
    try:
        return READERS[get_type_hints(type(owner))[name]](text)
    except (ValueError, KeyError) as error:
        raise ConfigError(f"{name}={text!r}: {type(getattr(owner, name)).__name__} expected") from error


def _json(text: str) -> Any:
    try:
        return json.loads(text)
    except json.JSONDecodeError:
        return text


def to_dict(preset: Preset) -> dict[str, Any]:
    """Everything, as JSON can hold it."""
    return {**asdict(preset), "model": dict(preset.model), "rungs": list(preset.rungs)}


def from_dict(values: Mapping[str, Any]) -> Preset:
    """The opposite of `to_dict`."""
    return Preset(**{**values, "weights": Weights(**values["weights"]), "rungs": tuple(values["rungs"])})
