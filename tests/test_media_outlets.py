"""Where the stream goes: files that survive a kill, folders, servers that refuse, stall or go away."""

from __future__ import annotations

import http.server
import resource
import signal
import socket
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from functools import partial
from itertools import pairwise
from pathlib import Path

import av
import pytest

from streamfilter.errors import ConfigError, OutputError
from streamfilter.media.encoded import TrackKind
from streamfilter.media.outlets import OutletConfig
from streamfilter.media.outlets.push import PushOutlet
from tests.live_kit import free_port, nothing_left
from tests.media_factory import index_of
from tests.outlet_kit import FPS, KILLED, Encoded, expected, look, outlet_to, stream, write_all


@pytest.fixture(scope="module")
def silent() -> Encoded:
    """8 seconds of pictures."""
    return stream(200)


@pytest.fixture(scope="module")
def sounding() -> Encoded:
    """8 seconds of pictures with sound."""
    return stream(200, sound=True)


# --- files ---


@pytest.mark.parametrize("suffix", [".mkv", ".mp4", ".mov", ".ts"])
def test_a_recording_holds_every_picture_and_the_sound(tmp_path: Path, sounding: Encoded, suffix: str) -> None:
    parameters, packets = sounding
    write_all(outlet_to(tmp_path / f"cam{suffix}", parameters), packets)
    times, indices, sound = look(tmp_path / f"cam{suffix}")
    assert indices == expected(0, 200)
    assert times[-1] - times[0] == pytest.approx(199 / FPS, abs=0.002)
    assert sound == pytest.approx(sum(p.kind is TrackKind.AUDIO for p in packets), abs=2)


def test_sound_and_picture_keep_their_distance(tmp_path: Path, sounding: Encoded) -> None:
    """Though the sound is handed over first, as it is where the filter delays the picture."""
    parameters, packets = sounding
    ahead = sorted(packets, key=lambda p: p.time_s - (0.5 if p.kind is TrackKind.AUDIO else 0))
    write_all(outlet_to(tmp_path / "cam.mkv", parameters), ahead)
    with av.open(str(tmp_path / "cam.mkv")) as container:
        order = [(p.stream.type, float(p.dts * p.time_base)) for p in container.demux() if p.size and p.dts is not None]
    for kind, end in (("video", 199 / FPS), ("audio", 8.0)):
        seen = [time_s for one, time_s in order if one == kind]
        assert seen[0] == pytest.approx(0, abs=0.03)
        assert seen[-1] == pytest.approx(end, abs=0.05)
    stamps = [time_s for _, time_s in order]
    assert max(early - late for early, late in pairwise(stamps)) < 0.05


def test_an_outlet_starts_at_a_key_frame_and_at_zero(tmp_path: Path, sounding: Encoded) -> None:
    parameters, packets = sounding
    outlet = outlet_to(tmp_path / "cam.mkv", parameters)
    write_all(outlet, [p for p in packets if p.time_s > 0.5])
    times, indices, _ = look(tmp_path / "cam.mkv")
    assert indices == expected(50, 200)
    assert times[0] == 0


def test_one_packet_serves_many_containers(tmp_path: Path, sounding: Encoded) -> None:
    parameters, packets = sounding
    outlets = [outlet_to(tmp_path / name, parameters) for name in ("a.mkv", "b.mp4", "c.ts", "d/live.m3u8")]
    for packet in packets:
        for outlet in outlets:
            outlet.write(packet)
    for outlet in outlets:
        outlet.close()
    for name in ("a.mkv", "b.mp4", "c.ts", "d/live.m3u8"):
        assert look(tmp_path / name)[1] == expected(0, 200), name


def test_times_that_fall_on_one_millisecond_are_kept_apart(tmp_path: Path, silent: Encoded) -> None:
    parameters, packets = silent
    close = [replace(p, pts=n * 20, dts=n * 20) for n, p in enumerate(packets)]
    write_all(outlet_to(tmp_path / "cam.mkv", parameters), close)
    assert len(look(tmp_path / "cam.mkv")[1]) == 200


