from __future__ import annotations

import json
from pathlib import Path

import cv2
import numpy as np
import onnx
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from export import detector_to_onnx
from streamfilter.config import DetectConfig, Device
from streamfilter.detect import Detector
from streamfilter.detect import decode as runtime_decode
from streamfilter.metrics.boxes import iou
from streamfilter.onnx_model import OnnxModel
from training.detector import augment, checkpoint, evaluate, label, scenes
from training.detector.boxes import turned_ellipse
from training.detector.interpolate import interpolate
from training.detector.losses import Cells, Target, Weights, assign, eiou, loss
from training.detector.network import STRIDES, YuNet, YuNetConfig, decode, flatten, fold
from training.detector.runtime import detector
from training.detector.train import TrainConfig, Trainer, stack

torch.set_num_threads(1)
SIZE = 96
UNKNOWN = np.full((1, 5, 2), np.nan)
FACE_POINTS = np.array([[0.3, 0.4], [0.7, 0.4], [0.5, 0.6], [0.35, 0.8], [0.65, 0.8]])


def network(seed: int = 0) -> YuNet:
    """Random weights, and batch norms that do something."""
    torch.manual_seed(seed)
    net = YuNet()
    for module in net.modules():
        if isinstance(module, torch.nn.BatchNorm2d):
            module.running_mean.uniform_(-0.3, 0.3)
            module.running_var.uniform_(0.5, 2.0)
    return net.eval()


