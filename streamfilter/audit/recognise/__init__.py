"""Recognisers that took no part in making a result, and what their scores mean: measured, not believed."""

from __future__ import annotations

from streamfilter.audit.recognise.calibration import Calibration, OperatingPoint
from streamfilter.audit.recognise.load import load_recognisers
from streamfilter.audit.recognise.recogniser import Recogniser

__all__ = ["Calibration", "OperatingPoint", "Recogniser", "load_recognisers"]
