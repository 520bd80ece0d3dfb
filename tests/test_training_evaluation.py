"""training/evaluation: the judges see what was put before them, and the numbers say what happened."""

from __future__ import annotations

import json
from dataclasses import asdict
from pathlib import Path

import cv2
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

torch = pytest.importorskip("torch")

from click.testing import CliRunner  # noqa: E402

from streamfilter.errors import InputError  # noqa: E402
from streamfilter.metrics import over_time, pose  # noqa: E402
from streamfilter.metrics.matching import NOBODY, Seen, match, suppress, tracks  # noqa: E402
from tests.media_factory import index_of, make_video  # noqa: E402
from tests.synthetic_face import face_shape  # noqa: E402
from training.evaluation import clips, mtcnn_networks  # noqa: E402
from training.evaluation.frames import Pair, expected, pairs  # noqa: E402
from training.evaluation.mtcnn import Mtcnn, MtcnnConfig  # noqa: E402
from training.evaluation.observe import Count, Face, Judges, Look, Observation, count, observe  # noqa: E402
from training.evaluation.progress import Progress  # noqa: E402
from training.evaluation.summary import Clip, lost, rounded, summarise, together  # noqa: E402
from training.evaluation.table import markdown  # noqa: E402


def box(x: float, y: float = 0, side: float = 10) -> np.ndarray:
    return np.array([x, y, x + side, y + side], float)


def scored(*rows: tuple[float, float]) -> np.ndarray:
    """Boxes at (x, 0) with a probability each."""
    return np.array([[*box(x), probability] for x, probability in rows]).reshape(-1, 5)


# --- matching --------------------------------------------------------------------------------------------------------


def test_a_face_matches_the_nearest_and_each_partner_serves_once() -> None:
    a = np.stack([box(0), box(1), box(100)])
    assert match(a, np.stack([box(1)])) == [NOBODY, 0, NOBODY]
    assert match(a, np.zeros((0, 4))) == [NOBODY] * 3
    assert match(np.zeros((0, 4)), a) == []


@pytest.mark.parametrize(("shift", "same"), [(4, True), (5, False)])  # 6 / 14 = .43 and 5 / 15 = .33
def test_the_same_place_is_an_overlap_of_four_tenths(shift: float, same: bool) -> None:
    assert (match(box(0)[None], box(shift)[None]) == [0]) is same


@given(st.lists(st.tuples(st.floats(0, 60), st.floats(0, 1)), max_size=12))
def test_what_suppression_leaves_does_not_overlap_and_covers_the_rest(rows: list[tuple[float, float]]) -> None:
    boxes = scored(*rows)
    kept = suppress(boxes, 0.4)
    scores = boxes[kept, 4].tolist()
    assert scores == sorted(scores, reverse=True)
    for i in range(len(boxes)):
        apart = [abs(boxes[i, 0] - boxes[k, 0]) for k in kept if k != i]
        overlapping = [d for d in apart if d < 10 and (10 - d) / (10 + d) > 0.4]
        assert bool(overlapping) is (i not in kept)


def test_a_box_inside_another_is_the_same_face_only_by_the_smaller_one() -> None:
    boxes = np.array([[0, 0, 100, 100, 0.9], [10, 10, 40, 40, 0.8]])
    assert suppress(boxes, 0.7) == [0, 1]
    assert suppress(boxes, 0.7, by_smaller=True) == [0]


def test_tracks_follow_places_within_a_shot_and_end_with_it() -> None:
    seen = [
        Seen(0, 0, box(0)), Seen(0, 0, box(50)),
        Seen(5, 0, box(52)), Seen(5, 0, box(2)),
        Seen(10, 0, box(200)),
        Seen(15, 1, box(52)), Seen(15, 1, box(0)),
    ]  # fmt: skip
    assert tracks(seen) == [0, 1, 1, 0, 2, 3, 4]


def test_a_face_that_is_alone_in_its_shot_is_one_track_however_it_moves() -> None:
    assert tracks([Seen(0, 0, box(0)), Seen(40, 0, box(300)), Seen(45, 1, box(300))]) == [0, 0, 1]
    assert tracks([]) == []


# --- MTCNN -----------------------------------------------------------------------------------------------------------


