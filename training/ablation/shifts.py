"""Optimises the learnt shift of each face itself: what an objective asks for, without a network in between."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import torch
from torch import Tensor, nn

from streamfilter.errors import ConfigError
from training.generator.vet import covariance
from training.networks.decoders import PaintingDecoder
from training.networks.encoder import Encoder
from training.networks.light import SPREAD_IDENTITY, LightController, Steered, root, slots_of
from training.objective import TERMS, Painted, Weights, look, objective, total
from training.structures import Batch
from training.train.batches import BatchMaker, to_device
from training.train.references import filmed
from training.train.steering import steer
from training.train.trainer import Trainer

ALL_TERMS = Weights(**dict.fromkeys(TERMS, 1.0))


@dataclass(frozen=True, kw_only=True)
class Descent:
    """Adam on the shifts, which count in standard deviations of the latents."""

    steps: int = 25
    rate: float = 0.03


@dataclass(frozen=True, kw_only=True, eq=False)
class Scene:
    """Faces to be replaced, where the model starts, and whom the judges know.

    Attributes:
        batch: At the side of the losses.
        sharp: The same faces at the side of the measurements.
        people: Who is painted, (N,).
        steered: The model's own answer.
        own, was: Embeddings of the invented people unsteered, and of those filmed.
    """

    batch: Batch
    sharp: Batch
    people: tuple[int, ...]
    steered: Steered
    own: Tensor
    was: Tensor


def scenes_of(trainer: Trainer, makers: Sequence[tuple[BatchMaker, BatchMaker]], each: Sequence[int]) -> list[Scene]:
    """`each[k]` batches of the k-th pair of makers, which make the same faces at both sides."""
    steps = [(pair, step) for k, pair in enumerate(makers) for step in range(1000 * k, 1000 * k + each[k])]
    return [_scene(trainer, pair, step) for pair, step in steps]


@torch.no_grad()
def _scene(trainer: Trainer, makers: tuple[BatchMaker, BatchMaker], step: int) -> Scene:
    sample, sharp = (make(step) for make in makers)
    batch = to_device(sample.batch, trainer.device)
    trainer.model.eval()
    with trainer.autocast():
        return Scene(
            batch=batch,
            sharp=to_device(sharp.batch, trainer.device),
            people=sample.people,
            steered=steer(trainer.model, batch),
            own=trainer.frozen.own(sample.people),
            was=filmed(trainer.frozen.judges, batch, None),
        )


class Mover:
    """Moves a latent by shifts (N, groups, 512) in standard deviations, over the groups of slots that the model moves.

    Args:
        model: A light controller, whose own groups and measure are taken, or an encoder: coarse, medium, fine.
        decoder: Gives the measure for an encoder.

    Raises:
        ConfigError: the model is neither.
    """

    def __init__(self, model: nn.Module, decoder: PaintingDecoder) -> None:
        if isinstance(model, LightController):
            first, self._metric = model.config.first_slots, model.metric
        elif isinstance(model, Encoder):
            first = (0, model.config.first_medium, model.config.first_fine)
            spread = covariance(decoder.mapping, decoder.latent_avg).double().cpu().numpy()
            self._metric = torch.from_numpy(root(spread)).float().to(decoder.latent_avg.device)
        else:
            raise ConfigError(f"a {type(model).__name__} has no shift; a light controller or an encoder has")
        self._by_slot, self.groups = isinstance(model, Encoder), len(first)
        self._slots = slots_of(first, model.n_styles)

    def still(self, count: int) -> Tensor:
        """No shift, for so many faces."""
        return self._metric.new_zeros(count, self.groups, len(self._metric))

    def __call__(self, start: Steered, shift: Tensor) -> Steered:
        """What the model would give if it had learnt this shift too; its shift counts as the model counts it."""
        moved = (shift @ self._metric)[:, self._slots]
        counted = moved / SPREAD_IDENTITY if self._by_slot else shift
        return Steered(start.latent + moved, start.shift + counted.flatten(1), start.wanted)


class Bench:
    """Optimises and judges shifts with the parts of a trainer."""

    def __init__(self, trainer: Trainer, descent: Descent) -> None:
        self.trainer, self.descent = trainer, descent
        self.move = Mover(trainer.model, trainer.frozen.decoder)

    def optimise(self, scene: Scene, weights: Weights | None, tell: Callable[[], None] = lambda: None) -> Tensor:
        """The shift (N, groups, 512) that an objective leads to from none; none without `weights`."""
        shift = self.move.still(len(scene.batch)).requires_grad_()
        adam = torch.optim.Adam([shift], lr=self.descent.rate)
        for step in range(self.descent.steps if weights else 0):
            with self.trainer.autocast():
                terms = self._terms(scene, shift, weights, self._only(step))
            adam.zero_grad(set_to_none=True)
            total(terms, weights).backward()
            adam.step()
            tell()
        return shift.detach()

    @torch.no_grad()
    def terms(self, scene: Scene, shift: Tensor) -> dict[str, float]:
        """Every term, unweighted, by all recognisers, whether or not it was asked for."""
        with self.trainer.autocast():
            found = self._terms(scene, shift, ALL_TERMS, None)
        return {name: float(value) for name, value in found.items()}

    def _terms(self, scene: Scene, shift: Tensor, weights: Weights, only: int | None) -> dict[str, Tensor]:
        return objective(self._look(scene, shift, only), scene.batch, self.trainer.frozen.judges, weights)

    def _look(self, scene: Scene, shift: Tensor, only: int | None) -> Painted:
        moved, frozen = self.move(scene.steered, shift), self.trainer.frozen
        face = self.trainer.paint(moved.latent, self.trainer.preset.side)
        return look(
            frozen.judges, face, scene.batch, wanted=moved.wanted, own=scene.own, was=scene.was,
            others=frozen.own.everyone(), shift=moved.shift, only=only,
        )  # fmt: skip

    def _only(self, step: int) -> int | None:
        """The recogniser whose turn it is, where the preset has them take turns."""
        return step % len(self.trainer.frozen.judges.identity.recognisers) if self.trainer.preset.take_turns else None
