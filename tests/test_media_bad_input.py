"""Whatever is wrong with a source or a target: one clear line, early, and nothing half-written."""

from __future__ import annotations

import os
import resource
import signal
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import cv2
import numpy as np
import pytest

from streamfilter import media
from streamfilter.config import MediaConfig
from streamfilter.errors import DamagedStreamError, InputError, OutputError
from streamfilter.media.target import check_target
from tests.media_factory import RATE, damage, exif_jpeg, film, index_of, make_video, picture
from tests.test_media_file import pass_through, safe

CONFIG = MediaConfig()
as_ordinary_user = pytest.mark.skipif(os.geteuid() == 0, reason="permissions do not bind the superuser")


def assert_one_line(error: pytest.ExceptionInfo[Exception], *words: str) -> None:
    text = str(error.value)
    assert "\n" not in text
    assert all(word in text for word in words), text


@pytest.fixture
def good(tmp_path: Path) -> Path:
    return make_video(tmp_path / "good.mp4", frames=4)


# --- sources ---


def bad_sources(folder: Path) -> dict[str, Path]:
    """One file of every bad kind, by what its error must say."""
    noise = np.random.default_rng(0).integers(0, 256, 50_000, dtype=np.uint8).tobytes()
    files = {"empty": b"", "no video or picture": noise, "cannot be decoded": exif_jpeg(picture(0, 32, 32), 1)[:200]}
    for name, data in files.items():
        (folder / f"{name}.bin").write_bytes(data)
    headless = make_video(folder / "headless.mp4")
    headless.write_bytes(headless.read_bytes()[:300])
    (folder / "text.mp4").write_text("these are words and no film\n" * 50)
    (folder / "photo.heic").write_bytes(b"\0\0\0\x18ftypheic" + noise[:100])
    (folder / "moving.webp").write_bytes(b"RIFF\0\0\0\0WEBPVP8X\x0a\0\0\0\x02\0\0\0\0\0\0\0\0\0ANIM" + noise[:100])
    return {name: folder / f"{name}.bin" for name in files} | {
        "does not exist": folder / "missing.mp4",
        "folder": folder,
        "damaged or incomplete": headless,
        "is no video": folder / "text.mp4",
        "HEIF": folder / "photo.heic",
        "animated WebP": folder / "moving.webp",
    }


@pytest.mark.parametrize(
    "says",
    [
        *("empty", "no video or picture", "cannot be decoded", "does not exist", "folder"),
        *("damaged or incomplete", "is no video", "HEIF", "animated WebP"),
    ],
)
def test_a_bad_source_is_refused_in_one_line(tmp_path: Path, says: str) -> None:
    path = bad_sources(tmp_path)[says]
    with pytest.raises(InputError) as error:
        media.open_source(path)
    assert_one_line(error, str(path), says)


