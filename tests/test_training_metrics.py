"""training/evaluation: each metric is what its paper says."""

from __future__ import annotations

import pickle
from pathlib import Path

import cv2
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

torch = pytest.importorskip("torch")

import onnx  # noqa: E402
from onnx import TensorProto, helper  # noqa: E402

from streamfilter.align import MIRROR, face_mask  # noqa: E402
from streamfilter.errors import ModelError  # noqa: E402
from streamfilter.metrics import baselines, pose, verification  # noqa: E402
from streamfilter.metrics.bootstrap import estimate  # noqa: E402
from streamfilter.metrics.frechet import Gaussian, frechet_distance  # noqa: E402
from streamfilter.metrics.ssim import luma, ssim, ssim_map  # noqa: E402
from streamfilter.structures import Floats, Image  # noqa: E402
from tests.portraits import POINTS, SIDE, noise, scene, turned  # noqa: E402
from tests.synthetic_face import face_shape, placed  # noqa: E402
from training.evaluation import features, headpose  # noqa: E402
from training.evaluation.mobilenet_v2 import MobileNetV2  # noqa: E402

# --- baselines -------------------------------------------------------------------------------------------------------


def inside_and_outside() -> tuple[np.ndarray, np.ndarray]:
    x0, y0, x1, y1 = baselines.face_box(POINTS, SIDE)
    mask = np.zeros((SIDE, SIDE), bool)
    mask[y0:y1, x0:x1] = True
    return mask, ~mask


def test_the_box_holds_the_whole_protected_region() -> None:
    inside, _ = inside_and_outside()
    assert inside[face_mask(POINTS, SIDE) >= 1].all()
    assert 0.2 < inside.mean() < 0.7


def test_the_box_stays_within_the_crop() -> None:
    x0, y0, x1, y1 = baselines.face_box(POINTS * 1.4 - 20, SIDE)
    assert 0 <= x0 < x1 <= SIDE
    assert 0 <= y0 < y1 == SIDE


