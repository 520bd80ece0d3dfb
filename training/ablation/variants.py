"""The objectives that are compared: a preset's weights, and these with one term out, in or exchanged."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, replace

from streamfilter.errors import ConfigError
from training.objective import Weights
from training.train.presets import SEEING, named

# Weights at which terms are tried that a preset leaves out.
TRIED: Mapping[str, float] = {
    "landmark": 1.0, "landmark_emphasised": 4.0, "identity": 1.0, "perceptual": SEEING.perceptual, "away": 0.4,
    "same": 0.4, "distinct": 0.15, "openings": 0.5, "colours": 0.4, "seam": SEEING.seam, "gaze": 1.0,
    "flicker": SEEING.flicker, "pull": 0.02,
}  # fmt: skip
START, FULL, PAPER = "start", "full", "paper"


@dataclass(frozen=True)
class Variant:
    """An objective by name; without `weights` nothing is optimised. `about` is the term that it is about, if one."""

    name: str
    weights: Weights | None
    about: str = ""


def variants_of(full: Weights, only: Sequence[str] = (), tried: Mapping[str, float] = TRIED) -> list[Variant]:
    """`full` and `start`, then one variant per term, or for those in `only`; at last the paper's own weights.

    Raises:
        ConfigError: `only` names something that is no term, or one that must be trained.
    """
    for name in only:
        if name not in tried:
            raise ConfigError(f"no term {name!r} to leave out or to try; there are {', '.join(tried)}")
    changed = [*_without(full), *_exchanged(full), *_with(full, tried)]
    chosen = [variant for variant in changed if not only or variant.about in only]
    paper = [] if only else [Variant(PAPER, named("paper").weights)]
    return [Variant(FULL, full), Variant(START, None), *chosen, *paper]


def _without(full: Weights) -> list[Variant]:
    """Each term of `full` left out; `adversarial` is not there: its discriminator would have to be trained along."""
    less = [(name, replace(full, **{name: 0.0})) for name in TRIED if getattr(full, name)]
    return [Variant(f"without {name}", weights, name) for name, weights in less if any(asdict(weights).values())]


def _exchanged(full: Weights) -> list[Variant]:
    """The paper's landmark loss, which counts all points alike, in place of the emphasised one, at its weight."""
    if not full.landmark_emphasised or full.landmark:
        return []
    weights = replace(full, landmark=full.landmark_emphasised, landmark_emphasised=0.0)
    return [Variant("landmark, not emphasised", weights, "landmark_emphasised")]


def _with(full: Weights, tried: Mapping[str, float]) -> list[Variant]:
    """Each term that `full` leaves out added; but not a landmark loss where there is the other one."""
    has_landmark = bool(full.landmark or full.landmark_emphasised)
    missing = [name for name in tried if not getattr(full, name) and not ("landmark" in name and has_landmark)]
    return [Variant(f"with {name}", replace(full, **{name: tried[name]}), name) for name in missing]
