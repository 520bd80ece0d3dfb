"""A long run of `streamfilter run` with the real models between two RTSP servers, and what became of every frame.

    python -m tests.live_soak --minutes 10 --clip interview.mp4
    python -m tests.live_soak --minutes 10 --clip interview.mp4 --outages 5 --stop 20 -- --max-latency 800

The film runs in a loop under a burnt-in number, so that each frame at the sink tells when it was sent. What follows
`--` goes to `streamfilter run`. Bare faces are looked for every few seconds: faces that the audit's detectors, which
`streamfilter models pull audit` gets, find in the frame as it was sent, and that survive in the frame at the sink.
Prints a line now and then, and JSON at the end.
"""

from __future__ import annotations

import argparse
import json
import sys
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import asdict, dataclass
from pathlib import Path

import numpy as np

from streamfilter.audit.detect.reference import ReferenceDetector
from streamfilter.config import TrackConfig
from streamfilter.metrics.survival import coding_floor, survival
from streamfilter.model_store.store import Store
from streamfilter.structures import Image
from tests.live_kit import RtspServer, cpu_s, wait_until
from tests.live_measure import CounterClock, Watcher, compare, percentile
from tests.live_proof import REAL_MODELS, STAND_INS, Collector, Command, originals
from tests.rtsp_films import LOOP_S, counter_films

KEEP_EVERY_S = 2.0
SETTLE_S = 10.0


@dataclass(frozen=True, kw_only=True)
class Sample:
    """What the process held at one moment; `cores`: processor time per second since the sample before."""

    at_s: float
    memory_mb: float
    threads: int
    descriptors: int
    cores: float


@dataclass(frozen=True, kw_only=True)
class Outage:
    """One loss of the source; `back_s` from its return to its first new frame at the sink."""

    kind: str
    at_s: float
    lasted_s: float
    back_s: float
    frozen: int
    cards: int


class Soak:
    """One run: servers, command, watchers, samples, outages."""

    def __init__(self, options: argparse.Namespace, folder: Path) -> None:
        self.options, self.folder = options, folder
        self.clock = CounterClock(fps=options.fps, loop_s=LOOP_S)
        self.words = f"{options.size}@{options.fps}:{options.clip.resolve()}"
        self.samples: list[Sample] = []
        self.outages: list[Outage] = []
        self._cpu = (0.0, 0.0)

    def run(self) -> dict[str, object]:
        options = self.options
        with self._servers() as (camera, server):
            more = ["page:0"] if options.page else []
            recording = self.folder / "soak.mkv"
            words = ["run", camera.url("yard"), server.push_url("out"), *more, recording, *options.rest]
            code = STAND_INS if options.stand_ins else REAL_MODELS
            with (
                Command(*words, log=self.folder / "said", code=code) as running,
                Watcher(camera.url("yard"), clock=self.clock) as source,
                Collector(server.url("out"), clock=self.clock, every_s=KEEP_EVERY_S) as sink,
            ):
                wait_until(lambda: sink.first(0) and source.first(0), within_s=120, what=(running.said, sink.errors))
                time.sleep(SETTLE_S)
                from_s = time.monotonic()
                self._watch(running, camera, sink, until_s=from_s + options.minutes * 60)
                to_s = time.monotonic()
                time.sleep(3)
                code_at_end = running.end()
                said = running.said
        report = self._report(source, sink, from_s, to_s)
        return report | {"exit_code": code_at_end, "said": said.splitlines()[-6:], "recording": str(recording)}

    @contextmanager
    def _servers(self) -> Iterator[tuple[RtspServer, RtspServer]]:
        with (
            RtspServer("--counter", f"yard={self.words}", cache=self.folder) as camera,
            RtspServer("--record", "out", cache=self.folder) as server,
        ):
            yield camera, server

    def _watch(self, running: Command, camera: RtspServer, sink: Watcher, *, until_s: float) -> None:
        """Take samples until the end, and make the outages on the way, evenly."""
        options, start_s = self.options, time.monotonic()
        kinds = ["kill"] * options.outages + (["stop"] if options.stop else [])
        step_s = (until_s - start_s) / (len(kinds) + 1)
        due = [(start_s + step_s * (at + 1), kind) for at, kind in enumerate(kinds)]
        self._sample(running)
        while time.monotonic() < until_s:
            time.sleep(min(options.every, max(until_s - time.monotonic(), 0)))
            self._sample(running)
            if due and time.monotonic() >= due[0][0]:
                self._lose(due.pop(0)[1], camera, sink)
                self._sample(running)

    def _sample(self, running: Command) -> None:
        now_s, used_s, held = time.monotonic(), cpu_s(running.process.pid), running.resources()
        cores = (used_s - self._cpu[1]) / (now_s - self._cpu[0]) if self._cpu[0] else 0.0
        self._cpu = (now_s, used_s)
        sample = Sample(
            at_s=now_s, memory_mb=held.memory_mb, threads=held.threads, descriptors=held.descriptors, cores=cores
        )
        self.samples.append(sample)
        held_now = f"{held.memory_mb:.0f} MB, {held.threads} threads, {held.descriptors} descriptors, {cores:.2f} cores"
        print(f"{held_now}; {running.said.splitlines()[-1]}")

    def _lose(self, kind: str, camera: RtspServer, sink: Watcher) -> None:
        lost_s = time.monotonic()
        if kind == "kill":
            camera.kill()
            time.sleep(5)
            camera.start()
        else:
            camera.pause()
            time.sleep(self.options.stop)
            camera.resume()
        there_s = time.monotonic()
        back_s = sink.wait_for_frame(sent_after_s=there_s, within_s=60).at_s - there_s
        shown = [seen for seen in sink.sightings if lost_s <= seen.at_s < there_s]
        frozen, cards = sum(seen.repeat for seen in shown), sum(seen.number is None for seen in shown)
        self.outages.append(
            Outage(kind=kind, at_s=lost_s, lasted_s=there_s - lost_s, back_s=back_s, frozen=frozen, cards=cards)
        )
        print(self.outages[-1])

    def _report(self, source: Watcher, sink: Collector, from_s: float, to_s: float) -> dict[str, object]:
        delivery = compare(source, sink, from_s=from_s, to_s=to_s)
        print(delivery.line())
        latency = {
            name: {f"p{share}_ms": round(percentile(values, share) * 1e3) for share in (50, 95, 99)}
            for name, values in (("from_source", delivery.latencies_s), ("added", delivery.added_s))
        }
        cards = sum(outage.cards for outage in self.outages)
        counts = ("sent", "delivered", "share", "repeats", "unread", "backward", "longest_gap_s")
        return {
            "delivery": {name: getattr(delivery, name) for name in counts},
            # A cover that fills the picture hides its number, but the frame arrived.
            "share_with_covered_numbers": min(1.0, (delivery.delivered + delivery.unread - cards) / delivery.sent),
            "latency": latency,
            "look_ahead_ms": round(self._look_ahead_s() * 1e3),
            "lost_at_source": len(source.losses),
            "by_minute": by_minute(source, sink, from_s, to_s),
            "outages": [asdict(outage) for outage in self.outages],
            "samples": [asdict(sample) for sample in self.samples],
            "faces": faces(sink.kept, counter_films(self.words, self.folder)),
        }

    def _look_ahead_s(self) -> float:
        rest = self.options.rest
        return float(rest[rest.index("--look-ahead") + 1]) if "--look-ahead" in rest else TrackConfig().lookahead_s


