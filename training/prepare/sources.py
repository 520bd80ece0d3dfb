"""Where pictures come from: folders in the layouts of CelebA-HQ, FFHQ and LFW, and folders of clips."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, replace
from enum import StrEnum
from pathlib import Path
from typing import Protocol

from streamfilter.errors import ConfigError
from streamfilter.media import open_source
from streamfilter.scene import SceneCut
from streamfilter.structures import Floats, Image

PHOTOS = frozenset({".jpg", ".jpeg", ".png", ".webp", ".bmp"})
CLIPS = frozenset({".mp4", ".mkv", ".mov", ".webm", ".avi", ".gif"})
PAIRS = 60


class Layout(StrEnum):
    """How a folder is laid out."""

    FLAT = "flat"  # CelebA-HQ: 000001.jpg; each file is a person
    FFHQ = "ffhq"  # 00000/00000.png; folders of thousands, each file is a person
    PEOPLE = "people"  # LFW: Ann_Lee/Ann_Lee_0001.jpg; each folder is a person
    CLIPS = "clips"  # videos; each is a person


@dataclass(frozen=True, eq=False, kw_only=True)
class Picture:
    """One picture and whose it is.

    Attributes:
        image: (H, W, 3) RGB.
        person: who it is, as far as the source tells.
        name: what it is called within its source.
        follows: it is the next frame after the picture before it.
        latent: (3, 512), one per group of styles, of a generated face.
    """

    image: Image
    person: str
    name: str
    follows: bool = False
    latent: Floats | None = None


class Unit(Protocol):
    """What is read in one go: a photo, a clip, or a few generated faces."""

    @property
    def name(self) -> str:
        """What it is called within its source."""

    @property
    def person(self) -> str:
        """Whose it is."""

    @property
    def count(self) -> int:
        """Pictures that it is expected to give."""

    def pictures(self) -> Iterator[Picture]:
        """Read it.

        Raises:
            InputError: it cannot be read.
        """


@dataclass(frozen=True)
class Source:
    """Units under one label, in a fixed order."""

    label: str
    units: Sequence[Unit]


@dataclass(frozen=True)
class Photo:
    """A picture file."""

    path: Path
    name: str
    person: str
    count: int = 1

    def pictures(self) -> Iterator[Picture]:
        """See `Unit`."""
        with open_source(self.path) as source:
            for frame in source:
                yield Picture(image=frame.image, person=self.person, name=self.name)


@dataclass(frozen=True)
class Clip:
    """Pairs of neighbouring frames, evenly spread over a video."""

    path: Path
    name: str
    person: str
    pairs: int = PAIRS

    @property
    def count(self) -> int:
        """See `Unit`."""
        return 2 * self.pairs

    def pictures(self) -> Iterator[Picture]:
        """See `Unit`."""
        with open_source(self.path) as source:
            rate, seconds = float(source.info.fps or 25), source.info.duration_s or 0.0
            step = max((source.info.frames or round(rate * seconds)) // self.pairs, 2)
            is_cut = SceneCut()
            for frame in source:
                place = frame.index % step
                if place < 2:
                    cut = is_cut(frame.image)
                    name = f"{self.name}#{frame.index:06d}"
                    yield Picture(image=frame.image, person=self.person, name=name, follows=place == 1 and not cut)


def open_folder(text: str, pairs: int = PAIRS) -> Source:
    """A source from `FOLDER` or `LAYOUT:FOLDER`.

    Raises:
        ConfigError: there is no such folder or layout, or nothing in it.
    """
    head, colon, tail = text.partition(":")
    named = bool(colon) and head in set(Layout)
    folder = Path(tail if named else text)
    if not folder.is_dir():
        raise ConfigError(f"{text}: no folder at {folder}; a source is FOLDER or LAYOUT:FOLDER with {_layouts()}")
    layout = Layout(head) if named else guess(folder)
    units: list[Unit] = list(_clips(folder, pairs) if layout is Layout.CLIPS else _photos(folder, layout))
    if not units:
        raise ConfigError(f"{folder} holds nothing in the layout {layout}; name another one: {_layouts()}")
    return Source(f"{layout}:{folder.resolve().name}", units)


def guess(folder: Path) -> Layout:
    """The layout of a folder, from what lies in it.

    Raises:
        ConfigError: neither pictures nor clips are found.
    """
    if any(path.suffix.lower() in CLIPS for path in folder.iterdir()):
        return Layout.CLIPS
    if any(path.suffix.lower() in PHOTOS for path in folder.iterdir()):
        return Layout.FLAT
    with_photos = [path.parent.name for path in folder.glob("*/*") if path.suffix.lower() in PHOTOS]
    if not with_photos:
        raise ConfigError(f"{folder} holds neither pictures nor clips, nor folders of pictures")
    return Layout.FFHQ if all(name.isdecimal() and len(name) == 5 for name in with_photos) else Layout.PEOPLE


def _photos(folder: Path, layout: Layout) -> Iterator[Photo]:
    pattern = "*" if layout is Layout.FLAT else "*/*"
    for path in sorted(path for path in folder.glob(pattern) if path.suffix.lower() in PHOTOS):
        person = path.parent.name if layout is Layout.PEOPLE else path.stem
        yield Photo(path, path.relative_to(folder).as_posix(), person)


def _clips(folder: Path, pairs: int) -> Iterator[Clip]:
    for path in sorted(path for path in folder.iterdir() if path.suffix.lower() in CLIPS):
        yield Clip(path, path.name, path.stem, pairs)


def _layouts() -> str:
    return ", ".join(Layout)


def chosen(source: Source, keep: Callable[[Unit], bool]) -> Source:
    """The source without the units that are not wanted."""
    return replace(source, units=[unit for unit in source.units if keep(unit)])


def read_names(path: Path) -> frozenset[str]:
    """Names from a text file, one a line; empty lines do not count.

    Raises:
        ConfigError: there is none in it.
    """
    names = frozenset(line.strip() for line in path.read_text("utf-8").splitlines() if line.strip())
    if not names:
        raise ConfigError(f"{path} names nobody; it should hold one name a line")
    return names
