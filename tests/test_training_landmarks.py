"""training/landmarks: labels survive every change of the picture, a few steps learn, and a stop changes nothing."""

from __future__ import annotations

import cv2
import numpy as np
import pytest

torch = pytest.importorskip("torch")

from export.landmarks_to_onnx import ParityError, check_parity, describe, export, halve, to_onnx  # noqa: E402
from streamfilter.config import Device  # noqa: E402
from streamfilter.landmarks import Landmarker, cut, to_unit  # noqa: E402
from tests.synthetic_face import face_shape, opening  # noqa: E402
from training.landmarks.augment import AugmentConfig, blink, occlude, sample, spoil  # noqa: E402
from training.landmarks.data import STORE_PX, Pack, is_held_out  # noqa: E402
from training.landmarks.evaluate import Held, calibration, jitter, on_photos  # noqa: E402
from training.landmarks.losses import total  # noqa: E402
from training.landmarks.network import Network, NetworkConfig  # noqa: E402
from training.landmarks.teacher import MARGIN, MIRROR, error, mirrored, quad_of_landmarks, to_store, widened  # noqa: E402
from training.landmarks.train import CHECKPOINT, Packs, Run, TrainConfig, load_average, seconds, train  # noqa: E402

TINY = NetworkConfig(size=32, stem=8, widths=(8, 12, 16), lateral=8, head=16)
UNIT = np.array([[0, 0], [1, 0], [0, 1]], np.float32)


def in_crop(shape):
    """Where the network's crop shows this face, in its units."""
    return to_unit(shape, quad_of_landmarks(shape))


def painted(points):
    """A stored crop with a dot per landmark; parts in their own colours."""
    image = np.full((STORE_PX, STORE_PX, 3), 60, np.uint8)
    pixels = (points + (MARGIN - 1) / 2) * STORE_PX / MARGIN - 0.5
    cv2.fillConvexPoly(image, cv2.convexHull(np.round(pixels).astype(np.int32)), (205, 160, 130))
    for part, colour in ((slice(36, 48), (20, 20, 90)), (slice(48, 68), (160, 30, 40)), (slice(17, 27), (50, 40, 20))):
        for x, y in pixels[part]:
            cv2.circle(image, (round(float(x)), round(float(y))), 2, colour, -1)
    return image


@pytest.fixture
def folder(tmp_path):
    """A small pack: 24 faces of different shape, 4 places without."""
    random, pack = np.random.default_rng(0), Pack()
    for index in range(28):
        points = in_crop(face_shape(eyes=random.uniform(0.2, 1.2), mouth=random.uniform(0, 1)))
        pack.crops.append(painted(points) if index < 24 else random.integers(0, 255, (168, 168, 3), dtype=np.uint8))
        pack.points.append(points if index < 24 else np.zeros((68, 2), np.float32))
        pack.is_face.append(index < 24)
        pack.held_out.append(index % 6 == 0)
        pack.source.append("drawn")
    pack.save(tmp_path / "pack")
    return tmp_path / "pack"


def test_mirror_pairs_are_their_own_inverse():
    assert sorted(MIRROR) == list(range(68))
    assert np.array_equal(MIRROR[MIRROR], np.arange(68))
    points = in_crop(face_shape())
    assert np.allclose(mirrored(points), points, atol=2e-3), "a symmetric face is its own mirror image"


def test_a_widened_crop_keeps_its_middle():
    wide = widened(UNIT)
    assert np.allclose(wide[0] + wide[1:].sum(axis=0) / 2, 0.5)
    assert np.allclose(np.hypot(*wide[1]), MARGIN)


def test_stored_crops_are_cut_where_the_units_say():
    points = in_crop(face_shape())
    image = cut(painted(points), to_store(UNIT, STORE_PX), 112)
    dark = [image[tuple(np.clip(np.round(p[::-1] * 112 - 0.5), 0, 111).astype(int))] for p in points[36:48]]
    assert np.mean([pixel[2] > pixel[0] for pixel in dark]) == 1.0


@pytest.mark.parametrize("seed", range(6))
def test_labels_follow_the_picture(seed):
    """Find the eyes of the augmented picture by their colour: the labels must lie on them."""
    points = in_crop(face_shape())
    config = AugmentConfig(blink=0, occlude=0, hide=0, miss=0, spoil=0)
    image, moved, is_face = sample(painted(points), points, True, config, np.random.default_rng(seed))
    assert is_face
    rows, columns = np.nonzero(image[..., 2].astype(int) > image[..., 0].astype(int) + 20)
    found = (np.array([columns.mean(), rows.mean()]) + 0.5) / 112
    assert np.abs(found - moved[36:48].mean(axis=0)).max() < 0.02
    assert moved[36, 0] < moved[45, 0], "left stays left, mirrored or not"


def test_a_drawn_lid_closes_the_eye_in_label_and_picture():
    points = in_crop(face_shape())
    crop = painted(points)
    shut_crop, shut = blink(crop, points, 0.9)
    assert opening(shut) < 0.15 * opening(points)
    still = np.delete(np.arange(68), [37, 38, 43, 44])
    assert np.allclose(shut[still], points[still], atol=1e-6)
    assert (shut_crop != crop).any()
    same_crop, same = blink(crop, points, 0.0)
    assert np.allclose(same, points, atol=1e-5)
    assert np.abs(same_crop.astype(int) - crop).mean() < 1.0


def test_hidden_and_missed_faces_are_no_faces():
    points = in_crop(face_shape())
    for config in (AugmentConfig(hide=1.0), AugmentConfig(miss=1.0)):
        *_, is_face = sample(painted(points), points, True, config, np.random.default_rng(0))
        assert not is_face


