"""Inputs of the command line as pairs of files."""

from __future__ import annotations

from pathlib import Path

import cv2
import pytest

from streamfilter import media
from streamfilter.config import MediaConfig
from streamfilter.errors import InputError, OutputError
from tests.media_factory import make_video, picture
from tests.test_media_file import pass_through

CONFIG = MediaConfig()


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """in/: a film, a picture one level down, a note, a hidden file, an old ending."""
    root = tmp_path / "in"
    (root / "sub" / "deep").mkdir(parents=True)
    (root / ".cache").mkdir()
    make_video(root / "a.mp4", frames=2)
    make_video(root / ".cache" / "thumb.mp4", frames=2)
    make_video(root / "sub" / "old.flv", frames=2)
    make_video(root / "sub" / ".b.1a2b.part.mp4", frames=2)
    cv2.imwrite(str(root / "sub" / "deep" / "c.PNG"), picture(0, 20, 20))
    (root / "notes.txt").write_text("no media")
    return root


def pairs(plan: media.Plan, root: Path) -> dict[str, str]:
    return {str(job.source.relative_to(root)): str(job.sink.relative_to(root)) for job in plan}


def test_one_file_to_one_file(tmp_path: Path) -> None:
    source = make_video(tmp_path / "in.mp4", frames=2)
    assert list(media.plan_jobs([source], tmp_path / "out.mkv", CONFIG)) == [media.Job(source, tmp_path / "out.mkv")]


def test_one_file_into_a_folder(tmp_path: Path) -> None:
    source = make_video(tmp_path / "in.mp4", frames=2)
    (tmp_path / "there").mkdir()
    assert media.plan_jobs([source], tmp_path / "there", CONFIG)[0].sink == tmp_path / "there" / "in.mp4"
    assert media.plan_jobs([source], f"{tmp_path}/new/", CONFIG)[0].sink == tmp_path / "new" / "in.mp4"
    assert not (tmp_path / "new").exists()


def test_many_files_need_a_folder(tmp_path: Path) -> None:
    one, two = (make_video(tmp_path / f"{n}.mp4", frames=2) for n in "ab")
    plan = media.plan_jobs([one, two], tmp_path / "out", CONFIG)
    assert [job.sink.name for job in plan] == ["a.mp4", "b.mp4"]
    (tmp_path / "file").write_text("x")
    with pytest.raises(OutputError, match="needs a folder"):
        media.plan_jobs([one, two], tmp_path / "file", CONFIG)


def test_two_inputs_never_share_an_output(tmp_path: Path) -> None:
    (tmp_path / "other").mkdir()
    one, two = make_video(tmp_path / "a.mp4", frames=2), make_video(tmp_path / "other" / "a.mp4", frames=2)
    with pytest.raises(OutputError, match="both be written"):
        media.plan_jobs([one, two], tmp_path / "out", CONFIG)


def test_one_bad_file_among_many_is_told_before_any_work(tmp_path: Path) -> None:
    one = make_video(tmp_path / "a.mp4", frames=2)
    (tmp_path / "empty.mp4").touch()
    with pytest.raises(InputError, match="empty"):
        media.plan_jobs([one, tmp_path / "empty.mp4"], tmp_path / "out", CONFIG)
    with pytest.raises(InputError, match="no input"):
        media.plan_jobs([], tmp_path / "out", CONFIG)


def test_a_folder_is_mirrored(folder: Path) -> None:
    plan = media.plan_jobs([folder], folder.parent / "out", CONFIG)
    assert pairs(plan, folder.parent) == {
        "in/a.mp4": "out/a.mp4",
        "in/sub/old.flv": "out/sub/old.mp4",
        "in/sub/deep/c.PNG": "out/sub/deep/c.PNG",
    }
    assert sorted(p.name for p in plan.skipped) == [".b.1a2b.part.mp4", "notes.txt"]


def test_a_folder_never_eats_its_own_output(folder: Path) -> None:
    out = folder / "anonymous"
    before = pairs(media.plan_jobs([folder], out, CONFIG), folder)
    for job in media.plan_jobs([folder], out, CONFIG):
        pass_through(job.source, job.sink)
    assert (out / "sub" / "deep" / "c.PNG").is_file()
    again = media.plan_jobs([folder], out, MediaConfig(overwrite=True))
    assert pairs(again, folder) == before
    with pytest.raises(OutputError, match="--overwrite"):
        media.plan_jobs([folder], out, CONFIG)


def test_the_input_folder_is_no_output_folder(folder: Path) -> None:
    with pytest.raises(OutputError, match="is the input folder"):
        media.plan_jobs([folder], folder / "sub" / "..", CONFIG)


def test_a_folder_without_media_is_told(tmp_path: Path) -> None:
    (tmp_path / "in").mkdir()
    (tmp_path / "in" / "notes.txt").write_text("x")
    with pytest.raises(InputError, match="holds no video"):
        media.plan_jobs([tmp_path / "in"], tmp_path / "out", CONFIG)
    with pytest.raises(OutputError, match="needs a folder"):
        (tmp_path / "out.mp4").write_text("x")
        media.plan_jobs([tmp_path / "in"], tmp_path / "out.mp4", CONFIG)


def test_a_broken_file_in_a_folder_does_not_hold_up_the_others(folder: Path) -> None:
    (folder / "broken.mp4").touch()
    plan = media.plan_jobs([folder], folder.parent / "out", CONFIG)
    assert len(plan) == 4
    with pytest.raises(InputError, match="empty"):
        pass_through(*((job.source, job.sink) for job in plan if job.source.name == "broken.mp4").__next__())


def test_an_output_that_is_another_input_is_refused(tmp_path: Path) -> None:
    (tmp_path / "there").mkdir()
    one, two = make_video(tmp_path / "a.mp4", frames=2), make_video(tmp_path / "there" / "a.mp4", frames=2)
    with pytest.raises(OutputError, match="input"):
        media.plan_jobs([one, two], tmp_path / "there", MediaConfig(overwrite=True))
    three = make_video(tmp_path / "b.mp4", frames=2)
    with pytest.raises(OutputError, match="is an input itself"):
        media.plan_jobs([three, two, tmp_path / "there" / ".." / "b.mp4"], tmp_path, MediaConfig(overwrite=True))


def test_links_out_of_a_folder_are_followed_for_files_only(folder: Path) -> None:
    (folder / "loop").symlink_to(folder, target_is_directory=True)
    assert len(media.plan_jobs([folder], folder.parent / "out", CONFIG)) == 3
