"""Leaks: faces of the original whose pixels survive in the result."""

from __future__ import annotations

from streamfilter.audit.leaks.examiner import Leaks

__all__ = ["Leaks"]
