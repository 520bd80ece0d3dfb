"""A figure from a mean over groups: value, interval and count; why there is no interval, where there is none."""

from __future__ import annotations

from streamfilter.audit.section import Figure
from streamfilter.metrics.by_group import Grouped


def estimated(
    name: str,
    label: str,
    found: Grouped | None,
    *,
    unit: str = "share",
    counted: str = "face",
    group: str = "track",
    note: str = "",
    missing: str = "Nothing to compare.",
) -> Figure:
    """The figure without a limit.

    Args:
        counted: One of the values.
        group: One of the groups, which an interval draws again.
        missing: The note where nothing was found.
    """
    if found is None:
        return Figure(name=name, label=label, value=None, unit=unit, n=0, counted=counted, note=missing)
    alone = f"One {group}: no interval." if found.low is None else ""
    return Figure(
        name=name,
        label=label,
        value=found.value,
        unit=unit,
        low=found.low,
        high=found.high,
        n=found.n,
        counted=counted,
        note=sentences(note, alone),
    )


def sentences(*parts: str) -> str:
    """Notes one after the other, each with a capital and a full stop."""
    return " ".join(f"{part[0].upper()}{part[1:].rstrip('.')}." for part in parts if part)
