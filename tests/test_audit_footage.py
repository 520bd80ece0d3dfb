"""Pairs of files, what cannot be compared, and which frame is shown beside which."""

from __future__ import annotations

import gc
import re
from collections.abc import Callable, Iterator
from fractions import Fraction
from pathlib import Path

import av
import cv2
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from streamfilter.audit.container_facts import Fate, container_facts
from streamfilter.audit.footage import Footage, Pair, footage_of, pairs_of, swapped
from streamfilter.audit.in_step import frame_pairs
from streamfilter.audit.simultaneous import NOBODY, MatchedBy, shown_at
from streamfilter.audit.unseen import Unseen
from streamfilter.errors import InputError
from streamfilter.media.signature import SIGNATURE
from tests import media_factory
from tests.media_factory import index_of, make_video, picture

MS = Fraction(1, 1000)


@pytest.fixture(scope="module", autouse=True)
def small_heap() -> Iterator[None]:
    """Each closed file is followed by a collection, which need not look at all that pytest imported."""
    gc.collect()
    gc.freeze()
    yield
    gc.unfreeze()


def photo(path: Path, index: int = 0, size: tuple[int, int] = (64, 48)) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    cv2.imwrite(str(path), picture(index, *size)[..., ::-1])
    return path


def compared(original: Path, result: Path) -> Footage:
    return footage_of(pairs_of(original, result)[0])


def shown(footage: Footage) -> list[tuple[int, int, int]]:
    """Index of each moment, and which pictures of original and result are seen in it."""
    return [(index, index_of(before), index_of(after)) for index, _, before, after in frame_pairs(footage)]


# --- files and folders -----------------------------------------------------------------------------------------------


def test_two_files_are_one_pair(tmp_path: Path) -> None:
    a, b = photo(tmp_path / "a.png"), photo(tmp_path / "b.png")
    assert pairs_of(a, str(b)) == (Pair(name="a.png", original=a, result=b),)


def test_identical_copies_can_be_compared(tmp_path: Path) -> None:
    a = make_video(tmp_path / "a.mp4")
    b = tmp_path / "b.mp4"
    b.write_bytes(a.read_bytes())
    assert shown(compared(a, b)) == [(i, i, i) for i in range(10)]


def test_folders_are_paired_by_relative_path_whatever_the_ending(tmp_path: Path) -> None:
    for name in ("in/x/a.png", "in/x/b.jpg", "in/c.bmp", "out/x/a.png", "out/x/b.webp", "out/c.bmp"):
        photo(tmp_path / name)
    (tmp_path / "out/report.json").write_text("{}")
    found = pairs_of(tmp_path / "in", tmp_path / "out")
    assert [(pair.name, pair.result.name, pair.label) for pair in found] == [
        ("c.bmp", "c.bmp", ""),
        ("x/a.png", "a.png", ""),
        ("x/b.jpg", "b.webp", ""),
    ]


def test_folders_of_photos_name_the_person(tmp_path: Path) -> None:
    for name in ("Ada/1.png", "Ada/2.png", "Bo/1.png"):
        photo(tmp_path / "in" / name)
        photo(tmp_path / "out" / name)
    assert [pair.label for pair in pairs_of(tmp_path / "in", tmp_path / "out")] == ["Ada", "Ada", "Bo"]


@pytest.mark.parametrize(
    ("originals", "results", "message"),
    [
        ("abcde", "e", "a.png, b.png, c.png and 1 more of .*in have no counterpart in .*out"),
        ("a", "ab", "b.png of .*out have no counterpart in .*in"),
        ("ab", "cd", "no file of .*in has a counterpart .* right folders"),
        ("", "a", "in holds no video and no picture"),
        ("a", "", "out holds no video and no picture"),
    ],
)
def test_files_without_a_counterpart_are_named(tmp_path: Path, originals: str, results: str, message: str) -> None:
    for folder, names in (("in", originals), ("out", results)):
        (tmp_path / folder).mkdir()
        for name in names:
            photo(tmp_path / folder / f"{name}.png")
    with pytest.raises(InputError, match=message):
        pairs_of(tmp_path / "in", tmp_path / "out")


def test_stems_that_are_not_alone_are_not_guessed(tmp_path: Path) -> None:
    for name in ("in/a.png", "in/a.jpg", "in/b.png", "out/a.webp", "out/b.png"):
        photo(tmp_path / name)
    with pytest.raises(InputError, match=r"a\.jpg, a\.png"):
        pairs_of(tmp_path / "in", tmp_path / "out")


