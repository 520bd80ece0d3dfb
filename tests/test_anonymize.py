from __future__ import annotations

import numpy as np
import pytest

from streamfilter import align
from streamfilter.anonymize import Anonymizer, to_patch
from streamfilter.config import AnonymizeConfig, Device
from streamfilter.errors import ConfigError
from streamfilter.shedding import Effort
from streamfilter.structures import FaceCrop, Track
from tests.synthetic_face import face_shape, placed


@pytest.fixture(scope="module")
def shipped() -> Anonymizer:
    return Anonymizer.load(config=AnonymizeConfig(seed=7), device=Device.CPU, threads=1)


def track_of(side_px: float, track_id: int = 1, at: tuple[float, float] = (300.0, 300.0)) -> Track:
    """A track whose FFHQ crop has this side in the frame."""
    landmarks = placed(face_shape())
    unit = align.ffhq_matrix(landmarks, 1)
    scale = side_px * np.hypot(unit[0, 0], unit[1, 0])
    landmarks = ((landmarks - landmarks.mean(0)) * scale + np.float32(at)).astype(np.float32)
    box = np.concatenate([landmarks.min(0), landmarks.max(0)]).astype(np.float32)
    return Track(track_id, box, landmarks=landmarks, confidence=1.0)


def frame() -> np.ndarray:
    return np.random.default_rng(0).integers(60, 200, (600, 600, 3), dtype=np.uint8)


@pytest.mark.parametrize(("side_px", "rung"), [(48, 64), (80, 128), (200, 256), (500, 256)])
def test_the_rung_fits_the_size_of_the_face(shipped, side_px, rung):
    shipped.reset()
    crop = shipped.crop(frame(), track_of(side_px))
    assert crop is not None
    assert crop.size == rung


def test_the_rung_does_not_flicker_around_its_border(shipped):
    shipped.reset()
    image = frame()
    sizes = {shipped.crop(image, track_of(side)).size for side in (98, 104, 100, 106, 101)}
    assert len(sizes) == 1


@pytest.mark.parametrize("side_px", [4, 30])
def test_a_face_that_is_too_small_has_no_crop(shipped, side_px):
    assert shipped.crop(frame(), track_of(side_px)) is None


def test_a_track_without_landmarks_has_no_crop(shipped):
    assert shipped.crop(frame(), Track(1, np.array([0, 0, 50, 50], np.float32))) is None


def test_a_batch_of_all_rungs_keeps_its_order(shipped):
    shipped.reset()
    tracks = [track_of(side, i) for i, side in enumerate((400, 48, 90, 47))]
    crops = [shipped.crop(frame(), track) for track in tracks]
    patches = shipped(crops)
    assert [patch.track_id for patch in patches] == [0, 1, 2, 3]
    alone = shipped(crops[1:2])[0]
    assert np.abs(alone.image.astype(int) - patches[1].image).max() <= 2


def test_one_track_keeps_its_identity_and_two_tracks_differ(shipped):
    shipped.reset()
    first = shipped.identity(1).copy()
    second = shipped.identity(2)
    np.testing.assert_array_equal(shipped.identity(1), first)
    assert np.linalg.norm(first - second) > 0.5 * np.linalg.norm(first - first.mean())


def test_a_seed_reproduces_identities_and_no_seed_does_not():
    def draw(seed: int | None) -> np.ndarray:
        return Anonymizer.load(config=AnonymizeConfig(seed=seed), device=Device.CPU, threads=1).identity(1)

    np.testing.assert_array_equal(draw(5), draw(5))
    assert not np.array_equal(draw(5), draw(6))
    assert not np.array_equal(draw(None), draw(None))


def test_the_generator_never_sees_the_face(shipped):
    """Whatever stands inside the protected region of the crop, the invented face is the same."""
    shipped.reset()
    crop = shipped.crop(frame(), track_of(90))
    region = align.face_mask(crop.landmarks, crop.size, feather=0.0) >= 1.0
    other = crop.image.copy()
    other[region] = 255 - other[region]
    twin = FaceCrop(crop.track_id, other, crop.landmarks, crop.matrix)
    np.testing.assert_array_equal(shipped([crop])[0].image, shipped([twin])[0].image)


def test_the_face_follows_the_mouth(shipped):
    """Lower lip and chin move down: what is painted changes most around the mouth."""
    shipped.reset()
    crop = shipped.crop(frame(), track_of(250))
    opened = crop.landmarks.copy()
    opened[[65, 66, 67, 55, 56, 57, 58, 59]] += np.float32([0, 14])
    moved = FaceCrop(crop.track_id, crop.image, opened, crop.matrix)
    shut, wide = (shipped([item])[0].image.astype(float).mean(-1) for item in (crop, moved))
    change = np.abs(shut - wide)
    x, y = crop.landmarks[48:68].mean(0).astype(int)
    assert change[y - 12 : y + 24, x - 24 : x + 24].mean() > 2 * change[80:110, 60:196].mean()


