"""How an audit is made: how often it looks, what it demands."""

from __future__ import annotations

from dataclasses import dataclass, field

from streamfilter.audit.limits import Limits
from streamfilter.errors import ConfigError

SECTIONS = ("leak", "reid", "consistency", "utility")


@dataclass(frozen=True, kw_only=True)
class AuditConfig:
    """Settings of an audit.

    Attributes:
        interval_s: Time between two frames in which the detectors look for faces; leaks are looked for on every frame.
        identity_interval_s: Time between two embeddings of one track.
        faces_at_once: Most faces of a frame whose embeddings and landmarks are taken, the largest first.
        fail_on: Names of the sections that decide.
        seed: Of all draws (bootstrap, samples).
        limits: What a result must keep to.
    """

    interval_s: float = 0.2
    identity_interval_s: float = 0.5
    faces_at_once: int = 4
    fail_on: tuple[str, ...] = ("leak", "reid")
    seed: int = 0
    limits: Limits = field(default_factory=Limits)

    def __post_init__(self) -> None:
        for name in ("interval_s", "identity_interval_s"):
            if not 0 < getattr(self, name) <= 10:
                raise ConfigError(f"{name} is {getattr(self, name)}; it must be above 0 and at most 10 seconds")
        for name in self.fail_on:
            if name not in SECTIONS:
                raise ConfigError(f"there is no section {name!r} to fail on; there are {', '.join(SECTIONS)}")
