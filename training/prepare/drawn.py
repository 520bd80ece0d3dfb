"""The generator as a source: faces G(w) whose latents are known, as many as wanted."""

from __future__ import annotations

import zlib
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from pickle import UnpicklingError
from zipfile import is_zipfile

import torch

from streamfilter.errors import ConfigError
from training.generator.fast import FastDecoder
from training.generator.networks import Mapping
from training.generator.sample import Painter, draw, load_decoder_checkpoint, spread, to_image
from training.prepare.sources import Picture, Source

AT_ONCE = 100
SIDE = 256


@dataclass(frozen=True, eq=False)
class Generator:
    """What draws faces: `paint` maps (N, 23, 512) to RGB in [-1, 1]; `key` tells one checkpoint from another."""

    paint: Painter
    mapping: Mapping
    average: torch.Tensor
    key: str

    @classmethod
    def load(cls, path: Path) -> Generator:
        """Read a checkpoint written by `training.generator.readouts`.

        Raises:
            ConfigError: it is something else.
        """
        wrong = f"--generator {path} is no decoder written by training.generator"
        if not is_zipfile(path):  # as every file of torch.save is; what torch.load raises on others is anyone's guess
            raise ConfigError(wrong)
        try:
            decoder, mapping, average = load_decoder_checkpoint(path)
        except (KeyError, RuntimeError, UnpicklingError) as error:
            raise ConfigError(f"{wrong}: {error}") from error
        return cls(FastDecoder(decoder, SIDE), mapping, average, f"{zlib.crc32(path.read_bytes()):08x}")


@dataclass(frozen=True)
class Drawn:
    """Some faces of one seed."""

    generator: Generator
    seed: int
    first: int
    count: int

    @property
    def name(self) -> str:
        """See `Unit`."""
        return f"{self.generator.key}/{self.seed}/{self.first:06d}"

    @property
    def person(self) -> str:
        """Each face is a person of its own; this is the first one."""
        return self._person(0)

    def pictures(self) -> Iterator[Picture]:
        """See `Unit`."""
        with torch.inference_mode():
            seed = self.seed * 1_000_003 + self.first
            for i, group in enumerate(draw(self.generator.mapping, self.generator.average, self.count, seed)):
                image = to_image(self.generator.paint(spread(group[None]))[0])
                person = self._person(i)
                yield Picture(image=image, person=person, name=person, latent=group.numpy())

    def _person(self, index: int) -> str:
        return f"drawn_{self.seed}_{self.first + index:06d}"


def drawn(generator: Generator, count: int, seed: int) -> Source:
    """`count` faces; every second one mixes three latents over coarse, middle and fine styles."""
    starts = range(0, count, AT_ONCE)
    return Source("generated", [Drawn(generator, seed, start, min(AT_ONCE, count - start)) for start in starts])
