"""Recognisers of the audit: alignment, feeding, calibration files, thresholds over all pairs."""

from __future__ import annotations

import json
from collections.abc import Iterator
from dataclasses import asdict, replace
from pathlib import Path

import cv2
import numpy as np
import onnx
import pytest
from hypothesis import given
from hypothesis import strategies as st
from onnx import TensorProto, helper

from streamfilter import model_files
from streamfilter.audit.recognise import calibration, load
from streamfilter.audit.recognise.arcface import PREPARATIONS, ArcFace
from streamfilter.audit.recognise.calibration import RATES, Calibration, OperatingPoint, Preparation
from streamfilter.audit.recognise.dlib_resnet import CHIP_POINTS, DlibResNet
from streamfilter.audit.recognise.measure import Embedded, calibration_of, central_face, embed, find_preparation, sample
from streamfilter.audit.recognise.photos import BenchmarkPair, Photo, photos_in, read_pairs
from streamfilter.audit.recognise.recogniser import ARCFACE_POINTS, aligned, similarity, unit_rows
from streamfilter.errors import ConfigError, InputError, ModelError, ShapeError
from streamfilter.metrics import many_pairs
from streamfilter.metrics.verification import threshold_at
from streamfilter.structures import Floats
from tests.audit_kit import texture
from tests.recognise_kit import SHAPES, Found, portraits, small_network, whole

POINTS = tuple(OperatingPoint(false_accepts=rate, threshold=0.4, true_accepts=0.9) for rate in RATES)
KNOWN = Calibration(
    model="made_up",
    sha256="00",
    photos="drawn",
    people=3,
    pictures=9,
    genuine_pairs=9,
    impostor_pairs=27,
    points=POINTS,
    accuracy=0.99,
    accuracy_error=0.001,
    benchmark_pairs=600,
    ms_per_face=12.0,
    preparation=PREPARATIONS[0],
)
angles = st.floats(-3.1, 3.1)
scales = st.floats(0.2, 20)
shifts = st.floats(-500, 500)


@given(angles, scales, shifts, shifts)
def test_the_template_finds_back_onto_itself_from_any_similarity(
    angle: float, scale: float, x: float, y: float
) -> None:
    turn = scale * np.array([[np.cos(angle), -np.sin(angle)], [np.sin(angle), np.cos(angle)]])
    moved = (ARCFACE_POINTS @ turn.T + [x, y]).astype(np.float32)
    matrix = similarity(moved, ARCFACE_POINTS)
    assert np.allclose(moved @ matrix[:, :2].T + matrix[:, 2], ARCFACE_POINTS, atol=0.01)


@given(st.integers(0, 1000))
def test_no_other_similarity_comes_nearer(seed: int) -> None:
    rng = np.random.default_rng(seed)
    points = (ARCFACE_POINTS + rng.normal(0, 6, (5, 2))).astype(np.float32)
    matrix = similarity(points, ARCFACE_POINTS)

    def error(m: Floats) -> float:
        return float(((points @ m[:, :2].T + m[:, 2] - ARCFACE_POINTS) ** 2).sum())

    turn, grow, shift = rng.normal(0, 0.02), 1 + rng.normal(0, 0.02), rng.normal(0, 0.5, 2)
    a = grow * np.exp(1j * turn) * complex(matrix[0, 0], matrix[1, 0])
    other = np.array([[a.real, -a.imag, matrix[0, 2] + shift[0]], [a.imag, a.real, matrix[1, 2] + shift[1]]])
    assert error(matrix) <= error(other) + 1e-3


def test_points_in_one_place_still_give_a_crop() -> None:
    matrix = similarity(np.full((5, 2), 7, np.float32), ARCFACE_POINTS)
    assert np.isfinite(matrix).all()
    assert matrix[0, 0] == 1


def test_a_crop_shows_the_face_upright_in_its_place() -> None:
    image = np.zeros((300, 300, 3), np.uint8)
    placed = np.asarray((ARCFACE_POINTS - 56) @ np.array([[0, 2], [-2, 0]]) + 150, np.float32)  # turned by 90 degrees
    for number, (x, y) in enumerate(placed):
        cv2.circle(image, (round(float(x)), round(float(y))), 6, (50 * number + 55, 0, 0), -1)
    crop = aligned(image, placed[None], ARCFACE_POINTS, 112)[0]
    found = [int(crop[round(float(y)), round(float(x)), 0]) for x, y in ARCFACE_POINTS]
    assert found == [55, 105, 155, 205, 255]


