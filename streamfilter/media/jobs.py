"""What is to be done: the inputs of the command line as pairs of files, everything refused early that can be."""

from __future__ import annotations

import os
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import overload

from streamfilter.config import MediaConfig
from streamfilter.errors import InputError, OutputError
from streamfilter.media.info import Kind
from streamfilter.media.kinds import GIF_SUFFIXES, IMAGE_SUFFIXES, MEDIA_SUFFIXES, kind_of
from streamfilter.media.opening import check_pair, open_source
from streamfilter.media.target import check_target, same_file

# In a mirrored folder these keep their ending; the others become the container that everything plays.
WRITABLE_VIDEO = frozenset({".mp4", ".m4v", ".mov", ".mkv", ".webm", ".avi", ".ts", ".m2ts", ".mts"})
FALLBACK_SUFFIX = ".mp4"


@dataclass(frozen=True)
class Job:
    """One file to read and the one to write."""

    source: Path
    sink: Path


@dataclass(frozen=True)
class Plan(Sequence[Job]):
    """All jobs of one run, in order. `skipped`: files of a folder that are no media by their name."""

    jobs: tuple[Job, ...]
    skipped: tuple[Path, ...] = ()

    def __len__(self) -> int:
        return len(self.jobs)

    @overload
    def __getitem__(self, index: int) -> Job: ...
    @overload
    def __getitem__(self, index: slice) -> Sequence[Job]: ...
    def __getitem__(self, index: int | slice) -> Job | Sequence[Job]:
        return self.jobs[index]


def plan_jobs(sources: Sequence[Path | str], sink: Path | str, config: MediaConfig) -> Plan:
    """Pair every input with its output and refuse what cannot work before anything is written.

    One file goes to the file `sink`, or into it if it is a folder. Several files go into the folder `sink`. A folder is
    searched through and mirrored into the folder `sink`; a broken file in it is found out when its turn comes, so that
    it does not hold up the others.

    Raises:
        InputError: an input is missing, empty, unreadable or no media, or a folder holds none.
        OutputError: an output is an input, exists already, or cannot be written there.
    """
    inputs = [Path(source) for source in sources]
    target = Path(sink)
    if not inputs:
        raise InputError("no input was given; name a video, a picture or a folder")
    if len(inputs) == 1 and not inputs[0].is_dir():
        plan = Plan((_single(inputs[0], target, wants_folder=str(sink).endswith(("/", os.sep))),))
    else:
        plan = _many(inputs, target)
    _check_outputs(plan, config)
    return plan


def _single(source: Path, sink: Path, *, wants_folder: bool) -> Job:
    kind = _checked(source)
    if sink.is_dir() or wants_folder:
        sink = sink / mirrored_name(source, kind)
    check_pair(sink, kind)
    return Job(source, sink)


def _many(inputs: Sequence[Path], sink: Path) -> Plan:
    if sink.exists() and not sink.is_dir():
        raise OutputError(f"{sink} is a file, and this input needs a folder to be written to")
    jobs: list[Job] = []
    skipped: list[Path] = []
    for source in inputs:
        if source.is_dir():
            found = _folder(source, sink)
            jobs += found.jobs
            skipped += found.skipped
        else:
            jobs.append(Job(source, sink / mirrored_name(source, _checked(source))))
    return Plan(tuple(jobs), tuple(skipped))


def _folder(source: Path, sink: Path) -> Plan:
    if same_file(source, sink):
        raise OutputError(f"the output folder {sink} is the input folder; give another one")
    files = list(_walk(source, sink))
    media = [path for path in files if path.suffix.lower() in MEDIA_SUFFIXES and not path.name.startswith(".")]
    if not media:
        raise InputError(f"the folder {source} holds no video and no picture")
    jobs = [Job(path, (sink / path.relative_to(source)).with_name(_mirrored(path))) for path in media]
    return Plan(tuple(jobs), tuple(path for path in files if path not in set(media)))


def _walk(folder: Path, sink: Path) -> Iterator[Path]:
    """All files below a folder in a stable order, without hidden folders and without the output folder."""
    for root, names, files in os.walk(folder):
        here = Path(root)
        names[:] = sorted(n for n in names if not n.startswith(".") and not same_file(here / n, sink))
        yield from (here / name for name in sorted(files))


def _mirrored(path: Path) -> str:
    try:
        return mirrored_name(path, kind_of(path))
    except InputError:  # told when its turn comes
        return path.name


def mirrored_name(source: Path, kind: Kind) -> str:
    """The name of an output that lies in a folder: the source's, with an ending that can be written."""
    suffix = source.suffix.lower()
    if kind is Kind.IMAGE:
        return source.name if suffix in IMAGE_SUFFIXES else source.stem + ".png"
    if kind is Kind.GIF:
        return source.name if suffix in GIF_SUFFIXES else source.stem + ".gif"
    return source.name if suffix in WRITABLE_VIDEO else source.stem + FALLBACK_SUFFIX


def _checked(source: Path) -> Kind:
    """The kind of a file that really can be read: its first frame was decoded."""
    with open_source(source) as opened:
        return opened.info.kind


def _check_outputs(jobs: Sequence[Job], config: MediaConfig) -> None:
    sources = {job.source.resolve() for job in jobs}
    taken: dict[Path, Path] = {}
    for job in jobs:
        if job.sink in taken:
            raise OutputError(f"{taken[job.sink]} and {job.source} would both be written to {job.sink}; rename one")
        taken[job.sink] = job.source
        if job.sink.resolve() in sources:
            raise OutputError(f"the output {job.sink} is an input itself; give another place")
        check_target(job.sink, sources=[job.source], overwrite=config.overwrite)
