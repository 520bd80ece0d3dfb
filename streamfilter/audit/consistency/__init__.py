"""Consistency: each track stays one invented person, calm from frame to frame."""

from streamfilter.audit.consistency.examiner import Calibrated, Consistency

__all__ = ["Calibrated", "Consistency"]
