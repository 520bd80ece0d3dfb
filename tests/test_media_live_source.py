"""Live sources on real sockets: stalls, losses, returns, changes of picture and time, and nothing left behind."""

from __future__ import annotations

import itertools
import logging
import os
import socket
import threading
import time
import traceback
from collections.abc import Iterator
from fractions import Fraction
from pathlib import Path

import av
import numpy as np
import pytest

from streamfilter.errors import InputError
from streamfilter.live_config import LiveConfig
from streamfilter.media import LIVE_TIME_BASE, Address, LiveSource
from streamfilter.media.letterbox import letterboxed
from streamfilter.media.live_failure import is_denied
from streamfilter.stream_state import StreamState
from tests.live_kit import free_port
from tests.live_source_kit import QUICK, Watched, failure_at, off_arrival_s, rises
from tests.media_factory import index_of, make_video
from tests.stream_servers import MjpegCamera, in_thread, served, silent_port, udp_camera


def descriptors() -> int:
    return len(os.listdir("/proc/self/fd"))


@pytest.fixture(autouse=True)
def nothing_left_over() -> Iterator[None]:
    threads, held = set(threading.enumerate()), descriptors()
    yield
    assert set(threading.enumerate()) == threads
    assert descriptors() <= held + 1  # a log or library may open one thing of its own


# --- frames ---


def test_frames_come_with_their_arrival_and_rising_times() -> None:
    with MjpegCamera() as camera, Watched(camera.url) as seen:
        seen.until_more(20)
    frames = seen.frames
    assert frames[0].pts == 0
    assert {frame.time_base for frame in frames} == {LIVE_TIME_BASE}
    assert [frame.index for frame in frames] == list(range(len(frames)))
    assert [index_of(frame.image) for frame in frames[:20]] == list(range(20))
    assert rises(frames)
    assert off_arrival_s(frames) < 0.001  # MJPEG tells no times, so arrival it is
    assert seen.states == [StreamState.CONNECTING, StreamState.LIVE, StreamState.ENDED]
    assert seen.source.info.width, seen.source.info.height == (64, 48)


def test_made_up_times_of_bare_pictures_are_not_believed() -> None:
    """FFmpeg gives these 25 frames a second, whatever the camera sends."""
    with MjpegCamera() as camera:
        camera.raw, camera.size, camera.fps = True, (640, 480), 200
        with Watched(camera.url, LiveConfig()) as seen:
            seen.until_more(40)
    assert seen.source.info.container == "jpeg_pipe"
    assert off_arrival_s(seen.frames) < 0.001


def test_a_frame_is_handed_over_as_soon_as_it_arrived() -> None:
    with MjpegCamera() as camera, Watched(camera.url) as seen:
        seen.until_more(10)
        camera.silent = True
        seen.until(lambda: len(seen.frames) >= camera.sent - 1, within_s=0.15)


def test_the_source_can_be_read_piece_by_piece() -> None:
    with MjpegCamera() as camera, LiveSource(Address.parse(camera.url), QUICK) as source:
        info = source.connect()
        assert source.connect() is info
        first = list(itertools.islice(source, 3))
        more = list(itertools.islice(source, 3))
        assert [frame.index for frame in first + more] == list(range(6))
        assert camera.connections == 1
    assert list(source) == []


def test_the_test_picture_moves_at_its_rate() -> None:
    with LiveSource(Address.parse("test:?size=64x48&rate=20"), QUICK) as source:
        frames = list(itertools.islice(source, 9))
    assert frames[0].image.shape == (48, 64, 3)
    assert 0.3 < frames[-1].captured_s - frames[0].captured_s < 0.6  # type: ignore[operator]
    assert not np.array_equal(frames[0].image, frames[-1].image)
    assert source.info.fps == 20


def test_size_and_rate_may_come_from_the_settings() -> None:
    config = LiveConfig(size=(32, 24), rate=Fraction(50))
    with LiveSource(Address.parse("test:"), config) as source:
        assert (source.connect().width, source.info.height, source.info.fps) == (32, 24, 50)


# --- loss and return ---


def test_a_stall_is_told_while_the_connection_stands() -> None:
    with MjpegCamera() as camera, Watched(camera.url) as seen:
        seen.until_more()
        camera.silent = True
        seen.until(lambda: StreamState.STALLED in seen.states)
        camera.silent = False
        seen.until_more()
        assert camera.connections == 1
    assert seen.states == [
        StreamState.CONNECTING, StreamState.LIVE, StreamState.STALLED, StreamState.LIVE, StreamState.ENDED,
    ]  # fmt: skip


