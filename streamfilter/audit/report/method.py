"""How it was measured: material, settings, limits, models and licences, thresholds and the pairs behind them."""

from __future__ import annotations

from dataclasses import fields

from streamfilter.audit.limits import Limits
from streamfilter.audit.report.blocks import rows_of
from streamfilter.audit.report.conclusion import material
from streamfilter.audit.report.document import AuditReport, UsedModel
from streamfilter.audit.report.markup import Html, join, tag
from streamfilter.audit.section import Cell
from streamfilter.audit.wording import clock, number, one_in

_LIMIT_WORDS = {
    "bare_faces": "face-frames whose pixels survive, at most",
    "unseen_frames": "frames of the result beside none of the original, beyond which leaks are not judged",
    "further_pictures": "covers, thumbnails and other streams, beyond which leaks are not judged",
    "true_accepts": "true accept rate at a false accept rate of 1 in 1,000, at most",
    "recognised_anywhere": "faces anywhere in the result in which a person of the original is recognised, at most",
    "fewest_pairs": "compared pairs below which re-identification is not judged",
    "equal_error_rate": "equal error rate of invented identities, at most",
    "within_track": "mean cosine of a track's faces to their mean, at least",
    "flicker": "warped difference of the result less the original's, grey levels, at most",
    "flicker_jumps": "share of pairs of frames with a jump of more than 8 grey levels, at most",
    "redetected": "share of faces that detectors find again, at least",
    "background_psnr_db": "PSNR outside the faces in dB, at least",
}


def method(report: AuditReport) -> Html:
    """The page's last part, mostly folded."""
    return tag(
        "section",
        tag("header", tag("h2", "How this was measured"), class_="section-head"),
        tag("div", _settings(report), _limits(report), _models(report), _thresholds(report), _files(report)),
        class_="section method",
        id="method",
    )


def limit_words(name: str) -> str:
    """What a limit means; one that is not known here keeps its name."""
    return _LIMIT_WORDS.get(name, name.replace("_", " "))


def _settings(report: AuditReport) -> Html:
    facts = {
        "Compared": material(report),
        "Faces looked for": f"every {number(report.settings.interval_s)} s, and followed in between",
        "Seed of all draws": str(report.settings.seed),
        "Sections that decide": ", ".join(report.demanded) or "none",
        "Made": f"{report.made_at:%Y-%m-%d %H:%M} UTC by streamfilter {report.streamfilter}, in {clock(report.took_s)}",
    }
    return tag("dl", [tag("div", tag("dt", name), tag("dd", words)) for name, words in facts.items()], class_="figures")


def _limits(report: AuditReport) -> Html:
    usual = {field.name: field.default for field in fields(Limits)}
    rows = [
        (limit_words(name), number(value), "" if value == usual.get(name) else "changed for this audit")
        for name, value in report.settings.limits.items()
    ]
    changed = any(row[2] for row in rows)
    columns = ("limit", "value", "") if changed else ("limit", "value")
    return rows_of("limits", "Limits", columns, [row[: len(columns)] for row in rows])


def _models(report: AuditReport) -> Html:
    rows = [(model.name, model.task, model.version, model.licence, model.sha256) for model in report.models]
    note = "Each file was checked against its SHA-256 before it was used."
    return rows_of("models", "Models", ("model", "task", "version", "licence", "SHA-256"), rows, note)


def _thresholds(report: AuditReport) -> Html:
    accuracies = [row for model in report.models for row in _accuracy(model)]
    rows = [row for model in report.models for row in _threshold_rows(model)]
    note = (
        "A threshold is the cosine from which two photos count as one person, set so that of so many pairs of two "
        "different people one is taken for the same. Found again: the share of pairs of one person that pass it."
    )
    known = ("recogniser", "told rightly %", "pairs of one person", "pairs of two people", "photos")
    return join(
        rows_of("calibration", "How well the recognisers know people", known, accuracies),
        rows_of("thresholds", "Thresholds", ("recogniser", "false accepts", "threshold", "found again %"), rows, note),
    )


def _accuracy(model: UsedModel) -> list[tuple[Cell, ...]]:
    known = model.calibration
    if known is None:
        return []
    accuracy = None if known.accuracy is None else 100 * known.accuracy
    return [(model.name, accuracy, known.genuine_pairs, known.impostor_pairs, known.photos)]


def _threshold_rows(model: UsedModel) -> list[tuple[Cell, ...]]:
    if model.calibration is None:
        return []
    accepted = model.calibration.true_accepts
    found = sorted(model.calibration.thresholds.items(), reverse=True)
    return [
        (model.name, one_in(rate), bound, 100 * accepted[rate] if rate in accepted else None) for rate, bound in found
    ]


def _files(report: AuditReport) -> Html:
    rows = [(file.name, file.frames, file.duration_s, file.faces, file.tracks) for file in report.files]
    return rows_of("files", "Files", ("file", "frames", "seconds", "face-frames", "tracks"), rows)