@pytest.mark.parametrize("block", [15, 25])
def test_pixels_are_squares_of_their_mean_colour(block: int) -> None:
    photo = noise()
    result = baselines.pixelised(photo, POINTS, block)
    inside, outside = inside_and_outside()
    assert np.array_equal(result[outside], photo[outside])
    x0, y0, _, _ = baselines.face_box(POINTS, SIDE)
    square = result[y0 : y0 + block, x0 : x0 + block]
    assert (square == square[0, 0]).all()
    assert np.abs(square[0, 0] - photo[y0 : y0 + block, x0 : x0 + block].mean((0, 1))).max() <= 0.5
    columns, rows = np.ptp(np.nonzero(inside)[1]) + 1, np.ptp(np.nonzero(inside)[0]) + 1
    colours = len(np.unique(result[inside], axis=0))
    assert colours <= -(-columns // block) * -(-rows // block)


def test_blur_stays_in_the_box_and_grows_with_its_kernel() -> None:
    photo = noise()
    inside, outside = inside_and_outside()
    spreads = [photo[inside].std()]
    for kernel in (15, 25):
        result = baselines.blurred(photo, POINTS, kernel)
        assert np.array_equal(result[outside], photo[outside])
        spreads.append(result[inside].std())
    assert spreads[0] > 4 * spreads[1] > 4 * spreads[2]


# --- SSIM ------------------------------------------------------------------------------------------------------------


def test_a_picture_is_like_itself() -> None:
    assert ssim(noise(), noise()) == pytest.approx(1, abs=1e-12)


@pytest.mark.parametrize(("a", "b"), [(0, 255), (100, 120), (10, 10)])
def test_flat_pictures_differ_by_their_means_alone(a: int, b: int) -> None:
    pictures = [np.full((32, 32, 3), level, np.uint8) for level in (a, b)]
    c1 = (0.01 * 255) ** 2
    assert ssim(*pictures) == pytest.approx((2 * a * b + c1) / (a**2 + b**2 + c1), abs=1e-6)


def test_one_window_is_equation_13() -> None:
    a, b = luma(noise(1, 11)), luma(noise(2, 11))
    g = np.exp(-((np.arange(11) - 5) ** 2) / (2 * 1.5**2))
    w = np.outer(g, g) / g.sum() ** 2
    mean_a, mean_b = (w * a).sum(), (w * b).sum()
    var_a, var_b = (w * (a - mean_a) ** 2).sum(), (w * (b - mean_b) ** 2).sum()
    shared = (w * (a - mean_a) * (b - mean_b)).sum()
    c1, c2 = (0.01 * 255) ** 2, (0.03 * 255) ** 2
    expected = (2 * mean_a * mean_b + c1) * (2 * shared + c2) / ((mean_a**2 + mean_b**2 + c1) * (var_a + var_b + c2))
    assert ssim_map(a, b).shape == (1, 1)
    assert ssim_map(a, b)[0, 0] == pytest.approx(expected, rel=1e-9)


@settings(max_examples=25)
@given(st.integers(0, 99), st.integers(0, 99), st.sampled_from([11, 24]))
def test_similarity_is_symmetric_and_at_most_one(i: int, j: int, side: int) -> None:
    a, b = noise(i, side), noise(j, side)
    assert ssim(a, b) == pytest.approx(ssim(b, a))
    assert -1 <= ssim(a, b) <= 1 + 1e-9


def test_the_more_noise_the_less_alike() -> None:
    a, rng = scene(), np.random.default_rng(0)
    found = [ssim(a, np.clip(a + rng.normal(0, s, a.shape), 0, 255).astype(np.uint8)) for s in (2, 10, 40)]
    assert 1 > found[0] > found[1] > found[2] > 0


def test_pictures_of_two_sizes_are_refused() -> None:
    with pytest.raises(ValueError, match="one size"):
        ssim(noise(0, 32), noise(0, 33))


# --- Frechet ---------------------------------------------------------------------------------------------------------


def test_the_distance_of_known_gaussians() -> None:
    a = Gaussian(np.array([0.0, 1, 2]), np.diag([4.0, 9, 0]))
    b = Gaussian(np.array([1.0, 1, 0]), np.diag([1.0, 16, 25]))
    assert frechet_distance(a, b) == pytest.approx(5 + (2 - 1) ** 2 + (3 - 4) ** 2 + (0 - 5) ** 2)


def test_the_distance_of_gaussians_that_do_not_share_their_axes() -> None:
    a, b = np.array([[2.0, 1], [1, 3]]), np.array([[5.0, -2], [-2, 1]])
    # The trace of a 2 x 2 root is the root of trace + 2 root of determinant.
    root = np.sqrt(np.trace(a @ b) + 2 * np.sqrt(np.linalg.det(a) * np.linalg.det(b)))
    found = frechet_distance(Gaussian(np.zeros(2), a), Gaussian(np.array([0.0, 3]), b))
    assert found == pytest.approx(9 + np.trace(a) + np.trace(b) - 2 * root)


@settings(max_examples=25)
@given(st.integers(0, 50), st.integers(3, 12))
def test_the_distance_to_itself_is_nothing_and_a_shift_is_its_square(seed: int, n: int) -> None:
    x = np.random.default_rng(seed).normal(size=(n, 6))  # often fewer samples than dimensions
    shift = np.arange(6.0)
    assert frechet_distance(Gaussian.of(x), Gaussian.of(x)) == pytest.approx(0, abs=1e-5)
    assert frechet_distance(Gaussian.of(x), Gaussian.of(x + shift)) == pytest.approx((shift**2).sum(), abs=1e-5)


def test_one_picture_has_no_covariance() -> None:
    with pytest.raises(ValueError, match="at least two"):
        Gaussian.of(np.zeros((1, 4)))


# --- features --------------------------------------------------------------------------------------------------------


def save_mobilenet(weights: Path) -> MobileNetV2:
    torch.manual_seed(0)
    network = MobileNetV2().eval()
    path = weights / features.MOBILENET_FILE
    path.parent.mkdir(parents=True, exist_ok=True)
    torch.save(network.state_dict() | {"classifier.1.weight": torch.zeros(10, 1280)}, path)
    return network


def test_mobilenet_reads_published_names_and_pools(tmp_path: Path) -> None:
    network = save_mobilenet(tmp_path)
    found = features.load_extractor(tmp_path)(noise())
    assert found.shape == (1280,)
    small = cv2.resize(noise(), (224, 224), interpolation=cv2.INTER_AREA) / 255.0
    x = (small - [0.485, 0.456, 0.406]) / [0.229, 0.224, 0.225]
    expected = network(torch.from_numpy(x.transpose(2, 0, 1)[None]).float())
    assert found == pytest.approx(expected[0].detach().numpy(), abs=1e-5)
    assert "features.18.0.weight" in network.state_dict()


class Means(torch.nn.Module):
    """Mean of each channel; with `return_features` twice that, as a file with a classifier would tell them apart."""

    def forward(self, x: torch.Tensor, return_features: bool = False) -> torch.Tensor:
        found = x.float().mean((2, 3))
        return found * 2 if return_features else found


@pytest.mark.filterwarnings("ignore:.*torch.jit.*:DeprecationWarning")
def test_a_script_gives_its_features(tmp_path: Path) -> None:
    path = tmp_path / "inception.pt"
    torch.jit.script(Means()).save(str(path))
    found = features.load_extractor(tmp_path, path)(noise())
    assert found == pytest.approx(2 * noise().mean((0, 1)), rel=1e-5)
    assert features.distance_name(path) == "FID (inception.pt)"
    assert features.distance_name(None) == "FD (MobileNetV2)"


@pytest.mark.filterwarnings("ignore:.*torch.jit.*:DeprecationWarning")
def test_a_bare_state_dict_is_no_extractor(tmp_path: Path) -> None:
    path = tmp_path / "pt_inception-2015-12-05.pth"
    torch.save({"weight": torch.zeros(3)}, path)
    with pytest.raises(ModelError, match="no TorchScript file"):
        features.load_extractor(tmp_path, path)


@pytest.mark.parametrize("kind", [TensorProto.FLOAT, TensorProto.UINT8])
def test_an_onnx_file_gives_its_features(tmp_path: Path, kind: int) -> None:
    nodes = [
        helper.make_node("Cast", ["x"], ["f"], to=TensorProto.FLOAT),
        helper.make_node("GlobalAveragePool", ["f"], ["y"]),
    ]
    given_ = helper.make_tensor_value_info("x", kind, ["n", 3, None, None])
    told = helper.make_tensor_value_info("y", TensorProto.FLOAT, ["n", 3, 1, 1])
    graph = helper.make_graph(nodes, "means", [given_], [told])
    path = tmp_path / "means.onnx"
    onnx.save(helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)], ir_version=9), path)
    assert features.load_extractor(tmp_path, path)(noise()) == pytest.approx(noise().mean((0, 1)), rel=1e-5)


