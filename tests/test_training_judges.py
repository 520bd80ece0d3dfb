"""training.judges: the frozen networks agree with their published files and cut their crops where they should."""

from __future__ import annotations

from pathlib import Path

import cv2
import numpy as np
import onnx
import onnxruntime as ort
import pytest
import torch
from onnx import TensorProto, helper, numpy_helper
from torch import nn

from tests.synthetic_face import face_shape, placed
from training.generator.measure import ARCFACE_POINTS, five_points
from training.judges import crops
from training.judges.identity import IdentityJudge
from training.judges.landmarks import LandmarkJudge
from training.judges.mobile_face_net import MobileFaceNet, fused
from training.judges.onnx_graph import OnnxGraph
from training.judges.perceptual import PerceptualJudge
from training.landmarks.network import Network
from training.landmarks.teacher import TEMPLATE
from training.prepare.teachers import OwnLandmarks


def turned_face(degrees: float = 17.0) -> np.ndarray:
    return placed(face_shape(), x=0.47, y=0.42, size=0.2, degrees=degrees)


def published(tmp_path: Path, operator: str = "PRelu") -> Path:
    """A small recogniser as an ONNX file: convolution, normalisation, activation, reshape."""
    random = np.random.default_rng(0)
    values = {
        "w": random.normal(size=(8, 3, 3, 3)), "s": random.uniform(0.5, 1, 8), "b": random.normal(size=8),
        "m": random.normal(size=8), "v": random.uniform(0.5, 1, 8), "a": random.uniform(0, 1, (8, 1, 1)),
    }  # fmt: skip
    weights = [numpy_helper.from_array(value.astype(np.float32), name) for name, value in values.items()]
    weights.append(numpy_helper.from_array(np.array([1, -1]), "flat"))
    nodes = [
        helper.make_node("Conv", ["x", "w"], ["c"], pads=[1, 1, 1, 1], strides=[2, 2]),
        helper.make_node("BatchNormalization", ["c", "s", "b", "m", "v"], ["n"]),
        helper.make_node(operator, ["n", "a"] if operator == "PRelu" else ["n"], ["p"]),
        helper.make_node("Reshape", ["p", "flat"], ["y"]),
    ]
    x = helper.make_tensor_value_info("x", TensorProto.FLOAT, [1, 3, 8, 8])
    y = helper.make_tensor_value_info("y", TensorProto.FLOAT, [1, 128])
    graph = helper.make_graph(nodes, "recogniser", [x], [y], weights)
    onnx.save(helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)], ir_version=9), tmp_path / "r.onnx")
    return tmp_path / "r.onnx"


def test_an_onnx_file_gives_the_same_in_pytorch(tmp_path: Path) -> None:
    path = published(tmp_path)
    picture = np.random.default_rng(1).normal(size=(1, 3, 8, 8)).astype(np.float32)
    wanted = ort.InferenceSession(str(path), providers=["CPUExecutionProvider"]).run(None, {"x": picture})[0]
    graph = OnnxGraph(path)
    np.testing.assert_allclose(graph(torch.from_numpy(picture)).numpy(), wanted, atol=1e-5)
    assert graph(torch.from_numpy(np.repeat(picture, 3, 0))).shape == (3, 128)


def test_an_onnx_file_with_another_operator_is_refused(tmp_path: Path) -> None:
    with pytest.raises(ValueError, match=r"r\.onnx uses Softplus; known are"):
        OnnxGraph(published(tmp_path, "Softplus"))


def test_the_landmark_crop_is_the_one_of_the_runtime() -> None:
    landmarks = turned_face()
    wanted = TEMPLATE.quad_of_points(five_points(landmarks))
    got = crops.landmark_quad(torch.from_numpy(landmarks)[None])[0]
    np.testing.assert_allclose(got.numpy(), wanted, atol=1e-6)


def test_the_recognisers_crop_brings_five_points_to_the_template() -> None:
    landmarks = turned_face() * 200
    quad = crops.arcface_quad(torch.from_numpy(landmarks)[None])[0].numpy()
    matrix = cv2.invertAffineTransform(np.column_stack([quad[1], quad[2], quad[0]]).astype(np.float64))
    got = (five_points(landmarks) @ matrix[:, :2].T + matrix[:, 2]) * 112
    assert np.linalg.norm(got - ARCFACE_POINTS, axis=1).mean() < 6
    # Least squares: no other similarity is nearer.
    worse = got @ np.array([[0.99, 0.02], [-0.02, 0.99]]) + 0.5
    assert ((got - ARCFACE_POINTS) ** 2).sum() < ((worse - ARCFACE_POINTS) ** 2).sum()


