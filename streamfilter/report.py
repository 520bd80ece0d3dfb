"""What was done to every frame: counted for the summary, and written down as JSON lines on request."""

from __future__ import annotations

import json
import os
from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from types import TracebackType
from typing import Self

from streamfilter.errors import OutputError
from streamfilter.structures import Action, Region, SafeFrame

Record = Mapping[str, object]


@dataclass(frozen=True, kw_only=True)
class Summary:
    """What one run did. `replaced` and `covered` count faces in frames, `blanked` frames.

    `tracks` counts people as far as they could be followed: who comes back later counts again.
    """

    frames: int = 0
    replaced: int = 0
    covered: int = 0
    blanked: int = 0
    tracks: int = 0
    reasons: Mapping[str, int] = field(default_factory=dict)

    def __add__(self, other: Summary) -> Summary:
        """Both runs together; no person of one is a person of the other."""
        return Summary(
            frames=self.frames + other.frames,
            replaced=self.replaced + other.replaced,
            covered=self.covered + other.covered,
            blanked=self.blanked + other.blanked,
            tracks=self.tracks + other.tracks,
            reasons=dict(Counter(self.reasons) + Counter(other.reasons)),
        )


class Tally:
    """Counts frames as they are written; `summary()` is the value of the moment."""

    def __init__(self) -> None:
        self._frames = self._blanked = 0
        self._actions: Counter[Action] = Counter()
        self._reasons: Counter[str] = Counter()
        self._tracks: set[int] = set()

    def add(self, frame: SafeFrame) -> None:
        """Count one frame."""
        self._frames += 1
        self._blanked += frame.blanked is not None
        for region in frame.regions:
            self._actions[region.action] += 1
            self._tracks.add(region.track_id)
            if region.action is Action.COVERED:
                self._reasons[region.reason] += 1

    def summary(self) -> Summary:
        """All that was counted so far; `reasons` says why faces were covered, the most frequent first."""
        return Summary(
            frames=self._frames,
            replaced=self._actions[Action.GENERATED],
            covered=self._actions[Action.COVERED],
            blanked=self._blanked,
            tracks=len(self._tracks),
            reasons=dict(self._reasons.most_common()),
        )


def frame_record(frame: SafeFrame) -> Record:
    """The report's line for one frame: where something was done, what and why; never what a face looked like."""
    return {
        "type": "frame",
        "index": frame.index,
        "time_s": None if frame.pts is None else round(float(frame.pts * frame.time_base), 6),
        "regions": [_region_record(region) for region in frame.regions],
        "blanked": frame.blanked,
    }


def _region_record(region: Region) -> Record:
    return {
        "track": region.track_id,
        "box": [round(float(edge), 1) for edge in region.xyxy],
        "action": str(region.action),
        "reason": region.reason,
    }


class ReportFile:
    """JSON lines under a temporary name; `commit` gives the file its own, leaving the block without it removes it.

    Raises:
        OutputError: The file exists already and `overwrite` is not set, or it cannot be written.
    """

    def __init__(self, path: Path, *, overwrite: bool = False) -> None:
        if path.exists() and not path.is_file():
            # A device would be replaced by the file, so it is refused as well.
            raise OutputError(f"the report {path} is a folder or a device; name a file")
        if path.exists() and not overwrite:
            raise OutputError(f"the report {path} exists already; name another or add --overwrite")
        self.path = path
        self._part = path.with_name(f".{path.name}.{os.getpid()}.part")
        try:
            self._file = self._part.open("w", encoding="utf-8")
        except OSError as error:
            raise OutputError(f"the report {path} cannot be written: {error.strerror}; name another place") from error

    def write(self, record: Record) -> None:
        """Add one line."""
        try:
            self._file.write(json.dumps(record, ensure_ascii=False, separators=(",", ":"), allow_nan=False) + "\n")
        except OSError as error:
            raise self._failed(error) from error

    def commit(self) -> None:
        """Give the whole file its name."""
        try:
            self._file.close()
            self._part.replace(self.path)
        except OSError as error:
            raise self._failed(error) from error

    def _failed(self, error: OSError) -> OutputError:
        return OutputError(f"the report {self.path} could not be written: {error.strerror}; free space or name another")

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if not self._file.closed:
            self._file.close()
        self._part.unlink(missing_ok=True)
