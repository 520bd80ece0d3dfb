"""One recorded file, from opening the source to renaming the finished target: what `run` and `bench` both do."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterable, Iterator
from contextlib import AbstractContextManager, nullcontext
from dataclasses import dataclass
from pathlib import Path

from streamfilter import media, pipeline
from streamfilter.config import Audio, MediaConfig
from streamfilter.errors import DamagedStreamError
from streamfilter.guard import Guard
from streamfilter.report import Summary, Tally
from streamfilter.structures import Frame, SafeFrame
from streamfilter.timing import StageTimes

See = Callable[[SafeFrame], None]
Watch = Callable[[int | None], AbstractContextManager[See]]
"""Given the expected number of frames, opens what is then shown every frame that was written."""


@dataclass(frozen=True, kw_only=True)
class Outcome:
    """What became of one source. `damage` says what of it could not be decoded; `times` are per stage."""

    source: Path
    sink: Path
    summary: Summary
    duration_s: float
    times: dict[str, dict[str, float]]
    notices: tuple[str, ...] = ()
    damage: str | None = None
    audio_tracks: int = 0
    audio_kept: bool = False

    @property
    def complete(self) -> bool:
        """Whether every frame of the source is in the target, and none had to be blanked."""
        return self.damage is None and not self.summary.blanked


def unwatched(frames: int | None) -> AbstractContextManager[See]:
    """A `Watch` that looks away."""
    return nullcontext(lambda frame: None)


def filter_file(
    source_path: Path,
    sink_path: Path,
    guard: Guard,
    config: MediaConfig,
    *,
    watch: Watch = unwatched,
    times: StageTimes | None = None,
) -> Outcome:
    """Read, protect and write one file.

    A source that is damaged on the way is no error: what could be decoded is written, and the outcome tells the rest.
    The guard's memory should be fresh (`reset`); its times go on, and so do `times` of reading and writing if given.

    Raises:
        InputError: The source cannot be used.
        OutputError: The target cannot be written; nothing of it is left.
        ConfigError: The codec or its settings do not fit the target.
    """
    started = time.perf_counter()
    tally, times = Tally(), times or StageTimes()
    with (
        media.open_source(source_path) as source,
        media.open_sink(sink_path, source, config) as sink,
        watch(source.info.frames) as see,
    ):

        def write(frame: SafeFrame) -> None:
            with times.stage("write"):
                sink.write(frame)
            tally.add(frame)
            see(frame)

        try:
            damage = _run(_timed(source, times), guard, write) or (str(source.damage) if source.damage else None)
        finally:
            guard.reset()  # whatever ended it, nothing of this source may stay
        with times.stage("finish"):
            sink.close()
    return Outcome(
        source=source_path,
        sink=sink_path,
        summary=tally.summary(),
        duration_s=time.perf_counter() - started,
        times=_in_order(guard.times.summary(), times.summary()),
        notices=(*source.notices, *sink.notices),
        damage=damage,
        audio_tracks=len(source.info.audio),
        audio_kept=config.audio is Audio.KEEP,
    )


def _run(frames: Iterator[Frame], guard: Guard, write: See) -> str | None:
    """Everything through the pipeline; returns what was lost of a damaged source."""
    try:
        pipeline.run(frames, guard, write)
    except DamagedStreamError as damage:
        return str(damage)
    return None


def _timed(frames: Iterable[Frame], times: StageTimes) -> Iterator[Frame]:
    waiting = iter(frames)
    while True:
        with times.stage("read"):
            frame = next(waiting, None)
        if frame is None:
            return
        yield frame


def _in_order(steps: dict[str, dict[str, float]], edges: dict[str, dict[str, float]]) -> dict[str, dict[str, float]]:
    """Stages as the frames pass them: `read` first, `write` and `finish` last."""
    first = {name: stage for name, stage in edges.items() if name == "read"}
    return first | steps | {name: stage for name, stage in edges.items() if name not in first}
