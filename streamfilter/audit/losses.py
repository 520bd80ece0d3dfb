"""What could not be read while an original and its result were gone through in step: it was not compared."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field

from streamfilter.audit.wording import plural


@dataclass(eq=False)
class Losses:
    """Of one pass; complete when that is over.

    Attributes:
        uncompared: Pictures of the original whose partner in the result could not be decoded.
        damage: What was lost of the `original` and of the `result`, in words; what is whole is not there.
    """

    uncompared: int = 0
    damage: dict[str, str] = field(default_factory=dict)

    def restart(self) -> None:
        """Before the first picture of a pass."""
        self.uncompared = 0
        self.damage.clear()

    def sentences(self) -> Iterator[str]:
        """What a reader of the audit should know of it."""
        if self.uncompared:
            frames = plural(self.uncompared, "frame")
            yield f"{frames} of the original could not be compared: what the result shows then cannot be decoded."
        for which, words in self.damage.items():
            yield f"The {which} is damaged: {words}; only what could be decoded was compared."
