"""The one place that may catch everything: a failed step leaves its region covered and does not end the run."""

from __future__ import annotations

import logging
from collections.abc import Callable
from typing import ParamSpec, TypeVar

from streamfilter.errors import StreamFilterError

P = ParamSpec("P")
T = TypeVar("T")

_log = logging.getLogger(__name__)


def attempt(step: Callable[P, T], *args: P.args, **kwargs: P.kwargs) -> tuple[T | None, Exception | None]:
    """Run a step and return `(result, None)`, or `(None, error)` if it raised anything but an exit or interrupt."""
    try:
        return step(*args, **kwargs), None
    except Exception as error:  # noqa: BLE001 - fail closed: whatever went wrong, the caller covers or blanks
        # What a library says may quote an address with its password.
        text = f": {error}" if isinstance(error, StreamFilterError) else ""
        _log.warning("a step failed and its region stays protected: %s%s", type(error).__name__, text)
        return None, error
