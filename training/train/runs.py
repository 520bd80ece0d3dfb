"""Run folders: numbered, named after their preset, with the options beside the results."""

from __future__ import annotations

import json
import re
from collections.abc import Mapping
from pathlib import Path
from typing import Any

OPTIONS = "options.json"


def new_run(out: Path, name: str) -> Path:
    """The next free folder of `out`, such as `00003-light`; not made yet."""
    taken = [int(m[1]) for folder in out.glob("*") if (m := re.match(r"(\d{5})-", folder.name))]
    return out / f"{max(taken, default=-1) + 1:05d}-{name}"


def write_options(run: Path, options: Mapping[str, Any]) -> None:
    """Keep what the run was started with."""
    run.mkdir(parents=True, exist_ok=True)
    part = run / f"{OPTIONS}.part"
    part.write_text(json.dumps(options, indent=2) + "\n", "utf-8")
    part.replace(run / OPTIONS)


def read_options(run: Path) -> dict[str, Any] | None:
    """What a run was started with, or None for a new one."""
    path = run / OPTIONS
    return dict(json.loads(path.read_text("utf-8"))) if path.is_file() else None
