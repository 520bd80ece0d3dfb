"""Single pictures and GIFs: upright, without EXIF, alpha, delays and repeats kept."""

from __future__ import annotations

from fractions import Fraction
from pathlib import Path

import av
import cv2
import numpy as np
import pytest

from streamfilter import media
from streamfilter.config import MediaConfig
from streamfilter.errors import OutputError
from streamfilter.media.contents import contents
from streamfilter.media.gif_file import FOREVER, ONCE, loop_of
from streamfilter.structures import Image
from tests.media_factory import exif_jpeg, film, index_of, make_video, picture
from tests.test_media_file import pass_through, safe


def read(path: Path) -> Image:
    return np.asarray(cv2.imread(str(path), cv2.IMREAD_UNCHANGED), np.uint8)


@pytest.mark.parametrize("suffix", [".jpg", ".jpeg", ".png", ".webp", ".bmp", ".tif", ".tiff"])
def test_a_picture_goes_through(tmp_path: Path, suffix: str) -> None:
    drawn = picture(4, 61, 43)
    cv2.imwrite(str(tmp_path / f"in{suffix}"), drawn[..., ::-1])
    opened, _ = pass_through(tmp_path / f"in{suffix}", tmp_path / f"out{suffix}")
    written = read(tmp_path / f"out{suffix}")[..., ::-1].astype(int)
    assert written.shape == drawn.shape
    assert np.abs(written - drawn).mean() < (0.01 if suffix in (".png", ".bmp", ".tif", ".tiff") else 3)
    assert (opened.info.kind, opened.info.frames) == (media.Kind.IMAGE, 1)


@pytest.mark.parametrize(
    ("orientation", "turn"),
    [
        (1, lambda i: i),
        (2, lambda i: i[:, ::-1]),
        (3, lambda i: i[::-1, ::-1]),
        (4, lambda i: i[::-1]),
        (5, lambda i: i.transpose(1, 0, 2)),
        (6, lambda i: np.rot90(i, -1)),
        (7, lambda i: np.rot90(i.transpose(1, 0, 2), 2)),
        (8, lambda i: np.rot90(i, 1)),
    ],
)
def test_exif_orientation_is_applied_and_exif_dropped(tmp_path: Path, orientation: int, turn) -> None:  # type: ignore[no-untyped-def]
    drawn = picture(3, 64, 40)
    (tmp_path / "in.jpg").write_bytes(exif_jpeg(drawn, orientation))
    pass_through(tmp_path / "in.jpg", tmp_path / "out.jpg", MediaConfig(keep_metadata=True))
    upright = turn(drawn)
    written = read(tmp_path / "out.jpg")[..., ::-1].astype(int)
    assert written.shape == upright.shape
    assert np.abs(written - upright).mean() < 3
    data = (tmp_path / "out.jpg").read_bytes()
    assert b"Exif" not in data and b"SecretCam" not in data


@pytest.mark.parametrize("depth", [np.uint8, np.uint16])
def test_transparency_is_kept_where_it_can_be(tmp_path: Path, depth: type[np.generic]) -> None:
    rgba = np.dstack([picture(2, 40, 30), np.full((30, 40), 255, np.uint8)]).astype(depth)
    rgba[10:20, 10:30, 3] = 70
    cv2.imwrite(str(tmp_path / "in.png"), rgba * (257 if depth is np.uint16 else 1))
    opened, _ = pass_through(tmp_path / "in.png", tmp_path / "out.png")
    assert opened.info.has_alpha
    assert np.array_equal(read(tmp_path / "out.png"), rgba.astype(np.uint8))
    _, sink = pass_through(tmp_path / "in.png", tmp_path / "out.jpg")
    assert any("transparency" in notice for notice in sink.notices)


def test_grey_and_16_bit_pictures_are_read(tmp_path: Path) -> None:
    cv2.imwrite(str(tmp_path / "grey.png"), np.full((20, 30), 99, np.uint8))
    cv2.imwrite(str(tmp_path / "deep.png"), np.full((20, 30, 3), 99 * 257, np.uint16))
    for name in ("grey", "deep"):
        with media.open_source(tmp_path / f"{name}.png") as opened:
            (frame,) = opened
        assert frame.image.shape == (20, 30, 3)
        assert np.all(frame.image == 99)


def test_a_picture_is_no_video(tmp_path: Path) -> None:
    cv2.imwrite(str(tmp_path / "in.png"), picture(0, 20, 20))
    with media.open_source(tmp_path / "in.png") as opened:
        with pytest.raises(OutputError, match="is a picture"):
            media.open_sink(tmp_path / "out.mp4", opened, MediaConfig())
        with media.open_sink(tmp_path / "out.png", opened, MediaConfig()) as sink:
            (frame,) = opened
            sink.write(safe(frame))
            with pytest.raises(OutputError, match="second frame"):
                sink.write(safe(frame))


