"""One step of training, and everything that a step changes."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Protocol

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from training.losses.beyond import adversarial_critic, adversarial_generator, r1
from training.objective import Judges, Painted, look, objective, total
from training.structures import Batch
from training.train import optimizers
from training.train.adversary import Adversary
from training.train.batches import Sample, to_device
from training.train.presets import Preset
from training.train.records import diverged
from training.train.references import Unsteered, filmed
from training.train.steering import steer

R1_EVERY = 16
SEED_STRIDE = 1_000_000_007


class PaintingDecoder(Protocol):
    """What is used of `training.networks.decoders`."""

    def paint(self, latent: Tensor, side: int) -> Tensor:
        """Latent (N, n_styles, 512) -> faces (N, 3, side, side)."""
        ...


@dataclass(frozen=True, kw_only=True, eq=False)
class Frozen:
    """The networks that are not trained, and how they see the invented people unsteered."""

    decoder: PaintingDecoder
    judges: Judges
    own: Unsteered


class Trainer:
    """A model in training: weights, their average, optimisers, and how far it is.

    Args:
        preset: Every number.
        model: What is trained, on `device`.
        frozen: What is not.
        device: Where all of it lies.
    """

    def __init__(self, preset: Preset, model: nn.Module, frozen: Frozen, device: torch.device) -> None:
        self.preset, self.model, self.frozen, self.device = preset, model, frozen, device
        self.step, self.images = 0, 0
        self.average = optimizers.averaged(model)
        self._learnt = optimizers.trainable(model)
        self.optimizer = optimizers.optimizer(preset.optimizer, self._learnt, preset.rate)
        self.adversary = self.adversary_optimizer = None
        if preset.weights.adversarial:
            torch.manual_seed(preset.seed)
            self.adversary = Adversary(preset.side).to(device)
            self.adversary_optimizer = torch.optim.Adam(
                self.adversary.parameters(), lr=preset.adversary_rate, betas=optimizers.ADVERSARY_BETAS
            )
        self._paint, self._shift = frozen.decoder.paint, getattr(model, "shift", None)
        if preset.compile:
            self._paint = torch.compile(self._paint)
            self._shift = self._shift and torch.compile(self._shift)

    @property
    def rungs(self) -> tuple[int, ...]:
        """Sides that the decoder paints at, in turn."""
        return self.preset.rungs or (self.preset.side,)

    @property
    def kimg(self) -> float:
        """Thousands of faces painted so far."""
        return self.images / 1000

    def advance(self, sample: Sample) -> dict[str, Tensor]:
        """Take one step; gives every term, the loss and the norm of the gradient, still on the device.

        Raises:
            DivergedError: a loss is not finite; nothing was changed.
        """
        # Whatever draws random numbers on the way draws them from the seed and the step alone.
        torch.manual_seed(self.preset.seed * SEED_STRIDE + self.step)
        batch = to_device(sample.batch, self.device)
        optimizers.set_rate(self.optimizer, self.preset.rate_at(self.kimg))
        self.model.train()
        with self.autocast():
            painted = self.look(batch, sample.people)
            terms = self._terms(painted, batch)
            loss = total(terms, self.preset.weights)
        self._refuse_broken(loss, terms)
        self.optimizer.zero_grad(set_to_none=True)
        loss.backward()
        norm = nn.utils.clip_grad_norm_(self._learnt, self.preset.clip)
        self.optimizer.step()
        optimizers.follow(self.average, self.model, self.preset.ema, self.step)
        numbers = {**terms, "loss": loss, "gradient": norm, "landmark_px": error_px(painted)}
        if self.adversary is not None:
            numbers |= self._train_adversary(painted.fused.detach(), batch)
        self.step += 1
        self.images += len(batch)
        return numbers

    def _refuse_broken(self, loss: Tensor, terms: Mapping[str, Tensor]) -> None:
        """Stop before a NaN reaches the weights; on a CPU even the gradient of `grid_sample` crashes at one."""
        if not bool(loss.isfinite()):
            raise diverged([name for name, value in terms.items() if not bool(value.isfinite())], self.step)

    def look(self, batch: Batch, people: tuple[int, ...]) -> Painted:
        """Steer, paint and judge."""
        steered = steer(self.model, batch, self._shift)
        judges, only = self.frozen.judges, self._only()
        own = self.frozen.own(people)
        was = filmed(judges, batch, only) if self.preset.weights.away else torch.zeros_like(own)
        face = self.paint(steered.latent, self.rungs[self.step % len(self.rungs)])
        others = self.frozen.own.everyone() if self.preset.weights.distinct else own[:0]
        return look(
            judges, face, batch, wanted=steered.wanted, own=own, was=was, others=others, shift=steered.shift, only=only
        )

    def paint(self, latent: Tensor, rung: int) -> Tensor:
        """Latent (N, n_styles, 512) -> faces (N, 3, side, side), painted at a rung."""
        return resized(self._paint(latent, rung).float(), self.preset.side)

    def autocast(self) -> torch.autocast:
        """The precision that networks run in."""
        return torch.autocast(self.device.type, torch.bfloat16, enabled=self.preset.precision == "bf16")

    def _only(self) -> int | None:
        """The recogniser whose turn it is; they change when all rungs have had theirs."""
        if not self.preset.take_turns:
            return None
        return self.step // len(self.rungs) % len(self.frozen.judges.identity.recognisers)

    def _terms(self, painted: Painted, batch: Batch) -> dict[str, Tensor]:
        terms = objective(painted, batch, self.frozen.judges, self.preset.weights)
        if self.adversary is not None:
            self.adversary.requires_grad_(False)
            terms["adversarial"] = adversarial_generator(self.adversary(painted.fused))
            self.adversary.requires_grad_(True)
        return terms

    def _train_adversary(self, fused: Tensor, batch: Batch) -> dict[str, Tensor]:
        """One step of the discriminator; every `R1_EVERY` steps with the gradient penalty."""
        photos = batch.original.detach().requires_grad_(self.step % R1_EVERY == 0)
        with self.autocast():
            real, fake = self.adversary(photos), self.adversary(fused)
        loss = numbers = adversarial_critic(real, fake)
        if photos.requires_grad:
            loss = loss + 0.5 * self.preset.adversary_r1 * R1_EVERY * r1(real, photos)
        self.adversary_optimizer.zero_grad(set_to_none=True)
        loss.backward()
        self.adversary_optimizer.step()
        return {"critic": numbers}

    def state(self) -> dict[str, Any]:
        """What a resume needs."""
        return {
            "step": self.step,
            "images": self.images,
            "model": self.model.state_dict(),
            "average": self.average.state_dict(),
            "optimizer": self.optimizer.state_dict(),
            "adversary": self.adversary and self.adversary.state_dict(),
            "adversary_optimizer": self.adversary_optimizer and self.adversary_optimizer.state_dict(),
        }

    def load_state(self, state: Mapping[str, Any]) -> None:
        """Go on where `state` was taken; an adversary that is new starts afresh."""
        self.step, self.images = state["step"], state["images"]
        self.model.load_state_dict(state["model"])
        self.average.load_state_dict(state["average"])
        self.optimizer.load_state_dict(state["optimizer"])
        if self.adversary is not None and state["adversary"] is not None:
            self.adversary.load_state_dict(state["adversary"])
            self.adversary_optimizer.load_state_dict(state["adversary_optimizer"])


def resized(picture: Tensor, side: int) -> Tensor:
    """Pictures (N, C, s, s) averaged down or enlarged to `side` px."""
    given = picture.shape[-1]
    if given == side:
        return picture
    if given > side:
        return F.avg_pool2d(picture, given // side)
    return F.interpolate(picture, size=(side, side), mode="bilinear", align_corners=False)


@torch.no_grad()
def error_px(painted: Painted) -> Tensor:
    """Mean distance of found and wanted landmarks, in pixels of a crop of 256 px."""
    return (painted.found - painted.wanted).norm(dim=2).mean() * 256
