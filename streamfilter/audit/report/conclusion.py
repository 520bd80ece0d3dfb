"""The verdict in words that need no knowledge of the field, for the terminal and for the page."""

from __future__ import annotations

from streamfilter.audit.report.document import AuditReport, verdict_of
from streamfilter.audit.section import Section, Verdict
from streamfilter.audit.wording import clock, plural

PRIVACY = ("leak", "reid")

QUESTIONS = {
    "leak": "Can an original face still be seen?",
    "reid": "Can software still tell who it was?",
    "consistency": "Does each person keep one invented face?",
    "utility": "Can the result still be used?",
}

HEADLINES = {
    Verdict.PASSED: "Every limit was kept.",
    Verdict.FAILED: "A limit is broken.",
    Verdict.UNKNOWN: "This could not be judged.",
}

_SCOPE = (
    "This holds for this material, these models and these limits. It is evidence, not a guarantee: voices, clothes, "
    "places and what people say identify too, and were not examined."
)


def headline(report: AuditReport) -> str:
    """The verdict in one short sentence."""
    verdict = verdict_of(report)
    only_files = verdict is Verdict.FAILED and not titles(report, Verdict.FAILED)
    return "Not every file could be compared." if only_files else HEADLINES[verdict]


def heading(section: Section) -> str:
    """The title without what follows its colon."""
    return section.title.partition(": ")[0]


def question(section: Section) -> str:
    """What the section answers, in plain words: those for its name, or else what follows the title's colon."""
    return QUESTIONS.get(section.name) or section.title.partition(": ")[2]


def titles(report: AuditReport, verdict: Verdict, *, demanded: bool = True) -> list[str]:
    """Titles of the sections with this verdict that are demanded, or that are not."""
    fits = [section for section in report.sections if section.verdict is verdict]
    return [heading(section) for section in fits if (section.name in report.demanded) is demanded]


def advice(report: AuditReport) -> str:
    """What follows from the verdict for someone who has to decide."""
    verdict = verdict_of(report)
    if verdict is Verdict.PASSED:
        return _SCOPE
    if verdict is Verdict.UNKNOWN:
        return "What could not be judged has not passed: do not treat this result as anonymised on the strength of it."
    failed = {section.name for section in report.sections if section.verdict is Verdict.FAILED} & set(report.demanded)
    if failed & set(PRIVACY):
        return "Do not publish this result as anonymised: people in it can still be seen or recognised."
    if any(file.error for file in report.files):
        return "Do not publish what could not be compared: nothing is known of it."
    return "The broken limits concern the quality of the result; the sections below judge what a stranger can learn."


def besides(report: AuditReport) -> list[str]:
    """What the verdict does not say: demanded sections that are not there, and failures that were not demanded."""
    there = {section.name for section in report.sections}
    lines = []
    if files := [file.name for file in report.files if file.error]:
        lines.append(f"{plural(len(files), 'file')} of {len(report.files):,} could not be compared; see the warnings.")
    if absent := [name for name in report.demanded if name not in there]:
        lines.append(f"Demanded, but not examined: {', '.join(absent)}.")
    if failed := titles(report, Verdict.FAILED, demanded=False):
        lines.append(f"Failed as well, though not demanded: {', '.join(failed)}.")
    if unknown := titles(report, Verdict.UNKNOWN, demanded=False):
        lines.append(f"Not judged, and not demanded: {', '.join(unknown)}.")
    return lines


def material(report: AuditReport) -> str:
    """How much was looked at."""
    files = report.files
    duration = sum(file.duration_s or 0 for file in files)
    parts = [
        plural(len(files), "file"),
        plural(sum(file.frames for file in files), "frame"),
        *([clock(duration)] if duration else []),
        plural(sum(file.faces for file in files), "face-frame"),
        plural(sum(file.tracks for file in files), "track"),
    ]
    return ", ".join(parts)
