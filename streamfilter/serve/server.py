"""The `[server]` table: where the page is, who may see it, and where the networks run."""

from __future__ import annotations

import os
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path

from streamfilter.config import Device
from streamfilter.errors import ConfigError
from streamfilter.serve.table import Table
from streamfilter.web.access import check_token

_KNOWN = ("host", "port", "token", "token_env", "token_file", "device", "threads", "model", "stop_s")
_TOKENS = ("token", "token_env", "token_file")
_MOST_STOP_S = 3600.0
_GROUP_AND_OTHERS, _OTHERS = 0o077, 0o007


@dataclass(frozen=True, kw_only=True)
class ServerConfig:
    """What concerns all cameras; it takes effect at a start only.

    Attributes:
        host: Where the page is; beyond loopback a token is demanded.
        port: 0: any that is free.
        token: Secret. It comes from the environment, or from a file that others cannot read.
        device: Where the networks run.
        threads: CPU threads of each network; 0: one for every core.
        model: Another generator.
        stop_s: How long the cameras have to end properly.
    """

    host: str = "127.0.0.1"
    port: int = 8080
    token: str | None = field(default=None, repr=False)
    device: Device = Device.AUTO
    threads: int = 0
    model: Path | None = None
    stop_s: float = 10.0


def read_server(table: Table, file: Path, environ: Mapping[str, str]) -> ServerConfig:
    """The table as a value.

    Raises:
        ConfigError: A key is unknown, or its value cannot work.
    """
    table.only(_KNOWN)
    host, port = table.read("host", str, "127.0.0.1"), table.read("port", int, 8080)
    threads, stop_s = table.read("threads", int, 0), table.read("stop_s", float, 10.0)
    if not 0 <= port < 65536:
        raise table.refuse(f"port: must lie between 0 (any free one) and 65535, got {port}", "port")
    if threads < 0:
        raise table.refuse(f"threads: must not be negative, got {threads}", "threads")
    if not 0 < stop_s <= _MOST_STOP_S:
        raise table.refuse(f"stop_s: must be above 0 and at most {_MOST_STOP_S:g}, got {stop_s:g}", "stop_s")
    token = _token(table, file, environ)
    key = next((name for name in _TOKENS if name in table.values), "host")
    table.checked(key, lambda: check_token(host, token))
    model = table.read("model", str, "")
    return ServerConfig(
        host=host, port=port, token=token, threads=threads, stop_s=stop_s, model=Path(model) if model else None,
        device=table.read("device", Device, Device.AUTO),
    )  # fmt: skip


def _token(table: Table, file: Path, environ: Mapping[str, str]) -> str | None:
    given = [key for key in _TOKENS if key in table.values]
    if len(given) > 1:
        raise table.refuse(f"{given[1]}: {given[0]} is set as well; keep one of both", given[1])
    if not given:
        return None
    value = table.read(given[0], str, "")
    readers = {
        "token": lambda: _own_token(value, file),
        "token_env": lambda: _token_of_environment(value, environ),
        "token_file": lambda: _token_of_file(Path(value)),
    }
    return table.checked(given[0], readers[given[0]])


def _own_token(token: str, file: Path) -> str:
    _refuse_readers(file, _GROUP_AND_OTHERS, f"chmod 600 {file}, or use token_env or token_file")
    return token


def _token_of_environment(name: str, environ: Mapping[str, str]) -> str:
    if not environ.get(name):
        raise ConfigError("the environment variable that it names is not set")
    return environ[name]


def _token_of_file(path: Path) -> str:
    if not os.path.exists(path):  # of `Path`, `exists` raises for odd names, such as a token by mistake
        raise ConfigError("there is no file of the name that it gives")
    # A group may read it: so systemd and container hosts hand secrets over.
    _refuse_readers(path, _OTHERS, f"chmod o-rwx {path}")
    try:
        return path.read_text("utf-8").strip()
    except (OSError, UnicodeDecodeError) as error:
        raise ConfigError(f"{path} cannot be read as text: {type(error).__name__}") from error


def _refuse_readers(path: Path, who: int, remedy: str) -> None:
    """Refuse a file with a secret in it that others can read; Windows has no such permissions."""
    try:
        mode = path.stat().st_mode
    except OSError as error:
        raise ConfigError(f"{path} cannot be read: {error.strerror}") from error
    if mode & who and os.name == "posix":
        raise ConfigError(f"{path} holds a token and can be read by others; {remedy}")
