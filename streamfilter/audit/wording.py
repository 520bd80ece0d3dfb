"""Numbers, limits and intervals as a reader sees them, in sentences as in the report: one way for each.

Names are shown with what could harm a terminal or a page taken out.
"""

from __future__ import annotations

import math
import re
import unicodedata
from collections.abc import Sequence

import numpy as np

from streamfilter.audit.section import Cell, Figure

NOTHING = "–"
_REPLACED = "\ufffd"
_HARMFUL = ("Cc", "Cf", "Cs")
_LIMIT = re.compile(r"^\s*(<=|>=|<|>|=)\s*(-?\d+(?:\.\d+)?(?:e-?\d+)?)\s*$", re.IGNORECASE)
_WORDS = {"<=": "at most", ">=": "at least", "<": "below", ">": "above", "=": "exactly"}
_SUFFIX = {"share": " %", "degrees": "°", "cosine": "", "": ""}
_FINEST = 0.0005  # below this three decimals would show 0


def plain(text: str) -> str:
    """One line, with control characters, halves of characters and turners of the direction replaced."""
    return "".join(_REPLACED if unicodedata.category(sign) in _HARMFUL else sign for sign in text.replace("\n", " "))


def plural(count: int, noun: str) -> str:
    """`1 face`, `2 faces`, `1,200 faces`; of person, people."""
    many = "people" if noun == "person" else f"{noun}s"
    return f"{count:,} {noun if count == 1 else many}"


def counted(figure: Figure) -> str:
    """What the number rests on: `over 224 pairs`; without a noun `n = 224`; empty where nothing was counted."""
    if figure.n is None:
        return ""
    return f"over {plural(figure.n, figure.counted)}" if figure.counted else f"n\u00a0=\u00a0{figure.n:,}"


def number(value: float | int | None) -> str:
    """Three significant digits, four above 10; no more than three decimals, or one digit; whole with separators."""
    if value is None or math.isnan(value):
        return NOTHING
    if math.isinf(value):
        return "∞" if value > 0 else "-∞"
    if float(value).is_integer() or abs(value) >= 1000:
        return f"{value:,.0f}"
    if abs(value) >= 1:
        return f"{value:.4g}" if abs(value) >= 10 else f"{value:.3g}"
    return f"{round(value, 3):g}" if abs(value) >= _FINEST else f"{value:.1g}"


def percent(share: float) -> str:
    """Per cent without the sign: never 0 or 100 unless it is exactly that."""
    value = 100 * share
    if not 99 < value < 100:
        digits = 3 if abs(value) >= 1 else 2
        return number(float(f"{value:.{digits}g}")) if math.isfinite(value) else number(value)
    return f"{min(math.floor(100 * value) / 100, 99.99):.2f}"


def bare_amount(value: float | int | None, unit: str) -> str:
    """The number alone, as it is counted in this unit."""
    if value is None or math.isnan(value):
        return NOTHING
    return percent(value) if unit == "share" else number(value)


def suffix(value: float | int | None, unit: str) -> str:
    """What follows the number: shares become per cent; one face, two faces."""
    if value is None or math.isnan(value):
        return ""
    if value == 1 and unit.endswith("s") and len(unit) > 2:
        unit = unit[:-1] if unit != "degrees" else unit
    return _SUFFIX.get(unit, f" {unit}")


def amount(value: float | int | None, unit: str) -> str:
    """Number and unit."""
    return bare_amount(value, unit) + suffix(value, unit)


def per_cent(share: float) -> str:
    """`0.39 %`."""
    return amount(share, "share")


def far(rate: float) -> str:
    """A false accept rate as the field writes it: `FAR 1e-3`."""
    return f"FAR {np.format_float_scientific(rate, trim='-', exp_digits=1)}"


def one_in(rate: float) -> str:
    """A rate as people say it: `1 in 1,000`."""
    return f"1 in {round(1 / rate):,}" if 0 < rate < 1 else number(rate)


def within(text: str) -> str:
    """A label inside a sentence; names in capitals stay."""
    return text if text[1:2].isupper() else f"{text[:1].lower()}{text[1:]}"


def told(figure: Figure) -> str:
    """A figure within a sentence: `largest jump: 3.2 grey levels (at most 2)`."""
    bound = f" ({limit(figure)})" if figure.limit else ""
    return f"{within(figure.label)}: {amount(figure.value, figure.unit)}{bound}"


def interval(figure: Figure) -> str:
    """`0.1 to 0.9 %`; empty where there is none."""
    if figure.low is None or figure.high is None:
        return ""
    follows = suffix(figure.high, figure.unit) if figure.unit in _SUFFIX else ""
    return f"{bare_amount(figure.low, figure.unit)} to {bare_amount(figure.high, figure.unit)}{follows}"


def limit_number(figure: Figure) -> float | None:
    """The limit as a number in the figure's unit, if its words are that simple."""
    found = _LIMIT.match(figure.limit or "")
    return float(found[2]) if found else None


def limit(figure: Figure) -> str:
    """`at most 1 %`; other words as they are; empty where there is no limit."""
    found = _LIMIT.match(figure.limit or "")
    if not found:
        return figure.limit or ""
    bound = float(found[2])
    follows = suffix(bound, figure.unit) if figure.unit in ("share", "degrees", "dB", "px", "s") else ""
    return f"{_WORDS[found[1]]} {bare_amount(bound, figure.unit)}{follows}"


def kept(figure: Figure) -> str:
    """What became of the limit; empty where there is none."""
    if figure.limit is None:
        return ""
    return {True: "kept", False: "broken", None: "not judged"}[figure.kept]


def is_number(cell: Cell) -> bool:
    """Whether a cell is a number (truth is not one)."""
    return isinstance(cell, int | float) and not isinstance(cell, bool)


def column_texts(cells: Sequence[Cell]) -> list[str]:
    """One column of a table; its fractions have equally many decimals, so that they can be compared by eye."""
    fractions = [float(cell) for cell in cells if isinstance(cell, float) and math.isfinite(cell)]
    decimals = max((_decimals(value) for value in fractions), default=0)
    return [_cell(cell, decimals) for cell in cells]


def _decimals(value: float) -> int:
    text = number(value)
    return min(len(text.partition(".")[2]), 4) if "e" not in text else 0


def _cell(cell: Cell, decimals: int) -> str:
    if isinstance(cell, str):
        return cell
    if isinstance(cell, bool):
        return "yes" if cell else "no"
    if cell is None or isinstance(cell, int) or not math.isfinite(cell) or 0 < abs(cell) < _FINEST:
        return number(cell)
    return f"{cell:,.{decimals}f}"


def clock(seconds: float) -> str:
    """`45 s`, `2:05`, `1:02:05`; below ten seconds with a decimal."""
    if seconds < 60:
        return f"{seconds:.1f} s" if seconds < 10 else f"{seconds:.0f} s"
    minutes, rest = divmod(round(seconds), 60)
    hours, minutes = divmod(minutes, 60)
    return f"{hours}:{minutes:02}:{rest:02}" if hours else f"{minutes}:{rest:02}"