@pytest.mark.real
def test_real_photos_are_the_further_away_the_more_they_are_blurred(real_data: Path, tmp_path: Path) -> None:
    weights = real_data.parent / "weights"
    if not (weights / features.MOBILENET_FILE).is_file():
        pytest.skip(f"MobileNetV2's weights are not at {weights}")
    extract = features.load_extractor(weights)
    images = [
        np.ascontiguousarray(cv2.imread(str(path))[..., ::-1])
        for path in sorted((real_data / "faces/lfw").glob("*/*_0001.jpg"))[:120:10]
    ]
    clean = Gaussian.of(np.stack([extract(image) for image in images]))
    soft, rough = (
        Gaussian.of(np.stack([extract(cv2.GaussianBlur(image, (k, k), 0)) for image in images])) for k in (5, 25)
    )
    assert 0 < frechet_distance(clean, soft) < frechet_distance(clean, rough)


# --- head pose -------------------------------------------------------------------------------------------------------


@given(st.floats(-80, 80), st.floats(-80, 80), st.floats(-80, 80), st.floats(0.1, 9))
def test_a_camera_tells_its_angles_whatever_its_scale(yaw: float, pitch: float, roll: float, scale: float) -> None:
    rotation = turned(yaw, pitch, roll)
    camera = np.column_stack([rotation * scale, [5.0, -7, 9]]).ravel()
    found = headpose.rotation(camera)
    assert found == pytest.approx(rotation, abs=1e-9)
    assert pose.angles(found) == pytest.approx([yaw, pitch, roll], abs=1e-5)


