"""Real footage through reader and writer: times, sizes, sound and picture against the input."""

from __future__ import annotations

import itertools
from fractions import Fraction
from pathlib import Path

import av
import numpy as np
import pytest

from tests.media_factory import film, tracks
from tests.test_media_file import pass_through

pytestmark = pytest.mark.real

WHOLE = [
    "talking/vfr_22fps_700.mp4",
    "talking/carphone_qcif.mp4",
    "hard/hands_over_face_a.mkv",
    "multi/classroom.gif",
]
FIRST = 24


@pytest.mark.parametrize("clip", WHOLE)
def test_frames_times_and_sound_are_those_of_the_input(real_data: Path, tmp_path: Path, clip: str) -> None:
    source = real_data / "videos" / clip
    target = tmp_path / f"out{source.suffix}"
    opened, sink = pass_through(source, target)
    assert not opened.damage
    before, after = film(source), film(target)
    assert after[0] == before[0]
    assert len(after[0]) == sink.frames_written
    assert tracks(target, "audio") == tracks(source, "audio")
    for old, new in zip(before[1][::10], after[1][::10], strict=True):
        assert np.abs(old.astype(int) - new).mean() < 4


@pytest.mark.parametrize("clip", ["multi/shot_cuts_audience_640x360.mp4", "talking/yuv444_a.mp4"])
def test_a_late_start_and_full_chroma_are_kept(real_data: Path, tmp_path: Path, clip: str) -> None:
    source = real_data / "videos" / clip
    pass_through(source, tmp_path / "out.mp4", limit=FIRST)
    assert film(tmp_path / "out.mp4")[0] == film(source, FIRST)[0]
    with av.open(str(source)) as old, av.open(str(tmp_path / "out.mp4")) as new:
        assert new.streams.video[0].codec_context.pix_fmt == old.streams.video[0].codec_context.pix_fmt


def test_a_film_without_presentation_times_stays_in_order(real_data: Path, tmp_path: Path) -> None:
    """An AVI with reordered frames: every picture comes one rate after the other, in the decoder's order."""
    source = real_data / "videos/none/cartoon.avi"
    pass_through(source, tmp_path / "out.mp4", limit=FIRST)
    (times, after), (_, before) = film(tmp_path / "out.mp4"), film(source, FIRST)
    assert {late - early for early, late in itertools.pairwise(times)} == {Fraction(125, 2997)}
    for old, new in zip(before, after, strict=True):
        assert np.abs(old.astype(int) - new).mean() < 4


def test_a_clip_turned_by_its_tag_comes_out_upright(real_data: Path, tmp_path: Path) -> None:
    source = real_data / "videos/talking/rotated_90_metadata.mp4"
    pass_through(source, tmp_path / "out.mp4", limit=FIRST)
    (times, upright), (expected, stored) = film(tmp_path / "out.mp4"), film(source, FIRST)
    assert times == expected
    assert upright[0].shape == (1280, 720, 3)
    for old, new in zip(stored[::8], upright[::8], strict=True):
        assert np.abs(np.rot90(old, -1).astype(int) - new).mean() < 4