def test_points_of_the_wrong_shape_or_unknown_are_refused() -> None:
    with pytest.raises(ShapeError, match=r"\(n, 5, 2\)"):
        aligned(texture(1, 20, 20), ARCFACE_POINTS, ARCFACE_POINTS, 112)
    with pytest.raises(ShapeError, match="not finite"):
        aligned(texture(1, 20, 20), np.full((1, 5, 2), np.nan, np.float32), ARCFACE_POINTS, 112)


def test_a_vector_without_direction_is_no_embedding() -> None:
    assert np.allclose(np.linalg.norm(unit_rows(np.ones((2, 4), np.float32), "x"), axis=1), 1)
    for bad in (0, np.nan):
        with pytest.raises(ModelError, match="x gave"):
            unit_rows(np.full((1, 4), bad, np.float32), "x")


@pytest.mark.parametrize("shape", SHAPES)
def test_layout_and_number_of_faces_are_read_from_the_file(tmp_path: Path, shape: tuple[int | str, ...]) -> None:
    network = ArcFace.load(small_network(tmp_path / "net.onnx", shape=shape, wants=PREPARATIONS[0]))
    points = np.stack([ARCFACE_POINTS + 20, ARCFACE_POINTS * 1.4 + 5]).astype(np.float32)
    image = texture(3, 200, 200, grain=9)
    both = network.embed(image, points)
    assert network.name == "net"
    assert both.shape == (2, 16)
    assert np.allclose(np.linalg.norm(both, axis=1), 1, atol=1e-6)
    assert np.allclose(both[1], network.embed(image, points[1:])[0], atol=1e-5)
    assert network.embed(image, points[:0]).shape == (0, 16)


def test_layouts_agree(tmp_path: Path) -> None:
    first, *others = (
        ArcFace.load(small_network(tmp_path / f"{i}.onnx", shape=shape, wants=PREPARATIONS[0])).embed(
            texture(3, 112, 112, grain=9), ARCFACE_POINTS[None]
        )
        for i, shape in enumerate(SHAPES)
    )
    assert all(np.allclose(first, other, atol=1e-5) for other in others)


def test_a_file_that_takes_something_else_is_refused(tmp_path: Path) -> None:
    value = helper.make_tensor_value_info("x", TensorProto.FLOAT, (1, 3, 128, 128))
    graph = helper.make_graph(
        [helper.make_node("Identity", ["x"], ["y"])],
        "net",
        [value],
        [helper.make_tensor_value_info("y", TensorProto.FLOAT, (1, 3, 128, 128))],
    )
    path = tmp_path / "net.onnx"
    onnx.save(helper.make_model(graph, opset_imports=[helper.make_opsetid("", 13)], ir_version=8), str(path))
    with pytest.raises(ModelError, match=r"net.onnx takes .*128"):
        ArcFace.load(path)
    with pytest.raises(ModelError, match="no model file"):
        ArcFace.load(tmp_path / "missing.onnx")


@pytest.mark.parametrize("wants", [PREPARATIONS[0], PREPARATIONS[2], PREPARATIONS[5]], ids=str)
def test_how_a_network_wants_to_be_fed_is_found_out(tmp_path: Path, wants: Preparation) -> None:
    photos = portraits(tmp_path / "photos", people=12, each=2)
    network = ArcFace.load(small_network(tmp_path / "net.onnx", shape=SHAPES[1], wants=wants))
    found = find_preparation(network, photos, whole).preparation
    assert (found.order, found.offset) == (wants.order, wants.offset)
    assert (found.divisor > 2) == (wants.divisor > 2)


def test_the_most_central_face_counts(tmp_path: Path) -> None:
    photo = portraits(tmp_path, people=2, each=2)[0]
    corner = Found(np.array([0, 0, 20, 20], np.float32), ARCFACE_POINTS / 8)
    shown = central_face(photo, lambda image: [corner, *whole(image)])
    assert shown is not None
    assert np.array_equal(shown[1][0], ARCFACE_POINTS)
    assert shown[0].shape == (112, 112, 3)
    assert central_face(photo, lambda _: []) is None
    photo.path.write_bytes(b"damaged")
    assert central_face(photo, whole) is None


def test_photos_without_a_face_are_left_out_and_none_is_an_error(tmp_path: Path) -> None:
    photos = portraits(tmp_path / "photos", people=2, each=2)
    photos[0].path.write_bytes(b"damaged")
    network = ArcFace.load(small_network(tmp_path / "net.onnx", shape=SHAPES[0], wants=PREPARATIONS[0]))
    calls: list[int] = []
    (found,) = embed(photos, whole, [network], lambda: calls.append(1))
    assert found.photos == photos[1:]
    assert len(calls) == 4
    assert found.identities.shape == (3, 16)
    with pytest.raises(InputError, match="no face was found in any of 4 photos"):
        embed(photos, lambda _: [], [network])