@pytest.mark.parametrize("suffix", [".jpg", ".png", ".webp", ".bmp", ".tif"])
def test_a_truncated_picture_is_refused_in_silence(
    tmp_path: Path, suffix: str, capfd: pytest.CaptureFixture[str]
) -> None:
    noisy = np.random.default_rng(1).integers(0, 256, (64, 96, 3), dtype=np.uint8)
    data = cv2.imencode(suffix, noisy)[1].tobytes()
    (tmp_path / f"in{suffix}").write_bytes(data[: len(data) * 3 // 4])
    with pytest.raises(InputError) as error:
        media.open_source(tmp_path / f"in{suffix}")
    assert_one_line(error, "damaged or incomplete")
    assert capfd.readouterr() == ("", "")


def test_nothing_below_prints_about_damage(tmp_path: Path, capfd: pytest.CaptureFixture[str]) -> None:
    source = damage(make_video(tmp_path / "in.mp4", frames=60, width=320, height=240))
    pass_through(source, tmp_path / "out.mp4")
    for codec in ("hevc", "av1"):
        pass_through(source, tmp_path / f"{codec}.mkv", MediaConfig(codec=codec, preset="ultrafast"))
    assert capfd.readouterr() == ("", "")


def test_sound_without_a_picture_is_refused(tmp_path: Path) -> None:
    source = make_video(tmp_path / "in.mkv", audio=["aac"])
    import av

    with av.open(str(source)) as old, av.open(str(tmp_path / "sound.mkv"), "w") as new:
        stream = new.add_stream_from_template(old.streams.audio[0])
        for packet in old.demux(audio=0):
            if packet.size:
                packet.stream = stream
                new.mux(packet)
    with pytest.raises(InputError, match="no video stream"):
        media.open_source(tmp_path / "sound.mkv")


@as_ordinary_user
def test_an_unreadable_source_is_refused(good: Path) -> None:
    good.chmod(0)
    with pytest.raises(InputError, match="cannot be read"):
        media.open_source(good)


@pytest.mark.parametrize("suffix", [".mp4", ".mkv"])
def test_a_truncated_source_is_written_as_far_as_it_goes_and_told(tmp_path: Path, suffix: str) -> None:
    source = make_video(tmp_path / f"in{suffix}", frames=100, audio=["aac"], width=160, height=120)
    if suffix == ".mp4":
        move_index_to_front(source)
    data = source.read_bytes()
    source.write_bytes(data[: len(data) * 6 // 10])
    opened, sink = pass_through(source, tmp_path / f"out{suffix}")
    assert opened.damage.missing_s > 0.5
    with pytest.raises(DamagedStreamError) as error:
        opened.raise_if_damaged()
    assert_one_line(error, "are missing", "was protected and written")
    pictures = film(tmp_path / f"out{suffix}")[1]
    assert 20 < len(pictures) == sink.frames_written < 100
    assert [index_of(image) for image in pictures] == [i % 28 for i in range(len(pictures))]


def move_index_to_front(path: Path) -> None:
    """Rewrite an MP4 so that its index survives truncation."""
    import av

    with (
        av.open(str(path)) as old,
        av.open(str(path) + ".mp4", "w", container_options={"movflags": "faststart"}) as new,
    ):
        streams = {s.index: new.add_stream_from_template(s, opaque=True) for s in old.streams}
        for packet in old.demux():
            if packet.size:
                packet.stream = streams[packet.stream.index]
                new.mux(packet)
    Path(str(path) + ".mp4").replace(path)


def test_bytes_damaged_in_the_middle_cost_little_and_are_told(tmp_path: Path) -> None:
    source = make_video(tmp_path / "in.mp4", frames=60, width=320, height=240, options={"g": "10"})
    damage(source)
    opened, sink = pass_through(source, tmp_path / "out.mp4")
    assert opened.damage
    assert sink.frames_written >= 40
    with pytest.raises(DamagedStreamError, match="damaged"):
        opened.raise_if_damaged()
    times, pictures = film(tmp_path / "out.mp4")
    at = [int(t / RATE) for t in times]
    hits = [index_of(image) == index % 28 for index, image in zip(at, pictures, strict=True)]
    assert sum(hits) >= 40, "what is intact must be shown at its own time"


def test_a_sound_source_is_not_called_damaged(tmp_path: Path) -> None:
    for suffix in (".mp4", ".mkv", ".avi", ".ts", ".mov"):
        source = make_video(tmp_path / f"in{suffix}", frames=30, audio=["aac"])
        opened, _ = pass_through(source, tmp_path / f"out{suffix}")
        assert not opened.damage, (suffix, str(opened.damage))
        opened.raise_if_damaged()


# --- targets ---


def linked(good: Path, how: str) -> Path:
    link = good.with_name("link.mp4")
    match how:
        case "same":
            return good
        case "dotted":
            return good.parent / "." / ".." / good.parent.name / good.name
        case "hard":
            link.hardlink_to(good)
        case "symbolic":
            link.symlink_to(good)
    return link


@pytest.mark.parametrize("how", ["same", "dotted", "hard", "symbolic"])
@pytest.mark.parametrize("overwrite", [False, True])
def test_the_source_is_never_overwritten(good: Path, how: str, overwrite: bool) -> None:
    before = good.read_bytes()
    target = linked(good, how)
    config = MediaConfig(overwrite=overwrite)
    with pytest.raises(OutputError, match="input"):
        media.plan_jobs([good], target, config)
    with pytest.raises(OutputError, match="input"), media.open_source(good) as opened:
        media.open_sink(target, opened, config)
    assert good.read_bytes() == before


def test_an_existing_output_needs_overwrite(good: Path) -> None:
    target = good.with_name("out.mp4")
    target.write_bytes(b"precious")
    with pytest.raises(OutputError, match="--overwrite"):
        media.plan_jobs([good], target, CONFIG)
    with pytest.raises(OutputError, match="--overwrite"), media.open_source(good) as opened:
        media.open_sink(target, opened, CONFIG)
    assert target.read_bytes() == b"precious"
    pass_through(good, target, MediaConfig(overwrite=True))
    assert len(film(target)[1]) == 4


def test_an_output_that_appears_meanwhile_is_kept(good: Path) -> None:
    target = good.with_name("out.mp4")
    with (
        pytest.raises(OutputError, match="appeared"),
        media.open_source(good) as opened,
        media.open_sink(target, opened, CONFIG) as sink,
    ):
        for frame in opened:
            sink.write(safe(frame))
        target.write_bytes(b"precious")
    assert target.read_bytes() == b"precious"
    assert len(list(good.parent.iterdir())) == 2


def test_a_failing_run_leaves_an_old_output_untouched(good: Path) -> None:
    target = good.with_name("out.mp4")
    target.write_bytes(b"precious")
    with (
        pytest.raises(KeyError),
        media.open_source(good) as opened,
        media.open_sink(target, opened, MediaConfig(overwrite=True)) as sink,
    ):
        sink.write(safe(next(iter(opened))))
        raise KeyError
    assert target.read_bytes() == b"precious"


@pytest.mark.parametrize(
    ("name", "says"),
    [
        ("out", "no file ending"),
        ("out.jpg", "one picture"),
        ("out.nonsense", "cannot be written"),
        ("dir.mp4", "folder"),
    ],
)
def test_a_target_that_cannot_be_is_refused(good: Path, name: str, says: str) -> None:
    (good.parent / "dir.mp4").mkdir()
    with pytest.raises(OutputError) as error, media.open_source(good) as opened:
        media.open_sink(good.parent / name, opened, CONFIG)
    assert_one_line(error, says)
    assert sorted(p.name for p in good.parent.iterdir()) == ["dir.mp4", "good.mp4"]


def test_a_file_in_the_place_of_a_folder_is_refused(good: Path) -> None:
    with pytest.raises(OutputError, match="is a file where the folder"):
        media.plan_jobs([good], good / "out.mp4", CONFIG)


@as_ordinary_user
def test_a_folder_that_cannot_be_written_is_refused(good: Path) -> None:
    closed = good.parent / "closed"
    closed.mkdir(mode=0o500)
    with pytest.raises(OutputError, match="cannot be written"):
        media.plan_jobs([good], closed / "out.mp4", CONFIG)


@contextmanager
def files_end_at(size: int) -> Iterator[None]:
    """No file of this process may grow beyond `size`: to a program, a full disk."""
    old = resource.getrlimit(resource.RLIMIT_FSIZE)
    handler = signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
    resource.setrlimit(resource.RLIMIT_FSIZE, (size, old[1]))
    try:
        yield
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, old)
        signal.signal(signal.SIGXFSZ, handler)


@pytest.mark.parametrize("suffix", [".mp4", ".mkv", ".gif"])
def test_a_full_disk_is_told_and_leaves_nothing(tmp_path: Path, suffix: str) -> None:
    source = make_video(tmp_path / "in.mkv", frames=20, width=160, height=120)
    with (
        pytest.raises(OutputError) as error,
        media.open_source(source) as opened,
        files_end_at(700),
        media.open_sink(tmp_path / f"out{suffix}", opened, CONFIG) as sink,
    ):
        for frame in opened:
            sink.write(safe(frame))
    assert_one_line(error, "cannot be written")
    assert list(tmp_path.iterdir()) == [source]


def test_a_name_that_no_folder_can_hold_is_one_line(tmp_path: Path) -> None:
    with pytest.raises(OutputError) as error:
        check_target(tmp_path / ("a" * 300 + ".mp4"))
    assert_one_line(error, "cannot be written", "File name too long")
