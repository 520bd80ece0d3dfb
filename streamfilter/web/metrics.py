"""The gallery for Prometheus; labels are the camera and the sink, nothing else."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from itertools import accumulate

from prometheus_client import CollectorRegistry
from prometheus_client.core import CounterMetricFamily, GaugeMetricFamily, HistogramMetricFamily
from prometheus_client.metrics_core import Metric
from prometheus_client.registry import Collector

from streamfilter.pipeline.sink_status import SinkState, SinkStatus
from streamfilter.stream_state import StreamState
from streamfilter.web.gallery import Camera, Gallery
from streamfilter.web.latencies import BOUNDS_S, Latencies

COUNTERS = {
    "read": ("frames_read", "Frames that came from the source."),
    "dropped": ("frames_dropped", "Frames that a full inbox dropped."),
    "protected": ("frames_protected", "Frames that left the filter."),
    "blanked": ("frames_blanked", "Frames that were wholly blanked."),
    "cards": ("cards", "Cards shown while there was no signal."),
    "replaced": ("faces_replaced", "Faces replaced, over all frames."),
    "covered": ("faces_covered", "Faces covered, over all frames."),
    "reconnects": ("reconnects", "Times the source came back."),
}


class GalleryCollector(Collector):
    """Reads the gallery whenever it is asked; keeps no numbers of its own."""

    def __init__(self, gallery: Gallery) -> None:
        self._gallery = gallery

    def collect(self) -> Iterable[Metric]:
        """Every series of every camera."""
        cameras = self._gallery.cameras()
        yield from self._states(cameras)
        yield from _counters(cameras)
        yield _latencies(cameras)
        yield from _sinks(cameras)

    def _states(self, cameras: dict[str, Camera]) -> Iterator[Metric]:
        live = GaugeMetricFamily("streamfilter_camera_live", "1 while frames arrive, else 0.", labels=["camera"])
        well = GaugeMetricFamily("streamfilter_camera_ok", "1 if live or ended on purpose, else 0.", labels=["camera"])
        fps = GaugeMetricFamily("streamfilter_fps", "Frames a second that leave the filter.", labels=["camera"])
        for name, camera in cameras.items():
            status = camera.told.status if camera.told else None
            heard = self._gallery.silent_s(camera) == 0
            live.add_metric([name], float(status is not None and status.state is StreamState.LIVE and heard))
            well.add_metric([name], float(self._gallery.well(camera)))
            fps.add_metric([name], status.fps if status and heard else 0.0)
        yield from (live, well, fps)


def registry_of(gallery: Gallery) -> CollectorRegistry:
    """A registry with this gallery in it and nothing else."""
    registry = CollectorRegistry(auto_describe=False)
    registry.register(GalleryCollector(gallery))
    return registry


def _counters(cameras: dict[str, Camera]) -> Iterator[Metric]:
    for counter, (series, text) in COUNTERS.items():
        family = CounterMetricFamily(f"streamfilter_{series}", text, labels=["camera"])
        for name, camera in cameras.items():
            if camera.told:
                family.add_metric([name], getattr(camera.told.status.counters, counter))
        yield family


def _latencies(cameras: dict[str, Camera]) -> Metric:
    family = HistogramMetricFamily(
        "streamfilter_latency_seconds", "From a frame's arrival to its protected picture.", labels=["camera"]
    )
    for name, camera in cameras.items():
        latencies = camera.latencies
        family.add_metric([name], _buckets(latencies), sum_value=latencies.total_s)
    return family


def _buckets(latencies: Latencies) -> list[tuple[str, float]]:
    bounds = [*(str(bound) for bound in BOUNDS_S), "+Inf"]
    return [(bound, float(count)) for bound, count in zip(bounds, accumulate(latencies.counts), strict=True)]


def _sinks(cameras: dict[str, Camera]) -> Iterator[Metric]:
    labels = ["camera", "sink"]
    opened = GaugeMetricFamily("streamfilter_sink_open", "1 while the sink takes frames, else 0.", labels=labels)
    written = CounterMetricFamily("streamfilter_sink_written", "Frames or packets that the sink took.", labels=labels)
    dropped = CounterMetricFamily("streamfilter_sink_dropped", "Frames or packets that the sink missed.", labels=labels)
    for name, camera in cameras.items():
        for label, sink in _labelled(camera.told.status.sinks if camera.told else ()):
            opened.add_metric([name, label], float(sink.state is SinkState.OPEN))
            written.add_metric([name, label], sink.written)
            dropped.add_metric([name, label], sink.dropped)
    yield from (opened, written, dropped)


def _labelled(sinks: tuple[SinkStatus, ...]) -> Iterator[tuple[str, SinkStatus]]:
    """Each sink with a label of its own: two may look alike once their credentials are gone."""
    used: dict[str, int] = {}
    for sink in sinks:
        used[sink.name] = count = used.get(sink.name, 0) + 1
        yield (sink.name if count == 1 else f"{sink.name} ({count})"), sink
