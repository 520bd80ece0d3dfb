"""The main job, timed: the same pipeline with a real decode and a real encode, after a burn-in."""

from __future__ import annotations

import sys
import tempfile
from collections.abc import Callable
from dataclasses import dataclass
from itertools import islice
from pathlib import Path

from streamfilter import media
from streamfilter.assemble import Models, wire
from streamfilter.config import FilterConfig, MediaConfig
from streamfilter.file_job import Outcome, filter_file
from streamfilter.versions import versions

BURN_IN_FRAMES = 60


@dataclass(frozen=True, kw_only=True)
class Measurement:
    """One clip, run `passes` times; `stages`, `duration_s` and `fps` are those of the pass of median duration.

    `durations_s` holds every pass; `peak_memory_mb` is the whole process's peak so far, None where nobody tells.
    """

    clip: str
    width: int
    height: int
    frames: int
    source_fps: float | None
    passes: int
    durations_s: tuple[float, ...]
    duration_s: float
    fps: float
    faces_per_frame: float
    replaced: int
    covered: int
    blanked: int
    peak_memory_mb: float | None
    device: str
    providers: dict[str, str]
    settings: dict[str, str | int]
    stages: dict[str, dict[str, float]]
    versions: dict[str, str]


def measure(
    clip: Path,
    models: Models,
    config: FilterConfig,
    media_config: MediaConfig,
    *,
    passes: int = 1,
    after_pass: Callable[[Outcome], None] = lambda outcome: None,
) -> Measurement:
    """Burn in, then run the whole clip `passes` times into a temporary folder that is removed.

    Raises:
        InputError: The clip cannot be used.
        OutputError: The temporary folder cannot be written.
    """
    _burn_in(clip, models, config)
    outcomes = []
    for _ in range(passes):
        outcomes.append(_one_pass(clip, models, config, media_config))
        after_pass(outcomes[-1])
    return _measurement(clip, models, media_config, outcomes)


def _burn_in(clip: Path, models: Models, config: FilterConfig) -> None:
    """Caches, memory pools and lazily built kernels are in place before the first measured frame."""
    guard = wire(models, config)
    with media.open_source(clip) as source:
        for frame in islice(source, BURN_IN_FRAMES):
            guard.push(frame)
    guard.flush()


def _one_pass(clip: Path, models: Models, config: FilterConfig, media_config: MediaConfig) -> Outcome:
    with tempfile.TemporaryDirectory(prefix="streamfilter-bench-") as folder:
        return filter_file(clip, Path(folder, f"out{clip.suffix}"), wire(models, config), media_config)


def _measurement(clip: Path, models: Models, media_config: MediaConfig, outcomes: list[Outcome]) -> Measurement:
    middle = sorted(outcomes, key=lambda outcome: outcome.duration_s)[(len(outcomes) - 1) // 2]
    done = middle.summary
    with media.open_source(clip) as source:
        info = source.info
    return Measurement(
        clip=clip.name,
        width=info.width,
        height=info.height,
        frames=done.frames,
        source_fps=float(info.fps) if info.fps else None,
        passes=len(outcomes),
        durations_s=tuple(outcome.duration_s for outcome in outcomes),
        duration_s=middle.duration_s,
        fps=done.frames / middle.duration_s,
        faces_per_frame=(done.replaced + done.covered) / max(done.frames, 1),
        replaced=done.replaced,
        covered=done.covered,
        blanked=done.blanked,
        peak_memory_mb=peak_memory_mb(),
        device=str(models.detector.model.device),
        providers={model.path.name: model.provider for model in models.onnx},
        settings={"codec": media_config.codec or "default", "crf": media_config.crf, "preset": media_config.preset},
        stages=middle.times,
        versions=versions(),
    )


def peak_memory_mb() -> float | None:
    """Peak resident memory of this process in MB (10**6 bytes); None on Windows, which has no `resource` module."""
    if sys.platform == "win32":
        return None
    import resource  # noqa: PLC0415 - not there on Windows

    unit = 1 if sys.platform == "darwin" else 1024
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * unit / 1e6
