"""training/evaluate: every row is complete, and nothing is measured twice."""

from __future__ import annotations

import json
from dataclasses import fields
from pathlib import Path

import cv2
import numpy as np
import pytest

torch = pytest.importorskip("torch")

from click.testing import CliRunner, Result  # noqa: E402

from streamfilter.align import face_mask  # noqa: E402
from streamfilter.errors import InputError, ModelError  # noqa: E402
from streamfilter.metrics import baselines  # noqa: E402
from streamfilter.metrics.frechet import Gaussian  # noqa: E402
from streamfilter.model_files import shipped  # noqa: E402
from streamfilter.structures import Floats, Image  # noqa: E402
from tests.portraits import POINTS, SIDE, noise, scene, turned  # noqa: E402
from tests.synthetic_face import face_shape, placed  # noqa: E402
from training import evaluate  # noqa: E402
from training.evaluation import faces_picture, jobs  # noqa: E402
from training.evaluation.comparison import Comparison, compare, floor, one_identity, threshold  # noqa: E402
from training.evaluation.methods import BASELINES, Blurred, Foreign, Painted, Pixelised  # noqa: E402
from training.evaluation.photos import Photo, Photos, open_photos  # noqa: E402
from training.evaluation.portrait import PortraitJudges, at_place, find, look  # noqa: E402
from training.prepare.faces import encode  # noqa: E402
from training.prepare.parts import Part  # noqa: E402


def a_photo(index: int = 0) -> Photo:
    return Photo(index, f"p{index}.jpg", f"p{index}", scene(index), POINTS)


# --- rows -----------------------------------------------------------------------------------------------------------


def seen(n: int = 12, *, shift: float = 0.0, lost: int = 0, cosine: float = 1.0, turn: float = 0.0) -> dict:
    """What judges might see: mouths open more and more; `lost` faces are not found."""
    landmarks = np.repeat(POINTS[None], n, 0) + np.float32([shift, 0])
    landmarks[:, [65, 66, 67, 56, 57, 58], 1] += np.arange(n, dtype=np.float32)[:, None]
    mtcnn = np.full(n, 0.99, np.float32)
    landmarks[:lost], mtcnn[:lost] = np.nan, np.nan
    return {
        "landmarks": landmarks,
        "mtcnn": mtcnn,
        "identity": np.tile(np.float32([cosine, np.sqrt(1 - cosine**2)]), (n, 1)),
        "ssim": np.full(n, 0.5, np.float32),
        "head": np.repeat(turned(turn, 0, 0)[None], n, 0),
        "features": np.random.default_rng(1).normal(size=(n, 3)) + shift,
    }


def test_a_row_says_what_happened() -> None:
    before, after = seen(), seen(shift=3.0, lost=3, cosine=0.2, turn=9)
    row = compare(before, after, Gaussian.of(before["features"]))
    assert (row.dlib.value, row.mtcnn.value, row.mtcnn_sure.value, row.measured.value) == (0.75,) * 4
    assert (row.identity_distance.value, row.unrecognised.value) == (pytest.approx(0.8), 1)
    assert row.landmarks.value == pytest.approx(3)
    assert row.landmarks.n == 9
    assert (row.head.value, row.head_turn.value) == (pytest.approx(3), pytest.approx(9))
    assert row.mouth == pytest.approx(1)
    assert row.eyes is None  # they did not move
    assert row.frechet == pytest.approx(27, abs=1e-6)


def test_the_original_is_at_nothing() -> None:
    before = seen(lost=2)
    row = compare(before, before, Gaussian.of(before["features"]))
    assert (row.frechet, row.identity_distance.value, row.landmarks.value, row.head.value) == (0, 0, 0, 0)
    assert (row.dlib.value, row.dlib.n, row.mtcnn.value) == (1, 10, 1)
    assert floor(before) > 0
    assert threshold(before, [f"p{i}" for i in range(12)]) == pytest.approx(1)


def test_a_row_of_which_nothing_is_found_has_no_landmarks() -> None:
    before, after = seen(), seen(lost=12)
    row = compare(before, after, Gaussian.of(before["features"]))
    assert (row.dlib.value, row.landmarks, row.eyes, row.mouth) == (0, None, None, None)


