"""Real footage through reader and writer: times, sizes, sound and picture against the input."""

from __future__ import annotations

from pathlib import Path

import av
import numpy as np
import pytest

from tests.media_factory import film, times, tracks
from tests.test_media_file import pass_through

pytestmark = pytest.mark.real

CLIPS = [
    "talking/vfr_22fps_700.mp4",
    "talking/carphone_qcif.mp4",
    "multi/shot_cuts_audience_640x360.mp4",
    "hard/hands_over_face_a.mkv",
    "multi/classroom.gif",
    "none/cartoon.avi",
]


@pytest.mark.parametrize("clip", CLIPS)
def test_frames_times_and_sound_are_those_of_the_input(real_data: Path, tmp_path: Path, clip: str) -> None:
    source = real_data / "videos" / clip
    target = tmp_path / f"out{source.suffix if source.suffix != '.avi' else '.mkv'}"
    opened, sink = pass_through(source, target)
    assert not opened.damage
    before, after = film(source), film(target)
    assert len(after[0]) == len(before[0]) == sink.frames_written
    if source.suffix != ".avi":  # the decoder's times for it are not in order; its frames' are checked by the picture
        assert after[0] == before[0]
    assert tracks(target, "audio") == tracks(source, "audio")
    for old, new in zip(before[1][::10], after[1][::10], strict=True):
        assert np.abs(old.astype(int) - new).mean() < 4


def test_a_clip_turned_by_its_tag_comes_out_upright(real_data: Path, tmp_path: Path) -> None:
    source = real_data / "videos/talking/rotated_90_metadata.mp4"
    pass_through(source, tmp_path / "out.mp4")
    assert times(tmp_path / "out.mp4") == times(source)
    with av.open(str(source)) as old, av.open(str(tmp_path / "out.mp4")) as new:
        stored, upright = (next(c.decode(video=0)).to_ndarray(format="rgb24") for c in (old, new))
    assert upright.shape == (1280, 720, 3)
    assert np.abs(np.rot90(stored, -1).astype(int) - upright).mean() < 4


def test_full_chroma_is_kept(real_data: Path, tmp_path: Path) -> None:
    source = real_data / "videos/talking/yuv444_a.mp4"
    pass_through(source, tmp_path / "out.mp4")
    with av.open(str(source)) as old, av.open(str(tmp_path / "out.mp4")) as new:
        assert new.streams.video[0].codec_context.pix_fmt == old.streams.video[0].codec_context.pix_fmt == "yuv444p"
        assert new.streams.video[0].frames == old.streams.video[0].frames == 751
