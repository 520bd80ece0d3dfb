"""The closing summary: what was done, what was not, and where the time went."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from rich.table import Table

from streamfilter.cli.progress import clock_time
from streamfilter.file_job import Outcome
from streamfilter.report import Summary

SKIPPED_NAMED = 5
VOICE = "a voice identifies too: --audio drop leaves it out"


def plural(count: int, noun: str) -> str:
    """`1 face`, `2 faces`, `1,200 faces`."""
    return f"{count:,} {noun}{'' if count == 1 else 's'}"


def job_lines(outcome: Outcome) -> list[str]:
    """What happened to one source, a fact a line; the first line names source and target."""
    done = outcome.summary
    fps = done.frames / outcome.duration_s if outcome.duration_s > 0 else 0.0
    lines = [
        f"{plural(done.frames, 'frame')} in {clock_time(outcome.duration_s)} ({fps:.1f} fps)",
        face_line(done),
        *trouble_lines(outcome),
        *audio_lines(outcome),
        *(f"note: {notice}" for notice in outcome.notices),
    ]
    return [f"{outcome.source} -> {outcome.sink}", *(f"  {line}" for line in lines)]


def short_line(outcome: Outcome) -> str:
    """The same in one line, for many sources."""
    done = outcome.summary
    parts = [plural(done.frames, "frame"), face_line(done), *trouble_lines(outcome)]
    return f"{outcome.source} -> {outcome.sink}: " + "; ".join(parts)


def trouble_lines(outcome: Outcome) -> list[str]:
    """What keeps the exit code from being 0."""
    blanked = outcome.summary.blanked
    lines = [f"{plural(blanked, 'frame')} blanked: the faces in them could not be known"] if blanked else []
    return [*lines, f"damaged source: {outcome.damage}"] if outcome.damage else lines


def face_line(done: Summary) -> str:
    """Faces replaced and covered, and why the covered ones were."""
    if not done.replaced + done.covered:
        return "no face found"
    line = f"{plural(done.tracks, 'track')}: {plural(done.replaced, 'face')} replaced, {done.covered:,} covered"
    if done.reasons:
        line += " (" + ", ".join(f"{reason} {count:,}" for reason, count in done.reasons.items()) + ")"
    return line


def audio_lines(outcome: Outcome) -> list[str]:
    """Whether the sound is still there."""
    if not outcome.audio_tracks:
        return []
    tracks = plural(outcome.audio_tracks, "audio track")
    return [f"{tracks} kept; {VOICE}" if outcome.audio_kept else f"{tracks} dropped"]


def total_line(outcomes: Sequence[Outcome], failed: int) -> str:
    """All sources together."""
    done = sum((outcome.summary for outcome in outcomes), Summary())
    line = f"{plural(len(outcomes), 'source')} done: {plural(done.frames, 'frame')}, {face_line(done)}"
    return f"{line}; {plural(failed, 'source')} failed" if failed else line


def skipped_line(skipped: Sequence[Path]) -> str:
    """Files of a folder that were left out, the first few by name."""
    named = ", ".join(str(path) for path in skipped[:SKIPPED_NAMED])
    more = f" and {len(skipped) - SKIPPED_NAMED:,} more" if len(skipped) > SKIPPED_NAMED else ""
    return f"left out, no media by name: {named}{more}"


def times_table(times: dict[str, dict[str, float]]) -> Table:
    """Time per stage."""
    table = Table(box=None, pad_edge=False)
    for name in ("stage", "calls", "total s", "p50 ms", "p95 ms"):
        table.add_column(name, justify="left" if name == "stage" else "right")
    for name, stage in times.items():
        cells = (f"{stage['calls']:.0f}", f"{stage['total_s']:.2f}", f"{stage['p50_ms']:.2f}", f"{stage['p95_ms']:.2f}")
        table.add_row(name, *cells)
    return table
