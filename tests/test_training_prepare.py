from __future__ import annotations

import json
import shutil
import zlib
from dataclasses import replace
from pathlib import Path

import cv2
import dlib
import numpy as np
import pytest
import torch
from click.testing import CliRunner, Result

from streamfilter.align import ffhq_matrix, pose_image, remove_face, transform
from streamfilter.errors import ConfigError
from streamfilter.structures import Floats, Image
from tests.media_factory import make_video
from tests.synthetic_face import face_shape, placed
from training.generator.networks import Decoder, Mapping
from training.generator.sample import load_decoder_checkpoint, spread, to_image
from training.prepare import split
from training.prepare.__main__ import main, restrict
from training.prepare.build import build, missing, plan
from training.prepare.drawn import Drawn, Generator, drawn
from training.prepare.faces import SIDE, TOO_SMALL, UNREADABLE, face_of, movement
from training.prepare.pack import Pack
from training.prepare.parts import part_paths, read_part
from training.prepare.report import report, summary
from training.prepare.sheet import contact_sheet
from training.prepare.sources import Layout, guess, open_folder
from training.prepare.teachers import NO_FACE, UNSURE, DlibLandmarks, OwnLandmarks, Unusable

FACE = placed(face_shape(), x=150, y=110, size=50)
GREY = np.full((240, 300, 3), 120, np.uint8)


class FakeTeacher:
    """Sees the same face in every picture that is not black."""

    name = "fake"

    def __init__(self, face: Floats = FACE, stop_after: int | None = None) -> None:
        self.face, self.calls, self.stop_after = face, 0, stop_after

    def __call__(self, image: Image) -> Floats:
        if self.calls == self.stop_after:
            raise KeyboardInterrupt
        self.calls += 1
        if image.max() < 8:
            raise Unusable(NO_FACE)
        return self.face


def silent(line: str) -> None:
    """Nobody listens."""


def write(path: Path, level: int = 120) -> Path:
    """A picture of one grey; 0 is one without a face."""
    path.parent.mkdir(parents=True, exist_ok=True)
    cv2.imwrite(str(path), np.full((240, 300, 3), level, np.uint8))
    return path


def people(folder: Path, **photos: int) -> Path:
    """A folder in the layout of LFW; greys tell the photos apart."""
    level = 60
    for person, count in photos.items():
        for number in range(1, count + 1):
            write(folder / person / f"{person}_{number:04d}.png", level)
            level += 10
    return folder


def packed(out: Path, *folders: Path | str, teacher: FakeTeacher | None = None, size: int = 1000) -> Pack:
    teacher = teacher or FakeTeacher()
    build(out, plan([open_folder(str(folder), 3) for folder in folders], teacher.name, size), teacher, silent)
    return Pack([out])


def run(*words: object) -> Result:
    return CliRunner().invoke(main, [str(word) for word in words])


# --- sources ----------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("files", "layout", "persons"),
    [
        (["000001.jpg", "000002.jpg"], Layout.FLAT, ["000001", "000002"]),
        (["00000/00001.png", "01000/01007.png"], Layout.FFHQ, ["00001", "01007"]),
        (["Ann_Lee/Ann_Lee_0001.jpg", "Bo/Bo_0001.jpg"], Layout.PEOPLE, ["Ann_Lee", "Bo"]),
    ],
)
def test_the_layout_is_recognised_and_tells_who_it_is(tmp_path, files, layout, persons):
    for name in [*files, "notes.txt"]:
        (tmp_path / name).parent.mkdir(exist_ok=True)
        (tmp_path / name).write_bytes(b"")
    assert guess(tmp_path) is layout
    source = open_folder(str(tmp_path))
    assert [(unit.name, unit.person) for unit in source.units] == list(zip(files, persons, strict=True))
    assert source.label == f"{layout}:{tmp_path.name}"


def test_a_layout_can_be_named(tmp_path):
    write(tmp_path / "00001" / "a.png")
    assert open_folder(str(tmp_path)).units[0].person == "a"
    assert open_folder(f"people:{tmp_path}").units[0].person == "00001"


