"""Video in, the same video out: frames, sizes, times, colour, sound, words."""

from __future__ import annotations

import gc
import itertools
import queue
import threading
from fractions import Fraction
from pathlib import Path

import av
import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from streamfilter import media
from streamfilter.config import Audio, MediaConfig
from streamfilter.errors import ConfigError, OutputError, ProtectionError
from streamfilter.media.contents import contents
from streamfilter.media.signature import SIGNATURE
from streamfilter.media.target import Target
from streamfilter.structures import Frame, SafeFrame
from tests.media_factory import RATE, film, index_of, make_video, picture, times, tracks, words


def safe(frame: Frame) -> SafeFrame:
    return SafeFrame(frame.image, frame.index, frame.pts, frame.time_base)


def pass_through(
    source: Path, sink: Path, config: MediaConfig | None = None, *, limit: int | None = None
) -> tuple[media.Source, media.Sink]:
    """Read and write without a filter between; stop after `limit` frames."""
    with media.open_source(source) as opened, media.open_sink(sink, opened, config or MediaConfig()) as out:
        for frame in itertools.islice(opened, limit):
            out.write(safe(frame))
    return opened, out


def video_stream(path: Path) -> tuple[str, int, int, Fraction | None, tuple[int, int, int, int]]:
    with av.open(str(path)) as container:
        stream = container.streams.video[0]
        context = stream.codec_context
        tags = (context.color_primaries, context.color_trc, context.colorspace, context.color_range)
        return str(context.pix_fmt), context.width, context.height, stream.sample_aspect_ratio, tags


# --- frames and times ---


@pytest.mark.parametrize("suffix", [".mp4", ".mkv", ".mov", ".avi", ".ts"])
def test_every_frame_arrives_once_and_in_order(tmp_path: Path, suffix: str) -> None:
    source = make_video(tmp_path / f"in{suffix}", frames=24, options={"bf": "2"} if suffix != ".avi" else None)
    pass_through(source, tmp_path / f"out{suffix}")
    before, after = film(source), film(tmp_path / f"out{suffix}")
    assert [index_of(image) for image in after[1]] == list(range(24))
    assert after[0] == before[0]


def test_the_source_delivers_what_was_drawn(tmp_path: Path) -> None:
    source = make_video(tmp_path / "in.mp4", frames=5, width=96, height=64)
    with media.open_source(source) as opened:
        frames = list(opened)
    assert [index_of(f.image) for f in frames] == [f.index for f in frames] == [0, 1, 2, 3, 4]
    assert all(f.image.shape == (64, 96, 3) and f.image.flags.writeable for f in frames)
    info = opened.info
    assert (info.width, info.height, info.fps, info.frames, info.codec) == (96, 64, 25, 5, "h264")
    assert info.duration_s == pytest.approx(0.2)
    assert not opened.damage


@st.composite
def time_lines(draw: st.DrawFn) -> tuple[Fraction, list[int]]:
    base = draw(st.sampled_from([Fraction(1, 15360), Fraction(1, 90000), Fraction(1, 11988), Fraction(1001, 30000)]))
    start = draw(st.integers(0, int(3 / base)))
    gaps = draw(st.lists(st.integers(1, max(int(1 / base / 4), 2)), min_size=1, max_size=11))
    return base, [start, *(start + int(total) for total in np.cumsum(gaps))]