def test_one_identity_is_compared_within_and_across() -> None:
    identities = np.float32([[1, 0], [1, 0], [1, 0], [0, 1], [0, 1], [0, 1]])
    found = one_identity({"identity": identities, "drawn": np.repeat([4, 9], 3)})
    assert (found.identities, found.photos_each) == (2, 3)
    assert (found.same.value, found.different.value, found.equal_error_rate) == (1, 0, 0)


# --- methods ---------------------------------------------------------------------------------------------------------


def test_a_model_paints_as_the_runtime_does() -> None:
    method = Painted.of("light", shipped("face_64.onnx"))
    photo = a_photo()
    result = method.open()(photo)
    untouched = face_mask(POINTS, SIDE, feather=0.08) == 0
    assert np.array_equal(result[untouched], photo.image[untouched])
    assert np.abs(result[~untouched].astype(int) - photo.image[~untouched]).mean() > 3
    assert np.array_equal(result, method.open()(photo))
    other = method.open()(Photo(1, "b", "b", photo.image, photo.landmarks))
    assert not np.array_equal(result, other)  # one identity per photo


def test_a_model_of_another_kind_is_refused() -> None:
    with pytest.raises(ModelError, match="of kind 'detector', needed is 'anonymizer'"):
        Painted.of("detector", shipped("detector.onnx"))


def test_the_identity_model_beside_a_generator_is_its_own(tmp_path: Path) -> None:
    for name in ("face_64.onnx", "face.weights", "light.weights", "identity.onnx"):
        (tmp_path / name).write_bytes(shipped(name).read_bytes())
    method = Painted.of("copy", tmp_path / "face_64.onnx")
    assert method.key(()) == Painted.of("light", shipped("face_64.onnx")).key(())
    (tmp_path / "identity.onnx").write_bytes(shipped("detector.onnx").read_bytes())
    with pytest.raises(ModelError, match="identity"):
        Painted.of("copy", tmp_path / "face_64.onnx")


def test_another_tool_s_picture_is_found_under_any_suffix(tmp_path: Path) -> None:
    (tmp_path / "sub").mkdir()
    cv2.imwrite(str(tmp_path / "sub" / "a.png"), scene()[..., ::-1])
    cv2.imwrite(str(tmp_path / "b.jpg"), cv2.resize(scene(), (512, 512)))
    tool = Foreign("tool", tmp_path)
    tool.check(["sub/a.jpg", "b.jpg"])
    assert np.array_equal(tool.open()(Photo(0, "sub/a.jpg", "a", scene(), POINTS)), scene())
    assert tool.open()(Photo(0, "b.jpg", "b", scene(), POINTS)).shape == (SIDE, SIDE, 3)
    before = tool.key(["b.jpg"])
    cv2.imwrite(str(tmp_path / "b.jpg"), noise())
    assert tool.key(["b.jpg"]) != before


def test_missing_and_oblong_pictures_are_named(tmp_path: Path) -> None:
    tool = Foreign("tool", tmp_path)
    with pytest.raises(InputError, match=r"tool: 2 of 2 pictures are missing .* 'a\.jpg'; --crops"):
        tool.check(["a.jpg", "b.jpg"])
    cv2.imwrite(str(tmp_path / "a.jpg"), noise()[:100])
    with pytest.raises(InputError, match="no square picture"):
        tool.open()(Photo(0, "a.jpg", "a", scene(), POINTS))


def test_the_photo_itself_is_left_alone() -> None:
    photo = noise()
    for method in BASELINES:
        method.open()(Photo(0, "a", "a", photo, POINTS))
    assert np.array_equal(photo, noise())


# --- judges ----------------------------------------------------------------------------------------------------------


class FakeDlib:
    """Finds the face wherever the middle of the picture has contrast, at double size only where that is weak."""

    def boxes(self, image: Image, *, doubled: bool | None = None) -> np.ndarray:
        contrast = image[80:200, 80:180].std()
        return np.array([[*POINTS.min(0), *POINTS.max(0)]] if contrast > (6 if doubled else 12) else []).reshape(-1, 4)

    def landmarks(self, image: Image, where: np.ndarray) -> Floats:
        return POINTS + np.float32(image[128, 128, 0] / 100)


