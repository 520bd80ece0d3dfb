"""What of a source was lost: counted while reading, told at the end."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass
class Damage:
    """Counters of one source; all zero means that nothing was lost."""

    undecodable: int = 0
    corrupt: int = 0
    missing_s: float = 0.0

    def __bool__(self) -> bool:
        return bool(self.undecodable or self.corrupt or self.missing_s)

    def __str__(self) -> str:
        parts = []
        if self.undecodable:
            parts.append(f"{self.undecodable} packets could not be decoded")
        if self.corrupt:
            parts.append(f"{self.corrupt} frames or packets were damaged")
        if self.missing_s:
            parts.append(f"the last {self.missing_s:.2f} s are missing")
        return ", ".join(parts) or "no damage"
