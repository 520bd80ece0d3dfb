"""The gallery as JSON: names, states, numbers; no picture, no address but the sinks' redacted ones."""

from __future__ import annotations

from dataclasses import asdict
from typing import Any

from streamfilter.pipeline.sink_status import SinkStatus
from streamfilter.stream_state import StreamEvent
from streamfilter.web.gallery import Camera, Gallery, Told
from streamfilter.web.history import HISTORY_S, Second

Json = dict[str, Any]


def health(gallery: Gallery) -> tuple[bool, Json]:
    """Whether all is well, and each camera's state; no camera at all is not well."""
    cameras = gallery.cameras()
    each = {name: _health(gallery, camera) for name, camera in cameras.items()}
    well = bool(each) and all(one["ok"] for one in each.values())
    return well, {"ok": well, "cameras": each}


def overview(gallery: Gallery) -> Json:
    """All that is known of all cameras."""
    return Teller(gallery).news()


class Teller:
    """Tells one listener what is new: each second and each event once, everything else again."""

    def __init__(self, gallery: Gallery) -> None:
        self._gallery = gallery
        self._told_events: dict[str, tuple[StreamEvent, ...]] = {}
        self._told_second: dict[str, int] = {}

    def news(self) -> Json:
        """What to tell now."""
        cameras = self._gallery.cameras()
        return {
            "second": self._gallery.second(),
            "cameras": [self._camera(name, camera) for name, camera in cameras.items()],
        }

    def _camera(self, name: str, camera: Camera) -> Json:
        told = camera.told
        picture = camera.shown.frame.image.shape if camera.shown else None
        about: Json = {
            "name": name,
            "well": self._gallery.well(camera),
            "silent_s": round(self._gallery.silent_s(camera)),
            "size": [picture[1], picture[0]] if picture else None,
        }
        return about | (self._status(name, told) if told else {"state": "connecting"})

    def _status(self, name: str, told: Told) -> Json:
        status = told.status
        about: Json = {
            "state": str(status.state),
            "gave_up": status.gave_up,
            "fps": round(status.fps, 2),
            "latency_p50_ms": _rounded(status.latency_p50_ms),
            "latency_p95_ms": _rounded(status.latency_p95_ms),
            "counters": asdict(status.counters),
            "sinks": [_sink(sink) for sink in status.sinks],
            "seconds": [_second(one) for one in self._new_seconds(name, told)],
        }
        if self._told_events.get(name) != status.events:
            self._told_events[name] = status.events
            about["events"] = [self._event(event) for event in status.events]
        return about

    def _new_seconds(self, name: str, told: Told) -> list[Second]:
        """The last one is told again: it may still have been growing."""
        first = max(self._told_second.get(name, 0), self._gallery.second() - HISTORY_S)
        self._told_second[name] = told.seconds[-1].at if told.seconds else 0
        return [one for one in told.seconds if one.at >= first]

    def _event(self, event: StreamEvent) -> Json:
        ago_s = max(0.0, self._gallery.clock() - event.at_s)
        return {"state": str(event.state), "ago_s": round(ago_s, 1), "reason": event.reason}


def _health(gallery: Gallery, camera: Camera) -> Json:
    told = camera.told
    return {
        "ok": gallery.well(camera),
        "state": str(told.status.state) if told else "connecting",
        "silent_s": round(gallery.silent_s(camera)),
    }


def _sink(sink: SinkStatus) -> Json:
    return {
        "name": sink.name,
        "state": str(sink.state),
        "well": sink.well,
        "written": sink.written,
        "dropped": sink.dropped,
        "error": sink.error,
    }


def _second(one: Second) -> list[int]:
    return [one.at, one.replaced, one.covered, one.blanked, int(one.no_signal)]


def _rounded(number: float | None) -> float | None:
    return None if number is None else round(number, 1)