def test_the_networks_have_the_published_shapes() -> None:
    for stage, size, answers in [
        (mtcnn_networks.proposal(), 30, (10, 10)),
        (mtcnn_networks.refinement(), 24, ()),
        (mtcnn_networks.output(), 48, ()),
    ]:
        faces, corrections = stage(torch.zeros(2, 3, size, size))
        assert faces.shape == (2, *answers)
        assert corrections.shape == (2, 4, *answers)
        assert ((faces >= 0) & (faces <= 1)).all()


def test_flattening_runs_down_the_columns() -> None:
    x = torch.arange(12.0).reshape(1, 2, 2, 3)  # channels, rows, columns
    assert mtcnn_networks.ColumnsFirst()(x)[0, :6].tolist() == [0, 6, 3, 9, 1, 7]


def save_random_weights(folder: Path, says: float) -> None:
    """Networks that answer every window with the same logit for a face."""
    for name, stage in [
        ("pnet", mtcnn_networks.proposal()), ("rnet", mtcnn_networks.refinement()), ("onet", mtcnn_networks.output()),
    ]:  # fmt: skip
        with torch.no_grad():
            for parameter in stage.parameters():
                parameter.zero_()
        state = stage.state_dict()
        head = next(key for key in state if key.endswith("_1.bias") and key.startswith(("conv4", "dense5", "dense6")))
        state[head][1] = says
        torch.save(state, folder / f"{name}.pt")


def test_boxes_come_back_in_pixels_of_the_frame(tmp_path: Path) -> None:
    save_random_weights(tmp_path, 5.0)
    image = np.zeros((100, 1280, 3), np.uint8)
    boxes = Mtcnn(tmp_path, MtcnnConfig(min_face_px=40))(image)
    assert len(boxes) > 10
    assert boxes[:, 2].max() > 1200  # looked at in 640 px, told in 1280
    assert boxes[:, 4] == pytest.approx(1 / (1 + np.exp(-5.0)))


def test_networks_that_see_nothing_find_nothing(tmp_path: Path) -> None:
    save_random_weights(tmp_path, -5.0)
    assert Mtcnn(tmp_path)(np.zeros((200, 200, 3), np.uint8)).shape == (0, 5)


def test_the_sure_are_counted_apart() -> None:
    before, after = scored((0, 0.99), (30, 0.8), (60, 0.97)), scored((1, 0.7), (31, 0.9))
    assert count(7, before, after) == Count(7, before=3, kept=2, sure=2, sure_kept=1)
    assert count(8, scored(), after) == Count(8, 0, 0, 0, 0)


# --- numbers ---------------------------------------------------------------------------------------------------------


def test_distance_is_per_landmark() -> None:
    before = np.zeros((2, 68, 2), np.float32)
    after = before + np.array([3, 4], np.float32)
    assert pose.distances(before, after).tolist() == [[5.0] * 68] * 2


def test_openings_are_in_pixels() -> None:
    shape = np.zeros((1, 68, 2), np.float32)
    shape[0, [41, 40], 1] = 6  # one eye open by 6 px, the other shut
    shape[0, 66, 1] = 9
    assert pose.openings(shape, 256)[0] == pytest.approx([3, 9])


def test_a_course_is_centred_per_track_and_short_tracks_are_left_out() -> None:
    values = np.r_[np.arange(8.0), 100 + np.arange(8.0), [500.0]][:, None]
    series = over_time.centred(values, [0] * 8 + [1] * 8 + [2])
    assert series[:, 0].tolist() == [*(np.arange(8) - 3.5)] * 2
    assert over_time.centred(values[:3], [0, 0, 0]).shape == (0, 1)


@given(st.integers(0, 2**31), st.floats(0.1, 5), st.floats(-50, 50))
def test_correlation_knows_no_scale_and_no_offset(seed: int, scale: float, offset: float) -> None:
    a = np.random.default_rng(seed).normal(size=12)
    b = scale * a + offset
    assert over_time.correlation(a - a.mean(), b - b.mean()) == pytest.approx(1)
    assert over_time.correlation(a - a.mean(), b.mean() - b) == pytest.approx(-1)


def test_what_does_not_move_has_no_correlation() -> None:
    assert over_time.correlation(np.zeros(9), np.arange(9.0)) is None
    assert over_time.spread(np.zeros(0)) is None
    assert over_time.spread(np.array([3.0, -3, 3, -3])) == 3


def test_identity_is_compared_within_and_between_tracks() -> None:
    x, y = np.eye(2)
    identities = np.stack([x] * 5 + [y] * 5 + [x])
    numbers = [0] * 5 + [1] * 5 + [2]
    assert over_time.to_track_mean(identities, numbers) == pytest.approx([1.0] * 10)
    assert over_time.between_tracks(identities, numbers) == pytest.approx([0.0])


