"""From the records of leaks to a section of the report."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from streamfilter.audit.leaks.records import Counts, Course, Runs, Worst
from streamfilter.audit.limits import Limits
from streamfilter.audit.section import Figure, Picture, Plot, Section, Series, Table, judged

TITLE = "Leaks: can an original face be seen?"
HOW = (
    "A face is bare where at least half of the cells in the middle of its box look the same in both files: their "
    "patterns correlate above .85, and differ by less than a quarter of their contrast or twice the coding noise "
    "elsewhere. Every frame is compared; faces are those that independent detectors found in the original."
)
FILES_SHOWN = 50
SOME = 0.25


def section(counts: Counts, runs: Runs, course: Course, worst: Sequence[Worst], limits: Limits) -> Section:
    """The chapter on leaks."""
    figures = tuple(_figures(counts, runs, limits))
    times, shares = course.points()
    plots = (
        Plot(
            name="survival",
            title="How much of a face survives, over time",
            kind="timeline",
            x_label="seconds",
            y_label="share that survives",
            series=(Series(name="worst face", x=times, y=shares),),
            note="The worst face at each time; from .5 on it counts as bare. Several files follow one another.",
        ),
    )
    return Section(
        name="leak",
        title=TITLE,
        verdict=judged(figures),
        sentence=_sentence(counts, runs),
        figures=figures,
        tables=tuple(_tables(counts)),
        plots=plots if times else (),
        pictures=tuple(_pictures(worst)),
        notes=(HOW,),
    )


def _figures(counts: Counts, runs: Runs, limits: Limits) -> Iterator[Figure]:
    some = counts.faces > 0
    yield Figure(
        name="bare_faces",
        label="Bare face-frames",
        value=counts.bare if some else None,
        unit="faces",
        n=counts.faces,
        limit=f"<= {limits.bare_faces}",
        kept=counts.bare <= limits.bare_faces if some else None,
        note="" if some else "No face was found in the original: nothing could be compared.",
    )
    yield Figure(
        name="bare_share",
        label="Share of all face-frames",
        value=counts.bare / counts.faces if some else None,
        unit="share",
        n=counts.faces,
    )
    yield Figure(name="bare_frames", label="Frames with a bare face", value=counts.bare_frames, n=counts.frames)
    yield Figure(name="longest_run_frames", label="Longest run", value=runs.longest_frames, unit="frames")
    yield Figure(name="longest_run_s", label="Longest run, time", value=runs.longest_s, unit="s", note=_where(runs))
    yield Figure(
        name="partly_bare",
        label="Partly bare face-frames",
        value=counts.partly if some else None,
        unit="faces",
        n=counts.faces,
        note="A quarter to a half of the face survives: look at these moments.",
    )
    yield Figure(
        name="unconfirmed",
        label="Doubtful places",
        value=counts.unconfirmed if some else None,
        unit="faces",
        n=counts.faces,
        note="Untouched where a face was expected between two looks, but the detectors find none there.",
    )


def _where(runs: Runs) -> str:
    return f"in {runs.longest_at[0]}, from {runs.longest_at[1]:.2f} s on" if runs.longest_at else ""


def _sentence(counts: Counts, runs: Runs) -> str:
    if not counts.faces:
        return "No face was found in the original, so nothing can be said. That is not the same as safe."
    if not counts.bare:
        return f"None of {counts.faces} faces in {counts.frames} frames can be seen in the result."
    share = counts.bare / counts.faces
    return (
        f"{counts.bare} of {counts.faces} faces ({share:.1%}) can be seen in the result, on {counts.bare_frames} of "
        f"{counts.frames} frames; the longest run is {runs.longest_frames} frames ({_where(runs)})."
    )


def _tables(counts: Counts) -> Iterator[Table]:
    if counts.listed:
        rows = tuple((source, *span) for source, span in _spans(counts.listed))
        yield Table(
            name="bare_spans",
            title="Frames with a bare face",
            columns=("file", "from frame", "to frame"),
            rows=rows,
            note="Frames count from 0.",
        )
    if len(counts.faces_by_source) > 1:
        by_file = tuple(
            (source, faces, counts.by_source[source], counts.by_source[source] / faces)
            for source, faces in sorted(counts.faces_by_source.items(), key=lambda item: -counts.by_source[item[0]])
        )
        yield Table(
            name="by_file", title="By file", columns=("file", "faces", "bare", "share"), rows=by_file[:FILES_SHOWN]
        )


def _spans(frames: Sequence[tuple[str, int]]) -> Iterator[tuple[str, tuple[int, int]]]:
    """Frames as stretches: (file, (first, last))."""
    start = end = frames[0]
    for source, index in frames[1:]:
        if (source, index - 1) != end:
            yield start[0], (start[1], end[1])
            start = source, index
        end = source, index
    yield start[0], (start[1], end[1])


def _pictures(worst: Sequence[Worst]) -> Iterator[Picture]:
    for number, moment in enumerate(worst, 1):
        shown = moment.share >= SOME
        caption = f"{moment.source}, {moment.time_s:.2f} s, frame {moment.index}: {moment.share:.0%} survives"
        yield Picture(name=f"result_{number}", caption=caption, image=moment.crop, original=shown)
        yield Picture(
            name=f"original_{number}", caption=f"the original of {caption}", image=moment.original, original=True
        )
        if shown:
            yield Picture(name=f"place_{number}", caption=f"where: {caption}", image=moment.place)
