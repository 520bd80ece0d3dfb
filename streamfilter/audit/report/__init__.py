"""The report of an audit: for programs (JSON), for the terminal, and as one page for everyone else."""

from streamfilter.audit.report.as_json import write_json
from streamfilter.audit.report.document import (
    AuditedFile,
    AuditReport,
    AuditSettings,
    CalibrationSummary,
    UsedModel,
    verdict_of,
)
from streamfilter.audit.report.page import write_page

__all__ = [
    "AuditReport",
    "AuditSettings",
    "AuditedFile",
    "CalibrationSummary",
    "UsedModel",
    "verdict_of",
    "write_json",
    "write_page",
]