def fake_judges() -> PortraitJudges:
    def recognise(image: Image, points: Floats) -> Floats:
        vector = image[60:220:16, 60:200:16].astype(np.float32).ravel() - 128
        return vector / np.linalg.norm(vector)

    return PortraitJudges(
        dlib=FakeDlib(),
        mtcnn=lambda image: np.c_[FakeDlib().boxes(image), np.full(len(FakeDlib().boxes(image)), 0.99)],
        recognise=recognise,
        head_pose=lambda image, points: turned(float(image[128, 128, 0]) / 10, 0, 0),
        features=lambda image: image.mean((0, 1)),
    )


def test_the_box_at_the_photo_s_place_counts() -> None:
    place = np.array([10.0, 10, 50, 50])
    boxes = np.array([[200.0, 200, 240, 240, 0.9], [14, 10, 54, 50, 0.7]])
    assert at_place(boxes, place)[4] == 0.7
    assert at_place(boxes[:1], place) is None
    assert at_place(np.zeros((0, 5)), place) is None


def test_a_face_that_is_missed_is_looked_for_in_a_larger_picture() -> None:
    flat = np.full((SIDE, SIDE, 3), 120, np.uint8)
    faint = flat.copy()
    faint[::2] = 137  # a deviation of 8.5
    place = np.concatenate([POINTS.min(0), POINTS.max(0)])
    assert find(FakeDlib(), faint, place) is not None
    assert find(FakeDlib(), flat, place) is None


def test_what_is_not_found_is_told_and_the_rest_still_measured() -> None:
    photo = a_photo()
    found = look(fake_judges(), photo, np.full_like(photo.image, 120))
    assert np.isnan(found["landmarks"]).all()
    assert np.isnan(found["mtcnn"])
    assert np.isfinite([found["ssim"], *found["identity"], *found["features"]]).all()
    same = look(fake_judges(), photo, photo.image)
    assert (same["ssim"], same["mtcnn"]) == (pytest.approx(1), pytest.approx(0.99))


# --- the whole -------------------------------------------------------------------------------------------------------


def make_pack(folder: Path, count: int = 6) -> Path:
    """A pack without a real person in it."""
    from training.prepare.faces import Face
    from training.prepare.sources import Picture

    part = Part(source="flat:test", key="test")
    for i in range(count):
        face = Face(jpeg=encode(scene(i)), landmarks=(POINTS + 0.5) / SIDE, matrix=np.eye(2, 3, dtype=np.float32))
        part.add(face, Picture(image=scene(i), person=f"p{i // 2}", name=f"p{i // 2}/{i}.jpg"), follows_last=False)
    folder.mkdir()
    part.save(folder / "part_0000.npz")
    return folder


@pytest.fixture
def photos(tmp_path: Path) -> Photos:
    return open_photos(make_pack(tmp_path / "pack"), count=100)


def test_photos_come_from_a_pack_in_the_order_asked_for(tmp_path: Path, photos: Photos) -> None:
    assert (len(photos), photos.persons) == (6, ["p0", "p0", "p1", "p1", "p2", "p2"])
    assert photos[2].landmarks == pytest.approx(POINTS, abs=1e-4)
    two = open_photos(tmp_path / "pack", count=9, names=["p2/5.jpg", "p0/0.jpg"])
    assert [two[i].name for i in range(2)] == two.names == ["p2/5.jpg", "p0/0.jpg"]
    assert np.array_equal(two[0].image, photos[5].image)
    with pytest.raises(InputError, match=r"1 of 1 names are not among the photos; the first is 'x\.jpg'"):
        open_photos(tmp_path / "pack", count=9, names=["x.jpg"])
    assert photos.digest([0, 1]) != photos.digest([1, 0])


def test_nobody_serves_for_two_identities(photos: Photos, tmp_path: Path) -> None:
    setup = jobs.Setup(tmp_path / "pack", 100, None, tmp_path, tmp_path, None)
    method = Painted("m", shipped("face_64.onnx"), "d")
    parts = jobs.shared_parts(method, photos, setup, tmp_path, identities=60, each=1)
    used = [photos.persons[i] for part in parts for _, indices in part.people for i in indices]
    assert sorted(used) == ["p0", "p1", "p2"]
    assert jobs.shared_parts(method, photos, setup, tmp_path, identities=60, each=4) == []