def test_a_chin_below_the_crop_is_still_covered():
    landmarks = track_of(250).landmarks
    matrix = align.ffhq_matrix(landmarks, 128)
    inside = align.transform(landmarks, matrix) + np.float32([0, 25])
    face = np.full((128, 128, 3), 90, np.uint8)
    patch = to_patch(FaceCrop(1, face, inside, matrix), face)
    chin = inside[8] + (patch.matrix[:, 2] - matrix[:, 2])
    column, row = np.round(chin).astype(int)
    assert patch.mask[row, column] == 1.0
    assert patch.image[row, column].tolist() == [90, 90, 90]


def test_no_rung_small_enough_is_an_error(shipped):
    with pytest.raises(ConfigError, match="at most 32 px"):
        Anonymizer.load(config=AnonymizeConfig(max_rung_px=32), device=Device.CPU)


class Strokes:
    """A generator whose every picture has a grey level of its own."""

    def __init__(self) -> None:
        self.batches: list[int] = []
        self.input_names = frozenset({"surroundings"})
        self.grey = 0

    def __call__(self, surroundings: np.ndarray) -> dict[str, np.ndarray]:
        self.batches.append(len(surroundings))
        levels = np.arange(self.grey + 1, self.grey + 1 + len(surroundings), dtype=np.float32)
        self.grey += len(surroundings)
        faces = np.ones((len(surroundings), 3, 128, 128), np.float32) * levels[:, None, None, None] / 127.5 - 1
        return {"face": faces}


def with_strokes() -> tuple[Anonymizer, Strokes]:
    model = Strokes()
    return Anonymizer({128: model}, Strokes(), AnonymizeConfig(seed=1, max_rung_px=128)), model  # type: ignore[dict-item]


def shown(anonymizer: Anonymizer, *tracks: Track) -> list[int]:
    """The grey levels of the faces."""
    crops = [crop for track in tracks if (crop := anonymizer.crop(frame(), track)) is not None]
    return [int(patch.image[64, 64, 0]) for patch in anonymizer(crops)]


def test_every_face_is_painted_in_every_frame_unless_it_may_be_reused():
    anonymizer, _ = with_strokes()
    assert [shown(anonymizer, track_of(100))[0] for _ in range(4)] == [1, 2, 3, 4]
    anonymizer.set_effort(Effort(reuse=True))
    assert [shown(anonymizer, track_of(100))[0] for _ in range(4)] == [4, 5, 5, 6]
    anonymizer.set_effort(Effort())
    assert [shown(anonymizer, track_of(100))[0] for _ in range(2)] == [7, 8]


@pytest.mark.parametrize("n", [2, 3, 5])
def test_reuse_spreads_the_work_over_the_frames(n):
    anonymizer, model = with_strokes()
    anonymizer.set_effort(Effort(reuse=True))
    tracks = [track_of(100, k) for k in range(n)]
    for _ in range(20):
        shown(anonymizer, *tracks)
    assert model.batches[0] == n
    assert set(model.batches[1:]) <= {n // 2, (n + 1) // 2}


def test_a_reused_face_lies_where_the_head_is_now():
    anonymizer, model = with_strokes()
    anonymizer.set_effort(Effort(reuse=True))
    shown(anonymizer, track_of(100))
    moved = track_of(110, at=(320.0, 310.0))
    crop = anonymizer.crop(frame(), moved)
    assert crop is not None
    (patch,) = anonymizer([crop])
    assert len(model.batches) == 1
    np.testing.assert_allclose(patch.matrix, align.ffhq_matrix(moved.landmarks, 128), atol=1e-3)
    np.testing.assert_array_equal(patch.mask, align.face_mask(crop.landmarks, 128))


def test_a_head_that_changed_is_painted_anew():
    anonymizer, model = with_strokes()
    anonymizer.set_effort(Effort(reuse=True))
    track = track_of(100)
    shown(anonymizer, track)
    opened = track.landmarks.copy()
    opened[55:60, 1] += 8  # the lower lip
    shown(anonymizer, Track(1, track.xyxy, landmarks=opened, confidence=1.0))
    assert len(model.batches) == 2


def test_nobody_gets_the_face_of_somebody_else_or_of_long_ago():
    anonymizer, _ = with_strokes()
    anonymizer.set_effort(Effort(reuse=True))
    assert shown(anonymizer, track_of(100, 1)) == [1]
    assert shown(anonymizer, track_of(100, 2)) == [2]
    assert shown(anonymizer, track_of(100, 1)) == [3]  # it was away for a frame
    anonymizer.forget(1)
    assert shown(anonymizer, track_of(100, 1)) == [4]
    anonymizer.reset()
    assert shown(anonymizer, track_of(100, 1)) == [5]
