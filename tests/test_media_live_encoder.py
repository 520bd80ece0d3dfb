"""One encode for all outlets: no delay, key frames in time, sound without gaps, safe frames only."""

from __future__ import annotations

from fractions import Fraction

import av
import numpy as np
import pytest

from streamfilter.errors import ConfigError, OutputError, ProtectionError
from streamfilter.media.encoded import EncodedPacket, TrackKind
from streamfilter.media.live_encoder import EncoderConfig, LiveEncoder
from streamfilter.structures import Frame, SafeFrame
from tests.media_factory import index_of
from tests.outlet_kit import FPS, SIZE, STEP, TICKS, safe, stream, tone


def of_kind(packets: list[EncodedPacket], kind: TrackKind) -> list[EncodedPacket]:
    return [packet for packet in packets if packet.kind is kind]


def decoded(packets: list[EncodedPacket]) -> list[av.VideoFrame]:
    decoder = av.CodecContext.create("h264", "r")
    return [f for p in packets for f in decoder.decode(av.Packet(p.data))] + decoder.decode(None)


def test_every_frame_is_a_packet_at_once() -> None:
    with LiveEncoder(SIZE, Fraction(FPS)) as encoder:
        for index in range(60):
            (packet,) = encoder.encode(safe(index))
            assert packet.pts == packet.dts == index * STEP
            assert packet.captured_s == float(index)
        assert encoder.flush() == []


def test_pictures_come_out_in_order_as_they_went_in() -> None:
    frames = decoded(stream(30)[1])
    assert [index_of(frame.to_ndarray(format="rgb24")) for frame in frames] == list(range(28)) + [0, 1]


