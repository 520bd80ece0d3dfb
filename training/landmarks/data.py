"""Photos, clips and generated faces -> packed crops with the teacher's labels; people and clips are held out whole.

    python -m training.landmarks.data photos DATA --weights DIR --predictor FILE.dat --out PACK_A
    python -m training.landmarks.data clips DATA/videos --weights DIR --predictor FILE.dat --out PACK_B
    python -m training.landmarks.data generated FACES.npy --weights DIR --predictor FILE.dat --out PACK_C

Writes `crops.npy` (n, 168, 168, 3) uint8 RGB, `points.npy` (n, 68, 2) in units of the network's crop, `is_face.npy` and
`held_out.npy` (n,) bool, `source.npy` (n,) text. Crops show a margin around what the network will see.
"""

from __future__ import annotations

import zlib
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path

import click
import cv2
import numpy as np

from streamfilter.landmarks import cut
from streamfilter.structures import Floats, Image, Track
from training.landmarks.teacher import TEMPLATE, Teacher, error, widened

STORE_PX = 168
PHOTOS = (".jpg", ".jpeg", ".png", ".webp")
CLIPS = (".mp4", ".mkv", ".gif", ".avi")
HELD_OUT_CLIPS = (
    "frontal_512", "webcam_glasses_587f", "dark_skin_1080p_audio", "dim_720p_audio", "extreme_mouth_480",
    "to_profile_720x1364", "two_people_720p_audio", "hands_over_face_a", "child_512",
)  # fmt: skip
HELD_OUT_FOLDERS = ("reid_tv", "landmark_sets")
FRAMES_PER_CLIP = 80
_MIN_FACE_PX = 28
_MAX_SPREAD, _MAX_SPREAD_UNSEEN, _MAX_DISAGREEMENT = 0.035, 0.02, 0.09


@dataclass
class Pack:
    """Samples as they come, stacked and saved at the end."""

    crops: list[Image] = field(default_factory=list)
    points: list[Floats] = field(default_factory=list)
    is_face: list[bool] = field(default_factory=list)
    held_out: list[bool] = field(default_factory=list)
    source: list[str] = field(default_factory=list)

    def add(self, image: Image, quad: Floats, points: Floats | None, held_out: bool, source: str) -> None:
        """Cut one sample; `points` None: there is no face in it."""
        self.crops.append(cut(image, widened(quad), STORE_PX))
        self.points.append(np.zeros((68, 2), np.float32) if points is None else points)
        self.is_face.append(points is not None)
        self.held_out.append(held_out)
        self.source.append(source)

    def save(self, folder: Path) -> None:
        """Write one array per field."""
        folder.mkdir(parents=True, exist_ok=True)
        np.save(folder / "crops.npy", np.stack(self.crops))
        for name in ("points", "is_face", "held_out", "source"):
            np.save(folder / f"{name}.npy", np.array(getattr(self, name)))


def is_held_out(path: Path) -> bool:
    """Whether a person, folder or clip is kept for evaluation; a tenth of all people are."""
    if path.suffix in CLIPS:
        return path.stem in HELD_OUT_CLIPS
    if any(folder in path.parts for folder in HELD_OUT_FOLDERS):
        return True
    person = path.stem.split("_")[0] if "london" in path.parts else path.parent.name
    return ("lfw" in path.parts or "london" in path.parts) and zlib.crc32(person.encode()) % 10 == 0