def test_a_long_stall_is_a_loss_and_the_source_comes_back() -> None:
    with MjpegCamera() as camera, Watched(camera.url) as seen:
        seen.until_more()
        camera.silent = True
        seen.until(lambda: seen.states[-1] is StreamState.RECONNECTING)
        lost = next(event for event in seen.events if event.state is StreamState.RECONNECTING)
        assert lost.reason.endswith("no picture came for 0.6 s")
        camera.silent = False
        seen.until_more()
    assert StreamState.STALLED in seen.states
    assert seen.source.reconnects == 1
    assert rises(seen.frames)
    assert off_arrival_s(seen.frames) < 0.5


def test_a_server_that_goes_and_comes_back_is_found_again() -> None:
    with MjpegCamera() as camera, Watched(camera.url, LiveConfig()) as seen:
        seen.until_more()
        camera.stop()
        seen.until(lambda: seen.states[-1] is StreamState.RECONNECTING)
        time.sleep(0.5)
        camera.start()
        back_s = time.monotonic()
        seen.until_more()
        assert time.monotonic() - back_s < 5
    assert rises(seen.frames)
    assert any("nothing listens there" in event.reason for event in seen.events)


def test_twenty_reconnects_leave_nothing_behind() -> None:
    with MjpegCamera() as camera:
        camera.per_connection, camera.fps = 4, 200
        with Watched(camera.url) as seen:
            seen.until(lambda: seen.source.reconnects >= 2)
            held = descriptors()
            seen.until(lambda: seen.source.reconnects >= 20, within_s=15)
            assert descriptors() <= held + 2  # the server's own ends may still be closing
    assert rises(seen.frames)


def test_a_password_that_was_changed_stays_an_error_until_it_is_right() -> None:
    with MjpegCamera(login="admin:geheim") as camera, Watched(camera.url) as seen:
        seen.until_more()
        camera.status, camera.per_connection = 401, 1
        camera.silent = True
        seen.until(lambda: any("refused (401)" in event.reason for event in seen.events))
        time.sleep(0.5)
        assert 2 <= camera.connections <= 5
        camera.status, camera.per_connection, camera.silent = 200, 0, False
        seen.until_more()


def test_giving_up_is_an_error_that_names_the_last_cause() -> None:
    camera = MjpegCamera()
    with camera, Watched(camera.url, LiveConfig(give_up_s=0.3, reconnect_first_s=0.05)) as seen:
        seen.until_more()
        camera.stop()
        try:
            seen.until(lambda: seen.error)
        finally:
            camera.start()
    assert "nothing listens there" in str(seen.error)
    assert "given up after 0.3 s" in str(seen.error)
    assert seen.states[-1] is StreamState.ENDED


# --- what cannot be used from the beginning ---


@pytest.mark.parametrize(
    ("status", "sentence"),
    [
        (401, "a user and password are needed (401)"),
        (403, "access is forbidden for this user (403)"),
        (404, "there is no such stream (404)"),
        (429, "too many requests"),
        (500, "an error of its own"),
    ],
)
def test_refusals_are_told_apart(status: int, sentence: str) -> None:
    with MjpegCamera() as camera:
        camera.status = status
        failure = failure_at(camera.url)
    assert sentence in failure
    assert is_denied(InputError(failure)) == (status in (401, 403))


def test_a_wrong_password_is_told_from_a_missing_one() -> None:
    with MjpegCamera(login="admin:geheim") as camera:
        camera.status = 401
        assert "the user or password was refused (401)" in failure_at(camera.url)


@pytest.mark.parametrize(
    ("url", "sentence"),
    [
        ("webcam:97", "webcam:97: no such camera; those connected: "),
        ("srt://127.0.0.1:9", "this FFmpeg was built without srt://"),
        ("http://nosuch.invalid/x", "no such host is known"),
        ("rtsp://nosuch.invalid/x", "no such host is known"),
        ("rtsp://127.0.0.1:1/x", "nothing listens there"),
        ("page:8080", "can be written to, not read"),
        ("test:?size=a,b", "test:?size=640x360&rate=25"),
        ("/nonexistent.mp4", "no such file"),
    ],
)
def test_addresses_that_cannot_be_read_say_why(url: str, sentence: str) -> None:
    assert sentence in failure_at(url)


def test_an_unknown_host_is_not_looked_up_again(monkeypatch: pytest.MonkeyPatch) -> None:
    def asked(*_: object, **__: object) -> object:
        raise AssertionError("a name server that does not answer would hold everything up")

    monkeypatch.setattr(socket, "getaddrinfo", asked)
    assert "no such host is known" in failure_at("rtsp://nosuch.invalid/x")


def test_what_is_no_video_is_said_to_be_none(tmp_path: Path) -> None:
    (tmp_path / "page.html").write_text("<html>" + "nothing to see " * 500)
    with served(tmp_path) as base:
        assert "no video that can be read" in failure_at(f"{base}/page.html")