def drawn_face(size: int = 160) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """A portrait of a drawn face, its box and its points."""
    image = np.full((size, size, 3), (60, 90, 120), np.uint8)
    box = np.array([0.3, 0.25, 0.7, 0.8]) * size
    cv2.ellipse(image, (((box[:2] + box[2:]) / 2).tolist(), (box[2:] - box[:2]).tolist(), 0.0), (230, 190, 160), -1)
    points = box[:2] + FACE_POINTS * (box[2:] - box[:2])
    for point in points:
        cv2.circle(image, point.round().astype(int).tolist(), size // 40, (40, 20, 20), -1)
    return image, box, points


@pytest.fixture
def pictures(tmp_path: Path) -> list[scenes.Picture]:
    image, box, points = drawn_face()
    cv2.imwrite(str(tmp_path / "face.png"), image[..., ::-1])
    cv2.imwrite(str(tmp_path / "none.png"), np.full((120, 160, 3), 90, np.uint8))
    face = {
        "path": tmp_path / "face.png", "group": "a", "boxes": box[None], "points": points[None],
        "ignore": np.zeros((0, 4)),
    }  # fmt: skip
    nothing = scenes.Picture(
        path=tmp_path / "none.png", kind="none", group="b", boxes=np.zeros((0, 4)), points=np.zeros((0, 5, 2)),
        ignore=np.zeros((0, 4)),
    )  # fmt: skip
    return [scenes.Picture(kind="lfw", **face), scenes.Picture(kind="talking", **face), nothing]


def small_trainer(pictures: list[scenes.Picture], **options: float) -> Trainer:
    settings_ = {"steps": 40, "batch": 3, "size_px": SIZE, "large_px": SIZE, "warm_up_steps": 2, "rate": 2e-3} | options
    return Trainer(network(), TrainConfig(**settings_), scenes.SceneMaker(pictures))  # type: ignore[arg-type]


def test_folding_batch_norm_keeps_the_function() -> None:
    net, x = network(), torch.rand(1, 3, 64, 96) * 255
    with torch.no_grad():
        for a, b in zip(net(x), fold(net)(x), strict=True):
            torch.testing.assert_close(a, b, rtol=1e-4, atol=1e-4)
    assert fold(net).config.folded and not net.config.folded


def test_maps_have_the_strides_that_the_runtime_expects() -> None:
    with torch.no_grad():
        maps = network()(torch.zeros(2, 3, 64, 96))
    assert [tuple(m.shape) for m in maps] == [(2, 16, 64 // s, 96 // s) for s in STRIDES]


def test_training_and_runtime_decode_alike() -> None:
    maps = [torch.randn(1, 16, 64 // s, 96 // s) for s in STRIDES]
    raw, corners, strides = flatten(maps)
    boxes, points = decode(raw, corners, strides)
    score = (raw[0, :, 0].sigmoid() * raw[0, :, 1].sigmoid()).sqrt()
    order = score.argsort(descending=True, stable=True)
    found = runtime_decode([m[0].numpy() for m in maps], low_threshold=1e-6)
    np.testing.assert_allclose(found.score, score[order], atol=1e-6)
    np.testing.assert_allclose(found.xyxy, boxes[0, order], rtol=1e-4, atol=1e-3)
    np.testing.assert_allclose(found.landmarks, points[0, order], rtol=1e-4, atol=1e-3)


def test_a_perfect_answer_has_hardly_any_loss() -> None:
    truth = torch.tensor([[16.0, 16.0, 64.0, 64.0]])
    points = truth[0, :2] + torch.tensor(FACE_POINTS, dtype=torch.float32)[None] * 48
    maps = [torch.zeros(1, 16, 96 // s, 96 // s) for s in STRIDES]
    for level, stride in zip(maps, STRIDES, strict=True):
        level[:, :2] = -12
        ys, xs = torch.meshgrid(torch.arange(96 // stride), torch.arange(96 // stride), indexing="ij")
        corner = torch.stack([xs, ys]) * float(stride)
        level[0, 2:4] = (40 - corner) / stride
        level[0, 4:6] = np.log(48 / stride)
        level[0, 6:] = (points.reshape(10, 1, 1) - corner.repeat(5, 1, 1)) / stride
    raw, corners, strides = flatten(maps)
    boxes, where = decode(raw, corners, strides)
    cells, _ = assign(Cells(raw[0], boxes[0], where[0], corners + strides[:, None] / 2, strides), truth)
    flat = raw.clone()
    flat[0, cells, :2] = 12
    split = torch.split(flat, [m.shape[2] * m.shape[3] for m in maps], 1)
    right = [f.transpose(1, 2).reshape(m.shape) for f, m in zip(split, maps, strict=True)]
    target = [Target(boxes=truth, points=points, ignore=torch.zeros(0, 4))]
    parts = loss(right, target, Weights(), right, torch.ones(1))
    assert all(float(value) < 0.02 for value in parts.values())
    wrong = loss(maps, target, Weights(), right, torch.ones(1))
    assert float(wrong["obj"]) > 5 and float(wrong["cls"]) > 5


@settings(max_examples=20, deadline=None)
@given(seed=st.integers(0, 1000), faces=st.integers(1, 6))
def test_every_face_in_the_picture_is_learnt_by_some_cell(seed: int, faces: int) -> None:
    rng = torch.Generator().manual_seed(seed)
    cells = _random_cells(rng)
    # One face in each sixth of the picture, so that none hides another.
    low = (
        torch.tensor([[32.0 * (i % 3), 48.0 * (i // 3)] for i in range(faces)])
        + torch.rand(faces, 2, generator=rng) * 8
    )
    truth = torch.cat([low, low + 10 + torch.rand(faces, 2, generator=rng) * 10], -1)
    chosen, face = assign(cells, truth)
    assert set(face.tolist()) == set(range(faces))
    assert len(set(chosen.tolist())) == len(chosen)
    reach = (cells.centres[chosen] - (truth[face, :2] + truth[face, 2:]) / 2).abs()
    assert ((reach < 2.5 * cells.strides[chosen, None]) | (reach < (truth[face, 2:] - truth[face, :2]) / 2)).all()


def _random_cells(rng: torch.Generator) -> Cells:
    maps = [torch.randn(1, 16, SIZE // s, SIZE // s, generator=rng) for s in STRIDES]
    raw, corners, strides = flatten(maps)
    boxes, points = decode(raw, corners, strides)
    return Cells(raw[0], boxes[0], points[0], corners + strides[:, None] / 2, strides)


def test_no_face_assigns_nothing() -> None:
    chosen, face = assign(_random_cells(torch.Generator().manual_seed(1)), torch.zeros(0, 4))
    assert len(chosen) == 0 and len(face) == 0


def test_eiou_is_zero_for_equal_boxes_and_grows_with_distance() -> None:
    box = torch.tensor([[0.0, 0.0, 10.0, 20.0]])
    losses = [float(eiou(box + d, box)) for d in (0.0, 3.0, 9.0, 40.0)]
    assert losses[0] == pytest.approx(0, abs=1e-5) and losses == sorted(losses)


def test_a_few_steps_lower_the_loss(pictures: list[scenes.Picture]) -> None:
    trainer = small_trainer(pictures)
    totals = [sum(trainer.update().values()) for _ in range(40)]
    assert np.isfinite(totals).all()
    assert np.mean(totals[-8:]) < 0.6 * np.mean(totals[:8])


def test_a_resumed_run_gives_the_same_weights(pictures: list[scenes.Picture], tmp_path: Path) -> None:
    straight = small_trainer(pictures)
    for _ in range(4):
        straight.update()
    halted = small_trainer(pictures)
    for _ in range(2):
        halted.update()
    halted.save(tmp_path / "latest.pt", {"note": "half"})
    resumed = small_trainer(pictures)
    resumed.resume(tmp_path / "latest.pt")
    assert resumed.step == 2
    for _ in range(2):
        resumed.update()
    for one, other in ((straight.network, resumed.network), (straight.average, resumed.average)):
        for a, b in zip(one.parameters(), other.parameters(), strict=True):
            torch.testing.assert_close(a, b, rtol=0, atol=0)


def test_the_rate_warms_up_and_falls(pictures: list[scenes.Picture]) -> None:
    trainer = small_trainer(pictures, steps=100, warm_up_steps=10)
    rates = []
    for trainer.step in range(100):
        rates.append(trainer.rate())
    assert rates[0] < rates[9] == max(rates) and rates[-1] < rates[50] < rates[10]


def test_checkpoints_hold_plain_values_and_say_how_they_were_made(tmp_path: Path) -> None:
    net = fold(network())
    checkpoint.save(tmp_path / "a.pt", net, run={"steps": 3})
    again, run = checkpoint.load_network(tmp_path / "a.pt")
    assert json.loads(run) == {"steps": 3} and again.config == YuNetConfig(folded=True)
    for a, b in zip(net.state_dict().values(), again.state_dict().values(), strict=True):
        torch.testing.assert_close(a, b, rtol=0, atol=0)


def test_interpolation_ends_at_both_networks() -> None:
    first, second, x = network(1), fold(network(2)), torch.rand(1, 3, 64, 64) * 255
    with torch.no_grad():
        for alpha, whole in ((0.0, first), (1.0, second)):
            for a, b in zip(interpolate(first, second, alpha)(x), whole(x), strict=True):
                torch.testing.assert_close(a, b, rtol=1e-4, atol=1e-4)


def test_the_export_agrees_with_pytorch_and_describes_itself(tmp_path: Path) -> None:
    net, path = network(3), tmp_path / "detector.onnx"
    assert detector_to_onnx.export(net, path, {"version": "9", "training_run": "{}"}) <= detector_to_onnx.TOLERANCE
    props = {p.key: p.value for p in onnx.load(path).metadata_props}
    assert props["kind"] == "detector" and props["version"] == "9" and "Apache-2.0" in props["licence"]
    config = DetectConfig(low_threshold=0.01, threshold=0.5)
    exported = Detector(OnnxModel(path, kind="detector", device=Device.CPU, threads=1), config)
    image = np.random.default_rng(0).integers(0, 255, (90, 130, 3), np.uint8)
    ours, reference = exported(image), detector(net, config)(image)
    np.testing.assert_allclose(ours.score, reference.score, atol=1e-4)


def test_an_export_that_differs_is_not_written(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(detector_to_onnx, "TOLERANCE", -1.0)
    with pytest.raises(ValueError, match="differs"):
        detector_to_onnx.export(network(), tmp_path / "detector.onnx", {})
    assert not (tmp_path / "detector.onnx").exists()


def test_turning_a_box_by_a_quarter_swaps_its_sides_and_a_full_turn_changes_nothing() -> None:
    box, points = np.array([[10.0, 20.0, 30.0, 60.0]]), UNKNOWN
    quarter = np.array([[0.0, -1.0, 100.0], [1.0, 0.0, 0.0]])
    np.testing.assert_allclose(turned_ellipse(box, points, quarter), [[40.0, 10.0, 80.0, 30.0]])
    same = np.array([[1.0, 0.0, 0.0], [0.0, 1.0, 0.0]])
    np.testing.assert_allclose(turned_ellipse(box, points, same), box)


@given(angle=st.floats(-3.2, 3.2))
def test_a_turned_face_is_never_larger_than_its_long_side(angle: float) -> None:
    matrix = np.array([[np.cos(angle), -np.sin(angle), 0], [np.sin(angle), np.cos(angle), 0]])
    turned = turned_ellipse(np.array([[0.0, 0.0, 20.0, 30.0]]), UNKNOWN, matrix)[0]
    size = turned[2:] - turned[:2]
    assert (size >= 20 - 1e-6).all() and (size <= 30 + 1e-6).all()


def test_a_face_lying_on_its_side_is_stood_up_by_a_quarter_turn() -> None:
    upright = np.array([20.0, 10.0, 40.0, 40.0])
    points = (upright[:2] + FACE_POINTS * (upright[2:] - upright[:2]))[None]
    quarter = np.array([[0.0, -1.0, 100.0], [1.0, 0.0, 0.0]])
    lying, moved = scenes.carry(upright[None], points, quarter)
    back = np.array([[0.0, 1.0, 0.0], [-1.0, 0.0, 100.0]])
    np.testing.assert_allclose(scenes.carry(lying, moved, back)[0][0], upright, atol=1e-6)


def test_mirroring_swaps_left_and_right_points() -> None:
    _, box, points = drawn_face()
    mirror = np.array([[-1.0, 0.0, 160.0], [0.0, 1.0, 0.0]])
    _, moved = scenes.carry(box[None], points[None], mirror)
    assert moved[0, 0, 0] < moved[0, 1, 0] and moved[0, 3, 0] < moved[0, 4, 0]


@settings(max_examples=40, deadline=None)
@given(seed=st.integers(0, 10_000))
def test_scenes_are_repeatable_and_their_faces_lie_inside(tmp_path_factory: pytest.TempPathFactory, seed: int) -> None:
    folder = tmp_path_factory.getbasetemp() / "scene"
    folder.mkdir(exist_ok=True)
    image, box, points = drawn_face()
    if not (folder / "face.png").exists():
        cv2.imwrite(str(folder / "face.png"), image)
    picture = scenes.Picture(
        path=folder / "face.png", kind="talking", group="a", boxes=box[None], points=points[None],
        ignore=np.zeros((0, 4)),
    )  # fmt: skip
    portrait = scenes.Picture(
        path=folder / "face.png", kind="lfw", group="a", boxes=box[None], points=points[None], ignore=np.zeros((0, 4))
    )
    maker = scenes.SceneMaker([picture, portrait])
    first, again = (maker(np.random.default_rng(seed), 128) for _ in range(2))
    np.testing.assert_array_equal(first.image, again.image)
    assert first.image.shape == (128, 128, 3) and first.image.dtype == np.uint8
    assert (first.boxes >= 0).all() and (first.boxes <= 128).all()
    assert ((first.boxes[:, 2:] - first.boxes[:, :2]) >= scenes.SMALLEST_PX).all()
    assert stack([first.image]).shape == (1, 3, 128, 128)


HARMS = {
    "motion_blur": lambda i, r: augment.motion_blur(i, r, 9),
    "defocus": lambda i, r: augment.defocus(i, 2),
    "dim": lambda i, r: augment.dim(i, r, 0.2),
    "jpeg": lambda i, r: augment.jpeg(i, 40),
    "colour": augment.colour,
    "coarse": lambda i, r: augment.coarse(i, 3),
    "mask": lambda i, r: augment.surgical_mask(i, drawn_face()[2], r),
    "glasses": lambda i, r: augment.dark_glasses(i, drawn_face()[2], r),
    "hand": lambda i, r: augment.hand(i, drawn_face()[1], r),
    "bar": lambda i, r: augment.bar(i, drawn_face()[1], r),
}


@pytest.mark.parametrize("name", HARMS)
def test_harm_changes_a_picture_and_leaves_the_original(name: str) -> None:
    image = drawn_face()[0]
    before = image.copy()
    after = HARMS[name](image, np.random.default_rng(4))
    np.testing.assert_array_equal(image, before)
    assert after.shape == image.shape and after.dtype == np.uint8 and (after != before).any()


def test_two_teachers_make_a_face_and_one_makes_a_region_to_ignore() -> None:
    box, other = np.array([[10.0, 10, 30, 40, 0.9]]), np.array([[100.0, 100, 130, 140, 0.9]])
    points = np.zeros((1, 5, 2))
    found = [
        (box, points),
        (np.concatenate([box + 1, other]), np.full((2, 5, 2), np.nan)),
        (np.zeros((0, 5)), points[:0]),
    ]
    boxes, where, ignore = label.agree(found, votes=2)
    np.testing.assert_allclose(boxes, [[10.5, 10.5, 30.5, 40.5]])
    np.testing.assert_allclose(where, points)
    np.testing.assert_allclose(ignore, other[:, :4])


def test_a_group_belongs_to_one_half_for_good() -> None:
    halves = [label.is_evaluation(f"lfw/person_{i}") for i in range(400)]
    assert halves == [label.is_evaluation(f"lfw/person_{i}") for i in range(400)]
    assert 0.4 < np.mean(halves) < 0.6


@pytest.mark.parametrize("name", evaluate.SUBSETS)
def test_each_subset_keeps_faces_inside_its_picture(name: str) -> None:
    image, box, points = drawn_face(200)
    case = evaluate.Case(image=image, boxes=box[None], points=points[None], ignore=np.zeros((0, 4)))
    harmed = evaluate.SUBSETS[name](case, np.random.default_rng(3))
    if name == "profile":
        assert harmed is None
        return
    assert harmed is not None and len(harmed.boxes) == 1
    limits = np.tile(harmed.image.shape[1::-1], 2)
    assert (harmed.boxes >= -1).all() and (harmed.boxes <= limits + 1).all()


def test_recall_and_false_alarms_are_counted_as_said() -> None:
    face = np.array([[10.0, 10, 50, 60]])
    case = evaluate.Case(
        image=np.zeros((99, 99, 3), np.uint8), boxes=face, points=UNKNOWN, ignore=np.array([[70.0, 70, 90, 90]])
    )
    boxes = np.array([[11.0, 9, 51, 61], [12, 12, 52, 58], [72, 72, 88, 88], [0, 70, 20, 95]])
    score = np.array([0.4, 0.7, 0.9, 0.6])
    np.testing.assert_allclose(evaluate.scores(case, boxes, score), [0.7])
    np.testing.assert_allclose(evaluate.alarms(case, boxes, score), [0.6])
    assert evaluate.scores(case, np.zeros((0, 4)), np.zeros(0)).tolist() == [0.0]
    false = np.array([0.9, 0.5, 0.3])
    threshold = evaluate.equal_threshold(false, 1)
    assert (false >= threshold).sum() == 1 and threshold > 0.5


def test_iou_of_disjoint_equal_and_half_boxes() -> None:
    a = np.array([[0.0, 0, 10, 10]])
    b = np.array([[0.0, 0, 10, 10], [5, 0, 15, 10], [20, 20, 30, 30]])
    np.testing.assert_allclose(iou(a, b)[0], [1, 1 / 3, 0], atol=1e-6)
