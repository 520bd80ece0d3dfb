"""An original beside its result: checked to be comparable, and which pictures are shown at the same moment."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field

import numpy as np

from streamfilter.audit.losses import Losses
from streamfilter.audit.pairs import Pair, pairs_of
from streamfilter.audit.simultaneous import NOBODY, Indices, MatchedBy, partners_of
from streamfilter.audit.unseen import Unseen
from streamfilter.audit.wording import plural
from streamfilter.errors import InputError
from streamfilter.media import Kind
from streamfilter.media.contents import Contents, contents

__all__ = ["Footage", "Pair", "footage_of", "pairs_of", "swapped"]

MAX_ASPECT_ERROR = 0.05
MAX_ENLARGEMENT = 4.0
LENGTH_TOLERANCE_S = 1.0
LENGTH_TOLERANCE = 0.05
# A detector that finds so many faces in the result, and not half as many in the original, was shown them the wrong way.
FEWEST_FACES = 5
LOST_SHARE = 0.5


@dataclass(frozen=True, eq=False, kw_only=True)
class Footage:
    """A pair that can be compared.

    Attributes:
        pair: The two files.
        original, result: What they hold beside their pixels.
        partners: (n,) for every picture of the original the index of the result's that is shown then, or -1.
        matched_by: How that was told.
        notes: What a reader of the audit should know of it, in sentences.
        unseen: Pictures of the result that `in_step.frame_pairs` did not give and that repeat none which it gave.
        losses: What `in_step.frame_pairs` could not read.
    """

    pair: Pair
    original: Contents
    result: Contents
    partners: Indices
    matched_by: MatchedBy
    notes: tuple[str, ...] = ()
    unseen: Unseen = field(default_factory=Unseen)
    losses: Losses = field(default_factory=Losses)

    @property
    def still(self) -> bool:
        """A picture: there is no time in it."""
        return self.original.kind is Kind.IMAGE

    @property
    def size(self) -> tuple[int, int]:
        """(width, height) in which both are compared: the original's."""
        return self.original.width, self.original.height


def footage_of(pair: Pair) -> Footage:
    """Look at both files of a pair without decoding them (but where packets do not tell the times of pictures).

    Raises:
        InputError: one cannot be read, the original says that it is a result, one is a picture and the other a video,
            or their lengths or shapes differ so much that one was not made of the other.
    """
    original, result = contents(pair.original), contents(pair.result)
    _check_order(original, result)
    _check_kinds(original, result)
    _check_lengths(original, result)
    _check_shapes(original, result)
    partners, matched_by = partners_of(original, result)
    if (partners == NOBODY).all():
        raise InputError(
            f"{pair.original} and {pair.result} are never shown at the same time; are these the same video?"
        )
    notes = tuple(_notes(original, result, partners, matched_by))
    return Footage(pair=pair, original=original, result=result, partners=partners, matched_by=matched_by, notes=notes)


def swapped(pair: Pair, *, original_faces: int, result_faces: int) -> str | None:
    """What to tell a user who seems to have given the result first; None where nothing speaks for it.

    Told by faces that the reference detectors found in both, on the same moments: a tool that protects faces may
    hide or keep them, but it does not put at least 5 of them where not half as many were.
    """
    if result_faces < FEWEST_FACES or original_faces >= LOST_SHARE * result_faces:
        return None
    return (
        f"{result_faces} faces were found in {pair.result}, and only {original_faces} in {pair.original}, "
        "which was given as the original; are the two in the wrong order?"
    )


# --- checks ----------------------------------------------------------------------------------------------------------


def _check_order(original: Contents, result: Contents) -> None:
    if original.made_by_streamfilter:
        raise InputError(
            f"{original.path} was given as the original and says that its faces were replaced by streamfilter; "
            f"are {original.path.name} and {result.path.name} in the wrong order?"
        )


def _check_kinds(original: Contents, result: Contents) -> None:
    if (original.kind is Kind.IMAGE) != (result.kind is Kind.IMAGE):
        raise InputError(
            f"{original.path} is {_a(original.kind)} and {result.path} {_a(result.kind)}; "
            "give the original and its result"
        )


def _check_lengths(original: Contents, result: Contents) -> None:
    """A tool may move the beginning: either the lengths agree or the ends do."""
    tolerance = max(LENGTH_TOLERANCE_S, LENGTH_TOLERANCE * original.duration_s)
    apart = min(abs(original.duration_s - result.duration_s), abs(original.end_s - result.end_s))
    if apart > tolerance:
        raise InputError(
            f"{original.path} is {original.duration_s:.2f} s long and {result.path} {result.duration_s:.2f} s; "
            "are these the same video?"
        )


def _check_shapes(original: Contents, result: Contents) -> None:
    sizes = f"{original.path} is {_size(original)} and {result.path} {_size(result)}"
    shape, other = original.width / original.height, result.width / result.height
    if abs(other / shape - 1) > MAX_ASPECT_ERROR:
        turned = abs(1 / other / shape - 1) <= MAX_ASPECT_ERROR
        raise InputError(f"{sizes}: {'one is turned' if turned else 'their shapes differ'}; are these the same video?")
    enlarged = result.width / original.width
    if max(enlarged, 1 / enlarged) > MAX_ENLARGEMENT:
        raise InputError(f"{sizes}: too far apart to be compared; give files of similar size")


def _a(kind: Kind) -> str:
    return "an image" if kind is Kind.IMAGE else f"a {kind}"


def _size(contents: Contents) -> str:
    return f"{contents.width}x{contents.height}"


def _notes(original: Contents, result: Contents, partners: Indices, matched_by: MatchedBy) -> Iterator[str]:
    if (original.width, original.height) != (result.width, result.height):
        yield f"The result is {_size(result)}; it was scaled to the original's {_size(original)} to be compared."
    if original.frames != result.frames:
        yield f"The original has {original.frames} frames and the result {result.frames}; paired by {matched_by}."
    elif matched_by is not MatchedBy.NUMBER:
        yield f"The frames are not shown at the same times in both; paired by {matched_by}."
    missing = int((partners == NOBODY).sum())
    if missing:
        yield f"{missing} frames of the original have no counterpart: the result shows nothing at their time."
    extra = result.frames - len(np.unique(partners[partners >= 0]))
    if extra:
        yield (
            f"{extra} frames of the result are shown beside no frame of the original; of these only was asked whether "
            "they repeat a neighbour."
        )
    if result.further_pictures:
        yield (
            f"The result holds {plural(result.further_pictures, 'further picture')} (a second video stream, a cover, "
            "a thumbnail or the like); nobody looked at that."
        )