@given(line=time_lines())
@settings(max_examples=25, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
def test_any_rising_times_come_back_exactly(tmp_path: Path, line: tuple[Fraction, list[int]]) -> None:
    base, pts = line
    source = make_video(tmp_path / "in.mp4", pts=pts, time_base=base)
    pass_through(source, tmp_path / "out.mp4", MediaConfig(overwrite=True))
    assert times(source) == [tick * base for tick in pts]
    assert times(tmp_path / "out.mp4") == times(source)


def test_the_last_frame_stands_as_long_as_before(tmp_path: Path) -> None:
    source = make_video(tmp_path / "in.mp4", pts=[0, 100, 900, 1000, 4000], time_base=Fraction(1, 1000))
    pass_through(source, tmp_path / "out.mp4")
    with av.open(str(source)) as before, av.open(str(tmp_path / "out.mp4")) as after:
        assert before.duration == after.duration == 4_040_000


def test_a_container_of_milliseconds_rounds_and_says_so(tmp_path: Path) -> None:
    source = make_video(tmp_path / "in.mp4", pts=[0, 37, 100], time_base=Fraction(1, 11988))
    _, sink = pass_through(source, tmp_path / "out.mkv")
    assert any("milliseconds" in notice for notice in sink.notices)
    for old, new in zip(times(source), times(tmp_path / "out.mkv"), strict=True):
        assert abs(old - new) <= Fraction(1, 2000)


# --- size, colour, depth ---


@pytest.mark.parametrize(("width", "height"), [(63, 48), (64, 47), (65, 49)])
def test_odd_sizes_stay_exact(tmp_path: Path, width: int, height: int) -> None:
    source = make_video(tmp_path / "in.mp4", width=width, height=height, pix_fmt="yuv444p")
    pass_through(source, tmp_path / "out.mp4")
    assert video_stream(tmp_path / "out.mp4")[1:3] == (width, height)
    assert [index_of(i) for i in film(tmp_path / "out.mp4")[1]] == list(range(10))


def test_an_odd_size_in_420_goes_to_444_with_a_notice(tmp_path: Path) -> None:
    source = make_video(tmp_path / "in.mkv", width=63, height=47, codec="libvpx-vp9")
    _, sink = pass_through(source, tmp_path / "out.mkv")
    assert video_stream(tmp_path / "out.mkv")[:3] == ("yuv444p", 63, 47)
    assert any("odd size" in notice for notice in sink.notices)
    pass_through(source, tmp_path / "vp9.mkv", MediaConfig(codec="vp9"))
    assert video_stream(tmp_path / "vp9.mkv")[:3] == ("yuv420p", 63, 47)


@pytest.mark.parametrize("pix_fmt", ["yuv420p", "yuv422p", "yuv444p", "yuv420p10le", "yuv444p10le"])
def test_chroma_and_depth_are_kept(tmp_path: Path, pix_fmt: str) -> None:
    source = make_video(tmp_path / "in.mp4", pix_fmt=pix_fmt)
    _, sink = pass_through(source, tmp_path / "out.mp4")
    assert video_stream(tmp_path / "out.mp4")[0] == pix_fmt
    assert any("10 bits" in notice for notice in sink.notices) == ("10" in pix_fmt)


def test_a_depth_beyond_the_encoder_is_said(tmp_path: Path) -> None:
    source = make_video(tmp_path / "in.mkv", codec="ffv1", pix_fmt="yuv422p12le")
    _, sink = pass_through(source, tmp_path / "out.mkv")
    assert video_stream(tmp_path / "out.mkv")[0] == "yuv422p10le"
    assert any("beyond libx264" in notice for notice in sink.notices)


@pytest.mark.parametrize(
    "tags",
    [
        {"color_primaries": 1, "color_trc": 1, "colorspace": 1, "color_range": 1},
        {"color_primaries": 6, "color_trc": 6, "colorspace": 6, "color_range": 2},
        {"color_primaries": 9, "color_trc": 16, "colorspace": 9, "color_range": 1},
        {},
    ],
)
def test_colour_and_aspect_tags_are_carried(tmp_path: Path, tags: dict[str, int]) -> None:
    source = make_video(tmp_path / "in.mp4", colour=tags, aspect=Fraction(16, 15))
    pass_through(source, tmp_path / "out.mp4")
    before, after = video_stream(source), video_stream(tmp_path / "out.mp4")
    assert after[3] == Fraction(16, 15)
    assert after[4][:3] == before[4][:3]
    assert (after[4][3] == 2) == (before[4][3] == 2)


@pytest.mark.parametrize("matrix", [1, 5, 9])
@pytest.mark.parametrize("full", [1, 2])
def test_what_is_not_touched_comes_back_the_same(tmp_path: Path, matrix: int, full: int) -> None:
    """The same matrix and range in both directions: each channel of a colourful picture returns within rounding."""
    from streamfilter.media.colour import RgbReader, RgbWriter

    rng = np.random.default_rng(0)
    soft = np.kron(rng.integers(40, 210, (6, 8, 3)), np.ones((16, 16, 1))).astype(np.uint8)
    colour = media.Colour(matrix=matrix, range=full)
    once = RgbReader(128, 96, colour)(RgbWriter("yuv444p", 96, colour)(soft))
    assert np.abs(once.astype(int) - soft).max() <= 3
    frame = RgbWriter("yuv420p", 96, colour)(once)
    again = RgbWriter("yuv420p", 96, colour)(RgbReader(128, 96, colour)(frame))
    luma = [np.frombuffer(memoryview(f.planes[0]), np.uint8).astype(int) for f in (frame, again)]
    assert np.abs(luma[0] - luma[1]).mean() < 0.1


@pytest.mark.parametrize("degrees", [90, 180, 270])
def test_rotation_is_shown_as_before_and_baked_in(tmp_path: Path, degrees: int) -> None:
    source = make_video(tmp_path / "in.mp4", degrees=degrees, aspect=Fraction(2, 1))
    opened, _ = pass_through(source, tmp_path / "out.mp4")
    _, image = (film(tmp_path / "out.mp4")[i][0] for i in (0, 1))
    turned = np.rot90(picture(0, 64, 48), k=degrees // 90)
    assert image.shape == turned.shape
    red = [np.argwhere((i[..., 0].astype(int) - i[..., 1]) > 90).mean(0) for i in (image, turned)]
    assert np.abs(red[0] - red[1]).max() < 1
    with av.open(str(tmp_path / "out.mp4")) as container:
        assert next(container.decode(video=0)).rotation == 0
        aspect = container.streams.video[0].sample_aspect_ratio
    assert aspect == (Fraction(1, 2) if degrees != 180 else Fraction(2))
    assert opened.info.rotation == (360 - degrees) % 360


# --- sound and subtitles ---


def test_all_sound_and_subtitles_are_copied(tmp_path: Path) -> None:
    source = make_video(
        tmp_path / "in.mkv", frames=50, audio=["aac", "flac", "libopus"], subtitles=["subrip", "subrip"]
    )
    opened, sink = pass_through(source, tmp_path / "out.mkv")
    for kind in ("audio", "subtitle"):
        assert tracks(tmp_path / "out.mkv", kind) == tracks(source, kind)
    assert (len(opened.info.audio), len(opened.info.subtitles)) == (3, 2)
    assert sink.notices == []
    assert words(tmp_path / "out.mkv").count("deu") == 3


def test_sound_is_interleaved_with_the_picture(tmp_path: Path) -> None:
    """A player that reads on must never wait for the other end of the file."""
    source = make_video(tmp_path / "in.mkv", frames=100, audio=["aac"])
    pass_through(source, tmp_path / "out.mkv")
    with av.open(str(tmp_path / "out.mkv")) as container:
        kinds = [p.stream.type for p in container.demux() if p.size]
    half = kinds[: len(kinds) // 2]
    assert 0.3 < half.count("audio") / kinds.count("audio") < 0.7


def test_sound_that_does_not_fit_is_encoded_anew_and_said(tmp_path: Path) -> None:
    source = make_video(tmp_path / "in.mkv", frames=50, audio=["pcm_s16le"], subtitles=["subrip"])
    _, sink = pass_through(source, tmp_path / "out.webm")
    assert [codec for codec, _ in tracks(tmp_path / "out.webm", "audio")] == ["opus"]
    assert len(tracks(tmp_path / "out.webm", "subtitle")) == 1
    assert any("re-encoded" in notice for notice in sink.notices)
    with av.open(str(tmp_path / "out.webm")) as container:
        assert container.streams.video[0].codec_context.name == "vp9"
        seconds = sum(f.samples for f in container.decode(audio=0)) / 48_000
    assert seconds == pytest.approx(2, abs=0.1)


def test_text_subtitles_are_converted_where_needed(tmp_path: Path) -> None:
    source = make_video(tmp_path / "in.mkv", subtitles=["subrip"])
    _, sink = pass_through(source, tmp_path / "out.mp4")
    assert any("converted to mov_text" in notice for notice in sink.notices)
    with av.open(str(tmp_path / "out.mp4")) as container:
        packets = [p for p in container.demux(subtitles=0) if p.size > 2]
    assert [float(p.pts * p.time_base) for p in packets] == [pytest.approx(0.04)]
    assert b"Bonjour" in bytes(packets[0])


def test_subtitles_are_dropped_where_nothing_holds_them(tmp_path: Path) -> None:
    source = make_video(tmp_path / "in.mkv", subtitles=["subrip"])
    _, sink = pass_through(source, tmp_path / "out.avi")
    assert tracks(tmp_path / "out.avi", "subtitle") == []
    assert any("left out" in notice for notice in sink.notices)


def test_sound_can_be_dropped(tmp_path: Path) -> None:
    source = make_video(tmp_path / "in.mp4", audio=["aac"])
    pass_through(source, tmp_path / "out.mp4", MediaConfig(audio=Audio.DROP))
    assert tracks(tmp_path / "out.mp4", "audio") == []


# --- metadata ---

TELLING = {
    "title": "Annas Geburtstag",
    "comment": "at home",
    "location": "+52.5200+013.4050/",
    "creation_time": "2024-05-06T07:08:09Z",
    "artist": "Anna",
}


@pytest.mark.parametrize("suffix", [".mp4", ".mov", ".mkv"])
def test_nothing_that_identifies_is_carried(tmp_path: Path, suffix: str) -> None:
    source = make_video(tmp_path / f"in{suffix}", metadata=TELLING, audio=["aac"], thumbnail=suffix == ".mp4")
    assert "Annas Geburtstag" in words(source)
    pass_through(source, tmp_path / f"out{suffix}")
    data = (tmp_path / f"out{suffix}").read_bytes()
    for word in (b"Anna", b"at home", b"52.5200", b"2024", b"Lavf6"):
        assert word not in data, word
    with av.open(str(tmp_path / f"out{suffix}")) as container:
        assert len(container.streams.video) == 1
        # QuickTime's own table of languages has no place for this one.
        assert container.streams.audio[0].language == (None if suffix == ".mov" else "deu")


def comments(path: Path) -> list[str]:
    with av.open(str(path)) as container:
        return [value for key, value in container.metadata.items() if key.lower() == "comment"]


@pytest.mark.parametrize("suffix", [".mp4", ".m4v", ".mov", ".mkv", ".webm", ".avi", ".flv"])
def test_a_result_says_that_it_is_one(tmp_path: Path, suffix: str) -> None:
    source = make_video(tmp_path / "in.mkv", metadata=TELLING)
    first, second, third = (tmp_path / f"{name}{suffix}" for name in ("first", "second", "third"))
    pass_through(source, first)
    pass_through(source, second, MediaConfig(keep_metadata=True))
    pass_through(second, third, MediaConfig(keep_metadata=True))
    assert comments(first) == [SIGNATURE]
    assert comments(second) == comments(third) == [f"at home; {SIGNATURE}"]
    assert not contents(source).made_by_streamfilter
    assert contents(first).made_by_streamfilter and contents(third).made_by_streamfilter


def test_a_transport_stream_has_no_place_for_that(tmp_path: Path) -> None:
    pass_through(make_video(tmp_path / "in.mkv"), tmp_path / "out.ts")
    assert not contents(tmp_path / "out.ts").made_by_streamfilter


def test_metadata_can_be_kept_but_never_the_thumbnail(tmp_path: Path) -> None:
    source = make_video(tmp_path / "in.mp4", metadata=TELLING, thumbnail=True)
    pass_through(source, tmp_path / "out.mp4", MediaConfig(keep_metadata=True))
    assert "Annas Geburtstag" in words(tmp_path / "out.mp4")
    with av.open(str(tmp_path / "out.mp4")) as container:
        assert len(container.streams.video) == 1


# --- the contract of a sink ---


def test_a_sink_takes_safe_frames_only(tmp_path: Path) -> None:
    source = make_video(tmp_path / "in.mp4")
    with (
        pytest.raises(ProtectionError, match="SafeFrame only"),
        media.open_source(source) as opened,
        media.open_sink(tmp_path / "out.mp4", opened, MediaConfig()) as sink,
    ):
        for frame in opened:
            sink.write(frame)  # type: ignore[arg-type]
    assert list(tmp_path.iterdir()) == [source]


def test_a_failure_on_the_way_leaves_nothing(tmp_path: Path) -> None:
    source = make_video(tmp_path / "in.mp4", audio=["aac"])
    with (
        pytest.raises(KeyError),
        media.open_source(source) as opened,
        media.open_sink(tmp_path / "out.mp4", opened, MediaConfig()) as sink,
    ):
        sink.write(safe(next(iter(opened))))
        raise KeyError
    assert list(tmp_path.iterdir()) == [source]


def test_the_output_appears_only_when_complete(tmp_path: Path) -> None:
    source = make_video(tmp_path / "in.mp4")
    with media.open_source(source) as opened, media.open_sink(tmp_path / "out.mp4", opened, MediaConfig()) as sink:
        for frame in opened:
            sink.write(safe(frame))
            assert not (tmp_path / "out.mp4").exists()
        sink.close()
        assert (tmp_path / "out.mp4").exists()
        with pytest.raises(OutputError, match="closed"):
            sink.write(safe(frame))
    assert sorted(p.name for p in tmp_path.iterdir()) == ["in.mp4", "out.mp4"]


def test_a_sink_without_frames_writes_no_file(tmp_path: Path) -> None:
    source = make_video(tmp_path / "in.mp4")
    with pytest.raises(OutputError, match="not one frame"), media.open_source(source) as opened:
        media.open_sink(tmp_path / "out.mp4", opened, MediaConfig()).close()
    assert list(tmp_path.iterdir()) == [source]


def test_reader_and_writer_may_live_in_different_threads(tmp_path: Path) -> None:
    source = make_video(tmp_path / "in.mkv", frames=40, audio=["aac"], subtitles=["subrip"])
    channel: queue.Queue[Frame | None] = queue.Queue(2)
    with media.open_source(source) as opened, media.open_sink(tmp_path / "out.mkv", opened, MediaConfig()) as sink:

        def read() -> None:
            for frame in opened:
                channel.put(frame)
            channel.put(None)

        def write() -> None:
            while (frame := channel.get()) is not None:
                sink.write(safe(frame))

        threads = [threading.Thread(target=read), threading.Thread(target=write)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
    assert times(tmp_path / "out.mkv") == times(source)
    assert tracks(tmp_path / "out.mkv", "audio") == tracks(source, "audio")


def test_frames_of_another_size_or_time_are_refused(tmp_path: Path) -> None:
    source = make_video(tmp_path / "in.mp4")
    with media.open_source(source) as opened:
        frame = next(iter(opened))
        sink = media.open_sink(tmp_path / "out.mp4", opened, MediaConfig())
        with pytest.raises(OutputError, match="a frame of 32x48"):
            sink.write(SafeFrame(np.ascontiguousarray(frame.image[:, :32]), 0, 0, RATE))
        with pytest.raises(OutputError, match="no time"):
            sink.write(SafeFrame(frame.image, 0, None, RATE))
        sink.write(SafeFrame(frame.image, 0, 5, RATE))
        with pytest.raises(OutputError, match="must rise"):
            sink.write(SafeFrame(frame.image, 1, 5, RATE))
        sink.abort()
    assert list(tmp_path.iterdir()) == [source]


def test_codec_quality_and_preset_are_obeyed(tmp_path: Path) -> None:
    source = make_video(tmp_path / "in.mp4", frames=20, width=160, height=120)
    for name, config in {
        "hevc": MediaConfig(codec="hevc", preset="ultrafast"),
        "coarse": MediaConfig(crf=45),
        "fine": MediaConfig(crf=5),
    }.items():
        pass_through(source, tmp_path / f"{name}.mp4", config)
    with av.open(str(tmp_path / "hevc.mp4")) as container:
        assert container.streams.video[0].codec_context.name == "hevc"
    assert (tmp_path / "coarse.mp4").stat().st_size < (tmp_path / "fine.mp4").stat().st_size


def test_an_impossible_codec_is_refused_before_anything_is_written(tmp_path: Path) -> None:
    source = make_video(tmp_path / "in.mp4")
    with media.open_source(source) as opened:
        with pytest.raises(ConfigError, match="no such encoder"):
            media.open_sink(tmp_path / "out.mp4", opened, MediaConfig(codec="nonsense"))
        with pytest.raises(ConfigError, match="no video encoder"):
            media.open_sink(tmp_path / "out.mp4", opened, MediaConfig(codec="aac"))
        with pytest.raises(OutputError, match="webm file cannot hold libx264"):
            media.open_sink(tmp_path / "out.webm", opened, MediaConfig(codec="libx264"))
    with pytest.raises(ConfigError, match="--crf"):
        MediaConfig(crf=64)
    assert list(tmp_path.iterdir()) == [source]


def test_an_unfinished_target_that_nobody_owns_any_more_is_removed(tmp_path: Path) -> None:
    """Ctrl-C may strike before anybody has a `try` around it."""
    target = Target(tmp_path / "out.mp4")
    target.partial.write_bytes(b"begun")
    del target
    gc.collect()
    assert list(tmp_path.iterdir()) == []
    target = Target(tmp_path / "out.mp4")
    target.partial.write_bytes(b"whole")
    target.commit()
    del target
    gc.collect()
    assert (tmp_path / "out.mp4").read_bytes() == b"whole"
