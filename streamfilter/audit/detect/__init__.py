"""Detectors that took no part in protecting: which faces there are, and which are still found."""
