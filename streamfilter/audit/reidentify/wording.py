"""The section's conclusion in plain words, and what a reader must know to judge its numbers."""

from __future__ import annotations

from collections.abc import Sequence

from streamfilter.audit.reidentify.attacks import PAIRS_PER_PERSON
from streamfilter.audit.reidentify.findings import DECISIVE, GALLERY, ORIGINALS, Findings
from streamfilter.audit.section import Figure, Verdict
from streamfilter.audit.wording import amount, limit, one_in, per_cent, plural, within


def sentence(verdict: Verdict, judged: Sequence[tuple[Findings, Figure]], anywhere: str = "") -> str:
    """The conclusion, from each recogniser's findings and decisive figure; first who is recognised anywhere."""
    if anywhere and all(figure.value is None for _, figure in judged):
        return anywhere
    return f"{anywhere} {_at_its_place(verdict, judged)}".lstrip()


def _at_its_place(verdict: Verdict, judged: Sequence[tuple[Findings, Figure]]) -> str:
    if verdict is Verdict.UNKNOWN and not (judged and all(figure.kept for _, figure in judged)):
        return f"Whether people can be recognised could not be judged: {_reason(judged)}."
    found, figure = max(judged, key=lambda item: item[1].value if item[1].value is not None else -1.0)
    originals = found.rate(GALLERY, ORIGINALS)
    before = per_cent(originals.value) if originals else "unknown"
    people = plural(originals.groups if originals else 0, "person")
    share, pairs = amount(figure.value, figure.unit), plural(figure.n or 0, "comparison")
    most = "" if figure.kept is False or not figure.value else "at most "
    return (
        f"At its place a person can be recognised in {most}{share} of {pairs} "
        f"(allowed: {limit(figure)}; untouched originals: {before}) by {found.recogniser}, which knows {people} from "
        f"another moment. {one_in(DECISIVE)} strangers would pass too."
    )


def _reason(judged: Sequence[tuple[Findings, Figure]]) -> str:
    if not judged:
        return "there was no recogniser"
    found, figure = next((item for item in judged if item[1].kept is None), judged[0])
    return f"{found.recogniser}: {within(figure.note).rstrip('.')}"


def notes(findings: Sequence[Findings], forgotten: int, faces: int) -> tuple[str, ...]:
    """What the numbers mean."""
    bounded = (
        f"{plural(forgotten, 'person')} with the fewest moments were left out of the gallery to bound memory."
        if forgotten
        else ""
    )
    said = (
        "TAR: the share of pairs of one person that a recogniser takes for one person. FAR: the share of pairs of "
        "different people that it does, measured on photos that have nothing to do with this audit.",
        "Both faces are aligned by the points found in the original: an attacker who has only the result does worse.",
        f"A gallery pair is one person in two photos, or two moments of a video at least 1 s apart (where a track is "
        f"shorter, its two ends); at most {PAIRS_PER_PERSON} pairs of a person. Kept for it: {plural(faces, 'face')}.",
        "Intervals hold with 95 % and come from drawing whole people (without names: tracks) again, because frames of "
        "one person are not independent. Where all people agree the exact binomial bound over people is given; one "
        "person alone gives none.",
        "The gallery attack decides. Matches within the same frame are reported, not judged: whoever owns that very "
        "frame needs no recogniser, and background, hair and pose, which are kept on purpose, match there by "
        "themselves.",
        bounded,
    )
    return tuple(note for note in said if note) if findings else ()
