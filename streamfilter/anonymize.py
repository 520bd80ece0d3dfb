"""Face crops in, invented faces out: one fixed random identity per track, batched over the faces of a frame."""

from __future__ import annotations

import secrets
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import cv2
import numpy as np

from streamfilter import align
from streamfilter.config import AnonymizeConfig, Device
from streamfilter.errors import ConfigError, ModelError
from streamfilter.model_files import shipped
from streamfilter.onnx_model import Array, OnnxModel
from streamfilter.shedding import Effort
from streamfilter.structures import FaceCrop, Floats, Image, Patch, Track

Z_WIDTH = 512
CANDIDATES = 4
IDENTITY_FILE = "identity.onnx"
RUNG_FILES = {64: "face_64.onnx", 128: "face_128.onnx", 256: "face_256.onnx"}
# A rung serves crops up to this many times its own side before the next one takes over: a face painted larger and then
# reduced is sharper, and the slim 256 px rung costs little more than the one below. The band stops flicker.
STRETCH = 0.8
BAND = 0.12
# A face may be shown again while no landmark is farther from where it was painted, in parts of the crop's side.
REUSE_MOVE = 0.05


@dataclass(frozen=True, eq=False, slots=True)
class _Painted:
    """The invented face that a track showed last, and the landmarks (68, 2) in its crop that it was painted for."""

    face: Image
    landmarks: Floats
    shown_again: bool = False

    def fits(self, crop: FaceCrop) -> bool:
        """Whether it may be shown again, in this crop: once, and if the head did not move within it."""
        if self.shown_again or self.face.shape != crop.image.shape:
            return False
        return bool(np.abs(self.landmarks - crop.landmarks).max() <= REUSE_MOVE * crop.size)


