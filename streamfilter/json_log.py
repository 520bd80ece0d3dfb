"""What happens in `streamfilter serve`, one line an event on a stream: JSON for machines, or text.

Each JSON line is an object with these keys, and no others but those that `EVENTS` names for its event:

    time    UTC, ISO 8601 with milliseconds: "2026-05-01T12:00:00.000Z"
    level   "debug", "info", "warning" or "error"
    event   a key of `EVENTS`
    camera  name of the camera, where the event is of one

No line holds a user, a password or a token: all text goes through `redact.redacted`. Only the values of `NAMES` are not
searched for the words that a password may happen to be: a camera `door` stays `door`.
"""

from __future__ import annotations

import json
import logging
import math
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from datetime import UTC, datetime
from enum import StrEnum
from typing import TextIO

from streamfilter.redact import described, redacted

EVENTS: Mapping[str, tuple[str, ...]] = {
    "server.started": ("cameras", "address", "streamfilter"),
    "server.stopping": ("reason",),
    "server.failed": ("reason",),
    "server.ended": ("code", "stuck"),
    "camera.state": ("camera", "state", "reason", "restarts"),
    "camera.settings": ("camera", "source", "sinks"),
    "camera.models": ("camera", "device"),
    "stream.state": ("camera", "state", "reason"),
    "sink.failed": ("camera", "sink", "reason"),
    "config.reloaded": ("added", "changed", "removed", "unchanged"),
    "config.refused": ("reason",),
    "config.restart_needed": ("keys",),
    "thread.failed": ("thread", "reason"),
    "log": ("logger", "message"),
}
"""Every event, with the keys that it adds; a key without a value is left out."""

NAMES = frozenset({"camera", "state", "sink", "thread"})

_events = logging.getLogger("streamfilter.events")
_package = logging.getLogger("streamfilter")


class LogForm(StrEnum):
    """How lines are written."""

    TEXT = "text"
    JSON = "json"


def tell(event: str, level: int = logging.INFO, /, **values: object) -> None:
    """Log one event of `EVENTS`; from any thread.

    Raises:
        ValueError: There is no such event, or it has not these keys: the schema above would not be true.
    """
    unknown = sorted(values.keys() - set(EVENTS.get(event, ())))
    if event not in EVENTS or unknown:
        raise ValueError(f"no event {event!r} with the keys {unknown or sorted(values)}")
    _events.log(level, event, extra={"values": values})


class LineFormatter(logging.Formatter):
    """One line a record, without credentials.

    Args:
        form: JSON or text.
        secrets: What must not be shown wherever it stands, but for `NAMES`; `hide` adds to it.
    """

    def __init__(self, form: LogForm, secrets: Iterable[str] = ()) -> None:
        super().__init__()
        self._form = form
        self._secrets = frozenset(secrets)

    def hide(self, secrets: Iterable[str]) -> None:
        """Never show these either."""
        self._secrets |= frozenset(secrets)

    def format(self, record: logging.LogRecord) -> str:
        """The line, without its end."""
        line = self._line(record)
        if self._form is LogForm.JSON:
            return json.dumps(line, ensure_ascii=False, separators=(",", ":"), allow_nan=False)
        time, level, event = (line.pop(key) for key in ("time", "level", "event"))
        return " ".join([f"{time} {level:7} {event}", *(f"{key}={_text(value)}" for key, value in line.items())])

    def _line(self, record: logging.LogRecord) -> dict[str, object]:
        values = getattr(record, "values", None)
        event = record.getMessage() if values is not None else "log"
        if values is None:
            values = {"logger": record.name, "message": self._message(record)}
        at = datetime.fromtimestamp(record.created, UTC).isoformat(timespec="milliseconds").replace("+00:00", "Z")
        line = {"time": at, "level": record.levelname.lower(), "event": event}
        hidden = {key: frozenset() if key in NAMES else self._secrets for key in values}
        return line | {key: _safe(value, hidden[key]) for key, value in values.items() if value not in (None, "")}

    def _message(self, record: logging.LogRecord) -> str:
        error = record.exc_info[1] if record.exc_info else None
        return record.getMessage() if error is None else f"{record.getMessage()}: {described(error)}"


def _safe(value: object, secrets: frozenset[str]) -> object:
    """The value as JSON has it, its texts redacted."""
    if isinstance(value, bool | int):
        return value
    if isinstance(value, float):
        return value if math.isfinite(value) else None
    if isinstance(value, Sequence) and not isinstance(value, str):
        return [_safe(each, secrets) for each in value]
    return redacted(str(value), secrets)


def _text(value: object) -> str:
    text = value if isinstance(value, str) else json.dumps(value, ensure_ascii=False)
    return json.dumps(text, ensure_ascii=False) if " " in text or not text else text


@contextmanager
def log_to(stream: TextIO, formatter: LineFormatter, *, verbose: bool = False) -> Iterator[None]:
    """Write events to `stream` for as long as the block runs; where `verbose`, all else that the package logs, too."""
    handler = logging.StreamHandler(stream)
    handler.setFormatter(formatter)
    before = _package.level, _events.level
    _package.setLevel(logging.DEBUG if verbose else logging.CRITICAL)
    _events.setLevel(logging.INFO)
    _package.addHandler(handler)
    try:
        yield
    finally:
        _package.removeHandler(handler)
        _package.setLevel(before[0])
        _events.setLevel(before[1])