def test_folders_that_cannot_tell_anything_are_refused(tmp_path: Path) -> None:
    with pytest.raises(InputError, match="cannot be read"):
        photos_in(tmp_path / "missing")
    (tmp_path / "only").mkdir()
    (tmp_path / "only" / "a.jpg").touch()
    with pytest.raises(InputError, match="1 photos of 1 people"):
        photos_in(tmp_path)


def test_a_folder_of_a_person_that_cannot_be_read_is_named(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    portraits(tmp_path, people=3, each=2)
    real = Path.iterdir

    def closed(path: Path) -> Iterator[Path]:
        if path.name == "p01":
            raise PermissionError(13, "Permission denied", str(path))
        return real(path)

    monkeypatch.setattr(Path, "iterdir", closed)
    with pytest.raises(InputError, match=r"p01 cannot be read: Permission denied"):
        photos_in(tmp_path)


def test_pairs_are_read_as_lfw_lays_them_out(tmp_path: Path) -> None:
    path = tmp_path / "pairs.txt"
    path.write_text("2\t1\nA\t1\t2\nA\t1\tB\t3\nB\t1\t4\nB\t1\tC\t10\n")
    first, second, *_, last = read_pairs(path)
    assert first == BenchmarkPair(fold=0, same=True, first="A/A_0001", second="A/A_0002")
    assert (second.same, second.second) == (False, "B/B_0003")
    assert (last.fold, last.second) == (1, "C/C_0010")


@pytest.mark.parametrize(
    "text",
    ["", "2 1\nA 1 2\n", "x y\n", "500\nA 1 2\n", "2 1\nA 1\n", "1 1\nA 1 2\nA 1 B 2\n", "10 0\nA 1 2\n", "10 0\n"],
)
def test_other_lists_of_pairs_are_refused(tmp_path: Path, text: str) -> None:
    path = tmp_path / "pairs.txt"
    path.write_text(text)
    with pytest.raises(InputError, match=r"pairs.txt"):
        read_pairs(path)


def test_the_sample_takes_couples_spread_over_the_people() -> None:
    photos = [Photo(person=f"p{n}", path=Path(f"{i}.jpg")) for n in range(50) for i in range(3)]
    lonely = [Photo(person="alone", path=Path("1.jpg"))]
    chosen = sample([*lonely, *photos], 20)
    assert len(chosen) == 20
    assert all(a.person == b.person for a, b in zip(chosen[::2], chosen[1::2], strict=True))
    assert {"p0", "p45"} <= {photo.person for photo in chosen}


def directions(seed: int, n: int, people: int) -> tuple[Floats, list[str]]:
    rng = np.random.default_rng(seed)
    names = [f"p{i}" for i in rng.integers(0, people, n)] + ["a", "b"]
    rows = rng.normal(size=(n + 2, 8)).astype(np.float32)
    return rows / np.linalg.norm(rows, axis=1, keepdims=True), names


@given(st.integers(0, 99), st.integers(2, 60), st.integers(1, 9), st.integers(1, 25))
def test_thresholds_block_by_block_are_those_of_all_pairs(seed: int, n: int, people: int, block: int) -> None:
    identities, names = directions(seed, n, people)
    limits, count = many_pairs.impostor_thresholds(identities, names, (0.3, *RATES), block)
    rows, columns = np.triu_indices(len(names), 1)
    other = np.array([names[i] != names[j] for i, j in zip(rows, columns, strict=True)])
    direct = (identities @ identities.T)[rows, columns][other].astype(np.float64)
    assert count == len(direct)
    assert limits == pytest.approx([threshold_at(direct, rate) for rate in (0.3, *RATES)], abs=1e-5)


def test_thresholds_by_hand() -> None:
    turns = np.radians([0, 60, 90])
    identities = np.stack([np.cos(turns), np.sin(turns)], 1).astype(np.float32)
    limits, count = many_pairs.impostor_thresholds(identities, ["a", "b", "c"], (0.0, 0.5, 1.0))
    assert count == 3
    assert limits == pytest.approx((np.cos(np.radians(30)), 0.5, 0), abs=1e-6)
    with pytest.raises(ValueError, match="two people"):
        many_pairs.impostor_thresholds(identities, ["a", "a", "a"], RATES)


def test_one_person_with_many_photos_does_not_decide() -> None:
    many = np.tile([[1.0, 0.0]], (40, 1))
    few = np.array([[1.0, 0.0], [0.0, 1.0]])
    identities = np.concatenate([many, few]).astype(np.float32)
    people = ["many"] * 40 + ["few"] * 2
    found = many_pairs.genuine_cosines(identities, people, most=3)
    assert sorted(found) == [0, 1, 1, 1]
    assert len(many_pairs.genuine_cosines(identities, people)) == 46


def test_the_best_threshold_lies_between_the_kinds() -> None:
    scores = np.array([0.1, 0.2, 0.6, 0.8])
    same = np.array([False, False, True, True])
    assert many_pairs.best_threshold(scores, same) == pytest.approx(0.4)
    assert many_pairs.best_threshold(scores, ~same) in (pytest.approx(0.1, abs=1e-5), pytest.approx(0.8, abs=1e-5))


def test_accuracy_takes_each_threshold_from_the_other_folds() -> None:
    folds = np.repeat([0, 1], 4)
    same = np.tile([True, True, False, False], 2)
    scores = np.array([0.9, 0.9, 0.1, 0.1, 0.3, 0.3, 0.2, 0.2])
    # Fold 0 is judged at .25, all right; fold 1 at .5, its same pairs wrong.
    accuracy, error = many_pairs.cross_validated(scores, same, folds) or (0, 0)
    assert accuracy == pytest.approx(0.75)
    assert error == pytest.approx(0.25)
    assert many_pairs.cross_validated(scores, same, np.zeros(8, np.intp)) is None


def embedded(people: int = 6, each: int = 4, noise: float = 0.2) -> Embedded:
    rng = np.random.default_rng(5)
    centres = np.repeat(np.eye(people, 12), each, 0)
    rows = unit_rows((centres + rng.normal(0, noise, (people * each, 12))).astype(np.float32), "x")
    photos = [Photo(person=f"p{i}", path=Path(f"p{i}/p{i}_{j + 1:04}.jpg")) for i in range(people) for j in range(each)]
    return Embedded(photos=tuple(photos), identities=rows, ms_per_face=3.0)


def test_a_calibration_says_what_was_measured() -> None:
    pairs = [
        BenchmarkPair(fold=fold, same=same, first=f"p{fold}/p{fold}_0001", second=f"p{fold + (not same)}/p{{}}_0002")
        for fold in range(3)
        for same in (True, False)
    ]
    pairs = [replace(pair, second=pair.second.format(pair.second[1])) for pair in pairs]
    unknown = BenchmarkPair(fold=1, same=True, first="p0/p0_0001", second="who/who_0001")
    lame = BenchmarkPair(fold=9, same=True, first="p0/p0_0001", second="p0/p0_0002")
    found = calibration_of(embedded(), model="x", sha256="1", photos="drawn", pairs=[*pairs, unknown, lame])
    assert (found.people, found.pictures, found.genuine_pairs) == (6, 24, 36)
    assert found.impostor_pairs == 24 * 23 // 2 - 36
    assert found.benchmark_pairs == 6
    assert found.accuracy == 1
    assert found.threshold(1e-2) < found.threshold(1e-4)
    assert found.true_accepts(1e-2) >= found.true_accepts(1e-4) > 0.5
    assert calibration_of(embedded(), model="x", sha256="1", photos="drawn").accuracy is None
    with pytest.raises(ConfigError, match=r"rate of 0\.5"):
        found.threshold(0.5)


def test_photos_that_cannot_calibrate_are_refused() -> None:
    with pytest.raises(InputError, match="0 pairs of one person"):
        calibration_of(embedded(each=1), model="x", sha256="1", photos="drawn")
    with pytest.raises(InputError, match="of 1 people"):
        calibration_of(embedded(people=1), model="x", sha256="1", photos="drawn")


def test_a_calibration_survives_its_file(tmp_path: Path) -> None:
    other = replace(KNOWN, model="other", preparation=None, accuracy=None)
    calibration.save(tmp_path / "c.json", [KNOWN, other])
    assert calibration.load(tmp_path / "c.json") == (KNOWN, other)
    assert [path.name for path in tmp_path.iterdir()] == ["c.json"]


def edited(path: Path, **changes: object) -> Path:
    calibration.save(path, [KNOWN])
    document = json.loads(path.read_text())
    item = document["calibrations"][0]
    for key, value in changes.items():
        (document if key in document else item)[key] = value
    path.write_text(json.dumps(document))
    return path


@pytest.mark.parametrize(
    ("changes", "says"),
    [
        ({"kind": "else"}, "no calibration of a recogniser"),
        ({"schema": 2}, "schema 2"),
        ({"calibrations": None}, "damaged"),
        ({"points": []}, "damaged"),
        ({"points": [asdict(POINTS[1])]}, r"damaged \(there is no operating point at .* rate of 0\.01, 0\.0001\)"),
        ({"points": [{"false_accepts": 0.1, "threshold": 7, "true_accepts": 1}]}, "damaged"),
        ({"points": [{"false_accepts": 0.1, "threshold": float("nan"), "true_accepts": 1}]}, "damaged"),
        ({"people": "many"}, "damaged"),
        ({"sha256": 5}, "damaged"),
        ({"invented": 1}, "damaged"),
        ({"preparation": {"order": "grey", "offset": 0, "divisor": 1}}, "damaged"),
        ({"preparation": "rgb"}, "damaged"),
        ({"accuracy": "good"}, "damaged"),
        ({"accuracy": 99.4}, "damaged"),
    ],
)
def test_damaged_and_foreign_calibrations_are_refused(tmp_path: Path, changes: dict[str, object], says: str) -> None:
    with pytest.raises(ModelError, match=says):
        calibration.load(edited(tmp_path / "c.json", **changes))


def test_missing_and_unreadable_calibrations_are_refused(tmp_path: Path) -> None:
    (tmp_path / "c.json").write_bytes(b"\xff{")
    for name in ("c.json", "missing.json"):
        with pytest.raises(ModelError, match="no calibration that can be read"):
            calibration.load(tmp_path / name)


def test_a_recogniser_of_ones_own_needs_its_calibration(tmp_path: Path) -> None:
    path = small_network(tmp_path / "net.onnx", shape=SHAPES[0], wants=PREPARATIONS[0])
    with pytest.raises(ModelError, match=r"no calibration.*streamfilter models calibrate .*net.onnx --photos DIR"):
        load.load_extra(path)
    right = replace(KNOWN, model="net", sha256=model_files.sha256(path), preparation=PREPARATIONS[2])
    calibration.save(calibration.beside(path), [right])
    recogniser = load.load_extra(path)
    assert recogniser.name == "net"
    assert recogniser.calibration == right
    assert recogniser.embed(texture(1, 112, 112), ARCFACE_POINTS[None]).shape == (1, 16)
    calibration.save(calibration.beside(path), [KNOWN])
    with pytest.raises(ModelError, match=r"made for another net.onnx"):
        load.load_extra(path)
    calibration.save(calibration.beside(path), [replace(right, preparation=None)])
    with pytest.raises(ModelError, match="does not say what"):
        load.load_extra(path)


def test_the_shipped_calibrations_fit_the_pinned_models_and_are_plausible() -> None:
    shipped = {item.model: item for item in calibration.load(calibration.SHIPPED)}
    assert shipped.keys() == load.BUILT_IN.keys()
    for item in shipped.values():
        limits = [item.threshold(rate) for rate in RATES]
        assert limits == sorted(limits)
        assert item.impostor_pairs > 1_000_000
        assert item.accuracy is not None
        assert item.accuracy > 0.98


def test_dlibs_chip_is_wider_than_the_face_and_a_foreign_file_is_refused(tmp_path: Path) -> None:
    assert 37 < CHIP_POINTS[0, 0] < CHIP_POINTS[1, 0] < 113
    assert np.allclose(CHIP_POINTS[0, 0] + CHIP_POINTS[1, 0], 2 * CHIP_POINTS[2, 0], atol=0.2)
    (tmp_path / "x.dat").write_bytes(b"nothing")
    with pytest.raises(ModelError, match=r"x.dat is no face recogniser"):
        DlibResNet(tmp_path / "x.dat")


@pytest.mark.real
def test_one_person_is_nearer_than_another(real_data: Path, audit_models: Path) -> None:
    from streamfilter.audit.detect.reference import ReferenceDetector
    from streamfilter.model_store.store import Store

    store = Store(audit_models)
    detect = ReferenceDetector.load(store)
    lfw = real_data / "faces" / "lfw"
    paths = [lfw / "Abdullah_Gul" / f"Abdullah_Gul_000{n}.jpg" for n in (1, 2)]
    paths.append(lfw / "Adam_Sandler" / "Adam_Sandler_0001.jpg")
    photos = [Photo(person=path.parent.name, path=path) for path in paths]
    recognisers = load.load_recognisers(store)
    for item, recogniser in zip(embed(photos, detect, recognisers), recognisers, strict=True):
        a, b, other = item.identities
        limit = recogniser.calibration.threshold(1e-3)
        assert a @ b > limit > a @ other, recogniser.name
