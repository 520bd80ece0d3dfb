"""The configuration file while the server runs: read again when it changes, refused where it cannot work."""

from __future__ import annotations

import logging
from collections.abc import Callable, Mapping
from dataclasses import fields
from pathlib import Path

from streamfilter.containment import attempt
from streamfilter.errors import ConfigError
from streamfilter.json_log import tell
from streamfilter.redact import described
from streamfilter.serve.config import ServeConfig, load
from streamfilter.serve.server import ServerConfig
from streamfilter.serve.supervisor import Supervisor

_Stamp = tuple[int, int, int] | None


class FileWatch:
    """Tells when a file has another content, by its time stamp, size and identity."""

    def __init__(self, path: Path) -> None:
        self._path = path
        self._known = self._last = self._stamp()

    def changed(self) -> bool:
        """Whether it is another one than when this last said so, and has been for two calls: it is written to the end.

        A file that is gone has not changed: some editors replace it that way.
        """
        stamp, before = self._stamp(), self._last
        self._last = stamp
        if stamp in (None, self._known) or stamp != before:
            return False
        self._known = stamp
        return True

    def _stamp(self) -> _Stamp:
        try:
            stat = self._path.stat()
        except OSError:
            return None
        return stat.st_mtime_ns, stat.st_size, stat.st_ino


class Reloader:
    """Changes the supervisor over to what the file says now.

    Args:
        path: The configuration file.
        config: What was read from it first.
        supervisor: Runs the cameras of `config`.
        environ: For `${NAME}`.
        on_config: Called with each new configuration before anything is told about it; it has new secrets.
    """

    def __init__(
        self,
        path: Path,
        config: ServeConfig,
        supervisor: Supervisor,
        environ: Mapping[str, str],
        on_config: Callable[[ServeConfig], None] = lambda _: None,
    ) -> None:
        self._path, self._environ = path, environ
        self._server = config.server
        self._supervisor = supervisor
        self._on_config = on_config
        self._watch = FileWatch(path)

    def tick(self, *, demanded: bool) -> None:
        """Reload if that was demanded, or if the file has changed; no failure in it may end the cameras."""
        if self._watch.changed() or demanded:
            _, error = attempt(self.reload)
            if error is not None:
                tell("config.refused", logging.ERROR, reason=described(error))

    def reload(self) -> bool:
        """Read the file and apply it; returns whether it could be. Whatever is wrong with it, the old one stays."""
        try:
            config = load(self._path, self._environ)
        except ConfigError as error:
            tell("config.refused", logging.ERROR, reason=str(error))
            return False
        self._on_config(config)
        changes = self._supervisor.apply(config)
        tell(
            "config.reloaded",
            added=changes.added, changed=changes.changed, removed=changes.removed, unchanged=changes.unchanged,
        )  # fmt: skip
        if keys := other_keys(self._server, config.server):
            tell("config.restart_needed", logging.WARNING, keys=keys)
        return True


def other_keys(old: ServerConfig, new: ServerConfig) -> tuple[str, ...]:
    """Keys of `[server]` whose new values wait for a restart."""
    return tuple(each.name for each in fields(ServerConfig) if getattr(old, each.name) != getattr(new, each.name))