def test_what_was_measured_is_known_by_how_it_was_measured(photos: Photos, tmp_path: Path) -> None:
    setup = jobs.Setup(tmp_path / "pack", 100, None, tmp_path, tmp_path, None)
    inception = tmp_path / "i.pt"
    inception.write_bytes(b"123")
    other = jobs.Setup(tmp_path / "pack", 100, None, tmp_path, tmp_path, inception)
    fewer = open_photos(tmp_path / "pack", count=3)
    paths = [
        jobs.row_parts(*args, tmp_path)[0].path
        for args in (
            (Pixelised(15), photos, setup), (Pixelised(25), photos, setup), (Pixelised(15), photos, other),
            (Pixelised(15), fewer, setup), (Blurred(15), photos, setup),
        )
    ]  # fmt: skip
    assert len(set(paths)) == 5
    assert paths[0] == jobs.row_parts(Pixelised(15), photos, setup, tmp_path)[0].path


def invoke(tmp_path: Path, *arguments: str) -> Result:
    weights = tmp_path / "weights"
    weights.mkdir(exist_ok=True)
    predictor = tmp_path / "dlib.dat"
    predictor.touch()
    common = ["--weights", str(weights), "--predictor", str(predictor), "--out", str(tmp_path / "out")]
    return CliRunner().invoke(evaluate.main, [*arguments, *common])