def frames(path: Path, wanted: int) -> Iterator[Image]:
    """About `wanted` frames, evenly spread over a clip."""
    clip = cv2.VideoCapture(str(path))
    total = int(clip.get(cv2.CAP_PROP_FRAME_COUNT))
    step = max(total // wanted, 1) if total > 0 else 3
    index = 0
    while clip.grab():
        if index % step == 0:
            good, frame = clip.retrieve()
            if good:
                yield _rgb(frame)
        index += 1
    clip.release()


class Finder:
    """YuNet, as it came: boxes with five points."""

    def __init__(self, model: Path, threshold: float = 0.6) -> None:
        self._net = cv2.FaceDetectorYN.create(str(model), "", (320, 320), threshold)

    def __call__(self, image: Image) -> list[Track]:
        """Find the faces of an image whose longer side is at most 960 px."""
        self._net.setInputSize((image.shape[1], image.shape[0]))
        _, found = self._net.detect(cv2.cvtColor(image, cv2.COLOR_RGB2BGR))
        return [] if found is None else [_track(row) for row in found.astype(np.float32)]


def _track(row: Floats) -> Track:
    return Track(0, np.concatenate([row[:2], row[:2] + row[2:4]]), score=float(row[14]), points=row[4:14].reshape(5, 2))


class Second:
    """PFLD: confirms what dlib says about faces that dlib's own detector does not see."""

    _SIZE = 112
    _SIDE, _ORIGIN = 0.85, np.array([0.075, -0.0125], np.float32)
    """Its crop in units of ours: tighter and higher, as it was trained."""

    def __init__(self, model: Path) -> None:
        self._net = cv2.dnn.readNetFromONNX(str(model))

    def __call__(self, image: Image, quad: Floats) -> Floats:
        """Give 68 points in units of `quad`."""
        near = np.concatenate([(quad[0] + self._ORIGIN @ quad[1:])[None], quad[1:] * self._SIDE])
        crop = cut(image, near, self._SIZE).astype(np.float32) / 255
        self._net.setInput(np.ascontiguousarray(crop.transpose(2, 0, 1)[None]))
        points = self._net.forward().reshape(68, 2)
        return np.asarray(points * self._SIDE + self._ORIGIN, np.float32)


@dataclass
class Builder:
    """Labels images and packs them."""

    finder: Finder
    teacher: Teacher
    second: Second
    pack: Pack = field(default_factory=Pack)
    random: np.random.Generator = field(default_factory=lambda: np.random.default_rng(1))

    def add(self, image: Image, source: str, *, held_out: bool, non_faces: int) -> int:
        """Add every face that the teacher is sure of, and some places without a face; return how many faces."""
        shrink = 960 / max(image.shape[:2])
        if shrink < 1:
            image = np.asarray(cv2.resize(image, None, fx=shrink, fy=shrink, interpolation=cv2.INTER_AREA), np.uint8)
        tracks = self.finder(image)
        added = sum(self._add_face(image, track, source, held_out) for track in tracks)
        for _ in range(non_faces):
            self._add_non_face(image, tracks, source, held_out)
        return added

    def _add_face(self, image: Image, track: Track, source: str, held_out: bool) -> bool:
        quad = TEMPLATE.quad(track)
        if quad is None or track.xyxy[3] - track.xyxy[1] < _MIN_FACE_PX:
            return False
        label = self.teacher(image, quad)
        sure = label.spread < (_MAX_SPREAD if label.found else _MAX_SPREAD_UNSEEN)
        if not label.found:
            sure = sure and error(self.second(image, quad), label.points) < _MAX_DISAGREEMENT
        if sure:
            self.pack.add(image, quad, label.points, held_out, source)
        return bool(sure)

    def _add_non_face(self, image: Image, tracks: list[Track], source: str, held_out: bool) -> None:
        height, width = image.shape[:2]
        side = float(self.random.uniform(0.1, 0.5) * min(height, width))
        x, y = self.random.uniform(0, width - side), self.random.uniform(0, height - side)
        boxes = np.array([t.xyxy for t in tracks], np.float32).reshape(-1, 4)
        apart = (boxes[:, 0] > x + side) | (boxes[:, 2] < x) | (boxes[:, 1] > y + side) | (boxes[:, 3] < y)
        if apart.all():
            quad = np.array([[x, y], [side, 0], [0, side]], np.float32)
            self.pack.add(image, quad, None, held_out, f"{source} (no face)")


def add_photos(builder: Builder, data: Path) -> None:
    """All photos of a folder; of LFW's many, every second."""
    photos = sorted(p for p in data.rglob("*") if p.suffix.lower() in PHOTOS)
    photos = [p for index, p in enumerate(photos) if index % 2 or "lfw" not in p.parts]
    for done, path in enumerate(photos):
        image = cv2.imread(str(path))
        if image is not None:
            non_faces = 3 if "wild" in path.parts else int(done % 8 == 0)
            name, held_out = str(path.relative_to(data)), is_held_out(path)
            builder.add(_rgb(image), name, held_out=held_out, non_faces=non_faces)
        if done % 500 == 0:
            click.echo(f"photo {done}/{len(photos)}: {len(builder.pack.crops)} samples")


def add_clips(builder: Builder, data: Path) -> None:
    """Frames of all clips of a folder; `none` shows a cartoon's faces, which teach nothing."""
    for path in sorted(p for p in data.rglob("*") if p.suffix.lower() in CLIPS and p.parent.name != "none"):
        name, held_out = str(path.relative_to(data)), is_held_out(path)
        found = [
            builder.add(image, name, held_out=held_out, non_faces=int(index % 8 == 0))
            for index, image in enumerate(frames(path, FRAMES_PER_CLIP))
        ]
        click.echo(f"{name}: {sum(found)} faces in {len(found)} frames")


def add_array(builder: Builder, path: Path) -> None:
    """Generated faces, one image each: (n, h, w, 3) uint8."""
    for image in np.load(path, mmap_mode="r"):
        builder.add(np.ascontiguousarray(image), "generated", held_out=False, non_faces=0)


def _rgb(image: Image) -> Image:
    return np.asarray(cv2.cvtColor(image, cv2.COLOR_BGR2RGB), np.uint8)


@click.command()
@click.argument("source", type=click.Choice(["photos", "clips", "generated"]))
@click.argument("data", type=click.Path(path_type=Path, exists=True))
@click.option(
    "--weights", type=click.Path(path_type=Path, exists=True), required=True, help="Folder of YuNet and PFLD."
)
@click.option("--predictor", type=click.Path(path_type=Path, exists=True), required=True, help="dlib's predictor.")
@click.option("--out", type=click.Path(path_type=Path), required=True)
def main(source: str, data: Path, weights: Path, predictor: Path, out: Path) -> None:
    """Label the photos or clips of a folder, or an array of generated faces, and pack them for training."""
    cv2.setNumThreads(1)
    finder = Finder(weights / "detector" / "yunet_n_dynamic.onnx")
    builder = Builder(finder, Teacher(predictor), Second(weights / "landmark" / "pfld68_cunjian.onnx"))
    {"photos": add_photos, "clips": add_clips, "generated": add_array}[source](builder, data)
    builder.pack.save(out)
    faces, held_out = np.array(builder.pack.is_face), np.sum(builder.pack.held_out)
    click.echo(f"{faces.sum()} faces, {(~faces).sum()} places without one; held out {held_out}")


if __name__ == "__main__":
    main()