def test_the_same_twice_or_one_of_each_is_refused(tmp_path: Path) -> None:
    a = photo(tmp_path / "in/a.png")
    link = tmp_path / "link.png"
    link.symlink_to(a)
    for other in (a, link):
        with pytest.raises(InputError, match="given twice"):
            pairs_of(a, other)
    with pytest.raises(InputError, match="two files or two folders"):
        pairs_of(a, tmp_path / "in")
    with pytest.raises(InputError, match="does not exist"):
        pairs_of(a, tmp_path / "none.png")


# --- what cannot be compared -----------------------------------------------------------------------------------------


def test_a_picture_beside_a_video_is_refused(tmp_path: Path) -> None:
    with pytest.raises(InputError, match=r"a\.mp4 is a video and .*b\.png an image"):
        compared(make_video(tmp_path / "a.mp4"), photo(tmp_path / "b.png"))


def test_other_lengths_are_refused(tmp_path: Path) -> None:
    a, b = make_video(tmp_path / "a.mp4", frames=30), make_video(tmp_path / "b.mp4", frames=60)
    with pytest.raises(InputError, match=r"a\.mp4 is 1\.20 s long and .*b\.mp4 2\.40 s; are these the same video"):
        compared(a, b)


@pytest.mark.parametrize(
    ("size", "message"),
    [((48, 64), "one is turned"), ((64, 64), "shapes differ"), ((320, 240), "too far apart"), ((64, 44), "shapes")],
)
def test_other_shapes_are_refused(tmp_path: Path, size: tuple[int, int], message: str) -> None:
    a, b = photo(tmp_path / "a.png"), photo(tmp_path / "b.png", size=size)
    with pytest.raises(InputError, match=f"a.png is 64x48 and .*b.png {size[0]}x{size[1]}: .*{message}"):
        compared(a, b)


@pytest.mark.parametrize("size", [(64, 50), (128, 96), (32, 24)])
def test_a_similar_size_is_scaled_and_said(tmp_path: Path, size: tuple[int, int]) -> None:
    footage = compared(photo(tmp_path / "a.png", 5), photo(tmp_path / "b.png", 7, size))
    ((_, _, before, after),) = frame_pairs(footage)
    assert before.shape == after.shape == (48, 64, 3)
    assert (index_of(before), index_of(after)) == (5, 7)
    assert f"The result is {size[0]}x{size[1]}" in footage.notes[0]


def test_faces_in_the_result_alone_mean_the_wrong_order() -> None:
    pair = Pair(name="a.mp4", original=Path("a.mp4"), result=Path("b.mp4"))
    text = swapped(pair, original_faces=3, result_faces=40)
    assert text is not None
    assert re.search(r"40 faces .*b\.mp4.* only 3 .*a\.mp4.* wrong order", text)
    for original, result in ((0, 0), (0, 4), (40, 3), (40, 40), (30, 40), (20, 40)):
        assert swapped(pair, original_faces=original, result_faces=result) is None


# --- which frame is shown beside which -------------------------------------------------------------------------------