@pytest.fixture
def pack(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A pack, and judges that need no weights."""
    monkeypatch.setattr(PortraitJudges, "load", lambda weights, predictor, inception: fake_judges())
    monkeypatch.setattr(evaluate, "PHOTOS_EACH", 1)
    return make_pack(tmp_path / "pack")


def test_every_row_is_in_every_table(tmp_path: Path, pack: Path) -> None:
    tool = tmp_path / "tool"
    assert invoke(tmp_path, str(pack), "--crops", str(tool)).exit_code == 0
    model = f"light={shipped('face_64.onnx')}"
    done = invoke(tmp_path, model, str(pack), "--also", f"tool={tool}")
    assert done.exit_code == 0, done.output
    text = (tmp_path / "out" / "table.md").read_text("utf-8")
    assert text in done.output
    rows = [*(method.name for method in BASELINES), "light", "tool"]
    tables = [part for part in text.split("\n## ") if "| --- |" in part]
    assert len(tables) == 4
    for table in tables[:3]:
        lines = [line for line in table.splitlines() if line.startswith("|")]
        names = [line.split(" | ")[0].removeprefix("| ") for line in lines]
        assert [name for name in names[2:] if not name.startswith("paper")] == rows
        assert len({line.count("|") for line in lines}) == 1
    assert "| light | 3 x 1 |" in tables[3]
    assert "nan" not in text
    found = json.loads((tmp_path / "out" / "results.json").read_text("utf-8"))
    assert list(found["rows"]) == rows
    assert all(set(row) == {field.name for field in fields(Comparison)} for row in found["rows"].values())
    assert found["rows"]["tool"]["ssim"]["value"] == pytest.approx(1)
    assert found["rows"]["tool"]["frechet"] == pytest.approx(0, abs=1e-6)
    picture = cv2.imread(str(tmp_path / "out" / "faces.jpg"))
    assert picture.shape[1] == len(rows) * (SIDE + faces_picture.GAP_PX)


def test_only_what_is_new_is_measured(tmp_path: Path, pack: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    measured: list[str] = []
    whole = jobs.measure_and_keep

    def counted(part: jobs.Part, setup: jobs.Setup) -> None:
        measured.append(part.method.name)
        whole(part, setup)

    monkeypatch.setattr(jobs, "measure_and_keep", counted)
    monkeypatch.setattr(jobs, "PHOTOS_A_PART", 4)
    assert invoke(tmp_path, str(pack)).exit_code == 0
    assert measured == [method.name for method in BASELINES for _ in range(2)]
    first = (tmp_path / "out" / "results.json").read_text("utf-8")
    measured.clear()
    assert invoke(tmp_path, str(pack)).exit_code == 0
    assert measured == []
    assert json.loads((tmp_path / "out" / "results.json").read_text("utf-8"))["rows"] == json.loads(first)["rows"]
    assert invoke(tmp_path, f"a={shipped('face_64.onnx')}", str(pack)).exit_code == 0
    assert set(measured) == {"a"}
    measured.clear()
    lost = sorted((tmp_path / "out" / "cache" / "original").iterdir())[0]
    lost.unlink()  # as if the run had been stopped before
    assert invoke(tmp_path, str(pack)).exit_code == 0
    assert measured == ["original"]


def test_a_part_that_fails_leaves_no_file(photos: Photos, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(PortraitJudges, "load", lambda weights, predictor, inception: fake_judges())
    setup = jobs.Setup(tmp_path / "pack", 100, None, tmp_path, tmp_path, None)
    (part,) = jobs.row_parts(Pixelised(15), photos, setup, tmp_path / "c")
    monkeypatch.setattr(np, "savez", lambda file, **arrays: file.write(b"half") and 1 / 0)
    with pytest.raises(ZeroDivisionError):
        jobs.measure_and_keep(part, setup)
    assert not part.path.exists()


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["{detector}", "{pack}"], "of kind 'detector'"),
        (["nowhere.onnx", "{pack}"], "no model file at nowhere.onnx"),
        (["a={face}", "a={face}", "{pack}"], "two rows are called 'a'"),
        (["{pack}", "--also", "tool={empty}"], "tool: 6 of 6 pictures are missing"),
        (["{pack}", "--also", "tool=nowhere"], "no folder at nowhere"),
        (["{empty}"], "holds neither pictures nor clips"),
        (["{pack}", "--names", "{names}"], "'stranger.jpg'"),
    ],
)
def test_a_wrong_command_line_is_one_clear_line(tmp_path: Path, pack: Path, arguments: list[str], message: str) -> None:
    empty, names = tmp_path / "empty", tmp_path / "names.txt"
    empty.mkdir()
    names.write_text("p0/0.jpg\nstranger.jpg\n")
    values = {"pack": pack, "empty": empty, "names": names}
    values |= {"detector": shipped("detector.onnx"), "face": shipped("face_64.onnx")}
    done = invoke(tmp_path, *(argument.format(**values) for argument in arguments))
    assert done.exit_code == 1
    assert message in done.output
    assert "Traceback" not in done.output


def test_a_folder_of_photos_is_prepared_first(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    class Teacher:
        name = "dlib"

        def __call__(self, image: np.ndarray) -> np.ndarray:
            return placed(face_shape(), size=60)

    monkeypatch.setattr(evaluate, "make_teacher", lambda name, predictor: Teacher())
    folder = tmp_path / "photos"
    for person, count in (("Ann", 2), ("Bob", 1)):
        (folder / person).mkdir(parents=True)
        for i in range(count):
            cv2.imwrite(str(folder / person / f"{i}.png"), np.full((480, 640, 3), 90, np.uint8))
    found = evaluate.prepared(folder, tmp_path / "out", tmp_path, 2, None)
    assert open_photos(found, count=9).names == ["Ann/0.png", "Ann/1.png"]
    named = evaluate.prepared(folder, tmp_path / "out", tmp_path, 9, ["Bob/0.png"])
    assert open_photos(named, count=9).persons == ["Bob"]
    assert evaluate.prepared(found, tmp_path / "out", tmp_path, 2, None) == found


def test_help_says_that_the_picture_shows_real_people() -> None:
    text = " ".join(CliRunner().invoke(evaluate.main, ["--help"]).output.split())
    assert "shows real people" in text
    assert "never publish or commit it" in text


def test_the_picture_shows_different_people(photos: Photos) -> None:
    assert faces_picture.chosen(photos, 2) == [0, 4]
    shown = faces_picture.sheet(faces_picture.columns([Pixelised(25)], photos, [0, 4]))
    top = faces_picture.HEADING_PX
    assert np.array_equal(shown[top : top + SIDE, :SIDE], baselines.pixelised(photos[0].image, photos[0].landmarks, 25))
    assert shown[:top].min() < 100  # the method's name
