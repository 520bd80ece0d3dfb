from __future__ import annotations

from itertools import islice
from pathlib import Path

import av
import cv2
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from samples import acting, cutout, make_picture, room, voice
from streamfilter.config import Device
from streamfilter.detect import Detector

FOLDER = Path(acting.__file__).parent
CLIP = FOLDER / "two_people.mp4"


def face() -> np.ndarray:
    """A plain set of 68 landmarks in [0, 1]: jaw, brows, nose, eyes and mouth where a generated face has them."""
    angle = np.linspace(np.pi, 0, 17)
    points = np.full((68, 2), 0.5)
    points[:17] = np.stack([0.5 + 0.27 * np.cos(angle), 0.5 + 0.41 * np.sin(angle)], 1)
    points[17:27] = np.stack([np.linspace(0.28, 0.72, 10), np.full(10, 0.4)], 1)
    points[27:36] = [(0.5, y) for y in (0.46, 0.51, 0.55, 0.6)] + [(x, 0.64) for x in (0.45, 0.47, 0.5, 0.53, 0.55)]
    for start, x in ((36, 0.38), (42, 0.62)):
        ring = [(-0.04, 0), (-0.02, -0.012), (0.02, -0.012), (0.04, 0), (0.02, 0.012), (-0.02, 0.012)]
        points[start : start + 6] = np.array(ring) + [x, 0.478]
    for start, count, size in ((48, 12, 0.11), (60, 8, 0.08)):
        turn = np.pi + np.arange(count) * 2 * np.pi / count
        points[start : start + count] = np.stack([0.5 + size * np.cos(turn), 0.735 + 0.3 * size * np.sin(turn)], 1)
    return points


def test_clip_is_720p_with_sound_and_small() -> None:
    assert CLIP.stat().st_size < 3 * 2**20
    with av.open(str(CLIP)) as container:
        video, audio = container.streams.video[0], container.streams.audio[0]
        assert (video.width, video.height, video.average_rate) == (1280, 720, 25)
        assert (video.codec_context.name, audio.codec_context.name) == ("h264", "aac")
        assert 6 <= float(video.duration * video.time_base) <= 12
        sound = np.concatenate([f.to_ndarray() for f in islice(container.decode(audio), 100)], 1)
    assert 0.01 < sound.std() < 0.5


def test_clip_shows_two_faces_in_most_frames() -> None:
    detector = Detector.load(device=Device.CPU, threads=1)
    seconds = np.arange(0.1, 7.9, 0.5)
    counts = np.array([(detector(f).score > 0.6).sum() for f in make_picture.pick(CLIP, seconds.tolist())])
    assert (counts >= 1).all()
    assert (counts >= 2).mean() > 0.7


def test_people_cross_once() -> None:
    times = acting.frame_times()
    gap = acting.follow(acting.FRONT.x, times) - acting.follow(acting.BEHIND.x, times)
    assert (np.diff(np.sign(gap)) != 0).sum() == 1


@given(st.floats(-20, 20), st.floats(-8, 8), st.floats(-8, 8))
def test_a_turned_head_keeps_its_size(yaw: float, pitch: float, roll: float) -> None:
    turned = acting.turn(face(), yaw=yaw, pitch=pitch, roll=roll)
    assert turned.shape == (68, 2)
    assert np.ptp(turned, axis=0) == pytest.approx(np.ptp(face(), axis=0), rel=0.2)


def test_a_head_looks_where_it_turns() -> None:
    nose, eyes = 30, slice(36, 48)
    right = acting.turn(face(), yaw=15, pitch=0, roll=0)
    down = acting.turn(face(), yaw=0, pitch=10, roll=0)
    assert right[nose, 0] - right[eyes, 0].mean() > 0.02
    assert down[nose, 1] - down[eyes, 1].mean() > face()[nose, 1] - face()[eyes, 1].mean()


def test_mouth_opens_and_eyes_close() -> None:
    moved = acting.express(face(), mouth=1.0, closed=1.0)
    assert moved[66, 1] - moved[62, 1] > face()[66, 1] - face()[62, 1] + 0.03
    np.testing.assert_allclose(moved[37], moved[41], atol=2e-3)


@pytest.mark.parametrize("person", acting.PEOPLE, ids=lambda p: p.name)
def test_parts_speak_and_blink(person: acting.Person) -> None:
    part = acting.act(person, face())
    assert part.rigid.shape == part.expressive.shape == (acting.FRAMES, 68, 2)
    times = acting.frame_times()
    assert acting.loudness(acting.syllables(person), times).max() > 0.5
    assert acting.eyes_closed(person, times).max() > 0.9


def test_matte_holds_the_head_and_leaves_the_wall() -> None:
    picture = np.full((256, 256, 3), (190, 180, 170), np.uint8)
    cv2.ellipse(picture, (128, 130), (80, 110), 0, 0, 360, (120, 70, 50), -1)
    matte = cutout.head_matte(picture, face())
    assert matte.shape == (256, 256)
    assert matte.min() >= 0
    assert matte.max() <= 1
    assert matte[100:180, 100:156].min() > 0.9
    assert matte[:60, :30].max() < 0.1
    assert matte[240:, :40].max() < 0.1


def test_steady_mattes_keep_their_sum() -> None:
    mattes = np.zeros((21, 4, 4), np.float32)
    mattes[10] = 1
    smooth = cutout.steady(mattes)
    assert smooth.sum() == pytest.approx(16, rel=1e-3)
    assert smooth[10].max() < 0.5
    assert smooth[9].min() > 0.1


def test_room_and_garment() -> None:
    assert room.room().shape == (720, 1280, 3)
    drawn = room.garment(200, (58, 66, 88))
    assert drawn.shape[2] == 4
    assert drawn[100, drawn.shape[1] // 2, 3] == 255
    assert drawn[0, 0, 3] == 0


def test_voice_follows_the_mouth() -> None:
    sound = voice.babble(acting.FRONT)
    silent = acting.loudness(acting.syllables(acting.FRONT), np.arange(len(sound)) / voice.RATE) == 0
    assert np.abs(sound).max() == pytest.approx(1)
    assert np.abs(sound[silent]).max() == 0


def test_sheet_shows_before_above_after() -> None:
    before, after = np.zeros((72, 128, 3), np.uint8), np.full((72, 128, 3), 200, np.uint8)
    picture = make_picture.sheet([[before] * 4, [after] * 4])
    assert picture[10, 10].max() == 0
    assert picture[-10, 10].min() == 200


def test_picture_of_the_readme_is_small() -> None:
    assert 10_000 < (FOLDER / "before_after.jpg").stat().st_size < 200 * 1024
