"""Who the invented people are on their own, R(G(Z)), and who was filmed, R(X): embeddings that losses compare with."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from pathlib import Path

import torch
from torch import Tensor

from training.objective import Judges
from training.structures import Batch

TOGETHER = 16  # people looked at in one go
SAME = 0.02  # per entry of an embedding of length 1: what kernels of another machine may change


class Unsteered:
    """Embeddings of invented people as the generator paints them unsteered, each looked at once.

    They are looked at in fixed groups, so that a resumed run, which has forgotten them, finds the same numbers.

    Args:
        paint: People's numbers -> their faces (n, 3, S, S).
        judges: Who looks.
        near: (68, 2), about where the landmarks of an aligned face are.
        people: How many there are.
    """

    def __init__(self, paint: Callable[[Sequence[int]], Tensor], judges: Judges, near: Tensor, people: int) -> None:
        self._paint, self._judges, self._near, self._people = paint, judges, near, people
        self._known: dict[int, Tensor] = {}
        self._all: Tensor | None = None

    def __call__(self, people: Sequence[int]) -> Tensor:
        """Embeddings (n, d) of people, by number."""
        return torch.stack([self._group(k // TOGETHER)[k % TOGETHER] for k in people])

    def everyone(self, tell: Callable[[int, int], None] | None = None) -> Tensor:
        """Embeddings (people, d) of all; `tell` is told how many of how many are looked at."""
        if self._all is None:
            for number in range(-(-self._people // TOGETHER)):
                self._group(number)
                if tell is not None:
                    tell(min((number + 1) * TOGETHER, self._people), self._people)
            self._all = torch.cat([self._known[number] for number in sorted(self._known)])
        return self._all

    def keep(self, path: Path) -> None:
        """Write what is known of everyone, so that a resumed run need not look again."""
        part = path.with_suffix(".part")
        torch.save(self.everyone().cpu(), part)
        part.replace(path)

    @torch.no_grad()
    def recall(self, path: Path) -> bool:
        """Read what `keep` wrote, if it did, for as many people, and if those looked at anew are still who they were.

        Another seed, decoder, draw of identities or judge makes other people; embeddings of theirs would mislead.
        """
        if not path.is_file():
            return False
        known = torch.load(path, map_location=self._near.device, weights_only=True)
        if len(known) != self._people or not torch.allclose(known[:TOGETHER], self._group(0), atol=SAME):
            return False
        self._all, self._known = known, dict(enumerate(known.split(TOGETHER)))
        return True

    @torch.no_grad()
    def _group(self, number: int) -> Tensor:
        if number not in self._known:
            first = number * TOGETHER
            faces = self._paint(range(first, min(first + TOGETHER, self._people)))
            self._known[number] = self._judges.embed(faces, self._near.expand(len(faces), -1, -1)).float()
        return self._known[number]


@torch.no_grad()
def filmed(judges: Judges, batch: Batch, only: int | None) -> Tensor:
    """Embeddings (N, d) of the originals; with `only` one recogniser is asked, the others' blocks are zero."""
    vectors = judges.identity(batch.original, batch.landmarks, only).float()
    if only is None:
        return vectors
    blocks = [torch.zeros_like(vectors)] * len(judges.identity.recognisers)
    blocks[only] = vectors
    return torch.cat(blocks, 1)
