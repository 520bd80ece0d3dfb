"""Text that may be shown: users, passwords and tokens are taken out of it, in addresses above all."""

from __future__ import annotations

import re
from collections.abc import Iterable
from urllib.parse import quote, unquote

from streamfilter.errors import StreamFilterError

HIDDEN = "***"
# All up to the next white space. Passwords may hold quotes, slashes and brackets, so none of these ends an address.
_URL = re.compile(r"([A-Za-z][A-Za-z0-9+.-]*)://(\S+)")
_PAIR = re.compile(r"(?i)\b(token|password|passwd|pwd|passphrase|streamid)=\S+")
_HEADER = re.compile(r"(?i)\b(authorization|cookie):\s*\S+(\s+\S+)?")
# Where no scheme tells where it begins: `rtsp:/user:password@host`, `user:password@host`. Not `C:\\me@home\\film.mp4`.
_LOGIN = re.compile(r"[\w.+%-]+:(?![\\/])\S*@(?=[\w\[])")
# Some cameras take the password in the path, and services a key: `user=admin_password=secret_channel=1.sdp`.
_SECRET_PART = re.compile(r"(?i)(user|usr|login|pass|pwd|psw|token|key|auth|secret|sign|session)[a-z]*[=:]")
_SECRET_NAME = re.compile(r"(?i)(user(name)?|usr|login|pass(wd|word)?|pwd|psw|token|key|auth|secret|session)")
_SECRET_KEY = re.compile(r"(?i)user|usr|login|pass|pwd|psw|token|key|auth|secret|sign|session|streamid")
_HOST = re.compile(r"(\[[0-9A-Fa-f:.%]*\]|[^:\[\]]*)(:\d{1,5})?[]:,.;'\")]*")
_KEY_IN_PATH = ("rtmp", "rtmps", "rtmpe", "rtmpt", "rtmpte", "rtmpts")
_SHORTEST = 3


def redacted(text: str, secrets: Iterable[str] = ()) -> str:
    """`text` in one line, without users, passwords and queries of the URLs in it, and without any of `secrets`.

    It rather takes too much than too little. Secrets of less than three characters are found within URLs only: they
    would match half of every sentence.
    """
    line = " ".join(text.split())
    for secret in _spellings(secrets):
        line = line.replace(secret, HIDDEN)
    line = _URL.sub(lambda found: f"{found[1]}://{_shown(found[1].lower(), found[2])}", line)
    line = _LOGIN.sub(f"{HIDDEN}@", line)
    return _HEADER.sub(rf"\1: {HIDDEN}", _PAIR.sub(rf"\1={HIDDEN}", line))


def described(error: BaseException, secrets: Iterable[str] = ()) -> str:
    """One line for an error from anywhere: its text, and before it its kind where that was not raised on purpose."""
    kind = "" if isinstance(error, StreamFilterError) else type(error).__name__
    return redacted(": ".join(part for part in (kind, str(error)) if part), secrets)


def shown_path(path: str) -> str:
    """The path of a URL without credentials in it, and without all that follows them: a password may hold a slash."""
    shown: list[str] = []
    for part in path.split("/"):
        if shown and _SECRET_NAME.fullmatch(unquote(shown[-1])):  # `/pwd/secret`
            return "/".join([*shown, HIDDEN])
        if _SECRET_PART.search(unquote(part)) or "@" in unquote(part):
            return "/".join([*shown, HIDDEN])
        shown.append(part)
    return "/".join(shown)


def names_secret(key: str) -> bool:
    """Whether a key of a query, such as `token` or `api_key`, has a secret as its value."""
    return _SECRET_KEY.search(key) is not None


def _spellings(secrets: Iterable[str]) -> list[str]:
    """Every way in which a secret may be spelt, the longest first, so that no part of one remains."""
    spelt = {way for secret in secrets for way in (secret, quote(secret, safe=""), quote(secret), unquote(secret))}
    lines = {" ".join(way.split()) for way in spelt}
    return sorted((way for way in lines if len(way) >= _SHORTEST), key=len, reverse=True)


def _shown(scheme: str, rest: str) -> str:
    """What may be shown of an address behind `://`."""
    login, at, place = rest.rpartition("@")
    if at and re.search(r"[?#]", login):  # what follows the @ may belong to a token
        return HIDDEN
    host, slash, path = re.split(r"[?#]", place, maxsplit=1)[0].partition("/")
    if not _HOST.fullmatch(host):  # half a password, cut off by white space
        return HIDDEN
    if scheme in _KEY_IN_PATH and not path.endswith("/" + HIDDEN):  # its last part is the key that lets anybody send
        path = path and HIDDEN
    query = f"?{HIDDEN}" if re.search(r"[?#]", place) else ""
    return f"{HIDDEN}@" * bool(at) + host + slash + shown_path(path) + query
