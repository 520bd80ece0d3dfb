"""The whole audit as one value: what was compared, with which models and settings, and what came of it.

No folder of this machine is in it: a path may tell more about its owner than the picture does.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import PureWindowsPath

from streamfilter import __version__
from streamfilter.audit.section import Section, Verdict

SCHEMA_VERSION = "1.1"


def base_name(path: str) -> str:
    """The last part of a path of any system."""
    return PureWindowsPath(path).name or path


def _inside(path: str) -> str:
    """A name relative to what was given stays; of an absolute one only the last part does."""
    given = PureWindowsPath(path)
    return base_name(path) if given.root or given.drive or ".." in given.parts else path


def _now() -> datetime:
    return datetime.now(UTC).replace(microsecond=0)


@dataclass(frozen=True, kw_only=True)
class AuditedFile:
    """One pair of original and result.

    Attributes:
        name: Relative to what was given to the audit.
        frames: That were compared; 1 for a photo.
        duration_s: None for a photo.
        faces: Reference faces over all frames (face-frames).
        tracks: People, as far as they could be followed.
        error: Why it could not be compared, or not to its end; empty where it was.
    """

    name: str
    frames: int
    duration_s: float | None
    faces: int
    tracks: int
    error: str = ""

    def __post_init__(self) -> None:
        object.__setattr__(self, "name", _inside(self.name))


@dataclass(frozen=True, kw_only=True)
class CalibrationSummary:
    """Where a recogniser's thresholds come from.

    Attributes:
        photos: Which photos, in words.
        accuracy: Share of pairs told rightly, at the best threshold found on the other folds; None: not measured.
        genuine_pairs, impostor_pairs: How many pairs of one person and of two.
        thresholds: Cosine from which two faces count as one person, by false accept rate.
        true_accepts: Share of genuine pairs above that threshold, by false accept rate.
    """

    photos: str
    accuracy: float | None
    genuine_pairs: int
    impostor_pairs: int
    thresholds: Mapping[float, float] = field(default_factory=dict)
    true_accepts: Mapping[float, float] = field(default_factory=dict)

    @property
    def pairs(self) -> int:
        """All pairs."""
        return self.genuine_pairs + self.impostor_pairs


@dataclass(frozen=True, kw_only=True)
class UsedModel:
    """A model that took part in the audit; `task` says at what, in a word."""

    name: str
    sha256: str
    version: str
    licence: str
    task: str = ""
    calibration: CalibrationSummary | None = None


@dataclass(frozen=True, kw_only=True)
class AuditSettings:
    """What the audit was told.

    Attributes:
        interval_s: Time between two frames in which the detectors look for faces.
        seed: Of all draws.
        limits: `dataclasses.asdict` of the `Limits` that applied.
    """

    interval_s: float
    seed: int
    limits: Mapping[str, float]


@dataclass(frozen=True, eq=False, kw_only=True)
class AuditReport:
    """All of it.

    Attributes:
        original, result: Base names of the file or folder; folders are cut off.
        sections: Those that were examined, in the order in which they are shown.
        warnings: What a reader must know before the rest.
        fail_on: Names of the demanded sections; none: all that are there.
        took_s: Duration of the audit.
        made_at: UTC.
    """

    original: str
    result: str
    files: tuple[AuditedFile, ...]
    models: tuple[UsedModel, ...]
    settings: AuditSettings
    sections: tuple[Section, ...]
    warnings: tuple[str, ...] = ()
    fail_on: tuple[str, ...] = ()
    took_s: float = 0.0
    made_at: datetime = field(default_factory=_now)
    streamfilter: str = __version__
    schema_version: str = SCHEMA_VERSION

    def __post_init__(self) -> None:
        object.__setattr__(self, "original", base_name(self.original))
        object.__setattr__(self, "result", base_name(self.result))

    @property
    def demanded(self) -> tuple[str, ...]:
        """Names of the sections that decide."""
        return self.fail_on or tuple(section.name for section in self.sections)

    @property
    def verdict(self) -> Verdict:
        """Over the demanded sections."""
        return verdict_of(self)


def verdict_of(report: AuditReport) -> Verdict:
    """FAILED if a demanded section failed, or a file could not be compared.

    UNKNOWN if a section was not judged or is not there, or there is none at all.
    """
    found = {section.name: section.verdict for section in report.sections}
    verdicts = {found.get(name, Verdict.UNKNOWN) for name in report.demanded}
    if Verdict.FAILED in verdicts or any(file.error for file in report.files):
        return Verdict.FAILED
    return Verdict.PASSED if verdicts == {Verdict.PASSED} else Verdict.UNKNOWN
