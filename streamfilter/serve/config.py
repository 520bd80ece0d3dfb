"""A TOML file -> frozen values, or one error that names the file, the line and the key."""

from __future__ import annotations

import re
import tomllib
from collections.abc import Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import cast

from streamfilter.config import Audio, FilterConfig
from streamfilter.errors import ConfigError
from streamfilter.media.address import SINKS, SOURCES, Address, AddressKind
from streamfilter.pipeline.crew import Restart
from streamfilter.serve.camera import Camera, place_of, with_own_seed
from streamfilter.serve.environment import substituted
from streamfilter.serve.server import ServerConfig, read_server
from streamfilter.serve.settings import ANONYMIZE, CARDS, DETECT, ENCODER, LIVE, OUTLETS, SETTINGS, TRACK
from streamfilter.serve.table import Lines, Table
from streamfilter.serve.toml_lines import Place, lines_of
from streamfilter.web.status import check_camera_name

Environ = Mapping[str, str]

_OWN = ("name", "source", "sinks")
_NOT_HERE = {
    AddressKind.PAGE: "the page of [server] shows every camera; leave this sink out",
    AddressKind.WINDOW: "a server has no windows; look at its page",
}


@dataclass(frozen=True, kw_only=True)
class ServeConfig:
    """A whole configuration; it holds at least one camera."""

    server: ServerConfig
    cameras: tuple[Camera, ...]

    @property
    def secrets(self) -> frozenset[str]:
        """What must never be shown."""
        token = {self.server.token} if self.server.token else set()
        return frozenset(token).union(*(camera.secrets for camera in self.cameras))


def load(path: Path, environ: Environ) -> ServeConfig:
    """Read a configuration file.

    Args:
        path: The file.
        environ: Where `${NAME}` and `token_env` are looked up.

    Raises:
        ConfigError: It cannot be read, or something in it cannot work.
    """
    try:
        text = path.read_bytes().decode("utf-8")
    except OSError as error:
        raise ConfigError(f"{path}: cannot be read: {error.strerror}") from error
    except UnicodeDecodeError as error:
        line = error.object.count(b"\n", 0, error.start) + 1
        raise ConfigError(f"{path}:{line}: is not UTF-8 text") from error
    return parse(text, path, environ)


def parse(text: str, path: Path, environ: Environ) -> ServeConfig:
    """The configuration in `text`, which was read from `path`.

    Raises:
        ConfigError: Something in it cannot work.
    """
    values, lines = _toml(text, str(path))
    root = Table(file=str(path), lines=lines, place=(), label="the file", values=values)
    root.only(("server", "defaults", "camera"))
    server = read_server(_table(root, ("server",), "[server]"), path, environ)
    cameras = _cameras(root, environ)
    return ServeConfig(server=server, cameras=cameras)


def _toml(text: str, file: str) -> tuple[Mapping[str, object], Lines]:
    """The values, and the line of each."""
    try:
        return tomllib.loads(text), lines_of(text)
    except tomllib.TOMLDecodeError as error:
        problem, _, _ = str(error).partition(" (at ")
        found = re.search(r"\(at line (\d+)", str(error))
        line = found[1] if found else text.count("\n") + 1
        # Without `from`: only the message is known to quote nothing of the text.
        raise ConfigError(f"{file}:{line}: no TOML: {problem}") from None
    except (RecursionError, ValueError):
        raise ConfigError(f"{file}: no TOML that is meant: nested too deeply, or with a number too long") from None


def _table(root: Table, place: Place, label: str) -> Table:
    """A table of the root, empty where there is none."""
    values: object = root.values
    for key in place:
        values = values[key] if isinstance(values, list) else cast(Mapping[str, object], values).get(str(key), {})  # type: ignore[index]
    if not isinstance(values, dict):
        raise root.refuse(f"{label} must be a table", *place)
    return replace(root, place=place, label=label, values=values)


def _cameras(root: Table, environ: Environ) -> tuple[Camera, ...]:
    defaults = _table(root, ("defaults",), "[defaults]")
    defaults.only(SETTINGS)
    base = _with_settings(defaults, Camera(name="", source=Address.parse("test:")))
    items = root.values.get("camera", [])
    if not isinstance(items, list) or not items:
        raise root.refuse("name at least one camera, in a table [[camera]]", "camera")
    tables = [_table(root, ("camera", index), _label(item, index)) for index, item in enumerate(items)]
    cameras = tuple(_camera(table, base, environ) for table in tables)
    _refuse_the_same_name(tables, cameras)
    _refuse_the_same_sink(tables, cameras)
    return cameras


