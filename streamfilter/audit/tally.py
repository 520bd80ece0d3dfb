"""What is counted of each pair of files, and what a reader should know of those that say nothing."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

from streamfilter.audit.moment import Moment
from streamfilter.audit.pairs import NAMED, Pair
from streamfilter.audit.report import AuditedFile
from streamfilter.audit.wording import plural


@dataclass(eq=False)
class Tally:
    """Of one pair, while it is gone through; `error`: why it could not be compared to its end."""

    pair: Pair
    first_track: int
    frames: int = 0
    faces: int = 0
    still: bool = False
    start_s: float = 0.0
    end_s: float = 0.0
    error: str = ""

    def add(self, moment: Moment) -> None:
        """One more moment."""
        self.start_s = self.start_s if self.frames else moment.time_s
        self.end_s, self.still = moment.time_s, moment.still
        self.frames += 1
        self.faces += len(moment.faces)

    def file(self, next_track: int) -> AuditedFile:
        """What the report says of it; `next_track`: one more than the last number given to a track."""
        return AuditedFile(
            name=self.pair.name,
            frames=self.frames,
            duration_s=None if self.still else self.end_s - self.start_s,
            faces=self.faces,
            tracks=next_track - self.first_track,
            error=self.error,
        )


def without_folders(error: Exception, pair: Pair, second: Path | None = None) -> str:
    """What an error says, without the places of the files: a report is passed on.

    Args:
        error: What was said of them.
        pair: The two.
        second: A second result.
    """
    files = ((pair.original, "the original"), (pair.result, "the result"), (second, "the second result"))
    text = str(error)
    known = [(path, words) for path, words in files if path is not None]
    for path, words in sorted(known, key=lambda item: -len(str(item[0]))):
        text = text.replace(str(path), words)
    return text


def faceless(files: Sequence[AuditedFile]) -> Iterator[str]:
    """Of several files, those in which nothing could be compared, in one sentence."""
    names = [file.name for file in files if not file.faces and not file.error]
    if len(files) > 1 and names:
        more = f" and {len(names) - NAMED:,} more" if len(names) > NAMED else ""
        yield (
            f"The detectors found no face in {plural(len(names), 'file')} of the original, so nothing is known of what "
            f"became of them: {', '.join(names[:NAMED])}{more}."
        )
