"""The one place that may catch everything: a failed step leaves its region covered and does not end the run."""

from __future__ import annotations

import logging
from collections.abc import Callable
from typing import ParamSpec, TypeVar

P = ParamSpec("P")
T = TypeVar("T")

_log = logging.getLogger(__name__)


def attempt(step: Callable[P, T], *args: P.args, **kwargs: P.kwargs) -> tuple[T | None, Exception | None]:
    """Run a step and return `(result, None)`, or `(None, error)` if it raised anything but an exit or interrupt."""
    try:
        return step(*args, **kwargs), None
    except Exception as error:  # noqa: BLE001 - fail closed: whatever went wrong, the caller covers or blanks
        _log.warning("a step failed and its region stays protected: %s: %s", type(error).__name__, error)
        return None, error