def test_a_recording_is_never_written_over(tmp_path: Path, silent: Encoded) -> None:
    parameters, packets = silent
    (tmp_path / "cam.mkv").write_bytes(b"mine")
    with pytest.raises(OutputError, match="exists already"):
        outlet_to(tmp_path / "cam.mkv", parameters)
    late = outlet_to(tmp_path / "late.mkv", parameters)
    (tmp_path / "late.mkv").write_bytes(b"mine")
    with pytest.raises(OutputError, match=r"late\.mkv cannot be written: File exists"):
        late.write(packets[0])
    assert (tmp_path / "late.mkv").read_bytes() == b"mine"
    write_all(outlet_to(tmp_path / "cam.mkv", parameters, OutletConfig(overwrite=True)), packets)
    assert len(look(tmp_path / "cam.mkv")[1]) == 200


def test_where_nobody_can_be_asked_a_recording_goes_beside_what_is_there(tmp_path: Path, silent: Encoded) -> None:
    """A service that starts again must neither fail for its own recordings nor lose them."""
    parameters, packets = silent
    for config in (OutletConfig(unattended=True), OutletConfig(unattended=True, overwrite=True)):
        write_all(outlet_to(tmp_path / "cam.mkv", parameters, config), packets)
    (tmp_path / "cam_3.mkv").write_bytes(b"mine")
    write_all(outlet_to(tmp_path / "cam.mkv", parameters, OutletConfig(unattended=True)), packets)
    assert (tmp_path / "cam_3.mkv").read_bytes() == b"mine"
    for name in ("cam.mkv", "cam_2.mkv", "cam_4.mkv"):
        assert len(look(tmp_path / name)[1]) == 200


@pytest.mark.parametrize("name", ["cam.avi", "cam", "cam.webm"])
def test_an_ending_that_survives_no_kill_is_refused(tmp_path: Path, silent: Encoded, name: str) -> None:
    with pytest.raises(ConfigError, match=r"ends in one of \.mkv, \.mp4, \.mov, \.ts"):
        outlet_to(tmp_path / name, silent[0])


@contextmanager
def disk_of(size: int) -> Iterator[None]:
    """No file can grow beyond this: what a full disk does, without one."""
    soft, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (size, hard))
    try:
        yield
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, (soft, hard))


@pytest.mark.parametrize("name", ["cam.mkv", "cam.mp4", "cam.ts", "cam_%03d.mkv", "live/cam.m3u8"])
def test_a_full_disk_is_named_and_can_be_survived(tmp_path: Path, name: str) -> None:
    parameters, packets = stream(100, size=(192, 144), grain=60)
    outlet = outlet_to(tmp_path / name, parameters)
    with disk_of(40_000), pytest.raises(OutputError, match=r"cam\S* cannot be written: File too large") as failure:
        for packet in packets:
            outlet.write(packet)
    assert "\n" not in str(failure.value)
    with pytest.raises(OutputError, match="reopen it first"):
        outlet.write(packets[0])
    before = {path: path.read_bytes() for path in tmp_path.rglob("*.mkv")}
    outlet.reopen()
    write_all(outlet, packets)
    assert len(look(getattr(outlet, "path"))[1]) >= 50  # noqa: B009 - only files have one
    assert all(path.read_bytes() == data for path, data in before.items())


@pytest.mark.parametrize("name", ["cam.mkv", "cam.mp4", "cam.ts", "cam_%03d.mkv"])
def test_tries_on_a_full_disk_leave_nothing_behind(tmp_path: Path, silent: Encoded, name: str) -> None:
    outlet = outlet_to(tmp_path / name, silent[0], OutletConfig(unattended=True))
    assert outlet.is_network, "it is tried again"
    for _ in range(3):
        with disk_of(0), pytest.raises(OutputError, match="File too large"):
            for packet in silent[1]:
                outlet.write(packet)
        assert not list(tmp_path.iterdir())
        outlet.reopen()


