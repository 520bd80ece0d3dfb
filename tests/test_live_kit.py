"""The test bench for live streams holds what its users rely on."""

from __future__ import annotations

import itertools
import threading
import time
from collections.abc import Callable, Iterator
from fractions import Fraction
from pathlib import Path
from typing import Any

import av
import cv2
import numpy as np
import pytest

from tests.live_kit import Cable, RtspServer, free_port, nothing_left, resources, wait_until
from tests.live_measure import (
    PLAYER,
    CounterClock,
    CounterPush,
    Sighting,
    Watcher,
    burn,
    compare,
    measure_delivery,
    percentile,
    read_number,
    sound_offsets,
)
from tests.media_factory import make_video
from tests.rtsp_films import BLOCKS, LOOP_S, NUMBER_BITS, counter_films, strip_px

CLOCK = CounterClock(loop_s=4)
YARD = ("--counter", "yard=160x120@25", "--loop-s", "4", "--no-beep")
Start = Callable[..., RtspServer]

NUMBERS = [0, 1, 2, 999, 5461, 10922, (1 << NUMBER_BITS) - 1]


# --- numbers in pictures ---


def noise(width: int, height: int) -> np.ndarray[Any, Any]:
    return np.random.default_rng(1).integers(0, 256, (height, width, 3), dtype=np.uint8)


@pytest.mark.parametrize(("width", "height"), [(96, 64), (160, 120), (640, 360), (1280, 720)])
def test_a_number_survives_a_poor_encoder(tmp_path: Path, width: int, height: int) -> None:
    path = tmp_path / "poor.mp4"
    with av.open(str(path), "w") as container:
        stream = container.add_stream("libx264", rate=25, options={"crf": "40", "preset": "ultrafast"})
        stream.width, stream.height, stream.pix_fmt = width, height, "yuv420p"
        for number in NUMBERS:
            frame = av.VideoFrame.from_ndarray(burn(noise(width, height), number), format="rgb24")
            container.mux(stream.encode(frame))
        container.mux(stream.encode(None))
    with av.open(str(path)) as container:
        assert [read_number(frame.to_ndarray(format="rgb24")) for frame in container.decode(video=0)] == NUMBERS


@pytest.mark.parametrize("scale", [0.5, 0.7, 2.0])
def test_a_number_is_read_at_another_size(scale: float) -> None:
    picture = cv2.resize(burn(noise(640, 360), 5461), None, fx=scale, fy=scale, interpolation=cv2.INTER_AREA)
    assert read_number(picture) == 5461


@pytest.mark.parametrize("level", [0, 128, 255])
def test_a_plain_picture_tells_no_number(level: int) -> None:
    assert read_number(np.full((120, 160, 3), level, np.uint8)) is None


def test_noise_tells_no_number() -> None:
    assert read_number(noise(160, 120)) is None


@pytest.mark.parametrize("block", range(BLOCKS))
def test_no_single_wrong_block_makes_another_number(block: int) -> None:
    picture = burn(noise(160, 120), 1234)
    left, right = block * 160 // BLOCKS, (block + 1) * 160 // BLOCKS
    picture[:, left:right] = 255 - picture[:, left:right]
    assert read_number(picture) is None


@pytest.mark.parametrize("covered", [slice(0, 60), slice(60, 120)])
def test_one_strip_is_enough(covered: slice) -> None:
    picture = burn(noise(160, 120), 1234)
    picture[covered, 30:110] = 128
    assert read_number(picture) == 1234


def test_the_strips_are_all_that_is_burnt_in() -> None:
    picture, strip = noise(640, 360), strip_px(360)
    assert np.array_equal(burn(picture, 7)[strip:-strip], picture[strip:-strip])


