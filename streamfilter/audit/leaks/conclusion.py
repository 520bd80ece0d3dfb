"""From the records of leaks to a section of the report."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import replace

from streamfilter.audit.leaks.records import Counts, Runs, Worst
from streamfilter.audit.limits import Limits
from streamfilter.audit.sampling import Timeline
from streamfilter.audit.section import Figure, Picture, Plot, Section, Series, Table, judged
from streamfilter.audit.showable import Showable
from streamfilter.audit.wording import per_cent, plural

TITLE = "Leaks: can an original face be seen?"
HOW = (
    "A face is bare where at least half of the cells in the middle of its box look the same in both files: their "
    "patterns correlate above .85, and differ by less than a quarter of their contrast or twice the coding noise "
    "elsewhere. Every frame is compared; faces are those that independent detectors found in the original."
)
FILES_SHOWN = 50


def section(
    counts: Counts,
    runs: Runs,
    course: Timeline[float],
    worst: Sequence[Worst],
    *,
    limits: Limits,
    showable: Showable,
) -> Section:
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
        pictures=tuple(_pictures(worst, showable)),
        notes=(HOW,),
    )


def _figures(counts: Counts, runs: Runs, limits: Limits) -> Iterator[Figure]:
    some = counts.faces > 0
    nothing = "" if some else "No face was found in the original: nothing could be compared."
    bare = _of_faces("bare_faces", "Bare face-frames", counts.bare, counts, nothing)
    kept = counts.bare <= limits.bare_faces if some else None
    yield replace(bare, limit=f"<= {limits.bare_faces}", kept=kept)
    share = counts.bare / max(counts.faces, 1)
    yield _of_faces("bare_share", "Share of all face-frames", share, counts, unit="share")
    yield replace(
        _of_faces("bare_frames", "Frames with a bare face", counts.bare_frames, counts, unit=""),
        n=counts.frames,
        counted="frame",
    )
    longest, longest_s = (runs.longest_frames, runs.longest_s) if some else (None, None)
    yield Figure(name="longest_run_frames", label="Longest run", value=longest, unit="frames")
    yield Figure(name="longest_run_s", label="Longest run, time", value=longest_s, unit="s", note=_where(runs))
    partly = "A quarter to a half of the face survives: look at these moments."
    yield _of_faces("partly_bare", "Partly bare face-frames", counts.partly, counts, partly)
    yield _beside(
        _of_faces("unconfirmed", "Doubtful places", counts.unconfirmed, counts, unit="places"),
        limits.doubtful_places,
        "Untouched where a face was expected between two looks, but the detectors find none there: look at them.",
    )
    yield _beside(
        Figure(name="unseen_frames", label="Frames that nobody compared", value=counts.unseen, unit="frames"),
        limits.unseen_frames,
        "Of the result: not to be decoded, or beside no frame of the original and no repetition of a neighbour. They "
        "may show anything.",
    )
    yield _beside(
        Figure(name="further_pictures", label="Covers, thumbnails, other streams", value=counts.further_pictures),
        limits.further_pictures,
        "Pictures in the result that nobody looked at; take them out, they may show the original.",
    )


def _beside(figure: Figure, most: int, note: str) -> Figure:
    """What nobody could compare breaks no limit, and keeps none: with it leaks are not judged."""
    few = int(figure.value or 0) <= most
    return replace(figure, limit=f"<= {most}", kept=True if few else None, note="" if few else note)


def _of_faces(name: str, label: str, value: float, counts: Counts, note: str = "", *, unit: str = "faces") -> Figure:
    """A figure over all face-frames; None where there are none."""
    known = value if counts.faces else None
    return Figure(name=name, label=label, value=known, unit=unit, n=counts.faces, counted="face-frame", note=note)


def _where(runs: Runs) -> str:
    return f"from {runs.longest_at[1]:.2f} s on in {runs.longest_at[0]}" if runs.longest_at else ""


def _sentence(counts: Counts, runs: Runs) -> str:
    if not counts.faces:
        return "No face was found in the original, so nothing can be said. That is not the same as safe."
    rest = _not_judged(counts)
    if not counts.bare:
        frames = plural(counts.frames, "frame")
        none = f"None of {plural(counts.faces, 'face')} on {frames} can be seen at its place in the result"
        return f"{none}, but {rest} could not be judged. That is not the same as safe." if rest else f"{none}."
    run = f"the longest run is {plural(runs.longest_frames, 'frame')}, {_where(runs)}"
    besides = f" Besides, {rest} could not be judged." if rest else ""
    return (
        f"{per_cent(counts.bare / counts.faces)} of the faces can be seen in the result: {counts.bare:,} of "
        f"{counts.faces:,}, on {counts.bare_frames:,} of {plural(counts.frames, 'frame')}; {run}.{besides}"
    )


def _not_judged(counts: Counts) -> str:
    kinds = (
        (counts.unconfirmed, "doubtful place"),
        (counts.unseen, "further frame"),
        (counts.further_pictures, "further picture"),
    )
    return " and ".join(plural(number, noun) for number, noun in kinds if number)


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


def _pictures(worst: Sequence[Worst], showable: Showable) -> Iterator[Picture]:
    for number, moment in enumerate(worst, 1):
        caption = f"{moment.source}, {moment.time_s:.2f} s, frame {moment.index}: {per_cent(moment.share)} survives"
        hidden = moment.shows or not showable(moment.source, moment.tracks)
        yield Picture(name=f"result_{number}", caption=caption, image=moment.crop, original=hidden)
        yield Picture(
            name=f"original_{number}", caption=f"the original of {caption}", image=moment.original, original=True
        )
        if moment.shows:
            yield Picture(name=f"place_{number}", caption=f"where: {caption}", image=moment.place)