def test_what_was_recorded_before_a_kill_can_be_played(tmp_path: Path) -> None:
    child = subprocess.Popen([sys.executable, "-c", KILLED, str(tmp_path)], stdout=subprocess.PIPE, text=True)
    assert child.stdout is not None
    last = next(index for index in map(int, child.stdout) if index >= 390)  # at 15.6 s, right before a key frame
    child.send_signal(signal.SIGKILL)
    last = max([last, *map(int, child.stdout.read().split())])
    child.wait()
    child.stdout.close()
    for name in ("a.mkv", "b.mp4", "c.ts"):
        times, indices, sound = look(tmp_path / name)
        assert indices == expected(0, len(indices)), name
        assert times[-1] - times[0] >= last / FPS - 1.5, name
        assert sound > 40 * (last / FPS - 2), name
    played = [look(path)[1] for path in sorted(tmp_path.glob("e_*.mkv"))]
    assert [len(one) for one in played[:2]] == [150, 150]
    assert sum(map(len, played)) >= last - 1.5 * FPS
    listed = [line for line in (tmp_path / "live/d.m3u8").read_text().splitlines() if line.endswith(".ts")]
    assert sum(len(look(tmp_path / "live" / name)[1]) for name in listed) >= 5 * 2 * FPS


# --- segments ---


def test_segments_begin_at_key_frames_and_lose_nothing(tmp_path: Path, sounding: Encoded) -> None:
    parameters, packets = sounding
    ahead = sorted(packets, key=lambda p: p.time_s - (0.5 if p.kind is TrackKind.AUDIO else 0))
    outlet = outlet_to(tmp_path / "cam_%02d.mkv", parameters, OutletConfig(segment_s=3))
    write_all(outlet, ahead)
    files = sorted(tmp_path.iterdir())
    assert [path.name for path in files] == ["cam_00.mkv", "cam_01.mkv"]
    seen = [look(path) for path in files]
    assert [indices for _, indices, _ in seen] == [expected(0, 100), expected(100, 200)]
    assert [times[0] for times, _, _ in seen] == [0, 0]
    for _, _, sound in seen:
        assert sound == pytest.approx(4 * 48_000 / 1024, abs=3)


def test_segments_count_on_and_complete_ones_stay(tmp_path: Path, silent: Encoded) -> None:
    parameters, packets = silent
    for name in ("cam_0007.mkv", "cam_x.mkv", "cam_3.mkv"):
        (tmp_path / name).write_bytes(b"mine")
    outlet = outlet_to(tmp_path / "cam.mkv", parameters, OutletConfig(segment_s=2))
    seen: dict[Path, bytes] = {}
    for packet in packets:
        outlet.write(packet)
        for path in tmp_path.glob("*.mkv"):
            if path in seen or path != getattr(outlet, "path"):  # noqa: B009
                assert seen.setdefault(path, path.read_bytes()) == path.read_bytes()
    outlet.close()
    made = sorted(path.name for path in tmp_path.iterdir())
    assert made == ["cam_0007.mkv", *(f"cam_{n:03d}.mkv" for n in (8, 9, 10, 11)), "cam_3.mkv", "cam_x.mkv"]


def test_segments_are_named_by_the_time(tmp_path: Path, silent: Encoded) -> None:
    parameters, packets = silent
    write_all(outlet_to(tmp_path / "cam_%Y%m%d.mp4", parameters, OutletConfig(segment_s=2)), packets)
    day = time.strftime("%Y%m%d")
    assert {path.name for path in tmp_path.iterdir()} >= {f"cam_{day}_2.mp4", f"cam_{day}_3.mp4", f"cam_{day}_4.mp4"}


def test_a_pattern_in_a_folder_is_refused(tmp_path: Path, silent: Encoded) -> None:
    with pytest.raises(ConfigError, match="not its folder"):
        outlet_to(tmp_path / "%Y" / "cam_%d.mkv", silent[0])