def test_films_count_through_their_loop(rtsp_films: Path) -> None:
    films = counter_films("160x120@25,96x64@25", rtsp_films, loop_s=4)
    seen: list[tuple[int, int | None]] = []
    for film in films:
        with av.open(str(film)) as container:
            seen += [
                (frame.width, read_number(frame.to_ndarray(format="rgb24"))) for frame in container.decode(video=0)
            ]
    assert seen == [(160 if number < 50 else 96, number) for number in range(100)]


def test_a_loop_that_cannot_be_counted_is_refused(rtsp_films: Path) -> None:
    with pytest.raises(ValueError, match="at most 16384 frames"):
        counter_films("160x120@25", rtsp_films, loop_s=700)


def test_beeps_sound_with_their_pictures(rtsp_films: Path) -> None:
    (film,) = counter_films("160x120@25", rtsp_films, loop_s=4)
    offsets = sound_offsets(str(film), 10)
    assert len(offsets) >= 3
    assert max(map(abs, offsets)) < 0.025


def test_the_clock_finds_the_latest_frame_of_a_number() -> None:
    clock = CounterClock(fps=25, loop_s=4)
    assert clock.count(10, 100.5) == 25 * 100 + 10
    assert clock.count(13, 100.5) == 25 * 96 + 13
    assert clock.sent_s(clock.count(12, 100.5)) == pytest.approx(100.48)


# --- what is made of sightings ---


def watched(*seen: tuple[float, int | None]) -> Watcher:
    """A watcher that saw counts (None: a card, -1: the last one again) at times; 25 frames a second."""
    watcher = Watcher("nowhere")
    for at_s, count in seen:
        number = None if count is None else abs(count)
        told = None if count is None or count < 0 else count
        repeat = count is not None and count < 0
        watcher.sightings.append(Sighting(at_s=at_s, pts_s=at_s, size=(4, 4), number=number, count=told, repeat=repeat))
    return watcher


def test_delivery_counts_frames_repeats_cards_and_gaps() -> None:
    source = watched(*((n / 25 + 0.01, n) for n in range(50)))
    kept = [(n / 25 + 0.06, n) for n in range(50) if not 20 <= n < 30]
    sink = watched(*kept[:20], (0.85, -19), (0.95, None), *kept[20:])
    found = compare(source, sink, from_s=0, to_s=2)
    assert (found.sent, found.delivered, found.share) == (50, 40, 0.8)
    assert (found.repeats, found.unread, found.backward) == (1, 1, 0)
    assert found.longest_gap_s == pytest.approx(11 / 25)
    assert percentile(found.latencies_s, 95) == pytest.approx(0.06)
    assert percentile(found.added_s, 50) == pytest.approx(0.05)
    assert "40 of 50 frames (80.0%)" in found.line()


def test_delivery_tells_frames_out_of_order() -> None:
    source = watched(*((n / 25, n) for n in range(5)))
    assert compare(source, watched((0.1, 2), (0.11, 1), (0.12, 3)), from_s=0, to_s=1).backward == 1


def test_what_a_sink_never_showed_is_not_delivered() -> None:
    found = compare(watched((0.0, 0), (0.04, 1)), watched(), from_s=0, to_s=1)
    assert (found.sent, found.delivered, found.longest_gap_s) == (2, 0, 1)


# --- the server ---


@pytest.fixture(scope="module")
def bench(rtsp_films: Path) -> Iterator[RtspServer]:
    """A server for all tests that leave it as it was."""
    more = ("--counter", "turn=160x120@25,96x64@25", "--record", "out")
    with RtspServer(*YARD, *more, cache=rtsp_films, user="anna", password="s3cr:t") as server:
        yield server


def counts(watcher: Watcher) -> list[int]:
    return [s.count for s in watcher.sightings if s.count is not None]


