"""Time limits on long jobs, written like `90s`, `25m` or `2h`."""

from __future__ import annotations

import re

UNITS_S = {"s": 1.0, "m": 60.0, "h": 3600.0}


def parse_duration(text: str) -> float:
    """Seconds in a duration such as `25m`.

    Raises:
        ValueError: the text is no duration.
    """
    match = re.fullmatch(r"(\d+(?:\.\d+)?)([smh])", text.strip())
    if not match:
        raise ValueError(f"a duration looks like 90s, 25m or 2h, got {text!r}")
    return float(match[1]) * UNITS_S[match[2]]