def test_a_skewed_camera_becomes_a_rotation() -> None:
    found = headpose.rotation(np.random.default_rng(0).normal(size=12))
    assert found @ found.T == pytest.approx(np.eye(3), abs=1e-9)
    assert np.linalg.det(found) == pytest.approx(1)


def test_the_angle_between_two_heads() -> None:
    heads = np.stack([turned(0, 0, 0), turned(30, 0, 0), turned(0, 0, 1e-3), turned(0, 0, 178)])
    assert pose.degrees_between(heads, heads[:1]) == pytest.approx([0, 30, 1e-3, 178], abs=1e-6)
    assert pose.angle_differences(heads[3], turned(0, 0, -178)) == pytest.approx([0, 0, 4])


def test_a_pickle_that_is_more_than_arrays_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "evil.pkl"
    path.write_bytes(pickle.dumps({"mean": print}))
    with pytest.raises(pickle.UnpicklingError, match="no place"):
        headpose._load_scale(path)
    path.write_bytes(pickle.dumps({"mean": np.arange(62.0), "std": np.ones(62, np.float32)}))
    mean, std = headpose._load_scale(path)
    assert (mean.tolist(), std.tolist()) == (list(range(12)), [1.0] * 12)


def mirrored(image: Image, points: Floats) -> tuple[Image, Floats]:
    turned_points = points[MIRROR] * [-1, 1] + [image.shape[1] - 1, 0]
    return np.ascontiguousarray(image[:, ::-1]), turned_points.astype(np.float32)


@pytest.mark.real
def test_a_mirrored_head_looks_the_other_way(real_data: Path) -> None:
    weights = real_data.parent / "weights"
    if not (weights / headpose.NETWORK_FILE).is_file():
        pytest.skip(f"3DDFA's weights are not at {weights}")
    judge = headpose.HeadPose(weights)
    # LFW's alignment puts every face at the same place, which is all that the judge needs to know.
    points = placed(face_shape(), x=125, y=112, size=42)
    found = []
    for path in sorted((real_data / "faces/lfw").glob("*/*_0001.jpg"))[:240:15]:
        image = np.ascontiguousarray(cv2.imread(str(path))[..., ::-1])
        found.append([pose.angles(judge(*view)) for view in ((image, points), mirrored(image, points))])
    straight, mirror = np.array(found).transpose(1, 0, 2)
    assert np.corrcoef(straight[:, 0], mirror[:, 0])[0, 1] < -0.95
    assert np.abs(straight + mirror * [1, -1, 1]).mean(0).max() < 4
    assert straight[:, 0].std() > 8


# --- numbers ---------------------------------------------------------------------------------------------------------


def test_a_mean_knows_how_sure_it_is() -> None:
    values = np.random.default_rng(3).normal(2, 1, 400)
    found = estimate(np.concatenate([values, [np.nan] * 50]))
    assert (found.n, found.value) == (400, pytest.approx(values.mean()))
    assert found.high - found.low == pytest.approx(2 * 1.96 * values.std() / 20, rel=0.1)
    assert found.low < found.value < found.high
    assert estimate(np.full(3, np.nan)) is None
    assert estimate(np.array([True, True])) == estimate(np.ones(2))


def test_errors_are_equal_where_both_kinds_meet() -> None:
    assert verification.equal_error_rate(np.array([0.8, 0.9]), np.array([0.1, 0.2])) == 0
    assert verification.equal_error_rate(np.array([0.1, 0.2]), np.array([0.8, 0.9])) == 1
    assert verification.equal_error_rate(np.array([0.1, 0.5, 0.6, 0.7]), np.array([0.0, 0.2, 0.3, 0.55])) == 0.25
    assert verification.equal_error_rate(np.zeros(0), np.zeros(3)) is None


def test_a_threshold_lets_so_many_strangers_in() -> None:
    impostors = np.arange(1000) / 1000
    limit = verification.threshold_at(impostors, 0.01)
    assert (impostors >= limit).mean() == pytest.approx(0.01)
    assert verification.threshold_at(np.zeros(0), 0.01) is None


def test_pairs_are_told_apart_by_person() -> None:
    same, different = verification.cosines(np.eye(3)[[0, 0, 1]], ["a", "a", "b"])
    assert (same.tolist(), different.tolist()) == ([1.0], [0.0, 0.0])