def _label(item: object, index: int) -> str:
    name = item.get("name") if isinstance(item, dict) else None
    try:
        return f"camera {check_camera_name(name)!r}" if isinstance(name, str) else f"camera {index + 1}"
    except ConfigError:
        return f"camera {index + 1}"


def _camera(table: Table, base: Camera, environ: Environ) -> Camera:
    table.only((*_OWN, *SETTINGS))
    for key in ("name", "source"):
        if key not in table.values:
            raise table.refuse(f"has no {key}")
    name = table.read("name", str, "")
    table.checked("name", lambda: check_camera_name(name))
    source = _address(table, ("source",), table.read("source", str, ""), environ, sink=False)
    camera = replace(_with_settings(table, base), name=name, source=source, sinks=_sinks(table, environ))
    return camera if "seed" in table.values else with_own_seed(camera)


def _sinks(table: Table, environ: Environ) -> tuple[Address, ...]:
    items = table.values.get("sinks", [])
    if not isinstance(items, list) or not all(isinstance(item, str) for item in items):
        raise table.refuse('sinks: must be a list of texts, such as ["out.mkv"]', "sinks")
    return tuple(_address(table, ("sinks", i), item, environ, sink=True) for i, item in enumerate(items))


def _address(table: Table, keys: tuple[str | int, ...], text: str, environ: Environ, *, sink: bool) -> Address:
    try:
        address = Address.parse(substituted(text, environ), sink=sink)
        if address.kind in _NOT_HERE:
            raise ConfigError(_NOT_HERE[address.kind])
        if address.kind not in (SINKS if sink else SOURCES):
            raise ConfigError(f"{address} cannot be {'written to' if sink else 'read'}")
    except ConfigError as error:
        raise table.refuse(f"{keys[0]}: {error}", *keys) from error
    return address


def _with_settings(table: Table, base: Camera) -> Camera:
    """The camera with what the table says of the settings that cameras and `[defaults]` share."""
    latency = table.read("max_latency_ms", float, base.max_latency_ms)
    if latency is not None and latency <= 0:
        raise table.refuse(f"max_latency_ms: must be above 0, got {latency:g}", "max_latency_ms")
    return replace(
        base,
        restart=table.read("restart", Restart, base.restart),
        max_latency_ms=latency,
        audio=table.read("audio", Audio, base.audio),
        filter=FilterConfig(
            detect=table.room(base.filter.detect, DETECT),
            track=table.room(base.filter.track, TRACK),
            anonymize=table.room(base.filter.anonymize, ANONYMIZE),
        ),
        live=table.room(base.live, LIVE),
        cards=table.room(base.cards, CARDS),
        encoder=table.room(base.encoder, ENCODER),
        outlets=table.room(base.outlets, OUTLETS),
    )


def _refuse_the_same_name(tables: list[Table], cameras: tuple[Camera, ...]) -> None:
    first: dict[str, Table] = {}
    for table, camera in zip(tables, cameras, strict=True):
        if camera.name in first:
            line = table.lines[(*first[camera.name].place, "name")]
            raise table.refuse(f"name: line {line} has a camera of this name already", "name")
        first[camera.name] = table


def _refuse_the_same_sink(tables: list[Table], cameras: tuple[Camera, ...]) -> None:
    """Two writers in one place would destroy each other's work, and a sink that is a source would be read again."""
    taken = {place_of(camera.source): f"read by camera {camera.name!r}" for camera in cameras if _in_one_place(camera)}
    for table, camera in zip(tables, cameras, strict=True):
        for index, sink in enumerate(camera.sinks):
            place = place_of(sink)
            if place in taken:
                raise table.refuse(f"sinks: {sink} is {taken[place]} already", "sinks", index)
            taken[place] = f"written by camera {camera.name!r}"


def _in_one_place(camera: Camera) -> bool:
    return camera.source.kind not in (AddressKind.TEST, AddressKind.SCREEN)
