"""Utility: what the result is still good for, that is, what anonymising it left as it was."""

from __future__ import annotations

from streamfilter.audit.utility.examiner import Utility
from streamfilter.audit.utility.redetection import NearDetector

__all__ = ["NearDetector", "Utility"]
