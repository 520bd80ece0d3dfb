"""Is each track one invented person: errors and cosines by one recogniser, with the real people's beside them."""

from __future__ import annotations

import numpy as np

from streamfilter.audit.consistency.judge import FALSE_ACCEPTS, Judge
from streamfilter.audit.estimated import sentences
from streamfilter.audit.limits import Limits
from streamfilter.audit.section import Figure, Plot, Series, Table
from streamfilter.audit.wording import far, plural
from streamfilter.metrics.over_time import FEWEST_FOR_IDENTITY
from streamfilter.metrics.track_identity import APART_S, Comparison, interval
from streamfilter.structures import Doubles

WORST = 10
HOW = f"Two faces of one track at least {APART_S:g} s apart against faces of tracks of different people"
BINS = np.linspace(-1, 1, 41)


def errors(judge: Judge, limits: Limits) -> tuple[Figure, Figure]:
    """The equal error rates of the invented and of the real people."""
    found, real = judge.comparison(), judge.comparison(original=True)
    rate, why = found.equal_error_rate, _why_no_rate(judge, found)
    around = interval(found) if rate is not None else None
    invented = Figure(
        name=f"equal_error_rate_{judge.name}",
        label=f"Equal error rate of invented people, {judge.name}",
        value=rate,
        unit="share",
        low=around[0] if around else None,
        high=around[1] if around else None,
        n=len(found.genuine) + len(found.impostors),
        counted="pair",
        limit=None if rate is None else f"<= {limits.equal_error_rate:g}",
        kept=None if rate is None else rate <= limits.equal_error_rate,
        note=why or sentences(HOW, "" if around else f"{plural(found.tracks, 'track')}: no interval"),
    )
    return invented, Figure(
        name=f"original_equal_error_rate_{judge.name}",
        label=f"The same of the real people, {judge.name}",
        value=real.equal_error_rate,
        unit="share",
        n=len(real.genuine) + len(real.impostors),
        counted="pair",
        note=why or "tracks that this recogniser takes for one real person are not held against each other, here too",
    )


def _why_no_rate(judge: Judge, found: Comparison) -> str:
    """Why there is no equal error rate, and no limit for it either: nobody is there to be confused with."""
    if found.equal_error_rate is not None:
        return ""
    if judge.photos_only:
        return "each photo has its own invented person, so no two photos should agree"
    if len(judge.long) < 2:
        return f"fewer than two tracks of at least {FEWEST_FOR_IDENTITY} faces: nobody to be confused with"
    return "all tracks may be one real person by this recogniser: nobody to be confused with"


def closeness(judge: Judge, limits: Limits, *, judged: bool) -> tuple[Figure, ...]:
    """Cosines to the track's mean: mean and least, of the result and of the original."""
    known = [person.identities[judge.name] for person in judge.long]
    faces = [known_.count for known_ in known]
    mean = float(np.average([k.closeness() for k in known], weights=faces)) if known else None
    limited = judged and not judge.photos_only
    invented = Figure(
        name=f"within_track_{judge.name}",
        label=f"Cosine to the track's mean, {judge.name}",
        value=mean,
        unit="cosine",
        n=sum(faces),
        counted="face",
        limit=f">= {limits.within_track:g}" if limited else None,
        kept=None if mean is None or not limited else mean >= limits.within_track,
        note=(
            "photos: no tracks" if judge.photos_only else f"no track has {FEWEST_FOR_IDENTITY} faces with an embedding"
        )
        if mean is None
        else "",
    )
    real = [k.closeness(original=True) for k in known]
    least, real_least = ([k.least(original=o) for k in known] for o in (False, True))
    return invented, *(
        _plain(f"{key}_{judge.name}", f"{label}, {judge.name}", value, sum(faces))
        for key, label, value in (
            ("original_within_track", "The same of the original", np.average(real, weights=faces) if known else None),
            ("least_in_track", "Least cosine to the track's mean", min(least, default=None)),
            ("original_least_in_track", "The same of the original", min(real_least, default=None)),
        )
    )


def nobody_looked(limits: Limits) -> Figure:
    """Without a recogniser the cosine within tracks is not known, and so nothing passes."""
    limit = f">= {limits.within_track:g}"
    return Figure(
        name="within_track", label="Cosine to the track's mean", value=None, limit=limit, note="no recogniser"
    )


def _plain(name: str, label: str, value: float | None, n: int) -> Figure:
    return Figure(
        name=name, label=label, value=None if value is None else float(value), unit="cosine", n=n, counted="face"
    )


def loosest(judge: Judge) -> Table:
    """The tracks whose faces lie furthest from their mean."""
    tracks = [(person, person.identities[judge.name]) for person in judge.long]
    tracks.sort(key=lambda item: item[1].closeness())
    rows = [
        (person.name, seen.count, seen.closeness(), seen.least(), seen.closeness(original=True))
        for person, seen in tracks[:WORST]
    ]
    return Table(
        name=f"tracks_{judge.name}",
        title=f"Tracks that keep to their person least, {judge.name}",
        columns=("track", "faces", "mean cosine to the track's mean", "least", "mean of the original"),
        rows=tuple(rows),
        note=f"{len(rows)} of {len(tracks)} tracks with at least {FEWEST_FOR_IDENTITY} faces",
    )


def cosines_plot(judge: Judge) -> Plot:
    """Histograms of the cosines within tracks and between tracks."""
    found, real = judge.comparison(), judge.comparison(original=True)
    marks = () if judge.threshold is None else ((f"threshold at {far(FALSE_ACCEPTS)}", judge.threshold),)
    return Plot(
        name=f"cosines_{judge.name}",
        title=f"Cosines within and between tracks, {judge.name}",
        kind="bars",
        x_label="cosine",
        y_label="share of pairs",
        series=(
            _histogram("result, within tracks", found.genuine),
            _histogram("result, between tracks", found.impostors),
            _histogram("original, within tracks", real.genuine),
            _histogram("original, between tracks", real.impostors),
        ),
        marks=marks,
    )


def _histogram(name: str, cosines: Doubles) -> Series:
    shares = np.histogram(cosines, BINS)[0] / max(len(cosines), 1)
    return Series(name=name, x=tuple(((BINS[:-1] + BINS[1:]) / 2).tolist()), y=tuple(shares.tolist()))
