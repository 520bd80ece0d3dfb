"""Live sources on a real RTSP server: what it refuses, when it is killed, and when it only stops sending."""

from __future__ import annotations

import itertools
import time
from collections.abc import Callable

from streamfilter.live_config import LiveConfig
from streamfilter.media import Address, LiveSource
from streamfilter.stream_state import StreamState
from tests.live_kit import RtspServer, nothing_left
from tests.live_source_kit import Watched, failure_at, off_arrival_s, rises


def test_an_rtsp_camera_tells_its_refusals_apart(rtsp_server: Callable[..., RtspServer]) -> None:
    server = rtsp_server("--counter", "yard=64x48@25", user="admin", password="ge heim@7")
    assert "a user and password are needed (401)" in failure_at(server.url("yard", login=False))
    place = f"ge%20heim%407@127.0.0.1:{server.port}"
    assert "the user or password was refused (401)" in failure_at(f"rtsp://admin:x{place}/yard")
    assert "there is no such stream (404)" in failure_at(f"rtsp://admin:{place}/nosuch")
    with LiveSource(Address.parse(f"rtsp://admin:{place}/yard"), LiveConfig()) as source:
        frames = list(itertools.islice(source, 30))
    assert rises(frames)
    assert off_arrival_s(frames[1:]) < 0.5


def test_an_rtsp_server_that_is_killed_and_stopped_is_found_again(rtsp_server: Callable[..., RtspServer]) -> None:
    server = rtsp_server("--counter", "yard=64x48@25")
    config = LiveConfig(open_timeout_s=2, stall_s=0.3, read_timeout_s=1)
    with nothing_left(), Watched(server.url("yard"), config) as seen:
        seen.until_more(within_s=10)
        server.restart()
        back_s = time.monotonic()
        seen.until_more()
        assert time.monotonic() - back_s < 5
        server.pause()
        seen.until(lambda: seen.states[-1] is StreamState.RECONNECTING)
        server.resume()
        back_s = time.monotonic()
        seen.until_more()
        assert time.monotonic() - back_s < 5
    assert rises(seen.frames)
    assert off_arrival_s(seen.frames) < 0.6
    assert seen.source.reconnects >= 2
