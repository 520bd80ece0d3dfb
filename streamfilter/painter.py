"""The regions of one frame, each painted over: covered, or replaced by a face that was proven to hide it."""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Protocol

from streamfilter.config import AnonymizeConfig
from streamfilter.containment import attempt
from streamfilter.decide import Decision
from streamfilter.errors import ProtectionError
from streamfilter.motion import area
from streamfilter.shedding import Effort
from streamfilter.structures import Action, FaceCrop, Floats, Image, Patch, Region, Track
from streamfilter.timing import StageTimes
from streamfilter.verify import doubt_about_landmarks, doubt_about_patch

FULL = 0.995  # from this opacity on, no cover shines through
COST_MEMORY = 0.8  # of earlier frames, when the cost of a face is estimated
SHED = "covered to keep up"
COST_DECAY = 0.9  # while no face fits the budget: one slow run must not end generation for good


class AnyAnonymizer(Protocol):
    """What paints invented faces."""

    def crop(self, image: Image, track: Track) -> FaceCrop | None:
        """Cut out a face aligned, or None where that cannot be done."""
        ...

    def __call__(self, crops: list[FaceCrop]) -> list[Patch]:
        """One invented face per crop."""
        ...

    def set_effort(self, effort: Effort) -> None:
        """Paint smaller or fewer faces from now on, or as configured again."""
        ...

    def forget(self, track_id: int) -> None:
        """Drop the identity of a track that ended."""
        ...

    def reset(self) -> None:
        """Drop all identities."""
        ...


class AnyCompositor(Protocol):
    """What pastes invented faces into a frame."""

    def blend(self, canvas: Image, source: Image, patch: Patch, opacity: float = 1.0) -> None:
        """Paste a patch, in place."""
        ...

    def dissolve(self, canvas: Image, source: Image, patch: Patch, xyxy: Floats, opacity: float) -> None:
        """Paste a mixture of a patch and a cover of `xyxy`, in place."""
        ...

    def forget(self, track_id: int) -> None:
        """Drop what is remembered of a track that ended."""
        ...

    def reset(self) -> None:
        """Drop everything that is remembered."""
        ...


Cover = Callable[[Image, Floats], None]


@dataclass(frozen=True, eq=False, slots=True)
class Order:
    """What is wanted for one track: its face at `decision.opacity`, over a cover of `cover_xyxy`."""

    track: Track
    cover_xyxy: Floats
    decision: Decision