def make(folder: Path, name: str, milliseconds: list[int], show: Callable[[int], int] = int) -> Path:
    """A film in which the picture at each place tells the index that `show` makes of it."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(media_factory, "picture", lambda index, width, height: picture(show(index), width, height))
        return make_video(folder / name, pts=milliseconds, time_base=MS)


def test_equal_times_pair_by_number(tmp_path: Path) -> None:
    uneven = [0, 40, 90, 100, 250, 290]
    footage = compared(make(tmp_path, "a.mkv", uneven), make(tmp_path, "b.mkv", uneven))
    assert (footage.matched_by, footage.notes) == (MatchedBy.NUMBER, ())
    assert shown(footage) == [(i, i, i) for i in range(6)]


def test_a_constant_shift_pairs_by_number(tmp_path: Path) -> None:
    footage = compared(
        make(tmp_path, "a.mkv", [852 + 40 * i for i in range(20)]), make(tmp_path, "b.mkv", [40 * i for i in range(20)])
    )
    assert shown(footage) == [(i, i, i) for i in range(20)]
    facts = container_facts(footage)
    assert facts.shift_ms == pytest.approx(-852)
    assert facts.time_error_ms == pytest.approx(0, abs=1e-6)


@pytest.mark.parametrize("start", [852, 868])
def test_a_late_start_filled_with_duplicates_pairs_by_what_is_shown(tmp_path: Path, start: int) -> None:
    a = make(tmp_path, "a.mkv", [start + 40 * i for i in range(24)])
    b = make(tmp_path, "b.mkv", [40 * i for i in range(45)], lambda i: max(i - 21, 0))
    footage = compared(a, b)
    assert footage.matched_by is MatchedBy.TIME
    assert shown(footage) == [(i, i, i) for i in range(24)]
    facts = container_facts(footage)
    assert (facts.original_frames, facts.result_frames, facts.unexamined_frames) == (24, 45, 21)
    assert not facts.frames_equal


def test_uneven_times_that_were_forgotten_pair_by_number(tmp_path: Path) -> None:
    times = [0, 40, 80, 120, 400, 440, 480, 520, 800, 840, 880, 920]
    footage = compared(make(tmp_path, "a.mkv", times), make(tmp_path, "b.mkv", [80 * i for i in range(12)]))
    assert footage.matched_by is MatchedBy.NUMBER
    assert shown(footage) == [(i, i, i) for i in range(12)]
    assert container_facts(footage).time_error_ms > 100


def test_dropped_frames_pair_with_what_stands_in_their_place(tmp_path: Path) -> None:
    a = make(tmp_path, "a.mkv", [40 * i for i in range(20)])
    b = make(tmp_path, "b.mkv", [80 * i for i in range(10)], lambda i: 2 * i)
    footage = compared(a, b)
    assert all(before - after in (0, 1) for _, before, after in shown(footage))
    assert any("20 frames" in note and "10" in note for note in footage.notes)


def test_frames_after_the_end_of_the_result_are_left_out_and_said(tmp_path: Path) -> None:
    a, b = make(tmp_path, "a.mkv", [40 * i for i in range(25)]), make(tmp_path, "b.mkv", [40 * i for i in range(15)])
    footage = compared(a, b)
    assert shown(footage) == [(i, i, i) for i in range(15)]
    assert container_facts(footage).unpaired_frames == 10
    assert any(note.startswith("10 frames of the original have no counterpart") for note in footage.notes)


STEADY = [40 * i for i in range(20)]


def unseen(a: Path, b: Path) -> int:
    footage = compared(a, b)
    for _ in range(2):  # the count is that of one pass
        list(frame_pairs(footage))
    return footage.unseen.frames


@pytest.mark.parametrize(
    ("times", "show", "count"),
    [
        (STEADY, int, 0),
        (range(0, 800, 20), lambda i: i // 2, 0),  # each twice
        (range(0, 800, 20), lambda i: min((i + 1) // 2, 19), 0),  # each twice, the first once
        ([*STEADY, 800, 840, 880], int, 3),  # something follows
        ([*STEADY, 800, 840, 880], lambda i: min(i, 19), 0),  # the last one stands
        ([*STEADY[:5], 170, *STEADY[5:]], lambda i: 25 if i == 5 else i - (i > 5), 1),  # something is put between
        ([-80, -40, *STEADY], lambda i: max(i - 2, 0), 0),  # the first one stands
        ([-80, -40, *STEADY], lambda i: i - 2 if i > 1 else 25, 2),  # something comes before
    ],
)
def test_what_is_shown_beside_nothing_is_counted_unless_it_repeats_a_neighbour(
    tmp_path: Path, times: list[int], show: Callable[[int], int], count: int
) -> None:
    shift = 80
    a = make(tmp_path, "a.mkv", [time + shift for time in STEADY])
    b = make(tmp_path, "b.mkv", [time + shift for time in times], show)
    assert unseen(a, b) == count


def test_a_small_change_is_no_repetition() -> None:
    whole = np.random.default_rng(1).integers(0, 255, (360, 640, 3), dtype=np.uint8)
    noisy = np.clip(whole.astype(int) + np.random.default_rng(2).integers(-6, 7, whole.shape), 0, 255).astype(np.uint8)
    changed = whole.copy()
    changed[100:120, 300:320] = 255 - changed[100:120, 300:320] // 2
    for other, count in ((noisy, 0), (changed, 1)):
        counted = Unseen()
        counted.compare(whole)
        counted.skip(other)
        counted.finish()
        assert counted.frames == count


def test_further_pictures_are_told(tmp_path: Path) -> None:
    footage = compared(make_video(tmp_path / "a.mp4"), make_video(tmp_path / "b.mp4", thumbnail=True))
    assert footage.result.further_pictures == 1
    assert any("1 further picture" in note for note in footage.notes)


def test_a_result_of_ours_is_no_original(tmp_path: Path) -> None:
    result = make_video(tmp_path / "b.mp4", metadata={"comment": f"at home; {SIGNATURE}"})
    original = make_video(tmp_path / "a.mp4")
    assert compared(original, result).result.made_by_streamfilter
    with pytest.raises(InputError, match=r"b\.mp4 was given as the original .* wrong order"):
        compared(result, original)


def test_one_that_stands_long_is_shown_as_long() -> None:
    found = shown_at(np.array([-1.0, 0.0, 2.9, 3.0, 4.0, 9.0]), np.array([0.0, 0.04, 3.0]), 4.5, 0.04)
    assert found.tolist() == [NOBODY, 0, 1, 2, 2, NOBODY]


@given(
    st.lists(st.integers(1, 500), min_size=1, max_size=40), st.lists(st.integers(-500, 20_000), min_size=1, max_size=40)
)
def test_partners_rise_with_time(gaps: list[int], moments: list[int]) -> None:
    times = np.cumsum(gaps) / 1000
    found = shown_at(np.sort(moments) / 1000, times, float(times[-1]) + 0.04, 0.04)
    known = found[found != NOBODY]
    assert (np.diff(known) >= 0).all()
    assert ((known >= 0) & (known < len(times))).all()
    assert shown_at(times, times, float(times[-1]) + 1, min(gaps) / 1000).tolist() == list(range(len(times)))


# --- the rest of the container ---------------------------------------------------------------------------------------


def test_tracks_are_told_apart(tmp_path: Path) -> None:
    a = make_video(tmp_path / "a.mkv", frames=50, audio=["aac", "flac"], subtitles=["subrip"])
    b = make_video(tmp_path / "b.mkv", frames=50, audio=["libopus", "flac"])
    facts = container_facts(compared(a, b))
    assert [(track.codec, track.fate) for track in facts.tracks] == [
        ("aac", Fate.REENCODED),
        ("flac", Fate.IDENTICAL),
        ("srt", Fate.MISSING),
    ]
    assert (facts.identical("audio"), facts.identical("subtitle"), facts.added_tracks) == (False, False, 0)
    same = container_facts(compared(a, _copy(a)))
    assert (same.identical("audio"), same.identical("subtitle")) == (True, True)
    back = container_facts(compared(b, a))
    assert (back.added_tracks, back.identical("subtitle")) == (1, None)


def _copy(path: Path) -> Path:
    other = path.with_name("copy_" + path.name)
    other.write_bytes(path.read_bytes())
    return other


def test_a_cut_off_result_is_refused_when_it_ends(tmp_path: Path) -> None:
    a, b = make_video(tmp_path / "a.mp4", frames=30), make_video(tmp_path / "b.mp4", frames=30)
    footage = compared(a, b)
    make_video(tmp_path / "b.mp4", frames=12)
    with pytest.raises(InputError, match=r"b\.mp4 ends before its picture 13 of 30"):
        list(frame_pairs(footage))


# --- what cannot be decoded ------------------------------------------------------------------------------------------


def damaged(path: Path, *numbers: int) -> Path:
    """The film with the bytes of these pictures wiped out, of which each is coded by itself."""
    with av.open(str(path)) as container:
        packets = [bytes(packet) for packet in container.demux(video=0) if packet.size]
    data = path.read_bytes()
    for number in numbers:
        data = data.replace(packets[number], bytes(len(packets[number])))
    path.write_bytes(data)
    return path


def intra(path: Path, frames: int = 20) -> Path:
    return make_video(path, frames=frames, options={"g": "1"})


def test_no_picture_is_compared_with_the_one_after_a_lost_one(tmp_path: Path) -> None:
    footage = compared(intra(tmp_path / "a.mkv"), damaged(intra(tmp_path / "b.mkv"), 7, 8))
    for _ in range(2):  # what is counted is that of one pass
        assert shown(footage) == [(i, i, i) for i in range(20) if i not in (7, 8)]
        assert (footage.losses.uncompared, footage.unseen.frames) == (2, 2)
        uncompared, damage = footage.losses.sentences()
        assert uncompared.startswith("2 frames of the original could not be compared")
        assert damage.startswith("The result is damaged: 2 packets could not be decoded")


def test_a_damaged_original_is_told_and_what_stands_beside_nothing_counts(tmp_path: Path) -> None:
    footage = compared(damaged(intra(tmp_path / "a.mkv"), 7), intra(tmp_path / "b.mkv"))
    assert shown(footage) == [(i, i, i) for i in range(20) if i != 7]
    assert (footage.losses.uncompared, footage.unseen.frames) == (0, 1)
    (damage,) = footage.losses.sentences()
    assert damage.startswith("The original is damaged")


def test_whole_files_lose_nothing(tmp_path: Path) -> None:
    footage = compared(intra(tmp_path / "a.mkv"), intra(tmp_path / "b.mkv"))
    assert len(shown(footage)) == 20
    assert (footage.unseen.frames, list(footage.losses.sentences())) == (0, [])


def test_pictures_of_which_no_packet_told_are_counted(tmp_path: Path) -> None:
    a, b = intra(tmp_path / "a.mkv"), intra(tmp_path / "b.mkv")
    footage = compared(a, b)
    intra(b, frames=24)
    assert shown(footage) == [(i, i, i) for i in range(20)]
    assert footage.unseen.frames == 4
