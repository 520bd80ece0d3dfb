"""Finds faces: one picture in, boxes with scores and five landmarks out, in pixels of that picture."""

from __future__ import annotations

from typing import Final

import cv2
import numpy as np
from numpy.typing import NDArray

from streamfilter.config import DetectConfig, Device
from streamfilter.errors import ConfigError, ModelError, ShapeError
from streamfilter.model_files import shipped
from streamfilter.onnx_model import OnnxModel
from streamfilter.structures import Detections, Floats, Image

MODEL: Final = "detector.onnx"
KIND: Final = "detector"
STRIDES: Final = (8, 16, 32)
MULTIPLE: Final = 32
# Below this long side the network sees nothing; frames are enlarged for it, but no further than this factor.
MAX_ENLARGE: Final = 2.0
# A doubtful box this near to a sure one, in parts of the larger side, is no second face.
ECHO: Final = 0.33
# For `echoes`: how near the middle, how much larger, and from which score on a large box is believed all the same.
MIDST, HOLLOW, SOLID = 0.3, 2.0, 0.8
# In parts of the frame's shorter side; see `add`.
LARGE: Final = 0.25
BELIEVED: Final = 0.7
# Mean grey levels of a picture that counts as dark, and of one that does not; see `brightened`.
DARK: Final = 48.0
LIT: Final = 80.0
MAX_GAIN: Final = 4.0
SPARSE: Final = 8
_CHANNELS: Final = 16
# exp(8) strides are wider than any frame; a larger exponent could only overflow.
_MAX_LOG_SIZE: Final = 8.0


class Detector:
    """Finds faces in a picture; keeps no memory between pictures.

    Everything with a score of at least `config.low_threshold` is returned, since a doubtful face is protected too.
    """

    def __init__(self, model: OnnxModel, config: DetectConfig | None = None) -> None:
        self.model = model
        self.config = config or DetectConfig()

    @classmethod
    def load(cls, *, device: Device = Device.AUTO, threads: int = 0, config: DetectConfig | None = None) -> Detector:
        """The detector that ships with streamfilter."""
        return cls(OnnxModel(shipped(MODEL), kind=KIND, device=device, threads=threads), config)

    def __call__(self, image: Image, *, long_side_px: int | None = None) -> Detections:
        """Find the faces of an RGB picture, best first.

        Args:
            image: (H, W, 3) uint8, of any size.
            long_side_px: Look at this resolution instead of `config.long_side_px`; more finds smaller faces.

        Raises:
            ShapeError: `image` is not a picture.
            ModelError: The network failed.
        """
        if image.ndim != 3 or image.shape[2] != 3 or image.dtype != np.uint8 or 0 in image.shape:
            raise ShapeError(f"a picture is (H, W, 3) uint8 with H, W > 0, got {image.shape} {image.dtype}")
        side = self.config.long_side_px if long_side_px is None else long_side_px
        if side < MULTIPLE:
            raise ConfigError(f"the detector's long side must be at least {MULTIPLE} px, got {side}")
        height, width = scaled_size(image.shape[0], image.shape[1], side)
        tensor = prepare(image, height, width)
        outputs = self.model(image=tensor)
        found = decode([maps_of(outputs, s) for s in STRIDES], low_threshold=self.config.low_threshold)
        keep = suppress(found.xyxy, found.score, self.config.nms_iou)
        keep = keep[~echoes(found.xyxy[keep], found.score[keep], self.config.threshold)]
        scale = np.array([image.shape[1] / width, image.shape[0] / height], np.float32)
        return Detections(found.xyxy[keep] * np.tile(scale, 2), found.score[keep], found.landmarks[keep] * scale)


class Lookout:
    """A detector that looks twice now and then: no single resolution finds every face.

    Every frame is seen at `config.long_side_px`. Every `config.again_every` frames it is also seen at another one, in
    turn smaller (where blurred and large faces show, and, of a dark frame, brightened) and larger (small ones), and
    what only the second look finds is added. Boxes of known faces thus always come from one resolution and do not
    jump; the tracker and its look-ahead carry the others from look to look.
    """

    def __init__(self, detector: Detector) -> None:
        self.detector = detector
        self.reset()

    def reset(self) -> None:
        """Begin again with a second look."""
        self._count = 0

    def __call__(self, image: Image) -> Detections:
        """Find the faces of the next frame; raises what `Detector` raises."""
        found = self.detector(image)
        config = self.detector.config
        turn, due = divmod(self._count, max(1, config.again_every))
        self._count += 1
        if due or not config.again_every:
            return found
        larger = turn % 2 == 0
        side = second_side(max(image.shape[:2]), config, larger=larger)
        lit = image if larger else brightened(image)
        more = self.detector(lit, long_side_px=side)
        if lit is not image:  # brightened noise looks like a doubtful face often enough
            more = above(more, config.threshold)
        return add(found, more, config, min(image.shape[:2]))


