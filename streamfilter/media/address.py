"""Where a stream comes from or goes to: one line of text, understood; its secrets are never shown again."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from enum import StrEnum
from types import MappingProxyType
from urllib.parse import SplitResult, parse_qsl, unquote, urlsplit

from streamfilter.errors import ConfigError
from streamfilter.redact import HIDDEN, shown_path


class AddressKind(StrEnum):
    """What speaks at an address."""

    FILE = "file"
    WEBCAM = "webcam"
    RTSP = "rtsp"
    HTTP = "http"
    HLS = "hls"
    SRT = "srt"
    UDP = "udp"
    RTMP = "rtmp"
    TEST = "test"
    SCREEN = "screen"
    PAGE = "page"
    WINDOW = "window"
    CAMERA = "camera"


SOURCES = frozenset(AddressKind) - {AddressKind.PAGE, AddressKind.WINDOW, AddressKind.CAMERA}
SINKS = frozenset(AddressKind) - {AddressKind.WEBCAM, AddressKind.HTTP, AddressKind.TEST, AddressKind.SCREEN}

_SCHEMES = {
    "rtsp": AddressKind.RTSP,
    "rtsps": AddressKind.RTSP,
    "http": AddressKind.HTTP,
    "https": AddressKind.HTTP,
    "rtmp": AddressKind.RTMP,
    "rtmps": AddressKind.RTMP,
    "srt": AddressKind.SRT,
    "udp": AddressKind.UDP,
}
_DEVICES = {
    kind.value: kind
    for kind in (
        AddressKind.WEBCAM,
        AddressKind.TEST,
        AddressKind.SCREEN,
        AddressKind.PAGE,
        AddressKind.WINDOW,
        AddressKind.CAMERA,
    )
}
_KNOWN = "rtsp, rtsps, http, https, rtmp, rtmps, srt, udp, webcam, test, screen, page, window, camera"
_NEEDS_PORT = frozenset({AddressKind.SRT, AddressKind.UDP})
# What a webcam, a screen or a test picture may be asked for, behind a question mark.
_PICTURE_OPTIONS = frozenset({"size", "rate", "format"})
_SCHEME = re.compile(r"([A-Za-z][A-Za-z0-9+.-]*)://")
_DEVICE = re.compile(r"([a-z]+):")
_NUMBER = re.compile(r"[0-9]{1,5}")
_V4L2 = re.compile(r"/dev/video\d+")
# What is no file and no device, but an address with a slip in it, which may hold a password.
_SLIP = re.compile(
    r"""(?aisx) .*:// | //.*@ | [\w+.-]{2,}:/          # a URL behind something else, or with a part of :// missing
    | (?! [./\\] | [a-z]:[/\\] ) .*:.*@               # USER:PASSWORD@, but not in C:\\me@home
    | .*[?&](user|login|pass|pwd|token|key|auth|secret)[a-z_]*="""
)
_RANDOM = re.compile(r"(?=.*\d)[A-Za-z0-9_-]{16,}")


@dataclass(frozen=True, eq=True, kw_only=True)
class Address:
    """A place that media come from or go to. `str` and `repr` show no user, password, query, token or stream key.

    Attributes:
        kind: What speaks there.
        url: What FFmpeg is to be given, credentials included: secret. A path for `FILE` and local `HLS`, a device for
            `WEBCAM` and `CAMERA`.
        shown: The same without its secrets.
        live: Whether it plays by itself, in its own time. (What HTTP gives is only known when it is opened.)
        options: What was asked for behind the question mark of a webcam, screen or test picture; host and port of a
            page.
    """

    kind: AddressKind
    url: str = field(repr=False)
    shown: str
    live: bool
    options: Mapping[str, str] = field(default_factory=lambda: MappingProxyType({}), repr=False, hash=False)

    def __str__(self) -> str:
        return self.shown

    @classmethod
    def parse(cls, text: str, *, sink: bool = False) -> Address:
        """Understand what a user wrote; `sink` tells what /dev/videoN means: a virtual camera rather than a webcam.

        Raises:
            ConfigError: No address, or one whose parts do not fit together; the text shows no credential.
        """
        if not text.strip() or "\0" in text:
            raise ConfigError("an address is empty; give a file, a device such as webcam:0, or a URL")
        scheme = _SCHEME.match(text.strip())
        if scheme:
            return _network(text.strip(), scheme[1].lower())
        device = _DEVICE.match(text)
        if device and device[1] in _DEVICES:
            return _device(_DEVICES[device[1]], text[device.end() :])
        if _V4L2.fullmatch(text):
            return _plain(AddressKind.CAMERA if sink else AddressKind.WEBCAM, text, live=True)
        _refuse_a_slip(text)
        return _local_file(text, sink=sink)


# --- files and devices ---------------------------------------------------------------------------------------------


def _plain(kind: AddressKind, url: str, *, live: bool) -> Address:
    return Address(kind=kind, url=url, shown=url, live=live)


def _refuse_a_slip(text: str) -> None:
    """Let no mistyped URL be taken for a file or a device: its password would be shown as their name."""
    if _SLIP.match(text.strip(" \t\r\n'\"")):
        raise ConfigError(
            "an address with a slip in it: a URL begins with its scheme, as in rtsp://USER:PASSWORD@HOST/PATH, without "
            "quotes or a device before it; a file of such a name needs ./ before it"
        )


def _local_file(text: str, *, sink: bool) -> Address:
    is_playlist = text.lower().endswith(".m3u8")
    return _plain(AddressKind.HLS if is_playlist else AddressKind.FILE, text, live=sink and is_playlist)


def _device(kind: AddressKind, rest: str) -> Address:
    _refuse_a_slip(rest)
    place, _, query = rest.partition("?")
    shown = f"{kind.value}:{place}".removesuffix(":")
    if kind is AddressKind.PAGE:
        return _page(place, shown)
    if kind is AddressKind.WINDOW:
        return _plain(kind, shown, live=True)
    options = dict(parse_qsl(query, keep_blank_values=True))
    unknown = sorted(options.keys() - _PICTURE_OPTIONS)
    if unknown:
        raise ConfigError(f"{shown} takes size, rate and format behind its question mark, not {', '.join(unknown)}")
    is_numbered = kind in (AddressKind.WEBCAM, AddressKind.CAMERA) and _NUMBER.fullmatch(place)
    url = f"/dev/video{place}" if is_numbered else place
    return Address(kind=kind, url=url, shown=shown, live=True, options=MappingProxyType(options))


def _page(place: str, shown: str) -> Address:
    host, _, port = place.rpartition(":")
    if not (_NUMBER.fullmatch(port) and int(port) < 65536):
        raise ConfigError(f"{shown} names no port; write page:8080 or page:0.0.0.0:8080")
    options = {"host": host.strip("[]"), "port": port} if host else {"port": port}
    return Address(kind=AddressKind.PAGE, url=shown, shown=shown, live=True, options=MappingProxyType(options))


# --- the network ---------------------------------------------------------------------------------------------------


def _network(text: str, scheme: str) -> Address:
    if scheme == "file":
        return _named_file(unquote(text[len("file://") :]))
    if scheme not in _SCHEMES:
        raise ConfigError(f"{scheme}:// is no kind of address; the known ones are {_KNOWN}, or the name of a file")
    parts = _split(text, scheme)
    kind = _SCHEMES[scheme]
    if kind is AddressKind.HTTP and parts.path.lower().endswith((".m3u8", ".m3u")):
        kind = AddressKind.HLS
    if kind in _NEEDS_PORT and parts.port is None:
        raise ConfigError(f"an address of {scheme}:// needs a port, as in {scheme}://127.0.0.1:5000")
    return Address(kind=kind, url=text, shown=_shown(parts, kind), live=True)


def _named_file(path: str) -> Address:
    if "\0" in path:
        raise ConfigError("the file:// address holds a %00, which no name of a file can; check it")
    _refuse_a_slip(path)
    return _local_file(path, sink=False)


def _split(text: str, scheme: str) -> SplitResult:
    """The parts of a URL, where all programs agree what its parts are."""
    try:
        parts = urlsplit(text)
        host, port = parts.hostname, parts.port
    except ValueError:
        parts, host, port = None, None, None
    # Without `from`: the library's own text quotes what may be half a password.
    if parts is None or re.search(r"\s", text):
        raise ConfigError(
            f"host and port of the {scheme}:// address cannot be told apart from its password; write / ? # @ : and "
            "blanks in a password as %2F %3F %23 %40 %3A %20"
        )
    if "@" not in parts.netloc and "@" in text:
        raise ConfigError(
            f"the {scheme}:// address has an @ behind its host; write @ as %40, and / ? # in a password as %2F %3F %23"
        )
    if not (host or (scheme in ("udp", "srt") and port)):
        raise ConfigError(f"the {scheme}:// address names no host, as in {scheme}://192.168.1.20/stream")
    return parts


def _shown(parts: SplitResult, kind: AddressKind) -> str:
    host = parts.hostname or ""
    host = f"[{host}]" if ":" in host else host
    port = f":{parts.port}" if parts.port is not None else ""
    return f"{parts.scheme.lower()}://{host}{port}{_shown_path(parts.path, kind)}"


def _shown_path(path: str, kind: AddressKind) -> str:
    """The path without what may be a secret: a stream key behind an application's name, credentials, tokens."""
    if kind is AddressKind.RTMP:
        first, _, rest = path.removeprefix("/").partition("/")
        return f"/{_without_tokens(shown_path(first))}" + (f"/{HIDDEN}" if rest.strip("/") else "")
    return _without_tokens(shown_path(path))


def _without_tokens(path: str) -> str:
    return "/".join(HIDDEN if _RANDOM.search(unquote(part)) else part for part in path.split("/"))
