"""What a recogniser's cosines mean: thresholds at stated false accept rates, measured on stated photos; as JSON."""

from __future__ import annotations

import json
import math
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from streamfilter.audit.report.whole_file import write_whole
from streamfilter.errors import ConfigError, ModelError

SCHEMA = 1
KIND = "streamfilter recogniser calibrations"
RATES = (1e-2, 1e-3, 1e-4)
SHIPPED = Path(__file__).parent.parent / "calibrations.json"
ORDERS = ("rgb", "bgr")


@dataclass(frozen=True, kw_only=True)
class Preparation:
    """How bytes become the numbers that a network takes: (byte - offset) / divisor, channels in this order."""

    order: str
    offset: float
    divisor: float

    def __post_init__(self) -> None:
        if self.order not in ORDERS or not math.isfinite(self.offset) or not self.divisor > 0:
            raise ModelError(f"a preparation needs an order of {ORDERS} and a divisor above 0, got {self}")

    def __str__(self) -> str:
        """In words, for tables."""
        numbers = "0..255" if (self.offset, self.divisor) == (0, 1) else f"(x - {self.offset:g}) / {self.divisor:g}"
        return f"{self.order.upper()} {numbers}"


@dataclass(frozen=True, kw_only=True)
class OperatingPoint:
    """Pairs are accepted at cosine >= `threshold`; then both rates, 0..1, were measured.

    Attributes:
        false_accepts: FAR: share of all pairs of different people.
        threshold: A cosine.
        true_accepts: TAR: share of the pairs of one person.
    """

    false_accepts: float
    threshold: float
    true_accepts: float

    def __post_init__(self) -> None:
        shares = (self.false_accepts, self.true_accepts)
        if not all(0 <= share <= 1 for share in shares) or not -1.01 <= self.threshold <= 1.01:
            raise ModelError(f"an operating point needs shares in [0, 1] and a cosine, got {self}")


@dataclass(frozen=True, kw_only=True)
class Calibration:
    """What was measured of one recogniser.

    Attributes:
        model: Its name in reports.
        sha256: Of the model file; another file is another recogniser.
        photos: What it was measured on, in words.
        people, pictures: How many people and photos that was.
        genuine_pairs: Pairs of one person that the true accept rates were taken from; at most 45 of one person.
        impostor_pairs: Pairs of different people that the thresholds were taken from: all there are.
        points: One for each false accept rate.
        accuracy: Over the benchmark's pairs, cross-validated over its folds; None where no pairs were given.
        accuracy_error: Its standard error over the folds.
        benchmark_pairs: How many of the benchmark's pairs were there.
        ms_per_face: Time of one embedding, median, on the machine that measured.
        preparation: What the network takes, for networks that do not say so themselves.
    """

    model: str
    sha256: str
    photos: str
    people: int
    pictures: int
    genuine_pairs: int
    impostor_pairs: int
    points: tuple[OperatingPoint, ...]
    accuracy: float | None = None
    accuracy_error: float | None = None
    benchmark_pairs: int = 0
    ms_per_face: float | None = None
    preparation: Preparation | None = None

    def threshold(self, far: float) -> float:
        """The cosine that a share `far` of the pairs of different people reaches.

        Raises:
            ConfigError: No threshold was measured at this rate.
        """
        return self._at(far).threshold

    def true_accepts(self, far: float) -> float:
        """The share of pairs of one person that is accepted there.

        Raises:
            ConfigError: As `threshold`.
        """
        return self._at(far).true_accepts

    def _at(self, far: float) -> OperatingPoint:
        for point in self.points:
            if _at(point, far):
                return point
        known = ", ".join(f"{point.false_accepts:g}" for point in self.points)
        raise ConfigError(f"{self.model} has no threshold at a false accept rate of {far:g}; it has {known}")


def beside(model: Path) -> Path:
    """Where the calibration of a user's model file lies."""
    return model.with_name(f"{model.name}.calibration.json")


def save(path: Path, calibrations: Sequence[Calibration]) -> None:
    """Write calibrations as JSON; a file that is there is replaced.

    Raises:
        OutputError: It cannot be written.
    """
    document = {"kind": KIND, "schema": SCHEMA, "calibrations": [asdict(item) for item in calibrations]}
    write_whole(path, json.dumps(document, indent=2) + "\n")


def load(path: Path) -> tuple[Calibration, ...]:
    """The calibrations in a file.

    Raises:
        ModelError: Missing, damaged, of another schema, or something else.
    """
    try:
        document = json.loads(path.read_text(encoding="utf-8"))
    except (OSError, ValueError) as error:
        raise ModelError(f"{path} is no calibration that can be read: {error}") from error
    if not isinstance(document, dict) or document.get("kind") != KIND:
        raise ModelError(f"{path} is no calibration of a recogniser; make one with: streamfilter models calibrate")
    if document.get("schema") != SCHEMA:
        raise ModelError(f"{path} has schema {document.get('schema')!r}, needed is {SCHEMA}; calibrate again")
    try:
        return tuple(_read(item) for item in document["calibrations"])
    except (KeyError, TypeError, ValueError, ModelError) as error:
        raise ModelError(f"{path} is damaged ({error}); calibrate again") from error


def _at(point: OperatingPoint, far: float) -> bool:
    return math.isclose(point.false_accepts, far, rel_tol=1e-6)


def _read(item: dict[str, Any]) -> Calibration:
    """A calibration from its JSON object; whatever does not fit is a KeyError, TypeError, ValueError or ModelError."""
    fields = dict(item)
    points = tuple(OperatingPoint(**point) for point in fields.pop("points"))
    preparation = fields.pop("preparation")
    found = Calibration(
        **fields, points=points, preparation=None if preparation is None else Preparation(**preparation)
    )
    lacking = [f"{rate:g}" for rate in RATES if not any(_at(point, rate) for point in points)]
    if lacking:
        raise ValueError(f"there is no operating point at a false accept rate of {', '.join(lacking)}")
    if not all(isinstance(text, str) for text in (found.model, found.sha256, found.photos)):
        raise ValueError("the name, the hash or the photos are missing")
    counts = (found.people, found.pictures, found.genuine_pairs, found.impostor_pairs, found.benchmark_pairs)
    if not all(isinstance(count, int) and count >= 0 for count in counts):
        raise ValueError("a count is no whole number")
    shares = [share for share in (found.accuracy, found.accuracy_error) if share is not None]
    if not all(0 <= share <= 1 for share in shares):
        raise ValueError("the accuracy is no share")
    return found