class Anonymizer:
    """Paints invented faces. The only state, per track, is one identity latent, one rung and the last invented face.

    Args:
        rungs: Generator models by the side of their picture in pixels.
        identity: The model that turns a random z (N, 512) into an identity latent.
        config: Sizes, and the seed if identities are to be reproducible.
    """

    def __init__(self, rungs: Mapping[int, OnnxModel], identity: OnnxModel, config: AnonymizeConfig) -> None:
        usable = {side: model for side, model in rungs.items() if side <= config.max_rung_px}
        if not usable:
            raise ConfigError(f"no generator of at most {config.max_rung_px} px; there are {sorted(rungs)}")
        self._rungs = dict(sorted(usable.items()))
        self._identity_model = identity
        self._config = config
        self._seed = secrets.randbits(64) if config.seed is None else config.seed
        self._effort = Effort()
        self.reset()

    @classmethod
    def load(
        cls,
        *,
        config: AnonymizeConfig | None = None,
        device: Device = Device.AUTO,
        threads: int = 0,
        model: Path | None = None,
    ) -> Anonymizer:
        """Load the shipped models, or one generator of the same contract from `model`.

        Identities come from the `identity.onnx` that lies beside `model`; where there is none, from the shipped one.

        Raises:
            ModelError: A model is missing, damaged or of another kind, or the two do not fit together.
            DeviceError: The device is not to be had.
        """
        paths = [model] if model else [shipped(name) for name in RUNG_FILES.values()]
        models = [OnnxModel(path, kind="anonymizer", device=device, threads=threads) for path in paths]
        rungs = {_resolution(item): item for item in models}
        identity = OnnxModel(identity_path(model), kind="identity", device=device, threads=threads)
        for item in models:
            _check_styles(item, identity)
        config = config or AnonymizeConfig()
        if model:  # a single foreign generator serves every size
            config = replace(config, max_rung_px=max(rungs))
        return cls(rungs, identity, config)

    def sibling(self, config: AnonymizeConfig) -> Anonymizer:
        """Another around the same loaded models, with its own settings and a memory of its own.

        Models run in several threads at once; the memory is of one stream. The smallest rung serves whatever the
        settings demand.
        """
        smallest = min(self._rungs)
        config = replace(config, max_rung_px=max(config.max_rung_px, smallest))
        return Anonymizer(self._rungs, self._identity_model, config)

    @property
    def models(self) -> tuple[OnnxModel, ...]:
        """All loaded models, the identity model last."""
        return (*self._rungs.values(), self._identity_model)

    def reset(self) -> None:
        """Forget every track."""
        self._identities: dict[int, Floats] = {}
        self._sides: dict[int, int] = {}
        self._painted: dict[int, _Painted] = {}

    def forget(self, track_id: int) -> None:
        """Forget one track: its identity is never used again."""
        self._identities.pop(track_id, None)
        self._sides.pop(track_id, None)
        self._painted.pop(track_id, None)

    def set_effort(self, effort: Effort) -> None:
        """Paint at smaller rungs (the smallest always serves), or show faces twice; or as configured again."""
        self._effort = effort

    def crop(self, image: Image, track: Track) -> FaceCrop | None:
        """The aligned crop of a track at the rung that fits its size, or None if it cannot be painted.

        Args:
            image: The raw frame, (H, W, 3) RGB.
            track: Its landmarks must be known.
        """
        landmarks = track.landmarks
        if landmarks is None or not np.isfinite(landmarks).all():
            return None
        unit = align.ffhq_matrix(landmarks, 1)
        side_px = 1.0 / max(float(np.hypot(unit[0, 0], unit[1, 0])), 1e-9)
        if not self._config.min_face_px <= side_px / 2 <= 4 * max(image.shape):
            return None
        size = self._side(track.track_id, side_px)
        matrix = align.ffhq_matrix(landmarks, size)
        return FaceCrop(track.track_id, align.crop(image, matrix, size), align.transform(landmarks, matrix), matrix)

    def __call__(self, crops: Sequence[FaceCrop]) -> list[Patch]:
        """Paint one invented face per crop, in the order given; with an effort to `reuse`, of about half of them.

        Raises:
            ModelError: The generator failed or gave values that are not finite.
        """
        painted = self._again(crops) if self._effort.reuse else {}
        for size in sorted({crop.size for crop in crops}):
            batch = [crop for crop in crops if crop.size == size and crop.track_id not in painted]
            faces = self._paint(size, batch) if batch else []
            painted |= {c.track_id: _Painted(face, c.landmarks) for c, face in zip(batch, faces, strict=True)}
        self._painted = painted  # who is not among them now begins with a new picture
        return [to_patch(crop, painted[crop.track_id].face) for crop in crops]

    def _again(self, crops: Sequence[FaceCrop]) -> dict[int, _Painted]:
        """Faces to be shown a second time: half of the crops at most, so that every frame has as much work."""
        again: dict[int, _Painted] = {}
        for crop in crops:
            last = self._painted.get(crop.track_id)
            if last is not None and len(again) < (len(crops) + 1) // 2 and last.fits(crop):
                again[crop.track_id] = replace(last, shown_again=True)
        return again

    def _paint(self, size: int, crops: Sequence[FaceCrop]) -> list[Image]:
        model = self._rungs[size]
        makers = {"surroundings": _surroundings, "pose": _poses, "landmarks": _landmarks, "identity": self._latents}
        inputs = {name: make(crops) for name, make in makers.items() if name in model.input_names}
        faces = np.asarray(model(**inputs)["face"], np.float32)
        if faces.shape != (len(crops), 3, size, size):
            raise ModelError(f"{model.path.name} gave {faces.shape}, expected {(len(crops), 3, size, size)}")
        pixels = np.clip((faces + 1.0) * 127.5, 0, 255).round().astype(np.uint8)
        return [np.ascontiguousarray(face.transpose(1, 2, 0)) for face in pixels]

    def _latents(self, crops: Sequence[FaceCrop]) -> Floats:
        return np.stack([self.identity(crop.track_id) for crop in crops])

    def identity(self, track_id: int) -> Floats:
        """The identity latent (n_styles, 512) of a track, drawn when first asked for, far from those in use."""
        if track_id not in self._identities:
            rng = np.random.default_rng([self._seed, track_id])
            z = rng.standard_normal((CANDIDATES, Z_WIDTH), dtype=np.float32)
            self._identities[track_id] = self._farthest(self._identity_model(z=z)["identity"])
        return self._identities[track_id]

    def _farthest(self, candidates: Array) -> Floats:
        latents = np.asarray(candidates, np.float32)
        if not self._identities:
            return np.asarray(latents[0])
        used = np.stack(list(self._identities.values()))
        distance = np.linalg.norm(latents[:, None] - used[None], axis=(2, 3)).min(1)
        return np.asarray(latents[int(distance.argmax())], np.float32)

    def _side(self, track_id: int, side_px: float) -> int:
        """Smallest rung that is fine enough; the last one is kept within a band around the border."""
        sides = [side for side in self._rungs if side <= (self._effort.max_rung_px or side)] or [min(self._rungs)]
        last = self._sides.get(track_id)
        chosen = next((side for side in sides if side_px <= side * STRETCH), sides[-1])
        if last in sides and chosen != last:
            border = min(chosen, last) * STRETCH
            chosen = last if abs(side_px - border) < BAND * border else chosen
        self._sides[track_id] = chosen
        return chosen