@pytest.mark.parametrize("fps", [25, 10, 30])
def test_a_key_frame_comes_at_least_every_two_seconds(fps: int) -> None:
    jitter = np.random.default_rng(1).integers(-400, 400, 8 * fps)
    with LiveEncoder(SIZE, Fraction(fps)) as encoder:
        frames = (safe(n, pts=n * 90_000 // fps + int(jitter[n])) for n in range(8 * fps))
        packets = [packet for frame in frames for packet in encoder.encode(frame)]
    keys = [packet.time_s for packet in packets if packet.is_key]
    assert 4 <= len(keys) <= 5
    assert max(np.diff(keys)) <= 2.0 + 0.5 / fps + 0.01


def test_slow_cards_have_key_frames_too() -> None:
    with LiveEncoder(SIZE, Fraction(FPS)) as encoder:
        packets = [p for n in range(9) for p in encoder.encode(safe(n, pts=n * 90_000))]
    assert max(np.diff([p.time_s for p in packets if p.is_key])) <= 2


def test_a_key_frame_on_demand_is_one_to_join_at() -> None:
    with LiveEncoder(SIZE, Fraction(FPS)) as encoder:
        packets = []
        for index in range(20):
            if index == 7:
                encoder.request_key_frame()
            packets += encoder.encode(safe(index))
    assert [n for n, packet in enumerate(packets) if packet.is_key] == [0, 7]
    # Nothing before is needed, not even the parameter sets.
    joined = decoded(packets[7:])
    assert [index_of(frame.to_ndarray(format="rgb24")) for frame in joined] == list(range(7, 20))


@pytest.mark.parametrize(("size", "matrix"), [((64, 48), 6), ((64, 720), 1)])
def test_colours_survive_and_are_tagged(size: tuple[int, int], matrix: int) -> None:
    colours = [(200, 40, 40), (40, 180, 60), (50, 60, 210), (230, 220, 30)]
    image = np.zeros((size[1], size[0], 3), np.uint8)
    for place, colour in enumerate(colours):
        image[:, place * size[0] // 4 : (place + 1) * size[0] // 4] = colour
    with LiveEncoder(size, Fraction(FPS), EncoderConfig(crf=4)) as encoder:
        (frame,) = decoded(encoder.encode(SafeFrame(image, 0, 0, TICKS)))
    assert (int(frame.colorspace), int(frame.color_range)) == (matrix, 1)
    seen = frame.to_ndarray(format="rgb24", src_colorspace={6: 5, 1: 1}[matrix], src_color_range=1)
    for place, colour in enumerate(colours):
        middle = seen[size[1] // 2, (2 * place + 1) * size[0] // 8]
        assert np.abs(middle.astype(int) - colour).max() <= 8


def test_an_odd_size_gains_a_line_and_says_so() -> None:
    with LiveEncoder((97, 65), Fraction(FPS)) as encoder:
        (frame,) = decoded(encoder.encode(safe(5, size=(97, 65))))
        assert (frame.width, frame.height) == (98, 66)
        assert (encoder.parameters.width, encoder.parameters.height) == (98, 66)
        assert "97x65" in encoder.notices[0]
    edge = frame.to_ndarray(format="rgb24")[-1, -1].astype(int)
    assert np.abs(edge - int(safe(5).image[0, 0, 0])).max() <= 4


def test_only_safe_frames_are_encoded() -> None:
    raw = Frame(safe(0).image, 0, 0, TICKS)
    with LiveEncoder(SIZE, Fraction(FPS)) as encoder, pytest.raises(ProtectionError, match="SafeFrame only, got Frame"):
        encoder.encode(raw)  # type: ignore[arg-type]


def test_a_frame_of_another_size_or_without_time_is_refused() -> None:
    with LiveEncoder(SIZE, Fraction(FPS)) as encoder:
        with pytest.raises(OutputError, match="64x64 came for a stream of 96x64"):
            encoder.encode(safe(0, size=(64, 64)))
        with pytest.raises(OutputError, match="has no time"):
            encoder.encode(SafeFrame(safe(0).image, 0, None, TICKS))


def test_times_always_rise() -> None:
    with LiveEncoder(SIZE, Fraction(FPS)) as encoder:
        packets = [p for pts in (0, 3600, 3600, 100, 7200) for p in encoder.encode(safe(0, pts=pts))]
    assert [packet.pts for packet in packets] == [0, 3600, 3601, 3602, 7200]


@pytest.mark.parametrize(
    ("codec", "text"),
    [
        ("x9000", "no such encoder"),
        ("libvpx-vp9", "H.264 or H.265"),
        ("aac", "H.264 or H.265"),
        ("h264_nvenc", "on this machine"),
        ("h264_qsv", "on this machine"),
        ("h264_vaapi", "encoder|on this machine"),
        ("h264_v4l2m2m", "on this machine"),
    ],
)
def test_an_encoder_that_is_not_there_is_one_clear_line(codec: str, text: str) -> None:
    try:
        LiveEncoder(SIZE, Fraction(FPS), EncoderConfig(codec=codec)).close()
    except ConfigError as error:
        assert codec in str(error)
        assert "\n" not in str(error)
        assert any(part in str(error) for part in text.split("|"))
    else:
        pytest.skip(f"this machine has {codec}")


def test_h265_works_alike() -> None:
    parameters, packets = stream(30, config=EncoderConfig(codec="h265", preset="ultrafast"))
    assert parameters.codec == "hevc"
    assert len(packets) == 30
    decoder = av.CodecContext.create("hevc", "r")
    frames = [f for p in packets for f in decoder.decode(av.Packet(p.data))] + decoder.decode(None)
    assert len(frames) == 30


@pytest.mark.parametrize(
    "bad", [{"crf": 52}, {"key_interval_s": 0}, {"max_kbps": 0}, {"threads": -1}], ids=lambda bad: next(iter(bad))
)
def test_settings_that_cannot_work_are_refused(bad: dict[str, int]) -> None:
    with pytest.raises(ConfigError):
        EncoderConfig(**bad)


def test_the_bit_rate_has_an_upper_bound() -> None:
    free = sum(len(p.data) for p in stream(75, size=(192, 144), grain=60)[1])
    bound = sum(len(p.data) for p in stream(75, size=(192, 144), grain=60, config=EncoderConfig(max_kbps=300))[1])
    assert bound < free / 2
    assert bound * 8 / 3 < 300_000 * 1.5  # 3 s and the first second's allowance


# --- sound ---


def heard(packets: list[EncodedPacket]) -> list[int]:
    return [packet.pts for packet in of_kind(packets, TrackKind.AUDIO)]


def test_sound_is_whole_and_runs_with_the_pictures() -> None:
    packets = stream(50, sound=True)[1]
    times = heard(packets)
    assert set(np.diff(times)) == {1024}
    assert times[0] == -1024  # what the codec needs to begin
    assert times[-1] + 1024 >= 2 * 48_000


def test_a_gap_is_filled_with_silence() -> None:
    with LiveEncoder(SIZE, Fraction(FPS), sound=True) as encoder:
        packets = [p for n in (*range(10), *range(35, 45)) for p in encoder.encode_sound(tone(n))]
    assert set(np.diff(heard(packets))) == {1024}
    assert heard(packets)[-1] > 44 * 1920 - 2048


def test_sound_that_overlaps_is_heard_once() -> None:
    with LiveEncoder(SIZE, Fraction(FPS), sound=True) as encoder:
        packets = [p for n in (*range(10), *range(5, 15)) for p in encoder.encode_sound(tone(n))] + encoder.flush()
    assert len(heard(packets)) == -(-15 * 1920 // 1024) + 1


def test_pictures_never_wait_for_sound_that_stays_away() -> None:
    with LiveEncoder(SIZE, Fraction(FPS), sound=True) as encoder:
        packets = [p for n in range(10) for p in encoder.encode_sound(tone(n))]
        for index in range(100):
            packets += encoder.encode(safe(index))
            if index > 30:
                assert heard(packets)[-1] / 48_000 >= index / FPS
        # It comes back.
        packets += [p for n in range(100, 110) for p in encoder.encode_sound(tone(n))]
    assert set(np.diff(heard(packets))) == {1024}


def test_a_very_long_gap_stays_one() -> None:
    with LiveEncoder(SIZE, Fraction(FPS), sound=True) as encoder:
        packets = [p for n in (*range(5), *range(25 * 3600, 25 * 3600 + 5)) for p in encoder.encode_sound(tone(n))]
    assert len(heard(packets)) < 30
    assert heard(packets)[-1] >= 48_000 * 3600


def test_a_silent_stream_takes_no_sound() -> None:
    with LiveEncoder(SIZE, Fraction(FPS)) as encoder:
        assert encoder.encode_sound(tone(0)) == []
        assert not encoder.parameters.has_sound