@pytest.mark.parametrize("name", ["cam_%9999999d.mkv", "cam_%099999999999d.mkv", "cam_%Y_%9999999H.mkv"])
def test_a_number_that_no_name_can_hold_is_refused(tmp_path: Path, silent: Encoded, name: str) -> None:
    with pytest.raises(ConfigError, match="at most 99 digits"):
        outlet_to(tmp_path / name, silent[0])


# --- HLS ---


def test_hls_moves_on_and_cleans_up(tmp_path: Path) -> None:
    parameters, packets = stream(650, sound=True)
    folder = tmp_path / "live"
    outlet = outlet_to(folder / "cam.m3u8", parameters, OutletConfig(hls_segments=3))
    for packet in packets:
        outlet.write(packet)
        if (folder / "cam.m3u8").exists():  # whole at any moment, and so is what it names
            lines = (folder / "cam.m3u8").read_text().splitlines()
            assert lines[0] == "#EXTM3U"
            assert lines[-1].endswith(".ts")
            assert all((folder / line).exists() for line in lines if not line.startswith("#"))
    assert len(list(folder.glob("*.ts"))) <= 3 + 2 + 1
    outlet.close()
    assert "#EXT-X-ENDLIST" in (folder / "cam.m3u8").read_text()
    with served(folder) as url:
        _, indices, sound = look(f"{url}/cam.m3u8")
    assert indices == expected(500, 650)
    assert sound > 200


def test_hls_goes_on_where_it_was(tmp_path: Path, silent: Encoded) -> None:
    parameters, packets = silent
    for _ in range(2):
        write_all(outlet_to(tmp_path / "cam.m3u8", parameters), packets)
    text = (tmp_path / "cam.m3u8").read_text()
    assert "cam_000007.ts" in text
    assert "DISCONTINUITY" in text


OURS = "#EXTM3U\n#EXT-X-TARGETDURATION:2\n#EXTINF:2.0,\n"


@pytest.mark.parametrize(
    "text",
    [
        OURS + "cam_000001.ts\n#EXTINF:2.0,\nfilm.ts\n",
        OURS + "sub/cam_000001.ts\n",
        OURS + "../cam_000001.ts\n",
        OURS + "cam_1.ts\n",
        OURS + '#EXT-X-MAP:URI="init.mp4"\ncam_000001.ts\n',
        "a list of mine\n",
    ],
)
@pytest.mark.parametrize("config", [OutletConfig(), OutletConfig(overwrite=True)])
def test_hls_touches_no_playlist_of_another_program(
    tmp_path: Path, silent: Encoded, text: str, config: OutletConfig
) -> None:
    playlist, film = tmp_path / "cam.m3u8", tmp_path / "film.ts"
    film.write_bytes(b"mine")
    late = outlet_to(playlist, silent[0], config)
    playlist.write_text(text)
    for begin in (lambda: outlet_to(playlist, silent[0], config), lambda: late.write(silent[1][0])):
        with pytest.raises(OutputError, match=r"cam\.m3u8 is another program's"):
            begin()
    assert (playlist.read_text(), film.read_bytes()) == (text, b"mine")
    assert {path.name for path in tmp_path.iterdir()} == {"cam.m3u8", "film.ts"}


@pytest.mark.parametrize("name", ["50%d/cam.m3u8", "cam_%03d.m3u8"])
def test_hls_takes_no_pattern(tmp_path: Path, silent: Encoded, name: str) -> None:
    with pytest.raises(ConfigError, match="may hold no %"):
        outlet_to(tmp_path / name, silent[0])


@contextmanager
def served(folder: Path) -> Iterator[str]:
    class Quiet(http.server.SimpleHTTPRequestHandler):
        def log_message(self, *args: object) -> None:
            pass

    with http.server.ThreadingHTTPServer(("127.0.0.1", 0), partial(Quiet, directory=str(folder))) as server:
        thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01})
        thread.start()
        yield f"http://127.0.0.1:{server.server_port}"
        server.shutdown()
        thread.join()


# --- UDP ---