# --- rows ------------------------------------------------------------------------------------------------------------


def a_face(frame: int, *, opened: float = 0.0, follows: float = 1.0, found: bool = True, alike: float = 0.0) -> Face:
    """A face whose mouth is open by `opened` px, and by `follows` times as much in the result."""
    looks = []
    for part, cosine in ((1.0, 1.0), (follows, alike)):
        points = np.zeros((68, 2), np.float32)
        points[66, 1] = opened * part
        looks.append(Look(points, np.array([cosine, np.sqrt(1 - cosine**2)], np.float32)))
    return Face(Seen(frame, 0, box(0)), looks[0], looks[1] if found else None)


def a_clip(name: str = "clip", **how: float) -> Clip:
    """Ten frames: the mouth opens step by step; one face is lost at the end."""
    observations = [
        Observation([a_face(5 * i, opened=i, found=i < 9, **how)], Count(5 * i, 2, 1, 1, 1) if i % 2 == 0 else None)
        for i in range(10)
    ]
    return Clip.of(name, observations)


def test_a_row_tells_what_was_kept_and_what_moved() -> None:
    row = summarise(a_clip(follows=0.5, alike=0.4))
    assert (row.frames, row.dlib_faces, row.mtcnn_faces, row.mtcnn_sure_faces) == (10, 10, 10, 5)
    assert (row.dlib_kept, row.mtcnn_kept, row.mtcnn_sure_kept) == (0.9, 0.5, 1.0)
    assert row.landmarks_inner_px == pytest.approx(0.5 * 4 / 51)  # one point of 51, 4 px open on average
    assert row.landmarks_all_px == pytest.approx(0.5 * 4 / 68)
    assert row.mouth_correlation == pytest.approx(1)
    assert row.mouth_spread_after_px == pytest.approx(0.5 * row.mouth_spread_px)
    assert row.eyes_correlation is None
    assert row.eyes_spread_px == 0
    assert (row.identity_distance, row.unrecognised) == (pytest.approx(0.6), 0)
    assert (row.tracks, row.within_track_cosine, row.between_tracks_cosine) == (1, pytest.approx(1), None)


def test_a_clip_without_faces_has_no_numbers() -> None:
    row = summarise(Clip.of("empty", [Observation([], Count(0, 0, 0, 0, 0))]))
    assert {name for name, value in asdict(row).items() if value is not None} == {
        "frames", "dlib_faces", "mtcnn_faces", "mtcnn_sure_faces", "tracks",
    }  # fmt: skip
    assert markdown({"empty": row}).count("nan") == 0


def test_all_clips_together_keep_their_tracks_apart() -> None:
    whole = together([a_clip("a"), a_clip("b", alike=0.9)])
    row = summarise(whole)
    assert sorted(set(whole.numbers)) == [0, 1]
    assert (row.frames, row.dlib_faces, row.tracks) == (20, 20, 2)
    assert row.unrecognised == 0.5
    assert row.between_tracks_cosine == pytest.approx(np.sqrt(1 - 0.9**2))


def test_the_frames_to_look_at_are_named() -> None:
    found = lost(a_clip(follows=0.0))
    assert found == {"dlib": [45], "mtcnn": [0, 10, 20, 30, 40], "landmarks": [40, 35, 30, 25, 20]}


def test_the_files_hold_every_clip_and_the_whole() -> None:
    some = [a_clip("a"), a_clip("b")]
    data = json.loads(clips.as_json(some))
    assert list(data["clips"]) == ["a", "b"]
    assert data["all"] == rounded(summarise(together(some)))
    table = clips.as_table(some).splitlines()
    assert [line.split(" | ")[0] for line in table] == ["| clip", "| ---", "| a", "| b", "| all"]
    assert len({line.count("|") for line in table}) == 1


# --- clips -----------------------------------------------------------------------------------------------------------


def test_progress_tells_the_time_left_now_and_then() -> None:
    now, said = [0.0], []
    progress = Progress(10, said.append, clock=lambda: now[0])
    for _ in range(5):
        now[0] += 6
        progress.step("clip")
    assert said == ["clip: 2 of about 10, 0:48 left", "clip: 4 of about 10, 0:36 left"]