@pytest.mark.parametrize("scheme", ["http", "rtsp", "rtmp"])
def test_a_port_that_never_answers_is_a_time_out(scheme: str) -> None:
    config = LiveConfig(open_timeout_s=0.4)
    with silent_port() as port:
        start_s = time.monotonic()
        assert "no picture came within 0.4 s" in failure_at(f"{scheme}://127.0.0.1:{port}/x/y", config)
        assert time.monotonic() - start_s < 1.5


def test_a_udp_port_that_gets_no_packets_is_a_time_out() -> None:
    assert "no picture came within 0.3 s" in failure_at(
        f"udp://127.0.0.1:{free_port()}", LiveConfig(open_timeout_s=0.3)
    )


# --- closing ---


@pytest.mark.parametrize("scheme", ["http", "rtsp", "rtmp", "udp"])
def test_close_ends_a_connection_that_is_being_made(scheme: str) -> None:
    with silent_port() as port:
        seen = Watched(f"{scheme}://127.0.0.1:{port}/x/y", LiveConfig(open_timeout_s=30))
        with in_thread(seen.read) as thread:
            time.sleep(0.2)
            seen.source.close()
            start_s = time.monotonic()
            thread.join(5)
            assert time.monotonic() - start_s < 1
    assert seen.error is None
    assert seen.frames == []
    assert seen.states[-1] is StreamState.ENDED


def test_close_ends_an_iteration_that_waits_for_a_frame() -> None:
    config = LiveConfig(stall_s=20, read_timeout_s=30)
    with MjpegCamera() as camera:
        seen = Watched(camera.url, config)
        with in_thread(seen.read) as thread:
            seen.until_more()
            camera.silent = True
            time.sleep(0.1)
            seen.source.close()
            start_s = time.monotonic()
            thread.join(5)
            assert time.monotonic() - start_s < 1


def test_close_ends_the_wait_between_two_tries() -> None:
    camera = MjpegCamera()
    with camera:
        seen = Watched(camera.url, LiveConfig(reconnect_first_s=20, reconnect_most_s=20))
        with in_thread(seen.read) as thread:
            seen.until_more()
            camera.stop()
            seen.until(lambda: seen.states[-1] is StreamState.RECONNECTING)
            seen.source.close()
            start_s = time.monotonic()
            thread.join(5)
            assert time.monotonic() - start_s < 0.5
        camera.start()


# --- changes on the way ---


def test_another_size_is_letterboxed_to_the_first() -> None:
    with MjpegCamera() as camera, Watched(camera.url) as seen:
        seen.until_more()
        camera.size = (24, 48)
        seen.until(lambda: seen.frames[-1].image[24, 2].max() < 30)
    assert {frame.image.shape for frame in seen.frames} == {(48, 64, 3)}
    narrow = seen.frames[-1].image
    assert narrow[:, :16].max() < 30
    assert narrow[30:, 24:40].min() > 16


def test_a_source_that_comes_back_in_another_size_is_letterboxed_too() -> None:
    with MjpegCamera() as camera, Watched(camera.url) as seen:
        seen.until_more()
        camera.stop()
        camera.size = (128, 48)
        camera.start()
        seen.until_more(8)
    assert {frame.image.shape for frame in seen.frames} == {(48, 64, 3)}
    assert seen.frames[-1].image[:10].max() < 30


def test_a_letterbox_keeps_the_shape_and_the_middle() -> None:
    image = np.full((10, 40, 3), 200, np.uint8)
    framed = letterboxed(image, 20, 20)
    assert framed.shape == (20, 20, 3)
    assert [int(row) for row in framed[:, 10, 0]] == [0] * 7 + [200] * 5 + [0] * 8
    assert letterboxed(image, 40, 10) is image


def test_spoilt_pictures_are_left_out_and_do_not_end_the_stream() -> None:
    with MjpegCamera() as camera, Watched(camera.url) as seen:
        seen.until_more()
        camera.spoil = True
        seen.until_more(10)
        camera.spoil = False
        seen.until_more()
    assert StreamState.RECONNECTING not in seen.states
    assert rises(seen.frames)


def test_time_stamps_that_jump_back_never_reach_the_output() -> None:
    port = free_port()
    with Watched(f"udp://127.0.0.1:{port}") as seen:
        for first_pts_s in (5000.0, 20.0, 90000.0):
            with udp_camera(port, first_pts_s=first_pts_s):
                seen.until_more(15)
    assert rises(seen.frames)
    assert off_arrival_s(seen.frames) < 0.6


# --- MPEG-TS: key frames, reordering, sound ---


@pytest.mark.parametrize("codec", ["libx264", "mpeg2video"])
def test_the_first_frame_shown_is_a_key_frame(codec: str) -> None:
    port = free_port()
    with udp_camera(port, codec=codec, key_every=14):
        time.sleep(0.1)
        with Watched(f"udp://127.0.0.1:{port}") as seen:
            seen.until_more(20)
    indices = [index_of(frame.image) for frame in seen.frames]
    assert indices[0] % 14 == 0
    assert indices == [(indices[0] + n) % 28 for n in range(len(indices))]