def brightened(image: Image) -> Image:
    """A dark picture up to four times as bright; any other as it is. A viewer can turn up the brightness too."""
    mean = float(image[::SPARSE, ::SPARSE].mean())
    if mean >= DARK:
        return image
    return np.asarray(cv2.convertScaleAbs(image, alpha=min(MAX_GAIN, LIT / max(mean, 1.0))), np.uint8)


def above(found: Detections, score: float) -> Detections:
    """Those of at least this score."""
    keep = found.score >= score
    return Detections(found.xyxy[keep], found.score[keep], found.landmarks[keep])


def second_side(long_side_px: int, config: DetectConfig, *, larger: bool) -> int:
    """The resolution of the second look at a frame whose long side is `long_side_px`.

    The larger look uses all pixels that the frame has, up to `again_large_px`, and half as many again as the first look
    where the frame has no more.
    """
    if not larger:
        return config.again_small_px
    return min(config.again_large_px, max(long_side_px, config.long_side_px * 3 // 2))


def add(found: Detections, more: Detections, config: DetectConfig, frame_side_px: int) -> Detections:
    """All of `found`, and those of `more` that are somewhere else; without `echoes`.

    Args:
        found: What the first look saw.
        more: What the second look saw; its large boxes count only with a high score, since a large face that the first
            look did not even doubt is seldom one, and a cover that large spoils the picture.
        config: Thresholds.
        frame_side_px: The shorter side of the frame.
    """
    side = (more.xyxy[:, 2:] - more.xyxy[:, :2]).max(-1, initial=0)
    new = (more.score >= BELIEVED) | (side < LARGE * frame_side_px)
    new &= np.array([overlap(box, found.xyxy).max(initial=0.0) <= config.nms_iou for box in more.xyxy], bool)
    xyxy = np.concatenate([found.xyxy, more.xyxy[new]])
    score = np.concatenate([found.score, more.score[new]])
    keep = ~echoes(xyxy, score, config.threshold)
    return Detections(xyxy[keep], score[keep], np.concatenate([found.landmarks, more.landmarks[new]])[keep])


def scaled_size(height: int, width: int, long_side_px: int) -> tuple[int, int]:
    """Height and width whose longer one is `long_side_px`, or `MAX_ENLARGE` times the picture if that is less."""
    scale = min(long_side_px / max(height, width), MAX_ENLARGE)
    return max(1, round(height * scale)), max(1, round(width * scale))


def prepare(image: Image, height: int, width: int) -> Floats:
    """The network's input: `image` at this size, its edge repeated up to a multiple of 32; (1, 3, H, W) float32."""
    small = resize(image, height, width)
    down, right = -height % MULTIPLE, -width % MULTIPLE
    padded = cv2.copyMakeBorder(small, 0, down, 0, right, cv2.BORDER_REPLICATE)
    return np.ascontiguousarray(padded.transpose(2, 0, 1)[None], dtype=np.float32)


def resize(image: Image, height: int, width: int) -> Image:
    """Averages over whole pixels first, then interpolates: as clean as averaging over fractions, five times as fast."""
    step = min(image.shape[0] // height, image.shape[1] // width)
    if step > 1:
        size = (image.shape[1] // step, image.shape[0] // step)
        crop = image[: size[1] * step, : size[0] * step]
        image = np.asarray(cv2.resize(crop, size, interpolation=cv2.INTER_AREA))
    if image.shape[:2] == (height, width):
        return image
    return np.asarray(cv2.resize(image, (width, height), interpolation=cv2.INTER_LINEAR))


def maps_of(outputs: dict[str, NDArray[np.generic]], stride: int) -> Floats:
    """The map of one stride, (16, h, w).

    Raises:
        ModelError: The model has no such output.
    """
    value = outputs.get(f"map_{stride}")
    if value is None or value.ndim != 4 or value.shape[1] != _CHANNELS:
        raise ModelError(f"the detector gave no output map_{stride} of shape (1, {_CHANNELS}, h, w)")
    return np.asarray(value[0], np.float32)


def decode(maps: list[Floats], *, low_threshold: float) -> Detections:
    """Maps at strides 8, 16, 32 -> everything with a score of at least `low_threshold`, best first.

    Channels: class and objectness logits, box (dx, dy, log w, log h), five points (x, y), all in units of the stride
    and relative to the cell's corner. The score is the geometric mean of both probabilities.
    """
    levels = [_decode_level(m, stride, low_threshold) for m, stride in zip(maps, STRIDES, strict=True)]
    xyxy, score, landmarks = (np.concatenate(parts) for parts in zip(*levels, strict=True))
    order = np.argsort(-score, kind="stable")
    return Detections(xyxy[order], score[order], landmarks[order])


def _decode_level(raw: Floats, stride: int, low_threshold: float) -> tuple[Floats, Floats, Floats]:
    score = np.sqrt(_sigmoid(raw[0]) * _sigmoid(raw[1]))
    rows, columns = np.nonzero(score >= low_threshold)
    cells = raw[:, rows, columns].T
    corner = np.stack([columns, rows], -1).astype(np.float32) * stride
    centre = cells[:, 2:4] * stride + corner
    half = np.exp(np.minimum(cells[:, 4:6], _MAX_LOG_SIZE)) * (stride / 2)
    xyxy = np.concatenate([centre - half, centre + half], -1).astype(np.float32)
    landmarks = (cells[:, 6:].reshape(-1, 5, 2) * stride + corner[:, None]).astype(np.float32)
    return xyxy, score[rows, columns], landmarks


def _sigmoid(logits: Floats) -> Floats:
    # Clipped, since exp of a wild logit would overflow and warn.
    return np.asarray(1 / (1 + np.exp(-np.clip(logits, -80, 80))), np.float32)


def suppress(xyxy: Floats, score: Floats, max_iou: float) -> NDArray[np.intp]:
    """Greedy non-maximum suppression: indices of what stays, best first; no pair overlaps more than `max_iou`."""
    order = np.argsort(-score, kind="stable")
    keep: list[int] = []
    while order.size:
        best, order = int(order[0]), order[1:]
        keep.append(best)
        order = order[overlap(xyxy[best], xyxy[order]) <= max_iou]
    return np.array(keep, np.intp)


def echoes(xyxy: Floats, score: Floats, threshold: float) -> NDArray[np.bool_]:
    """Which boxes only repeat a sure face at another scale: (n,).

    A doubtful box whose centre lies near that of a sure face is the same face with its hair, or its mouth alone.
    Somebody else who peeps out behind that face has the centre of the box near its edge, and stays. A large box of
    middling score with a sure, much smaller face in its midst is none: a face that large would hide the other.
    """
    centre, side = (xyxy[:, :2] + xyxy[:, 2:]) / 2, (xyxy[:, 2:] - xyxy[:, :2]).max(-1, initial=0)
    apart = np.linalg.norm(centre[:, None] - centre[None], axis=-1)
    sure = score >= threshold
    near = apart <= ECHO * np.maximum(side[:, None], side[None])
    size = np.maximum(xyxy[:, None, 2:] - xyxy[:, None, :2], 1e-6)
    amidst = (np.abs(centre[None] - centre[:, None]) <= MIDST * size).all(-1)
    hollow = amidst & (side[:, None] > HOLLOW * side[None]) & (score[:, None] < np.minimum(score[None], SOLID))
    return np.asarray(((~sure[:, None] & near) | hollow)[:, sure].any(1), np.bool_)


def overlap(box: Floats, others: Floats) -> Floats:
    """Intersection over union of one box (4,) with each of the others (n, 4)."""
    sides = np.minimum(box[2:], others[:, 2:]) - np.maximum(box[:2], others[:, :2])
    shared = np.prod(np.maximum(sides, 0), -1)
    both = np.prod(box[2:] - box[:2]) + np.prod(others[:, 2:] - others[:, :2], -1) - shared
    return np.asarray(shared / np.maximum(both, np.finfo(np.float32).tiny), np.float32)
