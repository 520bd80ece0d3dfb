"""Sources -> parts: what is there already is kept, what cannot be used is listed, nothing stops the rest."""

from __future__ import annotations

import zlib
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path

from streamfilter.errors import ConfigError, InputError
from training.evaluation.progress import Progress
from training.prepare.faces import UNREADABLE, Face, face_of, movement
from training.prepare.parts import Part, key_of, part_path
from training.prepare.sources import Picture, Source, Unit
from training.prepare.teachers import Teacher, Unusable

PART = 1000
MAX_MOVEMENT = 0.1
"""Of the landmarks between neighbouring frames, in sides of the crop; more is another face."""


@dataclass(frozen=True)
class Plan:
    """The units of one part, and what tells it from any other."""

    source: str
    units: Sequence[Unit]
    key: str

    @property
    def count(self) -> int:
        """Pictures that are expected."""
        return sum(unit.count for unit in self.units)


def plan(sources: Sequence[Source], teacher: str, size: int = PART) -> list[Plan]:
    """Split sources into parts of about `size` pictures; no part holds two sources."""
    return [
        Plan(source.label, units, _key(source.label, units, teacher))
        for source in sources
        for units in _chunks(source.units, size)
    ]


def _chunks(units: Sequence[Unit], size: int) -> Iterator[list[Unit]]:
    chunk: list[Unit] = []
    for unit in units:
        chunk.append(unit)
        if sum(one.count for one in chunk) >= size:
            yield chunk
            chunk = []
    if chunk:
        yield chunk


def _key(label: str, units: Sequence[Unit], teacher: str) -> str:
    text = "\n".join([label, teacher, *(f"{unit.name} {unit.count}" for unit in units)])
    return f"{zlib.crc32(text.encode()):08x}-{len(units)}"


def missing(out: Path, plans: Sequence[Plan]) -> list[tuple[int, Plan]]:
    """The parts that are still to be made, with their numbers.

    Raises:
        ConfigError: the folder holds parts that were made from something else.
    """
    wanted = {part_path(out, number): one.key for number, one in enumerate(plans)}
    for path in sorted(out.glob("part_*.npz")):
        if key_of(path) != wanted.get(path):
            raise ConfigError(
                f"{path} was made from other pictures or by another teacher; give an empty folder, or repeat the "
                "command that made it (further sources may be added at its end)"
            )
    return [(number, one) for number, one in enumerate(plans) if not part_path(out, number).exists()]


def build(out: Path, plans: Sequence[Plan], teacher: Teacher, say: Callable[[str], None]) -> None:
    """Make every part that is missing.

    Raises:
        ConfigError: the folder holds parts that were made from something else.
    """
    out.mkdir(parents=True, exist_ok=True)
    left = missing(out, plans)
    if len(left) < len(plans):
        say(f"{len(plans) - len(left)} of {len(plans)} parts are there already")
    progress = Progress(sum(one.count for _, one in left), say)
    for number, one in left:
        part = make_part(one, teacher, partial(progress.step, one.source))
        part.save(part_path(out, number))


def make_part(one: Plan, teacher: Teacher, step: Callable[[], None]) -> Part:
    """Read all pictures of a part and keep the usable faces."""
    part = Part(source=one.source, key=one.key)
    for unit in one.units:
        try:
            _add_unit(part, unit, teacher, step)
        except InputError:
            part.left_out.append((unit.name, UNREADABLE))
            step()
    return part


def _add_unit(part: Part, unit: Unit, teacher: Teacher, step: Callable[[], None]) -> None:
    last: Face | None = None
    for picture in unit.pictures():
        last = _add_picture(part, picture, teacher, last)
        step()


def _add_picture(part: Part, picture: Picture, teacher: Teacher, last: Face | None) -> Face | None:
    """Add one picture; return its face if it has one."""
    try:
        face = face_of(picture.image, teacher)
    except Unusable as reason:
        part.left_out.append((picture.name, str(reason)))
        return None
    follows = picture.follows and last is not None and movement(last, face) < MAX_MOVEMENT
    part.add(face, picture, follows_last=follows)
    return face
