"""Fixtures that several test files share."""

from __future__ import annotations

import os
from pathlib import Path

import pytest
from hypothesis import settings

# The same examples on every machine, however slow it is.
settings.register_profile("streamfilter", derandomize=True, deadline=None)
settings.load_profile("streamfilter")

DATA_VARIABLE = "STREAMFILTER_DATA"


@pytest.fixture(scope="session")
def real_data() -> Path:
    """The folder with real footage; its absence fails in CI and skips elsewhere."""
    folder = os.environ.get(DATA_VARIABLE)
    if folder and Path(folder).is_dir():
        return Path(folder)
    message = f"set {DATA_VARIABLE} to the folder with videos/, faces/ and wild/"
    if os.environ.get("CI"):
        pytest.fail(message)
    pytest.skip(message)
