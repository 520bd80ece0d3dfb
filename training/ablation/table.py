"""The result of an ablation as numbers and as Markdown."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from streamfilter.structures import Doubles
from training.ablation.variants import FULL, Variant
from training.evaluation.table import number
from training.objective import TERMS, named

HEADS = {
    "own": "own face", "poses": "two poses", "others": "other people", "filmed": "original", "px": "landmarks, px",
    "eyes": "eyes r", "mouth": "mouth r", "mtcnn": "MTCNN", "dlib_px": "dlib, px", "dlib_eyes": "dlib eyes r",
    "dlib_mouth": "dlib mouth r",
}  # fmt: skip
DIGITS = {"px": 2, "dlib_px": 2}
CLEAR = 2.0  # standard errors


@dataclass(frozen=True, kw_only=True, eq=False)
class Outcome:
    """One variant: its terms, its numbers per face, and its correlations."""

    variant: Variant
    terms: Mapping[str, float]
    faces: Mapping[str, Doubles]
    whole: Mapping[str, float | None]

    def means(self) -> dict[str, float | None]:
        """Every independent number; None where nothing was measured."""
        return {**{name: _mean(values) for name, values in self.faces.items()}, **self.whole}


def _mean(values: Doubles) -> float | None:
    known = values[np.isfinite(values)]
    return float(known.mean()) if len(known) else None


def difference(outcome: Outcome, full: Outcome, name: str) -> tuple[float, float] | None:
    """Mean difference from `full` over the same faces, and its standard error; None for fewer than two faces."""
    apart = outcome.faces[name] - full.faces[name]
    known = apart[np.isfinite(apart)]
    return None if len(known) < 2 else (float(known.mean()), float(known.std(ddof=1) / len(known) ** 0.5))


def to_dict(outcomes: Sequence[Outcome]) -> list[dict[str, Any]]:
    """As JSON can hold it."""
    full = _full(outcomes)
    return [
        {
            "variant": o.variant.name,
            "weights": named(o.variant.weights) if o.variant.weights else {},
            "terms": dict(o.terms),
            "independent": o.means(),
            "difference_and_standard_error": {name: difference(o, full, name) for name in o.faces},
        }
        for o in outcomes
    ]


def markdown(outcomes: Sequence[Outcome]) -> str:
    """Two tables: the independent numbers, bold where they clearly differ from `full`, and the terms."""
    full = _full(outcomes)
    shown = [name for name in HEADS if name in full.means()]
    independent = [["variant", *(HEADS[name] for name in shown)]]
    independent += [[o.variant.name, *(_cell(o, full, name) for name in shown)] for o in outcomes]
    terms = [["variant", *TERMS]] + [[o.variant.name, *(number(o.terms[t], 3) for t in TERMS)] for o in outcomes]
    return f"{_rows(independent)}\n{_rows(terms)}"


def _full(outcomes: Sequence[Outcome]) -> Outcome:
    return next(o for o in outcomes if o.variant.name == FULL)


def _cell(outcome: Outcome, full: Outcome, name: str) -> str:
    text = number(outcome.means()[name], DIGITS.get(name, 3))
    apart = difference(outcome, full, name) if name in outcome.faces else None
    return f"**{text}**" if apart and abs(apart[0]) > CLEAR * apart[1] else text


def _rows(cells: Sequence[Sequence[str]]) -> str:
    lines = [cells[0], ["---"] * len(cells[0]), *cells[1:]]
    return "".join(f"| {' | '.join(line)} |\n" for line in lines)
