"""The report for programs: everything but pictures. `schema.json` beside this file describes it (draft 2020-12)."""

from __future__ import annotations

import json
import math
from collections.abc import Mapping
from dataclasses import fields, is_dataclass
from datetime import UTC, datetime
from pathlib import Path

import numpy as np

from streamfilter.audit.report.document import AuditReport, verdict_of
from streamfilter.audit.report.whole_file import write_whole
from streamfilter.audit.section import Section

SCHEMA = Path(__file__).with_name("schema.json")

Json = None | bool | int | float | str | list["Json"] | dict[str, "Json"]


def write_json(report: AuditReport, path: Path) -> None:
    """Write the report; the file appears when it is complete, and replaces one of that name.

    Raises:
        OutputError: It cannot be written.
    """
    text = json.dumps(as_json(report), ensure_ascii=False, allow_nan=False, indent=1)
    write_whole(path, text + "\n")


def as_json(report: AuditReport) -> dict[str, Json]:
    """The report as JSON values; what is not finite is null."""
    values = {field.name: getattr(report, field.name) for field in fields(report) if field.name != "sections"}
    cleaned = {name: _clean(value) for name, value in values.items()}
    sections = {"sections": [_section(section) for section in report.sections]}
    return {"schema_version": report.schema_version, "verdict": str(verdict_of(report))} | cleaned | sections


def schema() -> dict[str, Json]:
    """The JSON Schema that every report of this version keeps to."""
    loaded: dict[str, Json] = json.loads(SCHEMA.read_text("utf-8"))
    return loaded


def _section(section: Section) -> Json:
    return {field.name: _clean(getattr(section, field.name)) for field in fields(section) if field.name != "pictures"}


def _clean(value: object) -> Json:
    """JSON has no NaN, no infinity, no NumPy and no halves of characters."""
    if isinstance(value, np.generic):
        value = value.item()
    if value is None or isinstance(value, bool | int):
        return value
    if isinstance(value, float):
        return value if math.isfinite(value) else None
    if isinstance(value, str):
        return str(value).encode("utf-8", "replace").decode()
    if isinstance(value, datetime):
        return value.astimezone(UTC).isoformat().replace("+00:00", "Z")
    return _clean_many(value)


def _clean_many(value: object) -> Json:
    if isinstance(value, Mapping):
        return {str(key): _clean(item) for key, item in value.items()}
    if is_dataclass(value):
        return {field.name: _clean(getattr(value, field.name)) for field in fields(value)}
    if isinstance(value, tuple | list):
        return [_clean(item) for item in value]
    raise TypeError(f"a report cannot hold a {type(value).__name__}")
