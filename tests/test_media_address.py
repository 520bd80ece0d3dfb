"""Addresses: every kind is understood, and nothing secret in one is ever shown."""

from __future__ import annotations

import copy
import traceback
from urllib.parse import quote

import pytest
from hypothesis import given
from hypothesis import strategies as st

from streamfilter.errors import ConfigError
from streamfilter.media.address import SINKS, SOURCES, Address, AddressKind

KINDS = [
    ("film.mp4", AddressKind.FILE, False, "film.mp4"),
    ("a:b.mp4", AddressKind.FILE, False, "a:b.mp4"),
    (r"C:\films\a.mp4", AddressKind.FILE, False, r"C:\films\a.mp4"),
    ("file:///tmp/a%20b.mp4", AddressKind.FILE, False, "/tmp/a b.mp4"),
    ("webcam:0", AddressKind.WEBCAM, True, "webcam:0"),
    ("webcam:1?size=640x480&rate=30", AddressKind.WEBCAM, True, "webcam:1"),
    ("/dev/video2", AddressKind.WEBCAM, True, "/dev/video2"),
    ("rtsp://10.0.0.5/live", AddressKind.RTSP, True, "rtsp://10.0.0.5/live"),
    ("RTSPS://Cam.Local:322/a/b", AddressKind.RTSP, True, "rtsps://cam.local:322/a/b"),
    ("rtsp://[fe80::1]:554/x", AddressKind.RTSP, True, "rtsp://[fe80::1]:554/x"),
    ("http://cam/video.mjpg", AddressKind.HTTP, True, "http://cam/video.mjpg"),
    ("https://cam/live/index.m3u8?t=1", AddressKind.HLS, True, "https://cam/live/index.m3u8"),
    ("srt://host:9000?mode=caller", AddressKind.SRT, True, "srt://host:9000"),
    ("udp://@239.1.1.1:1234", AddressKind.UDP, True, "udp://239.1.1.1:1234"),
    ("udp://:1234", AddressKind.UDP, True, "udp://:1234"),
    ("rtmp://host/app/stream-key", AddressKind.RTMP, True, "rtmp://host/app/***"),
    ("test:", AddressKind.TEST, True, "test"),
    ("screen:", AddressKind.SCREEN, True, "screen"),
    ("screen::0.0", AddressKind.SCREEN, True, "screen::0.0"),
    ("page:8080", AddressKind.PAGE, True, "page:8080"),
    ("window:", AddressKind.WINDOW, True, "window"),
    ("camera:", AddressKind.CAMERA, True, "camera"),
    ("out/live.m3u8", AddressKind.HLS, False, "out/live.m3u8"),
    ("./12:30@door.mkv", AddressKind.FILE, False, "./12:30@door.mkv"),
    ("/rec/12:30@door.mkv", AddressKind.FILE, False, "/rec/12:30@door.mkv"),
    (r"C:\Users\me@home\a.mp4", AddressKind.FILE, False, r"C:\Users\me@home\a.mp4"),
    ("watch?v=abc&list=1.mp4", AddressKind.FILE, False, "watch?v=abc&list=1.mp4"),
    (" rtsp://10.0.0.5/live ", AddressKind.RTSP, True, "rtsp://10.0.0.5/live"),
]


@pytest.mark.parametrize(("text", "kind", "live", "shown"), KINDS)
def test_every_kind_is_understood(text: str, kind: AddressKind, live: bool, shown: str) -> None:
    address = Address.parse(text)
    assert (address.kind, address.live, str(address)) == (kind, live, shown)


def test_every_kind_has_an_example_and_a_direction() -> None:
    assert {kind for _, kind, _, _ in KINDS} == set(AddressKind) == SOURCES | SINKS


def test_a_number_means_a_device_and_options_are_kept() -> None:
    address = Address.parse("webcam:1?size=640x480&rate=30&format=mjpeg")
    assert address.url == "/dev/video1"
    assert dict(address.options) == {"size": "640x480", "rate": "30", "format": "mjpeg"}


def test_a_video_device_is_a_camera_to_write_to_where_a_sink_is_meant() -> None:
    assert Address.parse("/dev/video2", sink=True).kind is AddressKind.CAMERA
    assert Address.parse("out/live.m3u8", sink=True).live


def test_a_page_tells_its_host_and_port() -> None:
    assert dict(Address.parse("page:8080").options) == {"port": "8080"}
    assert dict(Address.parse("page:[::]:8080").options) == {"host": "::", "port": "8080"}


def test_equal_texts_make_equal_addresses() -> None:
    assert Address.parse("webcam:0?rate=5") == Address.parse("webcam:0?rate=5")
    assert Address.parse("rtsp://a:b@host/x") != Address.parse("rtsp://a:c@host/x")
    assert len({Address.parse("test:"), Address.parse("test:")}) == 1


