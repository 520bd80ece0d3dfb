"""Why a live source cannot be read, in one line without a secret.

FFmpeg's own text is never passed on: it quotes the address, password and all.
"""

from __future__ import annotations

import errno
import ipaddress
import os
import re
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from urllib.parse import urlsplit

from av import error as av_error

from streamfilter.errors import InputError
from streamfilter.media.address import Address, AddressKind

_BUSY = errno.EBUSY
_UNREACHABLE = frozenset({errno.ENETUNREACH, errno.EHOSTUNREACH, errno.ENETDOWN, errno.EHOSTDOWN})
_LOCAL = frozenset({AddressKind.WEBCAM, AddressKind.SCREEN, AddressKind.FILE, AddressKind.TEST})

_DENIED = re.compile(r" \((401|403)\); ")  # as `_denied` says it


@dataclass(frozen=True, kw_only=True)
class Failure:
    """One try that failed. `denied`: a user or password was refused, so trying often does harm."""

    text: str
    denied: bool = False


def failure_of(error: Exception, address: Address) -> Failure:
    """Say what happened, by the kind of error; the text of `error` holds the address with its password."""
    if isinstance(error, (av_error.HTTPUnauthorizedError, av_error.HTTPForbiddenError)):
        return Failure(text=_denied(error, address), denied=True)
    for kind, sentence in _SENTENCES:
        if isinstance(error, kind):
            return Failure(text=f"{address}: {sentence(address)}")
    return Failure(text=f"{address}: {_system(error, address)}")


def _denied(error: Exception, address: Address) -> str:
    if isinstance(error, av_error.HTTPForbiddenError):
        return f"{address}: access is forbidden for this user (403); check the camera's permissions"
    if "@" in urlsplit(address.url).netloc:
        return f"{address}: the user or password was refused (401); check both"
    return f"{address}: a user and password are needed (401); write them before the host, as USER:PASSWORD@"


def _missing(address: Address) -> str:
    if address.kind is AddressKind.WEBCAM:
        there = ", ".join(sorted(str(path) for path in Path("/dev").glob("video*"))) or "none"
        return f"no such camera; those connected: {there}"
    return "there is no such file; check the name"


def _not_allowed(address: Address) -> str:
    if address.kind is AddressKind.WEBCAM:
        return "the camera may not be read by this user; add the user to the group `video`"
    return "may not be read by this user"


def _protocol(address: Address) -> str:
    scheme = address.url.partition(":")[0]
    return f"this FFmpeg was built without {scheme}://; use rtsp, http or udp instead"


def _refused(address: Address) -> str:
    return "nothing listens there (connection refused); check host and port, and whether the camera is on"


def _unreadable(address: Address) -> str:
    if address.kind in _LOCAL:
        return "gives no video that can be read; check the device, size, rate and format"
    return "what comes from there is no video that can be read; check the path"


_SENTENCES: tuple[tuple[type[Exception], Callable[[Address], str]], ...] = (
    (av_error.HTTPNotFoundError, lambda _: "there is no such stream (404); check the path"),
    (av_error.HTTPTooManyRequestsError, lambda _: "too many requests (429); the server wants to be asked less often"),
    (av_error.HTTPServerError, lambda _: "the server reports an error of its own (5xx)"),
    (av_error.HTTPError, lambda _: "the server refuses this request (4xx); check path and transport"),
    (av_error.ProtocolNotFoundError, _protocol),
    (av_error.ConnectionRefusedError, _refused),
    (av_error.ConnectionResetError, lambda _: "the other side closed the connection"),
    (av_error.TimeoutError, lambda _: "no answer in time; check host, port and network"),
    (av_error.FileNotFoundError, _missing),
    (av_error.PermissionError, _not_allowed),
    (av_error.InvalidDataError, _unreadable),
    (av_error.DecoderNotFoundError, lambda _: "this FFmpeg has no decoder for its video"),
)


def _system(error: Exception, address: Address) -> str:
    number = getattr(error, "errno", None)
    if number == _BUSY:
        return "the device is busy; another program reads it, close that first"
    if number in _UNREACHABLE:
        return "cannot be reached from this network; check the host and the route to it"
    if address.kind is AddressKind.SCREEN:
        return "there is no screen to read; is a display running, and DISPLAY set?"
    if number == errno.EIO and address.kind not in _LOCAL and _has_name(address):
        return "no such host is known, or it cannot be spoken to; check its name"
    text = os.strerror(number) if isinstance(number, int) and 0 < number < 200 else type(error).__name__
    return f"cannot be read ({text})"


def _has_name(address: Address) -> bool:
    """Whether its host is a name, not a number. FFmpeg does not tell an unknown one from other failures, and to look it
    up once more could take as long as it took FFmpeg: half a minute, where no name server answers.
    """
    try:
        ipaddress.ip_address((urlsplit(address.url).hostname or "").partition("%")[0])
    except ValueError:
        return True
    return False


def is_denied(error: BaseException) -> bool:
    """Whether a failure that was told as an error says that a user or password was refused."""
    return isinstance(error, InputError) and _DENIED.search(str(error)) is not None