@pytest.mark.parametrize("text", ["{}/none", "people:{}", "clips:{}", "{}"])
def test_a_source_without_anything_says_what_it_wants(tmp_path, text):
    with pytest.raises(ConfigError, match=str(tmp_path)):
        open_folder(text.format(tmp_path))


def test_a_clip_gives_pairs_of_neighbours_spread_over_it(tmp_path):
    make_video(tmp_path / "ann.mp4", frames=20, width=320, height=240)
    (clip,) = open_folder(str(tmp_path), 4).units
    pictures = list(clip.pictures())
    assert [p.name for p in pictures] == [f"ann.mp4#{i:06d}" for i in (0, 1, 5, 6, 10, 11, 15, 16)]
    assert [p.follows for p in pictures] == [False, True] * 4
    assert {p.person for p in pictures} == {"ann"}
    assert clip.count == len(pictures)


# --- faces ------------------------------------------------------------------------------------------------------------


def test_the_crop_is_aligned_and_its_landmarks_lie_on_the_face():
    image = np.full((240, 300, 3), 60, np.uint8)
    face = placed(face_shape(), x=150, y=110, size=50, degrees=25)
    for x, y in np.round(face[[36, 45, 8]]).astype(int):
        cv2.circle(image, (x, y), 3, (255, 60, 60), -1)
    found = face_of(image, FakeTeacher(face))
    np.testing.assert_allclose(found.matrix, ffhq_matrix(face, SIDE))
    points = found.landmarks * SIDE - 0.5
    np.testing.assert_allclose(points, transform(face, found.matrix), atol=1e-3)
    crop = cv2.cvtColor(cv2.imdecode(np.frombuffer(found.jpeg, np.uint8), cv2.IMREAD_COLOR), cv2.COLOR_BGR2RGB)
    assert crop.shape == (SIDE, SIDE, 3)
    for x, y in np.round(points[[36, 45, 8]]).astype(int):
        assert int(crop[y, x, 0]) - int(crop[y, x, 2]) > 100


def test_a_tiny_face_is_left_out():
    with pytest.raises(Unusable, match=TOO_SMALL):
        face_of(GREY, FakeTeacher(placed(face_shape(), size=12)))


def test_movement_is_measured_in_sides_of_the_crop():
    first, second = (face_of(GREY, FakeTeacher(FACE + shift)) for shift in (0, [12, -5]))
    side = SIDE / np.hypot(*first.matrix[0, :2])
    assert movement(first, second) == pytest.approx(13 / side, rel=1e-3)


# --- build ------------------------------------------------------------------------------------------------------------