@pytest.mark.parametrize(
    ("text", "word"),
    [
        ("", "empty"),
        ("  ", "empty"),
        ("foo://host/x", "foo://"),
        ("rtsp:///x", "no host"),
        ("udp://host", "needs a port"),
        ("page:", "no port"),
        ("page:99999", "no port"),
        ("webcam:0?colour=red", "colour"),
        ("rtsp://user:pa/ss@host/x", "%2F"),
        ("rtsp://user:12/34@host/x", "%2F"),
        ("rtsp://user:pa#ss@host/x", "%2F"),
        ("rtsp://user:pa ss@host/x", "%2F"),
        ("rtsp://host:port/x", "%2F"),
        ("file:///a%00b", "%00"),
        ("page:²", "no port"),
        ("page:" + "1" * 5000, "no port"),
        ("rtsp://host:" + "1" * 5000 + "/x", "%2F"),
    ],
)
def test_what_cannot_be_meant_is_one_clear_line(text: str, word: str) -> None:
    with pytest.raises(ConfigError, match=word) as caught:
        Address.parse(text)
    assert "\n" not in str(caught.value)


# --- secrets ---

SCHEMES = st.sampled_from(["rtsp", "rtsps", "http", "https", "rtmp", "srt", "udp"])
# Nothing that could stand in the text for another reason.
SECRETS = st.text("QXZjkw479!$&'()*,;=+-._~@:/?#[] %ßé\"<>\\", min_size=6, max_size=24).filter(
    lambda text: any(c.isalnum() for c in text)
)
SHAPES = st.sampled_from(
    [
        "{scheme}://{secret}:{other}@host:5000/cam",
        "{scheme}://admin:{secret}@host:5000/cam?channel=1",
        "{scheme}://{secret}@host:5000/cam",
        "{scheme}://host:5000/cam?token={secret}",
        "{scheme}://host:5000/cam?a=1&passphrase={secret}#x",
        "{scheme}://host:5000/cam#{secret}",
        "{scheme}://host:5000/user=admin&password={secret}&channel=1.sdp",
        "{scheme}://host:5000/user=admin_password={secret}_channel=1.sdp",
        "{scheme}://host:5000/cam/token={secret}/live",
        "rtmp://host:5000/app/{secret}",
        "rtmp://host/app/instance/{secret}",
        "{scheme}://host:5000/cam/pwd/{secret}",
        "{scheme}://host:5000/user/admin/password/{secret}/live",
        # With a slip in them, these could be names of files or devices.
        " {scheme}://admin:{secret}@host:5000/cam",
        "'{scheme}://admin:{secret}@host:5000/cam'",
        '"{scheme}://admin:{secret}@host:5000/cam"',
        "{scheme}:/admin:{secret}@host:5000/cam",
        "{scheme}:admin:{secret}@host/cam",
        "//admin:{secret}@host/cam",
        "admin:{secret}@host/cam",
        "host/cam?user=admin&password={secret}",
        "webcam:{scheme}://admin:{secret}@host/cam",
        "page:admin:{secret}@host:8080",
        "window:{scheme}://admin:{secret}@host/cam",
        "file://admin:{secret}@host/cam",
    ]
)


def shown_of(text: str) -> str:
    """All that a program may show of an address, its refusal included, with the traceback."""
    try:
        address = Address.parse(text)
    except ConfigError as error:
        return "".join(traceback.format_exception(error))
    return " ".join(
        [str(address), repr(address), f"{address}", repr([copy.copy(address)]), repr(vars(address)["shown"])]
    )


@given(SCHEMES, SHAPES, SECRETS, st.booleans())
def test_no_secret_is_ever_shown(scheme: str, shape: str, secret: str, quoted: bool) -> None:
    written = quote(secret, safe="") if quoted else secret
    shown = shown_of(shape.format(scheme=scheme, secret=written, other=written))
    assert secret not in shown
    assert written not in shown
    # Nor a piece of one, cut at what divides an address.
    for piece in (p for p in secret.replace("@", "/").replace("?", "/").replace("#", "/").split("/") if len(p) > 5):
        assert piece not in shown


@pytest.mark.parametrize("token", ["eyJhbGciOiJIUzI1NiJ9", "3f2504e0-4f89-11d3-9a0c"])
def test_random_parts_of_a_path_are_taken_for_keys(token: str) -> None:
    assert token not in str(Address.parse(f"https://host/{token}/index.m3u8"))


def test_the_secret_is_there_for_who_opens_it() -> None:
    text = "rtsp://admin:p%40ss@host/cam?x=1"
    assert Address.parse(text).url == text