class Painter:
    """Paints all regions of a frame; a region is covered unless every step of its generation succeeded."""

    def __init__(
        self,
        *,
        anonymizer: AnyAnonymizer,
        compositor: AnyCompositor,
        cover: Cover,
        config: AnonymizeConfig,
        times: StageTimes,
    ) -> None:
        self._anonymizer = anonymizer
        self._compositor = compositor
        self._cover = cover
        self._budget_s = config.frame_budget_s
        self._times = times
        self._face_s = 0.0
        self._generates = True

    def set_effort(self, effort: Effort) -> None:
        """Paint fewer, smaller or no faces from now on, or as configured again."""
        self._generates = effort.generate
        attempt(lambda: self._anonymizer.set_effort(effort))

    def __call__(self, canvas: Image, source: Image, orders: Sequence[Order]) -> tuple[Region, ...]:
        """Paint every order into `canvas`, in place, the farthest first; `source` is the raw frame.

        Raises:
            ProtectionError: A region could not even be covered.
        """
        queue = sorted(orders, key=_nearness)
        patches, doubts = self._generate(source, queue)
        return tuple(
            self._paint(canvas, source, order, patches.get(order.track.track_id), doubts.get(order.track.track_id))
            for order in queue
        )

    def forget(self, track_id: int) -> None:
        """Drop the identity and the look of a track that ended."""
        attempt(self._anonymizer.forget, track_id)
        attempt(self._compositor.forget, track_id)

    def reset(self) -> None:
        """Drop all identities and looks."""
        attempt(self._anonymizer.reset)
        attempt(self._compositor.reset)

    def _generate(self, source: Image, queue: Sequence[Order]) -> tuple[dict[int, Patch], dict[int, str]]:
        """The patches that are proven to hide their faces, and why the others have none."""
        if not self._generates:
            return {}, {order.track.track_id: SHED for order in queue}
        doubts: dict[int, str] = {}
        crops: dict[int, FaceCrop] = {}
        tracks = {order.track.track_id: order.track for order in queue if order.decision.opacity > 0}
        with self._times.stage("align"):
            for track_id, track in tracks.items():
                crop, doubt = self._crop(source, track)
                if crop is None:
                    doubts[track_id] = doubt
                else:
                    crops[track_id] = crop
        chosen = self._within_budget(crops, doubts)
        with self._times.stage("generate"):
            patches = self._run(chosen, doubts)
        return {i: p for i, p in patches.items() if self._proven(p, crops[i], tracks[i], doubts)}, doubts

    def _crop(self, source: Image, track: Track) -> tuple[FaceCrop | None, str]:
        doubt, error = attempt(doubt_about_landmarks, track, source)
        if error is not None or doubt is not None:
            return None, doubt or _failed("checking landmarks", error)
        crop, error = attempt(self._anonymizer.crop, source, track)
        return crop, "no crop" if error is None else _failed("alignment", error)

    def _within_budget(self, crops: dict[int, FaceCrop], doubts: dict[int, str]) -> list[FaceCrop]:
        """The nearest faces, as many as there is time for."""
        nearest_first = list(reversed(crops.values()))
        if self._budget_s is None or self._face_s * len(nearest_first) <= self._budget_s:
            return nearest_first
        room = int(self._budget_s / self._face_s)
        if room == 0:
            self._face_s *= COST_DECAY
        doubts.update({crop.track_id: "no time left in this frame" for crop in nearest_first[room:]})
        return nearest_first[:room]

    def _run(self, crops: list[FaceCrop], doubts: dict[int, str]) -> dict[int, Patch]:
        """One batch; if that fails, face by face, so that one bad face does not cost the others theirs."""
        if not crops:
            return {}
        start_s = time.perf_counter()
        patches, error = attempt(self._anonymizer, crops)
        if error is not None and len(crops) > 1:
            return {i: patch for crop in crops for i, patch in self._run([crop], doubts).items()}
        face_s = (time.perf_counter() - start_s) / len(crops)
        self._face_s = face_s if self._face_s == 0 else COST_MEMORY * self._face_s + (1 - COST_MEMORY) * face_s
        missing = "no patch" if error is None else _failed("generation", error)
        by_id = {patch.track_id: patch for patch in patches or [] if isinstance(patch, Patch)}
        doubts.update({crop.track_id: missing for crop in crops if crop.track_id not in by_id})
        return {crop.track_id: by_id[crop.track_id] for crop in crops if crop.track_id in by_id}

    def _proven(self, patch: Patch, crop: FaceCrop, track: Track, doubts: dict[int, str]) -> bool:
        doubt, error = attempt(doubt_about_patch, patch, crop, track)
        if doubt is None and error is None:
            return True
        doubts[track.track_id] = doubt or _failed("checking the patch", error)
        return False

    def _paint(self, canvas: Image, source: Image, order: Order, patch: Patch | None, doubt: str | None) -> Region:
        track, decision = order.track, order.decision
        reason = doubt or decision.reason
        if patch is not None:
            with self._times.stage("composite"):
                _, error = attempt(self._blend, canvas, source, order, patch)
            if error is None:
                action = Action.GENERATED if decision.opacity >= 0.5 else Action.COVERED
                return Region(track.track_id, track.xyxy, action, decision.reason)
            reason = _failed("compositing", error)
        with self._times.stage("cover"):
            _, error = attempt(self._cover, canvas, order.cover_xyxy)
        if error is not None:
            raise ProtectionError(f"a region could not be covered: {error}") from error
        return Region(track.track_id, order.cover_xyxy, Action.COVERED, reason)

    def _blend(self, canvas: Image, source: Image, order: Order, patch: Patch) -> None:
        if order.decision.opacity >= FULL:
            self._compositor.blend(canvas, source, patch)
        else:
            self._compositor.dissolve(canvas, source, patch, order.cover_xyxy, order.decision.opacity)


def _nearness(order: Order) -> tuple[bool, float]:
    """Faces that are seen lie before those that are only remembered, large ones before small ones."""
    return order.track.missed_s == 0, float(area(order.track.xyxy))


def _failed(step: str, error: Exception | None) -> str:
    return f"{step} failed: {type(error).__name__}"