# --- GIF ---

DELAYS = [7, 12, 3, 50, 10, 25]


def make_gif(path: Path, *, loop: int) -> Path:
    starts = np.cumsum([0, *DELAYS[:-1]])
    options = {"loop": str(loop), "final_delay": str(DELAYS[-1])}
    with av.open(str(path), "w", format="gif", container_options=options) as output:
        stream = output.add_stream("gif", rate=10)
        stream.width, stream.height, stream.pix_fmt = 60, 44, "rgb8"
        stream.codec_context.time_base = Fraction(1, 100)
        for index, start in enumerate(starts):
            frame = av.VideoFrame.from_ndarray(picture(index * 4, 60, 44), format="rgb24").reformat(format="rgb8")
            frame.pts, frame.time_base = int(start), Fraction(1, 100)
            output.mux(stream.encode(frame))
        output.mux(stream.encode(None))
    return path


def delays(path: Path) -> list[int]:
    with av.open(str(path)) as container:
        return [int(p.duration) for p in container.demux(video=0) if p.size]


@pytest.mark.parametrize("loop", [FOREVER, ONCE, 5])
def test_a_gif_keeps_its_delays_and_repeats(tmp_path: Path, loop: int) -> None:
    source = make_gif(tmp_path / "in.gif", loop=loop)
    opened, _ = pass_through(source, tmp_path / "out.gif")
    assert opened.info.kind is media.Kind.GIF
    assert delays(source) == delays(tmp_path / "out.gif") == DELAYS
    assert loop_of(tmp_path / "out.gif") == loop
    before, after = film(source), film(tmp_path / "out.gif")
    assert before[0] == after[0]
    for old, new in zip(before[1], after[1], strict=True):
        assert np.abs(old.astype(int) - new).mean() < 4


def test_a_gif_becomes_a_video_and_back(tmp_path: Path) -> None:
    source = make_gif(tmp_path / "in.gif", loop=FOREVER)
    pass_through(source, tmp_path / "middle.mp4")
    _, sink = pass_through(tmp_path / "middle.mp4", tmp_path / "out.gif")
    assert film(source)[0] == film(tmp_path / "middle.mp4")[0] == film(tmp_path / "out.gif")[0]
    assert any("256 colours" in notice for notice in sink.notices)


def test_a_video_with_a_late_start_becomes_a_gif_from_zero(tmp_path: Path) -> None:
    source = make_video(tmp_path / "in.mp4", pts=[30, 31, 33, 40])
    pass_through(source, tmp_path / "out.gif")
    times, pictures = film(tmp_path / "out.gif")
    assert times == [Fraction(n * 4, 100) for n in (0, 1, 3, 10)]
    assert [index_of(image) for image in pictures] == [0, 1, 2, 3]


def test_an_animated_png_is_a_film(tmp_path: Path) -> None:
    with av.open(str(tmp_path / "in.png"), "w", format="apng") as output:
        stream = output.add_stream("apng", rate=10)
        stream.width, stream.height, stream.pix_fmt = 32, 24, "rgb24"
        for index in range(3):
            frame = av.VideoFrame.from_ndarray(picture(index, 32, 24), format="rgb24")
            frame.pts, frame.time_base = index, Fraction(1, 10)
            output.mux(stream.encode(frame))
        output.mux(stream.encode(None))
    pass_through(tmp_path / "in.png", tmp_path / "out.mp4")
    assert [index_of(image) for image in film(tmp_path / "out.mp4")[1]] == [0, 1, 2]


@pytest.mark.parametrize(("suffix", "signed"), [(".jpg", True), (".jpeg", True), (".png", True), (".webp", False)])
def test_a_result_says_that_it_is_one_where_that_is_easy(tmp_path: Path, suffix: str, signed: bool) -> None:
    shown = picture(4, 64, 48)
    cv2.imwrite(str(tmp_path / "in.png"), shown)
    pass_through(tmp_path / "in.png", tmp_path / f"out{suffix}")
    found = contents(tmp_path / f"out{suffix}")
    assert (found.made_by_streamfilter, found.further_pictures) == (signed, 0)
    assert not contents(tmp_path / "in.png").made_by_streamfilter
    assert cv2.PSNR(cv2.imread(str(tmp_path / f"out{suffix}")), shown) > (100 if suffix == ".png" else 30)
    if suffix.startswith(".jp"):  # JFIF's own segment must be the first
        assert (tmp_path / f"out{suffix}").read_bytes()[2:4] == b"\xff\xe0"