def by_minute(source: Watcher, sink: Watcher, from_s: float, to_s: float) -> list[str]:
    """Each minute in a line."""
    starts = np.arange(from_s, to_s - 1, 60.0)
    return [compare(source, sink, from_s=start, to_s=min(start + 60, to_s)).line() for start in starts]


def faces(kept: list[tuple[int, Image]], films: list[Path]) -> dict[str, object]:
    """How many faces were in the frames as they were sent, and which of them survived at the sink."""
    sent = originals(films)
    detect = ReferenceDetector.load(Store.default())
    count, survivors = 0, []
    for number, image in kept:
        original = sent[number]
        boxes = [sighting.xyxy for sighting in detect(original)]
        floor = coding_floor(original, image, boxes)
        count += len(boxes)
        survivors += [
            {"number": number, "xyxy": [round(float(side)) for side in box]}
            for box in boxes
            if survival(original, image, box, floor).bare
        ]
    return {"frames": len(kept), "faces": count, "bare": len(survivors), "where": survivors[:20]}


def _arguments(words: list[str]) -> argparse.Namespace:
    at = words.index("--") if "--" in words else len(words)
    parser = argparse.ArgumentParser(description=(__doc__ or "").partition("\n")[0])
    parser.add_argument("--minutes", type=float, default=10)
    parser.add_argument("--clip", type=Path, required=True, help="a film with faces")
    parser.add_argument("--size", default="640x360", metavar="WxH")
    parser.add_argument("--fps", type=int, default=25)
    parser.add_argument("--outages", type=int, default=0, help="so many times the server is killed, for 5 s")
    parser.add_argument("--stop", type=float, default=0, metavar="SECONDS", help="the server is stalled once")
    parser.add_argument("--every", type=float, default=10, metavar="SECONDS", help="between two samples")
    parser.add_argument("--page", action="store_true", help="with a browser page as a third sink")
    parser.add_argument("--stand-ins", action="store_true", help="without the generator, to try the soak itself")
    parser.add_argument("--folder", type=Path, help="where films, recording and log are kept")
    options = parser.parse_args(words[:at])
    options.rest = words[at + 1 :]
    return options


def main(words: list[str]) -> None:
    options = _arguments(words)
    with tempfile.TemporaryDirectory() as scratch:
        folder = options.folder or Path(scratch)
        folder.mkdir(parents=True, exist_ok=True)
        report = Soak(options, folder).run()
    print(json.dumps(report, indent=1))


if __name__ == "__main__":
    main(sys.argv[1:])
