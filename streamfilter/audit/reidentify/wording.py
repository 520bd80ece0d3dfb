"""The section's conclusion in plain words, and what a reader must know to judge its numbers."""

from __future__ import annotations

from collections.abc import Sequence

from streamfilter.audit.limits import Limits
from streamfilter.audit.reidentify.attacks import PAIRS_PER_PERSON
from streamfilter.audit.reidentify.findings import DECISIVE, GALLERY, ORIGINALS, Findings
from streamfilter.audit.section import Figure, Verdict


def sentence(verdict: Verdict, judged: Sequence[tuple[Findings, Figure]], limits: Limits) -> str:
    """The conclusion, from each recogniser's findings and decisive figure."""
    if verdict is Verdict.UNKNOWN:
        return f"Whether people can be recognised could not be judged: {_reason(judged)}."
    found, figure = max(judged, key=lambda item: item[1].value if item[1].value is not None else -1.0)
    value, pairs, originals = figure.value or 0.0, figure.n or 0, found.rate(GALLERY, ORIGINALS)
    before = f"{originals.value:.1%}" if originals else "unknown"
    people = originals.groups if originals else 0
    counts = f"{pairs:,} comparisons of {people:,} {'person' if people == 1 else 'people'}"
    allowed = f"(allowed {limits.true_accepts:.1%}; untouched: {before}; {counts})"
    wrong = f"1 of {round(1 / DECISIVE):,} strangers"
    if verdict is Verdict.FAILED:
        return (
            f"People can be recognised: {found.recogniser}, which knows them from another moment, finds {value:.1%} of "
            f"the faces of the result again {allowed}, while it takes {wrong} for them."
        )
    return (
        f"No recogniser finds more than {value:.1%} of the faces of the result again {allowed}, "
        f"even if it knows the people from another moment and takes {wrong} for them."
    )


def _reason(judged: Sequence[tuple[Findings, Figure]]) -> str:
    if not judged:
        return "there was no recogniser"
    found, figure = next((item for item in judged if item[1].kept is None), judged[0])
    return f"{found.recogniser}: {figure.note}"


def notes(findings: Sequence[Findings], forgotten: int, faces: int) -> tuple[str, ...]:
    """What the numbers mean."""
    bounded = (
        f"{forgotten:,} people with the fewest moments were left out of the gallery to bound memory."
        if forgotten
        else ""
    )
    said = (
        "TAR: the share of pairs of one person that a recogniser takes for one person. FAR: the share of pairs of "
        "different people that it does, measured on photos that have nothing to do with this audit.",
        "Both faces are aligned by the points found in the original: an attacker who has only the result does worse.",
        f"A gallery pair is one person in two photos, or two moments of a video at least 1 s apart (where a track is "
        f"shorter, its two ends); at most {PAIRS_PER_PERSON} pairs of a person. {faces:,} faces were kept for it.",
        "Intervals hold with 95 % and come from drawing whole people (without names: tracks) again, because frames of "
        "one person are not independent. Where all people agree the exact binomial bound over people is given; one "
        "person alone gives none.",
        "The gallery attack decides. Matches within the same frame are reported, not judged: whoever owns that very "
        "frame needs no recogniser, and background, hair and pose, which are kept on purpose, match there by "
        "themselves.",
        bounded,
    )
    return tuple(note for note in said if note) if findings else ()