@pytest.mark.parametrize("transport", ["tcp", "udp"])
def test_a_counter_runs_by_the_clock(bench: RtspServer, transport: str) -> None:
    with nothing_left(), Watcher(bench.url("yard"), clock=CLOCK, transport=transport) as watcher:
        wait_until(lambda: len(counts(watcher)) > 20, within_s=10, what=watcher.errors)
    seen = watcher.sightings
    assert {s.size for s in seen} == {(160, 120)}
    assert np.ptp(np.diff(counts(watcher))) == 0
    # A player does not know the times of the frames that it looked at while opening.
    assert np.allclose(np.diff([s.pts_s for s in seen if s.pts_s is not None]), 1 / 25, atol=0.001)
    ages = [s.at_s - watcher.clock.sent_s(s.count) for s in seen if s.count is not None]
    assert 0 <= min(ages) < 0.5


def test_a_film_is_played_again_and_again(rtsp_server: Start, tmp_path: Path) -> None:
    film = make_video(tmp_path / "film.mp4", frames=15, width=96, height=64, audio=["aac"])
    server = rtsp_server("--play", f"door={film}")
    with av.open(server.url("door"), options=PLAYER, timeout=(5, 5)) as player:
        assert [stream.type for stream in player.streams] == ["video", "audio"]
        frames = list(itertools.islice(player.decode(video=0), 40))
    times = [float(frame.pts * frame.time_base) for frame in frames if frame.pts is not None]
    assert np.allclose(np.diff(times), 1 / 25, atol=0.001)
    levels = [round(float(frame.to_ndarray(format="gray")[30:40, 40:60].mean())) for frame in frames]
    assert np.allclose(levels[:25], levels[15:], atol=4)
    assert len(set(levels[:15])) > 10


def test_films_of_two_sizes_take_turns(bench: RtspServer) -> None:
    with Watcher(bench.url("turn"), clock=CLOCK) as watcher:
        wait_until(lambda: len({s.size for s in watcher.sightings}) == 2, within_s=15, what=watcher.errors)
    assert {s.size for s in watcher.sightings} == {(160, 120), (96, 64)}
    assert np.ptp(np.diff(counts(watcher))) == 0
    assert not watcher.errors[:-1]


def opened(url: str) -> str:
    """Says what became of a try to play it."""
    try:
        with av.open(url, options=PLAYER, timeout=(5, 5)):
            return "open"
    except av.FFmpegError as error:
        return type(error).__name__


def test_wrong_names_and_passwords_are_told_apart(bench: RtspServer) -> None:
    address = f"127.0.0.1:{bench.port}"
    assert opened(bench.url("yard")) == "open"
    assert opened(bench.url("nothing")) == "HTTPNotFoundError"
    assert opened(bench.url("out")) == "HTTPNotFoundError"
    assert opened(f"rtsp://{address}/yard") == "HTTPUnauthorizedError"
    assert opened(f"rtsp://anna:wrong@{address}/yard") == "HTTPUnauthorizedError"
    with CounterPush(f"rtsp://anna:wrong@{address}/rec-out") as push:
        wait_until(lambda: push.error, within_s=5)
    assert type(push.error).__name__ == "HTTPUnauthorizedError"


def test_a_password_may_travel_in_the_clear(rtsp_server: Start) -> None:
    server = rtsp_server(*YARD, "--auth", "basic", user="anna", password="s3cr:t")
    assert opened(server.url("yard")) == "open"
    assert opened(server.url("yard", login=False)) == "HTTPUnauthorizedError"


def test_a_push_is_played_again_until_it_ends(bench: RtspServer) -> None:
    ended = bench.log().count("PUSH out ends")
    with CounterPush(bench.push_url("out"), sound=True) as push:
        found = measure_delivery(bench.url("out"), bench.url("out"), 0.5, late_s=0.3)
    assert push.error is None
    assert found.share > 0.9
    assert found.repeats == 0, "a key frame in slices must not be split"
    assert 0 < percentile(found.latencies_s, 50) < 0.5
    wait_until(lambda: bench.log().count("PUSH out ends") > ended, within_s=5)
    assert opened(bench.url("out")) == "HTTPNotFoundError"