def test_a_cut_is_what_opencv_cuts() -> None:
    random = np.random.default_rng(2)
    image = cv2.GaussianBlur(random.random((64, 64, 3)).astype(np.float32), (0, 0), 2)
    quad = np.array([[0.2, 0.25], [0.5, 0.1], [-0.1, 0.5]], np.float32)
    picture = torch.from_numpy(image).permute(2, 0, 1)[None]
    got = crops.cut(picture, torch.from_numpy(quad)[None], 32)[0].permute(1, 2, 0).numpy()
    pixels = quad * 64
    axes = pixels[1:] / 32
    inverse = np.column_stack([axes[0], axes[1], pixels[0] - 0.5 + (axes[0] + axes[1]) / 2])
    wanted = cv2.warpAffine(image, inverse, (32, 32), flags=cv2.INTER_LINEAR | cv2.WARP_INVERSE_MAP)
    np.testing.assert_allclose(got, wanted, atol=0.01)


def test_gradients_reach_the_picture_through_every_judge() -> None:
    torch.manual_seed(0)
    face = torch.rand(2, 3, 64, 64, requires_grad=True)
    landmarks = torch.from_numpy(turned_face()).expand(2, -1, -1)
    judge = IdentityJudge([MobileFaceNet().eval(), MobileFaceNet().eval()])
    for looked in (LandmarkJudge(Network())(face, landmarks), judge(face, landmarks), *PerceptualJudge()(face)):
        (gradient,) = torch.autograd.grad(looked.square().sum(), face, retain_graph=True)
        assert gradient.isfinite().all()


def test_a_single_recogniser_is_a_part_of_all() -> None:
    torch.manual_seed(1)
    judge = IdentityJudge([MobileFaceNet().eval(), MobileFaceNet().eval()])
    face, landmarks = torch.rand(2, 3, 64, 64), torch.from_numpy(turned_face()).expand(2, -1, -1)
    with torch.no_grad():
        both = judge(face, landmarks)
        torch.testing.assert_close(both.norm(dim=1), torch.ones(2))
        torch.testing.assert_close(judge.part(both, 1), judge(face, landmarks, only=1), atol=1e-5, rtol=1e-4)
        assert judge.part(both, None) is both


def test_fusing_normalisations_changes_nothing() -> None:
    torch.manual_seed(2)
    network = MobileFaceNet().eval()
    for module in network.modules():
        if isinstance(module, nn.BatchNorm2d):
            module.running_mean.normal_(0, 0.1)
            module.running_var.uniform_(0.5, 1.5)
    picture = torch.rand(1, 3, 112, 112)
    with torch.no_grad():
        before = network(picture)
        torch.testing.assert_close(fused(network)(picture), before, atol=1e-4, rtol=1e-3)
    assert not any(isinstance(module, nn.BatchNorm2d) for module in network.modules())


@pytest.mark.real
def test_the_recognisers_tell_people_apart(real_data: Path) -> None:
    """Two photos of one person are alike, and neither is like another's."""
    judge = IdentityJudge.load(real_data.parent / "weights" / "identity")
    people = [real_data / "faces" / "lfw" / name for name in ("Abdullah_Gul", "Adrien_Brody")]
    a, b, c, d = (embedded(judge, path) for person in people for path in sorted(person.glob("*.jpg"))[:2])
    assert min(float(a @ b), float(c @ d)) > 0.3
    assert max(float(a @ c), float(b @ d)) < 0.2


def embedded(judge: IdentityJudge, path: Path) -> torch.Tensor:
    image = cv2.cvtColor(cv2.imread(str(path)), cv2.COLOR_BGR2RGB)
    landmarks = OwnLandmarks()(image)
    picture = torch.from_numpy(image).permute(2, 0, 1)[None].float() / 127.5 - 1
    with torch.no_grad():
        return judge(picture, torch.from_numpy((landmarks + 0.5) / len(image))[None])[0]
