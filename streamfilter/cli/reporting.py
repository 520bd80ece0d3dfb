"""What `--report` adds to the frames: settings, models, sources, totals; and a report that nobody asked for."""

from __future__ import annotations

from collections.abc import Sequence
from contextlib import AbstractContextManager, nullcontext
from dataclasses import asdict
from pathlib import Path
from typing import Protocol

from streamfilter import __version__, media
from streamfilter.assemble import Models
from streamfilter.config import FilterConfig, MediaConfig
from streamfilter.errors import OutputError
from streamfilter.file_job import Outcome
from streamfilter.model_files import sha256, weights_beside
from streamfilter.report import Record, ReportFile


class AnyReport(Protocol):
    """Where the lines go."""

    def write(self, record: Record) -> None:
        """Add one line."""
        ...

    def commit(self) -> None:
        """Complete the file."""
        ...


class NoReport:
    """Takes the lines and keeps none."""

    def write(self, record: Record) -> None:
        """Nothing."""

    def commit(self) -> None:
        """Nothing."""


def open_report(path: Path | None, jobs: Sequence[media.Job], *, overwrite: bool) -> AbstractContextManager[AnyReport]:
    """The report's file, or a stand-in where none is wanted.

    Raises:
        OutputError: It cannot be written there, or would replace a source or a target.
    """
    if path is None:
        return nullcontext(NoReport())
    taken = {each.resolve() for job in jobs for each in (job.source, job.sink)}
    if path.resolve() in taken:
        raise OutputError(f"the report {path} is a source or a target of this run; give another name")
    return ReportFile(path, overwrite=overwrite)


def header(models: Models, config: FilterConfig, media_config: MediaConfig) -> Record:
    """The report's first line: what ran, with which settings."""
    return {
        "type": "header",
        "streamfilter": __version__,
        "settings": asdict(config) | {"media": asdict(media_config)},
        "models": [
            {
                "file": model.path.name,
                "kind": model.metadata.get("kind"),
                "version": model.metadata.get("version"),
                "sha256": sha256(model.path),
                "provider": model.provider,
            }
            for model in models.onnx
        ],
        "weights": [
            {"file": path.name, "sha256": sha256(path)} for path in weights_beside(model.path for model in models.onnx)
        ],
    }


def summary_record(outcome: Outcome) -> Record:
    """The line that closes a source's frames."""
    return {
        "type": "summary",
        "counts": asdict(outcome.summary),
        "damage": outcome.damage,
        "notices": list(outcome.notices),
        "audio_tracks_kept": outcome.audio_tracks if outcome.audio_kept else 0,
    }