def test_a_stalled_server_goes_on_with_what_is_new(rtsp_server: Start) -> None:
    server = rtsp_server(*YARD)
    with Watcher(server.url("yard"), clock=CLOCK) as watcher:
        wait_until(lambda: counts(watcher), within_s=10)
        server.pause()
        time.sleep(1)
        stalled, before = time.monotonic(), len(watcher.sightings)
        server.resume()
        watcher.wait_for_frame(sent_after_s=stalled, within_s=10)
    after = [s for s in watcher.sightings[before:] if s.count is not None]
    assert len(counts(watcher)) == len(set(counts(watcher)))
    assert [s.count for s in after] == sorted(counts(watcher)[-len(after) :])
    late = [s for s in after if watcher.clock.sent_s(s.count or 0) < stalled - 0.6]
    assert len(late) <= 2, "what was due while it stood still must not be sent later"


def test_a_killed_server_comes_back_on_its_port_and_ends_properly(rtsp_server: Start) -> None:
    server = rtsp_server(*YARD)
    port = server.port
    with nothing_left(), Watcher(server.url("yard"), clock=CLOCK) as watcher:
        wait_until(lambda: counts(watcher), within_s=10)
        server.kill()
        wait_until(lambda: watcher.losses, within_s=5)
        server.start()
        watcher.wait_for_frame(sent_after_s=time.monotonic(), within_s=10)
        assert server.stop() == 0
    assert server.port == port
    assert "Traceback" not in server.log()


def test_clients_leave_nothing_in_the_server(bench: RtspServer) -> None:
    assert opened(bench.url("yard")) == "open"
    with CounterPush(bench.push_url("out")), Watcher(bench.url("out"), clock=CLOCK) as watcher:
        wait_until(lambda: counts(watcher), within_s=10, what=watcher.errors)
    wait_until(
        lambda: (now := resources(bench.pid)).sockets <= bench.idle.sockets and now.threads <= bench.idle.threads,
        within_s=5,
        what=(bench.idle, resources(bench.pid)),
    )


def test_a_server_that_cannot_start_says_why(rtsp_server: Start) -> None:
    with pytest.raises(AssertionError, match="the RTSP server ended"):
        rtsp_server("--counter", "yard=160x120@25", "--nonsense")


def test_a_cut_cable_loses_frames_until_it_is_mended(rtsp_server: Start, cable: Cable) -> None:
    server = rtsp_server(*YARD, cable=cable)
    with Watcher(server.url("yard"), clock=CLOCK, transport="udp") as watcher:
        wait_until(lambda: counts(watcher), within_s=10, what=watcher.errors)
        cable.cut()
        cut = time.monotonic()
        time.sleep(1)
        cable.mend()
        mended = time.monotonic()
        watcher.wait_for_frame(sent_after_s=mended, within_s=10)
    sent = [watcher.clock.sent_s(count) for count in counts(watcher)]
    assert not [at for at in sent if cut + 0.1 < at < mended - 0.1]


# --- what is left behind ---


def test_a_thread_that_stays_is_found() -> None:
    over = threading.Event()
    thread = threading.Thread(target=over.wait)
    with pytest.raises(AssertionError, match="are left"), nothing_left(within_s=0.1):
        thread.start()
    over.set()
    thread.join()


def test_a_socket_that_stays_is_found() -> None:
    import socket

    with socket.socket() as left, pytest.raises(AssertionError, match="are left"):
        with nothing_left(within_s=0.1):
            other = socket.socket()
        assert left
    other.close()


def test_a_free_port_can_be_had() -> None:
    import socket

    with socket.socket() as server:
        server.bind(("127.0.0.1", free_port()))


def test_a_loop_is_long_enough_to_tell_frames_apart() -> None:
    assert LOOP_S >= 30
    assert Fraction(LOOP_S * 25, 1 << NUMBER_BITS) < 1