def test_files_come_in_pairs() -> None:
    a, b = Path("a.mp4"), Path("b.mp4")
    assert clips.in_pairs([a, b, b, a]) == [(a, b), (b, a)]
    with pytest.raises(InputError, match=r"b\.mp4 has no result"):
        clips.in_pairs([a, a, b])


def test_frames_are_paired_by_index(tmp_path: Path) -> None:
    original = make_video(tmp_path / "a.mp4", frames=12)
    result = make_video(tmp_path / "b.mp4", frames=9)
    found = list(pairs(original, result, step=3, limit=100))
    assert [pair.frame for pair in found] == [0, 3, 6]  # the result ends with frame 8
    assert all(index_of(pair.before) == index_of(pair.after) == pair.frame for pair in found)
    assert [pair.frame for pair in pairs(original, original, step=3, limit=7)] == [0, 3, 6]
    assert expected(original, step=3, limit=100) == 4
    assert expected(original, step=3, limit=7) == 3


def test_a_result_of_another_size_is_refused(tmp_path: Path) -> None:
    original = make_video(tmp_path / "a.mp4", frames=2)
    result = make_video(tmp_path / "b.mp4", frames=2, width=96)
    with pytest.raises(InputError, match="64 x 48"):
        list(pairs(original, result, step=1, limit=9))


class FakeDlib:
    """Finds a face wherever the picture is bright."""

    def boxes(self, image: np.ndarray) -> np.ndarray:
        return np.array([[10.0, 10, 50, 50]] if image.mean() > 100 else []).reshape(-1, 4)

    def landmarks(self, image: np.ndarray, where: np.ndarray) -> np.ndarray:
        return face_shape() * 10 + where[:2].astype(np.float32) + 20


def fake_judges() -> Judges:
    return Judges(
        dlib=FakeDlib(),
        mtcnn=lambda image: np.c_[FakeDlib().boxes(image), np.full(len(FakeDlib().boxes(image)), 0.99)],
        recognise=lambda image, points: np.array([1.0, 0.0], np.float32),
    )


def test_judges_look_at_both_and_say_what_is_gone() -> None:
    bright, dark = np.full((64, 64, 3), 200, np.uint8), np.zeros((64, 64, 3), np.uint8)
    same = observe(fake_judges(), Pair(5, 1, bright, bright), with_mtcnn=True)
    assert same.mtcnn == Count(5, 1, 1, 1, 1)
    (face,) = same.faces
    assert face.after is not None
    assert np.array_equal(face.before.landmarks, face.after.landmarks)
    assert abs(face.before.landmarks[36:48].mean(0)[0] - 127.5) < 1  # aligned: the eyes are in the crop's middle
    gone = observe(fake_judges(), Pair(5, 1, bright, dark), with_mtcnn=False)
    assert (gone.mtcnn, gone.faces[0].after) == (None, None)
    assert observe(fake_judges(), Pair(5, 1, dark, bright), with_mtcnn=False).faces == []


def test_the_command_writes_what_it_measured(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(Judges, "load", lambda weights, predictor: fake_judges())
    film = str(make_video(tmp_path / "a.mp4", frames=20))
    files = [film, film, "--weights", str(tmp_path), "--predictor", film]
    out = ["--json", str(tmp_path / "o.json"), "--markdown", str(tmp_path / "o.md")]
    done = CliRunner().invoke(clips.main, [*files, *out, "--step", "1", "--max", "20"], catch_exceptions=False)
    assert done.exit_code == 0
    found = json.loads((tmp_path / "o.json").read_text())["clips"]["a"]
    assert (found["frames"], found["dlib_kept"], found["landmarks_all_px"]) == (20, 1.0, 0.0)
    assert 0 < found["dlib_faces"] < 20
    assert (tmp_path / "o.md").read_text() in done.output


# --- real ------------------------------------------------------------------------------------------------------------


@pytest.mark.real
def test_mtcnn_finds_the_face_of_a_photo(real_data: Path) -> None:
    weights = real_data.parent / "weights" / "detector" / "mtcnn"
    if not weights.is_dir():
        pytest.skip(f"MTCNN's weights are not at {weights}")
    photo = sorted((real_data / "faces/london/neutral_front").glob("*.jpg"))[0]
    image = np.ascontiguousarray(cv2.imread(str(photo))[..., ::-1])
    boxes = Mtcnn(weights)(image)
    assert len(boxes) == 1
    assert boxes[0, 4] > 0.95
    assert match(boxes[:, :4], np.array([[260.0, 208, 506, 560]]), 0.8) == [0]  # by eye: brows to chin, ear to ear