def to_patch(crop: FaceCrop, face: Image) -> Patch:
    """The invented face (S, S, 3) with its mask; widened by repeating its edge where the region leaves the crop.

    A chin may lie below an FFHQ crop when the mouth is wide open.
    """
    outline = align.face_outline(crop.landmarks, crop.size)
    beyond = max(float(-outline.min()), float(outline.max()) - (crop.size - 1), 0.0)
    if beyond == 0.0:
        return Patch(crop.track_id, face, crop.matrix, align.face_mask(crop.landmarks, crop.size))
    margin = min(int(np.ceil(beyond)) + 2, crop.size // 4)
    wider = cv2.copyMakeBorder(face, margin, margin, margin, margin, cv2.BORDER_REPLICATE)
    matrix = crop.matrix + np.array([[0, 0, margin], [0, 0, margin]], np.float32)
    mask = align.face_mask(crop.landmarks + np.float32(margin), crop.size + 2 * margin)
    return Patch(crop.track_id, np.asarray(wider, np.uint8), matrix, mask)


def identity_path(model: Path | None) -> Path:
    """The identity model that goes with a generator: the one beside it, or else the shipped one."""
    beside = model.parent / IDENTITY_FILE if model else None
    return beside if beside and beside.is_file() else shipped(IDENTITY_FILE)


def _check_styles(model: OnnxModel, identity: OnnxModel) -> None:
    needed, given = model.metadata.get("n_styles"), identity.metadata.get("n_styles")
    if needed != given:
        raise ModelError(
            f"{model.path.name} takes identities of {needed} styles, {identity.path} gives {given}; "
            f"put the {IDENTITY_FILE} that was exported with the model beside it"
        )


def _resolution(model: OnnxModel) -> int:
    try:
        return int(model.metadata["resolution"])
    except (KeyError, ValueError) as error:
        raise ModelError(f"{model.path.name} does not say its resolution in its metadata") from error


def _surroundings(crops: Sequence[FaceCrop]) -> Floats:
    images = np.stack([align.remove_face(crop.image, crop.landmarks) for crop in crops])
    return np.ascontiguousarray(images.transpose(0, 3, 1, 2), np.float32) / 127.5 - 1.0


def _poses(crops: Sequence[FaceCrop]) -> Floats:
    return np.stack([align.pose_image(crop.landmarks, crop.size) for crop in crops])[:, None]


def _landmarks(crops: Sequence[FaceCrop]) -> Floats:
    return np.stack([(crop.landmarks + 0.5) / crop.size for crop in crops]).astype(np.float32)
