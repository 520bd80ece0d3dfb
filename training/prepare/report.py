"""What became of the pictures: the share of usable faces per source, and why others were left out."""

from __future__ import annotations

import json
from collections import Counter
from pathlib import Path
from typing import Any

from training.prepare.parts import Arrays, part_paths, read_part

PAPER_SHARE = 0.9891
"""Share of CelebA-HQ that the paper could use."""
REPORT = "report.json"


def report(folder: Path, teacher: str) -> dict[str, Any]:
    """All numbers of a pack, from its parts; what several runs made is counted together."""
    parts = [read_part(path) for path in part_paths(folder)]
    labels = list(dict.fromkeys(str(part["source"]) for part in parts))
    left_out = [
        {"source": str(part["source"]), "name": str(name), "reason": str(reason)}
        for part in parts
        for name, reason in part["left_out"]
    ]
    per_source = {label: _counts([part for part in parts if str(part["source"]) == label]) for label in labels}
    whole = _counts(parts)
    return {
        "format": 1, "teacher": teacher, **whole, "paper_share": PAPER_SHARE, "sources": per_source,
        "left_out": left_out,
    }  # fmt: skip


def _counts(parts: list[Arrays]) -> dict[str, Any]:
    usable = sum(len(part["name"]) for part in parts)
    reasons = Counter(str(reason) for part in parts for _, reason in part["left_out"])
    pictures = usable + reasons.total()
    return {
        "pictures": pictures,
        "usable": usable,
        "share": round(usable / pictures, 5) if pictures else 0.0,
        "people": len({str(person) for part in parts for person in part["person"]}),
        "neighbours": int(sum((part["neighbour"] >= 0).sum() for part in parts)),
        "reasons": dict(reasons.most_common()),
    }


def write_report(folder: Path, numbers: dict[str, Any]) -> None:
    """Write `report.json`."""
    (folder / REPORT).write_text(json.dumps(numbers, indent=1, ensure_ascii=False) + "\n", "utf-8")


def summary(numbers: dict[str, Any]) -> str:
    """The report in a few lines."""
    lines = [f"{'source':<28} {'pictures':>9} {'usable':>9} {'share':>8} {'people':>7}"]
    lines += [_line(label, counts) for label, counts in numbers["sources"].items()]
    lines += [_line("all", numbers), f"(the paper could use {PAPER_SHARE:.2%} of CelebA-HQ)"]
    lines += [f"left out, {reason}: {count}" for reason, count in numbers["reasons"].items()]
    return "\n".join(lines)


def _line(label: str, counts: dict[str, Any]) -> str:
    return f"{label:<28} {counts['pictures']:>9} {counts['usable']:>9} {counts['share']:>8.2%} {counts['people']:>7}"