def test_bad_pictures_are_listed_and_the_rest_is_kept(tmp_path):
    folder = people(tmp_path / "in", Ann=2, Bo=1)
    write(folder / "Bo" / "Bo_0002.png", 0)
    whole = (folder / "Ann" / "Ann_0001.png").read_bytes()
    (folder / "Ann" / "Ann_0003.png").write_bytes(whole[: len(whole) // 2])
    (folder / "Ann" / "Ann_0004.jpg").write_text("no picture")
    (folder / "Ann" / "Ann_0005.jpg").write_bytes(b"")
    pack = packed(tmp_path / "out", folder)
    assert pack.name.tolist() == ["Ann/Ann_0001.png", "Ann/Ann_0002.png", "Bo/Bo_0001.png"]
    numbers = report(tmp_path / "out", "fake")
    assert (numbers["pictures"], numbers["usable"], numbers["people"]) == (7, 3, 2)
    assert numbers["share"] == pytest.approx(3 / 7, abs=1e-5)
    assert numbers["reasons"] == {UNREADABLE: 3, NO_FACE: 1}
    assert {"source": "people:in", "name": "Bo/Bo_0002.png", "reason": NO_FACE} in numbers["left_out"]
    assert "42.86%" in summary(numbers)
    assert f"left out, {UNREADABLE}: 3" in summary(numbers)


def test_a_broken_clip_does_not_stop_the_next_one(tmp_path):
    (tmp_path / "in").mkdir()
    make_video(tmp_path / "in" / "b.mp4", frames=6)
    (tmp_path / "in" / "a.mp4").write_bytes(b"\0" * 500)
    pack = packed(tmp_path / "out", tmp_path / "in")
    assert set(pack.person) == {"b"}
    assert report(tmp_path / "out", "fake")["left_out"] == [
        {"source": "clips:in", "name": "a.mp4", "reason": UNREADABLE}
    ]


def test_a_stopped_run_goes_on_and_gives_the_same_pack(tmp_path):
    folder = people(tmp_path / "in", Ann=3, Bo=3)
    stopped = FakeTeacher(stop_after=5)
    with pytest.raises(KeyboardInterrupt):
        packed(tmp_path / "twice", folder, teacher=stopped, size=2)
    assert [path.name for path in part_paths(tmp_path / "twice")] == ["part_0000.npz", "part_0001.npz"]
    second = FakeTeacher()
    packed(tmp_path / "twice", folder, teacher=second, size=2)
    assert second.calls == 2
    packed(tmp_path / "once", folder, size=2)
    for one, other in zip(part_paths(tmp_path / "once"), part_paths(tmp_path / "twice"), strict=True):
        a, b = read_part(one), read_part(other)
        assert all(np.array_equal(a[name], b[name]) for name in a)


def test_further_sources_can_be_added_but_none_exchanged(tmp_path):
    first, second = people(tmp_path / "one", Ann=2), people(tmp_path / "two", Bo=2)
    packed(tmp_path / "out", first)
    assert packed(tmp_path / "out", first, second).person.tolist() == ["Ann", "Ann", "Bo", "Bo"]
    with pytest.raises(ConfigError, match=r"part_0000\.npz was made from other pictures"):
        packed(tmp_path / "out", second, first)
    with pytest.raises(ConfigError, match="part_0000"):
        missing(tmp_path / "out", plan([open_folder(str(first)), open_folder(str(second))], "own"))
    with pytest.raises(ConfigError, match="part_0001"):
        packed(tmp_path / "out", first)


# --- neighbours -------------------------------------------------------------------------------------------------------


def test_neighbours_point_to_the_next_frame_across_packs(tmp_path):
    (tmp_path / "in").mkdir()
    make_video(tmp_path / "in" / "ann.mp4", frames=15, width=320, height=240)
    packed(tmp_path / "a", people(tmp_path / "lfw", Bo=1), tmp_path / "in")
    packed(tmp_path / "b", tmp_path / "in")
    pack = Pack([tmp_path / "a", tmp_path / "b"])
    assert pack.neighbour.tolist() == [-1, 2, -1, 4, -1, 6, -1, 8, -1, 10, -1, 12, -1]
    first = np.flatnonzero(pack.neighbour >= 0)
    number = [int(name[-6:]) for name in pack.name[1:]]
    assert all(number[pack.neighbour[i] - 1] == number[i - 1] + 1 for i in first)


class Jumping(FakeTeacher):
    """The largest face is another one in every second frame."""

    def __call__(self, image: Image) -> Floats:
        return super().__call__(image) + (0 if self.calls % 2 else 40)


class Blinking(FakeTeacher):
    """Misses every second frame."""

    def __call__(self, image: Image) -> Floats:
        found = super().__call__(image)
        if self.calls % 2 == 0:
            raise Unusable(NO_FACE)
        return found


@pytest.mark.parametrize(("teacher", "count"), [(Jumping(), 6), (Blinking(), 3)])
def test_another_face_is_no_neighbour_and_neither_is_a_gap(tmp_path, teacher, count):
    (tmp_path / "in").mkdir()
    make_video(tmp_path / "in" / "ann.mp4", frames=15, width=320, height=240)
    assert packed(tmp_path / "out", tmp_path / "in", teacher=teacher).neighbour.tolist() == [-1] * count


# --- reader -----------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("side", [64, 128, 256, 320])
def test_the_reader_makes_what_the_runtime_makes(tmp_path, side):
    pack = packed(tmp_path / "out", people(tmp_path / "in", Ann=2))
    image, points = pack.image(1, side), pack.landmarks[1] * side - 0.5
    assert image.shape == (side, side, 3)
    assert abs(float(image.mean()) - 70) < 1.5
    np.testing.assert_array_equal(pack.surroundings(1, side), remove_face(image, points.astype(np.float32)))
    np.testing.assert_array_equal(pack.pose(1, side), pose_image(points.astype(np.float32), side))
    inside = pack.surroundings(1, side)[tuple(np.round(points[30]).astype(int)[::-1])]
    assert inside.tolist() == [127, 127, 127]
    assert pack.mask(1, side).shape == (side, side)
    assert pack.mask(1, side)[tuple(np.round(points[30]).astype(int)[::-1])] == 1


def test_a_pack_has_the_columns_that_were_agreed(tmp_path):
    pack = packed(tmp_path / "out", people(tmp_path / "in", Ann=2, Bo=1))
    assert len(pack) == 3
    assert (pack.landmarks.shape, pack.landmarks.dtype) == ((3, 68, 2), np.float32)
    assert pack.person.tolist() == ["Ann", "Ann", "Bo"]
    assert set(pack.source) == {"people:in"}
    assert pack.latents is None
    assert 0 < pack.landmarks.min() < pack.landmarks.max() < 1


def test_a_folder_without_parts_is_no_pack(tmp_path):
    with pytest.raises(ConfigError, match="is no pack"):
        Pack([tmp_path])


def test_the_contact_sheet_shows_all_three_pictures(tmp_path):
    sheet = contact_sheet(packed(tmp_path / "out", people(tmp_path / "in", Ann=3)))
    crop, removed, pose = (sheet[80, 160 * i + 80] for i in range(3))
    assert np.abs(crop.astype(int) - 60).max() < 3
    assert removed.tolist() == [127, 127, 127]
    assert set(np.unique(sheet[:160, 320:480])) == {0, 255}
    assert pose.shape == (3,)


# --- generator --------------------------------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def checkpoint(tmp_path_factory) -> Path:
    """A decoder with random weights, cut after the last block that a rung needs."""
    torch.manual_seed(0)
    decoder, mapping = Decoder(blocks=5), Mapping()
    decoder.const.data = torch.randn_like(decoder.const)
    path = tmp_path_factory.mktemp("decoder") / "decoder.pt"
    torch.save({"decoder": decoder.drop_noise().state_dict(), "mapping": mapping.state_dict(),
                "latent_avg": torch.randn(512)}, path)  # fmt: skip
    return path


@pytest.fixture(scope="module")
def generator(checkpoint: Path) -> Generator:
    return Generator.load(checkpoint)


def test_drawn_faces_keep_the_latents_that_paint_them(tmp_path, generator):
    painted = []

    def paint(latent: torch.Tensor) -> torch.Tensor:
        painted.append(latent)
        return torch.full((1, 3, 256, 256), 0.1)

    generator = replace(generator, paint=paint)
    build(tmp_path / "out", plan([drawn(generator, 5, 7)], "fake"), FakeTeacher(), silent)
    pack = Pack([tmp_path / "out"])
    assert (pack.latents.shape, pack.latents.dtype) == ((5, 3, 512), np.float16)
    for i in range(5):
        np.testing.assert_allclose(spread(torch.from_numpy(pack.latents[i : i + 1]).float()), painted[i], atol=2e-3)
    assert len(set(pack.person)) == 5


def test_the_decoder_paints_what_is_drawn(checkpoint, generator):
    first, again = (next(Drawn(generator, 1, 0, 2).pictures()) for _ in range(2))
    assert first.image.shape == (256, 256, 3)
    np.testing.assert_array_equal(first.image, again.image)
    decoder, _, _ = load_decoder_checkpoint(checkpoint)
    with torch.inference_mode():
        painted = to_image(decoder(spread(torch.from_numpy(first.latent)[None]), 256)[0])
    assert np.abs(painted.astype(int) - first.image).max() <= 1
    assert painted.std() > 1


def test_seeds_and_places_draw_different_faces(generator):
    generator = replace(generator, paint=lambda _: torch.zeros(1, 3, 256, 256))
    units = [Drawn(generator, seed, first, 1) for seed in (1, 2) for first in (0, 100)]
    assert len({unit.name for unit in units}) == len({unit.person for unit in units}) == 4
    assert len({next(unit.pictures()).latent.tobytes() for unit in units}) == 4


def test_a_pack_with_real_faces_has_no_latents(tmp_path, generator):
    generator = replace(generator, paint=lambda _: torch.full((1, 3, 256, 256), 0.1))
    folder = open_folder(str(people(tmp_path / "in", Ann=1)))
    build(tmp_path / "out", plan([folder, drawn(generator, 2, 1)], "fake"), FakeTeacher(), silent)
    assert Pack([tmp_path / "out"]).latents is None


# --- who is kept out of training --------------------------------------------------------------------------------------


def test_people_are_split_whole_in_the_order_of_their_checksum(tmp_path):
    units = open_folder(str(people(tmp_path, Ann=3, Bo=3, Cy=3, Di=3))).units
    in_line = sorted(["Ann", "Bo", "Cy", "Di"], key=lambda name: zlib.crc32(name.encode()))
    names, held = split.split_people(units, 5, lambda unit: not unit.name.endswith("1.png"))
    assert held == sorted(in_line[:3])
    assert len(names) == 5
    assert {name.partition("/")[0] for name in names} == set(held)
    assert not any(name.endswith("1.png") for name in names)
    with pytest.raises(ConfigError, match="only 12 photos are usable"):
        split.split_people(units, 13, lambda unit: True)


def test_a_photo_without_a_face_is_not_chosen(tmp_path):
    folder = people(tmp_path, Ann=1)
    write(folder / "Ann" / "Ann_0002.png", 0)
    (folder / "Ann" / "Ann_0003.png").write_bytes(b"")
    usable = [split.is_usable(unit, FakeTeacher()) for unit in open_folder(str(folder)).units]
    assert usable == [True, False, False]


def test_clips_with_an_even_checksum_are_kept_out(tmp_path):
    for name in ("ann", "bo", "cy", "di"):
        (tmp_path / f"{name}.mp4").write_bytes(b"")
    out = tmp_path / "lists" / "people.txt"
    done = CliRunner().invoke(split.main, ["clips", str(tmp_path), "--out-people", str(out)])
    assert done.exit_code == 0, done.output
    even = [name for name in ("ann", "bo", "cy", "di") if zlib.crc32(name.encode()) % 2 == 0]
    assert out.read_text().split() == even
    assert f"{len(even)} of 4 clips" in done.output


def test_the_lists_keep_people_in_or_out(tmp_path):
    source = open_folder(str(people(tmp_path / "in", Ann=2, Bo=2)))
    only, skipped = tmp_path / "only.txt", tmp_path / "skip.txt"
    only.write_text("Ann/Ann_0001.png\n\nBo/Bo_0002.png\n")
    skipped.write_text("Ann\nZoe\n")

    def names(*lists: Path | None) -> list[str]:
        return [unit.name for one in restrict([source], *lists) for unit in one.units]

    assert names(only, None) == ["Ann/Ann_0001.png", "Bo/Bo_0002.png"]
    assert names(None, skipped) == ["Bo/Bo_0001.png", "Bo/Bo_0002.png"]
    assert names(only, skipped) == ["Bo/Bo_0002.png"]
    only.write_text("Ann/Ann_0009.png\n")
    with pytest.raises(ConfigError, match=r"1 of 1 names are in no source: Ann/Ann_0009\.png"):
        names(only, None)
    skipped.write_text("Ann\nBo\n")
    with pytest.raises(ConfigError, match="leave no picture"):
        names(None, skipped)


# --- command line -----------------------------------------------------------------------------------------------------


def test_a_dry_run_says_what_would_be_done_and_writes_nothing(tmp_path):
    done = run(tmp_path / "out", people(tmp_path / "in", Ann=2, Bo=1), "--dry-run")
    assert done.exit_code == 0, done.output
    assert "people:in: about 3 pictures" in done.output
    assert "1 parts, 1 to be made" in done.output
    assert not (tmp_path / "out").exists()


def test_pictures_without_a_face_give_a_report_and_no_error(tmp_path):
    done = run(tmp_path / "out", people(tmp_path / "in", Ann=2), "--teacher", "own")
    assert done.exit_code == 0, done.output
    numbers = json.loads((tmp_path / "out" / "report.json").read_text())
    assert (numbers["teacher"], numbers["pictures"], numbers["usable"]) == ("own", 2, 0)
    assert numbers["sources"]["people:in"]["reasons"] == {NO_FACE: 2}
    assert "0.00%" in done.output
    assert len(Pack([tmp_path / "out"])) == 0


@pytest.mark.parametrize(
    ("words", "says"),
    [
        ([], "name a SOURCE"),
        (["{}/none"], "no folder at"),
        (["{}/in"], "needs --predictor"),
        (["{}/in", "--predictor", "{}/junk"], "no dlib shape predictor"),
        (["--generator", "{}/junk"], "no decoder written by training.generator"),
        (["--generator", "{}/other.pt"], "no decoder written by training.generator"),
        (["{}/in", "--only", "{}/empty"], "names nobody"),
    ],
)
def test_a_wrong_option_says_what_is_wanted(tmp_path, words, says):
    people(tmp_path / "in", Ann=1)
    (tmp_path / "junk").write_bytes(b"junk")
    (tmp_path / "empty").write_text("\n")
    torch.save({"model": {}}, tmp_path / "other.pt")
    done = run(tmp_path / "out", *(word.format(tmp_path) for word in words))
    assert done.exit_code == 1
    assert says in done.output
    assert "Traceback" not in done.output


def test_every_option_is_explained():
    assert all(option.help for option in main.params if option.param_type_name == "option")
    assert "ffhq:DIR" in run("--help").output


# --- real -------------------------------------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def portraits(real_data: Path, tmp_path_factory) -> Path:
    folder = tmp_path_factory.mktemp("portraits")
    for path in sorted((real_data / "faces" / "london" / "neutral_front").glob("*.jpg"))[:4]:
        shutil.copy(path, folder)
    return folder


@pytest.mark.real
def test_real_photos_become_a_pack(tmp_path, portraits):
    write(portraits / "zzz.png")
    done = run(tmp_path / "out", portraits, "--teacher", "own")
    assert done.exit_code == 0, done.output
    pack = Pack([tmp_path / "out"])
    assert len(pack) == 4
    assert "80.00%" in done.output
    eyes, mouth = pack.landmarks[:, 36:48].mean(1), pack.landmarks[:, 48:].mean(1)
    np.testing.assert_allclose(eyes, [[0.5, 0.46]] * 4, atol=0.04)
    np.testing.assert_allclose(mouth, [[0.5, 0.72]] * 4, atol=0.05)
    assert (tmp_path / "out" / "contact_sheet.jpg").stat().st_size > 10_000


@pytest.mark.real
def test_dlib_and_our_own_network_agree(tmp_path, portraits):
    own, images = OwnLandmarks(), [cv2.imread(str(path))[..., ::-1].copy() for path in sorted(portraits.glob("*.jpg"))]
    predictor = trained_predictor(tmp_path / "small.dat", own, images)
    teacher = DlibLandmarks(predictor)
    for image in images:
        theirs, ours = teacher(image), own(image)
        assert np.hypot(*(theirs - ours).T).mean() < 0.08 * np.hypot(*(ours[36] - ours[45]))


def trained_predictor(path: Path, own: OwnLandmarks, images: list[Image]) -> Path:
    """dlib's own file may not be passed on, so a small one is trained on what our network says of the photos."""
    faces = []
    detector = dlib.get_frontal_face_detector()
    for image in images:
        parts = [dlib.point(*map(round, point)) for point in own(image).tolist()]
        box = max(detector(image, 0), key=lambda one: one.area())
        faces.append([dlib.full_object_detection(box, dlib.points(parts))])
    options = dlib.shape_predictor_training_options()
    options.cascade_depth, options.oversampling_amount, options.num_trees_per_cascade_level = 4, 10, 60
    options.num_threads = 1
    dlib.train_shape_predictor(images, faces, options).save(str(path))
    return path


@pytest.mark.real
def test_landmarks_that_two_looks_do_not_share_are_refused(tmp_path, portraits, monkeypatch):
    own, images = OwnLandmarks(), [cv2.imread(str(path))[..., ::-1].copy() for path in sorted(portraits.glob("*.jpg"))]
    monkeypatch.setattr("training.prepare.teachers.MAX_DISAGREEMENT", 0.0)
    with pytest.raises(Unusable, match=UNSURE):
        DlibLandmarks(trained_predictor(tmp_path / "small.dat", own, images))(images[0])