@pytest.mark.parametrize("seed", range(12))
def test_spoiled_and_covered_pictures_stay_pictures(seed):
    points = in_crop(face_shape())
    image = cut(painted(points), to_store(UNIT, STORE_PX), 112)
    random = np.random.default_rng(seed)
    for result in (spoil(image, random), occlude(image, points, random)):
        assert result.shape == image.shape
        assert result.dtype == np.uint8


def test_people_and_clips_are_held_out_whole(tmp_path):
    people = [tmp_path / "lfw" / f"Person_{n}" for n in range(300)]
    held = [is_held_out(p / "a.jpg") for p in people]
    assert held == [is_held_out(p / "b.jpg") for p in people]
    assert 0.04 < np.mean(held) < 0.18
    assert is_held_out(tmp_path / "talking" / "frontal_512.mp4")
    assert not is_held_out(tmp_path / "talking" / "slow_720p.mp4")


def test_loss_is_least_at_the_truth(folder):
    packs = Packs([folder], 0.1)
    _, points, faces = packs.batch(8, AugmentConfig(size=32), (1, 0))
    output = Network(TINY).eval()(torch.zeros(8, 3, 32, 32))
    wrong, _ = total(output, points, faces, TINY.grid)
    output.points.data.copy_(points)
    right, parts = total(output, points, faces, TINY.grid)
    assert right < wrong
    assert parts["nme"] == 0.0
    assert parts["places"] == pytest.approx(0.0, abs=1e-6)


def test_batches_hold_no_held_out_sample(folder):
    packs = Packs([folder], 0.1)
    assert len(packs) == 28 - 5
    assert packs.odds.sum() == pytest.approx(1.0)
    assert packs.odds[~packs.is_face].sum() == pytest.approx(0.1)


@pytest.fixture
def one_thread():
    before = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(before)


def run_for(folder, packs, steps, config):
    folder.mkdir(exist_ok=True)
    run = Run(TINY, config)
    run.resume(folder)
    run.config = TrainConfig(**{**config.__dict__, "steps": steps})
    train(run, packs, folder, 60.0)
    return run


def test_a_few_steps_learn_and_a_stop_changes_nothing(folder, tmp_path, one_thread):
    packs = Packs([folder], 0.1)
    config = TrainConfig(steps=100, cooldown=0, warmup=5, batch=8, rate=3e-3)
    whole = run_for(tmp_path / "whole", packs, 40, config)
    run_for(tmp_path / "parts", packs, 15, config)
    parts = run_for(tmp_path / "parts", packs, 40, config)
    for a, b in zip(whole.average.state_dict().values(), parts.average.state_dict().values(), strict=True):
        assert torch.equal(a, b)
    images, points, faces = packs.batch(64, AugmentConfig(size=32), (9, 9))
    fresh = Run(TINY, config).average.eval()
    with torch.no_grad():
        before, after = (total(n(images), points, faces, TINY.grid)[0] for n in (fresh, whole.network.eval()))
    assert after < 0.8 * before
    assert (tmp_path / "whole" / CHECKPOINT).is_file()


def test_the_exported_file_is_the_network(tmp_path, one_thread):
    run = Run(TINY, TrainConfig())
    run.save(tmp_path)
    network = load_average(tmp_path)
    px, _ = export(network, tmp_path / "small.onnx", "{}")
    assert px < 0.05
    landmarker = Landmarker.load(tmp_path / "small.onnx", device=Device.CPU, threads=1)
    assert landmarker.size == TINY.size
    assert "non-commercial" in landmarker.model.metadata["licence"]


def test_a_file_that_differs_is_refused(one_thread):
    network, other = Network(TINY).eval(), Network(TINY).eval()
    model = to_onnx(other)
    halve(model)
    describe(model, other, "{}")
    with pytest.raises(ParityError, match="refused"):
        check_parity(model, network)


def test_measuring_is_honest():
    truth = np.repeat(in_crop(face_shape())[None], 3, axis=0)
    assert np.allclose(error(truth, truth), 0)
    apart = np.hypot(*(truth[0, 36] - truth[0, 45]))
    assert np.allclose(error(truth + np.float32([0.1 * apart, 0]), truth), 0.1, atol=1e-5)
    assert jitter(truth) == 0.0
    confidence = np.repeat(np.float32([0.1, 0.9]), 500)
    errors = np.where(np.random.default_rng(0).random(1000) < confidence, 0.01, 0.5).astype(np.float32)
    errors[:100] = np.inf
    result = calibration(confidence, errors)
    assert result["mean gap"] < 0.03
    assert result["area under ROC"] > 0.85
    assert result["non-faces at confidence >= .5"] == 0.0


def test_held_out_photos_are_measured_per_condition(folder, tmp_path, one_thread):
    export(Network(TINY).eval(), tmp_path / "small.onnx", "{}")
    landmarker = Landmarker.load(tmp_path / "small.onnx", device=Device.CPU, threads=1)
    held = Held.read([folder], 100)
    table, confidence, errors = on_photos(landmarker, lambda image, quad: in_crop(face_shape()), held)
    assert set(table) == {"clean", "blurred", "dark", "occluded", "small", "rotated 30"}
    assert table["clean"]["faces"] == int(held.is_face.sum()) == 4
    assert table["clean"]["PFLD"] < table["clean"]["ours"], "a good guess beats an untrained network"
    assert len(confidence) == len(errors) == 6 * len(held.crops)


def test_time_limits_are_read():
    assert [seconds(text) for text in ("90s", "25m", "1.5h")] == [90, 1500, 5400]
    with pytest.raises(Exception, match="25m"):
        seconds("25")