def test_reordered_frames_come_in_the_order_of_presentation() -> None:
    port = free_port()
    with udp_camera(port, key_every=14, b_frames=2), Watched(f"udp://127.0.0.1:{port}") as seen:
        seen.until_more(25)
    indices = [index_of(frame.image) for frame in seen.frames]
    assert indices == [(indices[0] + n) % 28 for n in range(len(indices))]
    assert rises(seen.frames)


def test_sound_comes_on_the_clock_of_the_pictures_without_a_seam() -> None:
    port = free_port()
    with udp_camera(port, audio=True), Watched(f"udp://127.0.0.1:{port}") as seen:
        seen.until(lambda: len(seen.chunks) >= 30)
        seen.until_more()
    chunks = seen.chunks
    assert {chunk.samples.shape[1] for chunk in chunks} == {2}
    ends = [chunk.pts + round(chunk.duration_s * 90_000) for chunk in chunks]
    assert max(abs(end - chunk.pts) for end, chunk in zip(ends, chunks[1:], strict=False)) <= 1
    assert abs(ends[-1] - seen.frames[-1].pts) < 45_000  # type: ignore[operator]


def test_sound_that_nobody_wants_is_left_out() -> None:
    port = free_port()
    with udp_camera(port, audio=True), LiveSource(Address.parse(f"udp://127.0.0.1:{port}"), QUICK) as source:
        assert len(list(itertools.islice(source, 10))) == 10


# --- playlists and recordings ---


def playlist(folder: Path, *, complete: bool) -> Path:
    film = make_video(folder / "film.ts", frames=50, options={"g": "10", "bf": "0"})
    with av.open(str(film)) as source:
        options = {"hls_time": "0.4", "hls_list_size": "0"}
        with av.open(str(folder / "live.m3u8"), "w", format="hls", container_options=options) as output:
            stream = output.add_stream_from_template(source.streams.video[0])
            for packet in source.demux(video=0):
                if packet.dts is not None:
                    packet.stream = stream
                    output.mux(packet)
    path = folder / "live.m3u8"
    if not complete:
        path.write_text(path.read_text().replace("#EXT-X-ENDLIST\n", ""))
    return path


def test_a_complete_playlist_plays_at_its_pace_and_ends(tmp_path: Path) -> None:
    playlist(tmp_path, complete=True)
    with served(tmp_path) as base, Watched(f"{base}/live.m3u8") as seen:
        seen.until(lambda: seen.states[-1] is StreamState.ENDED)
    assert [index_of(frame.image) for frame in seen.frames] == [n % 28 for n in range(50)]
    assert 1.8 < seen.frames[-1].captured_s - seen.frames[0].captured_s < 2.6  # type: ignore[operator]
    assert seen.events[-1].reason == "the recording is over"
    assert seen.source.reconnects == 0


def test_a_growing_playlist_is_live(tmp_path: Path) -> None:
    playlist(tmp_path, complete=False)
    with served(tmp_path) as base, Watched(f"{base}/live.m3u8") as seen:
        seen.until_more(10)
        assert seen.states == [StreamState.CONNECTING, StreamState.LIVE]
    assert rises(seen.frames)


def test_a_file_may_be_played_as_if_it_were_live(tmp_path: Path) -> None:
    film = make_video(tmp_path / "film.mp4", frames=10)
    with LiveSource(Address.parse(str(film)), QUICK) as source:
        frames = list(source)
    assert [index_of(frame.image) for frame in frames] == list(range(10))
    assert frames[-1].captured_s - frames[0].captured_s > 0.3  # type: ignore[operator]
    assert source.state is StreamState.ENDED


# --- secrets ---


def test_no_credential_is_told_logged_or_kept_in_an_error(caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.DEBUG)
    secret = "Xgeheim77"
    with MjpegCamera(login=f"chefX77:{secret}") as camera, Watched(f"{camera.url}?token={secret}") as seen:
        seen.until_more()
        camera.status, camera.silent = 401, True
        seen.until(lambda: any("401" in event.reason for event in seen.events))
        camera.status = 401
        with pytest.raises(InputError) as caught:
            LiveSource(Address.parse(camera.url), QUICK).connect()
        camera.status = 200
    error = caught.value
    assert error.__cause__ is None
    assert error.__context__ is None
    told = [str(seen.events), repr(seen.source.address), repr(seen.source.info), caplog.text, str(seen.source.notices)]
    told += traceback.format_exception(error)
    for text in told:
        assert secret not in text
        assert "chefX77" not in text
    assert "401" in caplog.text