def test_udp_is_read_back_by_who_joins_late(silent: Encoded) -> None:
    parameters, packets = silent
    port = free_port()
    stop = threading.Event()

    def send() -> None:
        with outlet_to(f"udp://127.0.0.1:{port}", parameters) as outlet:
            number = 0
            while not stop.wait(0.004):
                packet, turn = packets[number % 200], number // 200 * 200 * 3600
                outlet.write(replace(packet, pts=packet.pts + turn, dts=packet.dts + turn))
                number += 1

    thread = threading.Thread(target=send)
    thread.start()
    try:
        with av.open(f"udp://127.0.0.1:{port}?timeout=5000000", timeout=10) as container:
            frames = [frame for _, frame in zip(range(60), container.decode(video=0), strict=False)]
    finally:
        stop.set()
        thread.join()
    seen = [index_of(frame.to_ndarray(format="rgb24")) for frame in frames]
    first = next(n for n in (0, 50, 100, 150) if n % 28 == seen[0])
    assert seen == [(first + n) % 200 % 28 for n in range(60)]


def test_udp_needs_nobody_to_listen(silent: Encoded) -> None:
    parameters, packets = silent
    began = time.monotonic()
    with nothing_left():
        write_all(outlet_to(f"udp://127.0.0.1:{free_port()}", parameters), packets)
        write_all(outlet_to("udp://239.255.77.77:5999?ttl=0", parameters), packets[:50])
    assert time.monotonic() - began < 3


@pytest.mark.parametrize("query", ["ttl=256", "ttl=-1", "ttl=x", "ttl=99999999999", "ttl=" + "1" * 5000])
def test_a_ttl_out_of_range_is_one_line(silent: Encoded, query: str) -> None:
    with pytest.raises(ConfigError, match=r"ttl \(0 to 255\) must be numbers"):
        outlet_to(f"udp://239.255.77.77:5999?{query}", silent[0])


def test_datagrams_fit_into_a_frame_of_ethernet() -> None:
    parameters, packets = stream(20, size=(192, 144), grain=60)
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as listener:
        listener.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4_000_000)
        listener.bind(("127.0.0.1", 0))
        listener.settimeout(0.5)
        write_all(outlet_to(f"udp://127.0.0.1:{listener.getsockname()[1]}", parameters), packets)
        sizes = []
        while True:
            try:
                sizes.append(len(listener.recv(65_536)))
            except TimeoutError:
                break
    assert max(sizes) == 1316
    assert not [size for size in sizes if size % 188]


def test_an_unknown_host_is_one_line(silent: Encoded) -> None:
    outlet = outlet_to("udp://no-such-host.invalid:5000", silent[0])
    with pytest.raises(OutputError, match="no host of that name"):
        outlet.write(silent[1][0])


# --- all of them ---


def test_what_takes_pictures_is_no_outlet(silent: Encoded) -> None:
    for target in ("page:8080", "window:", "camera:", "https://example.org/live.m3u8"):
        with pytest.raises(ConfigError):
            outlet_to(target, silent[0])


def test_a_closed_outlet_says_so(tmp_path: Path, silent: Encoded) -> None:
    outlet = outlet_to(tmp_path / "cam.mkv", silent[0])
    outlet.close()
    outlet.close()
    with pytest.raises(OutputError, match="is closed"):
        outlet.write(silent[1][0])
    assert not (tmp_path / "cam.mkv").exists()


def test_nothing_shows_the_secret_address(silent: Encoded) -> None:
    outlet = outlet_to("rtsp://anna:geheim@127.0.0.1:1/live", silent[0])
    assert isinstance(outlet, PushOutlet)
    assert "geheim" not in f"{outlet!r} {outlet.name} {silent[0]!r}"


@pytest.mark.parametrize(
    "bad",
    [{"segment_s": 0.5}, {"open_timeout_s": 0}, {"write_timeout_s": 0}, {"hls_segment_s": 0.1}, {"hls_segments": 1}],
    ids=lambda bad: next(iter(bad)),
)
def test_settings_that_cannot_work_are_refused(bad: dict[str, float]) -> None:
    with pytest.raises(ConfigError):
        OutletConfig(**bad)  # type: ignore[arg-type]
