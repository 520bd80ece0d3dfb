"""Cameras side by side: none disturbs another, whatever it does; a new configuration touches only what is different."""

from __future__ import annotations

import io
import json
import logging
import os
import threading
import time
from collections import defaultdict
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from fractions import Fraction
from pathlib import Path

import numpy as np
import pytest

from streamfilter import probe
from streamfilter.anonymize import Anonymizer
from streamfilter.assemble import Models, wire_camera
from streamfilter.config import AnonymizeConfig, DetectConfig, Device, FilterConfig, TrackConfig
from streamfilter.detect import Detector
from streamfilter.errors import ConfigError, InputError, OutputError
from streamfilter.guard import Guard
from streamfilter.json_log import LineFormatter, LogForm, log_to
from streamfilter.landmarks import Landmarker
from streamfilter.pipeline.crew import Crew, Restart, RestartPolicy, WorkerEvent, WorkerState, uncaught
from streamfilter.pipeline.stop import StopFlag
from streamfilter.serve import Camera, Reloader, Screen, Seat, ServeConfig, Supervisor
from streamfilter.serve.config import parse
from streamfilter.serve.reload import FileWatch
from streamfilter.stream_state import LiveCounters, StreamEvent, StreamState
from streamfilter.structures import Frame, SafeFrame
from streamfilter.web import CameraStatus, Gallery

SOON = RestartPolicy(first_s=0.02, most_s=0.05, settled_s=5)
DEADLINE_S = 5.0
SECRET = "hunter2-and-more"


def until(condition: Callable[[], object]) -> None:
    """Wait for a condition; fails when it does not come true."""
    deadline_s = time.monotonic() + DEADLINE_S
    while not condition():
        assert time.monotonic() < deadline_s, "waited in vain"
        time.sleep(0.002)


def idle(stop: StopFlag) -> None:
    while not stop.is_set():
        time.sleep(0.002)


@pytest.fixture(autouse=True)
def _no_thread_is_left() -> Iterator[None]:
    before = set(threading.enumerate())
    yield
    until(lambda: not set(threading.enumerate()) - before)


@pytest.fixture
def crew() -> Iterator[Crew]:
    crew = Crew()
    yield crew
    assert crew.stop(DEADLINE_S) == ()


# --- the crew --------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("when", "failing", "runs", "end"),
    [
        (Restart.NEVER, True, 1, WorkerState.FAILED),
        (Restart.NEVER, False, 1, WorkerState.ENDED),
        (Restart.ON_FAILURE, False, 1, WorkerState.ENDED),
        (Restart.ON_FAILURE, True, 3, None),
        (Restart.ALWAYS, False, 3, None),
        (Restart.ALWAYS, True, 3, None),
    ],
)
def test_a_worker_is_started_again_as_it_says(
    crew: Crew, when: Restart, runs: int, end: WorkerState | None, *, failing: bool
) -> None:
    events: list[WorkerEvent] = []
    ran: list[int] = []

    def work(stop: StopFlag) -> None:
        ran.append(1)
        if failing:
            raise InputError("no such camera")

    crew.start("a", work, replace(SOON, when=when), events.append)
    if end is None:
        until(lambda: len(ran) >= runs)
        assert WorkerState.BACKING_OFF in {event.state for event in events}
        reason = next(event.reason for event in events if event.state is WorkerState.BACKING_OFF)
        assert reason.startswith("no such camera; " if failing else "it came to its end; ")
        assert "starts again in 0.02 s" in reason
        until(lambda: crew.statuses()["a"].restarts >= runs - 1)
    else:
        until(lambda: not crew.working)
        assert len(ran) == runs
        assert crew.statuses()["a"].state is end
        assert crew.statuses()["a"].reason == ("no such camera" if failing else "")


def test_pauses_double_up_to_the_longest() -> None:
    policy = RestartPolicy(first_s=1, most_s=60)
    assert [policy.delay_s(times) for times in (1, 2, 3, 6, 7, 8, 10_000)] == [1, 2, 4, 32, 60, 60, 60]
    with pytest.raises(ConfigError, match="back-off"):
        RestartPolicy(first_s=2, most_s=1)


def test_a_run_that_lasted_begins_with_the_first_pause_again(crew: Crew) -> None:
    events: list[WorkerEvent] = []

    def work(stop: StopFlag) -> None:
        time.sleep(0.03)
        raise InputError("lost")

    crew.start("a", work, RestartPolicy(first_s=0.001, most_s=60, settled_s=0.02), events.append)
    until(lambda: sum(event.state is WorkerState.BACKING_OFF for event in events) >= 4)
    assert {event.reason for event in events if event.reason} == {"lost; starts again in 0.001 s"}


@pytest.mark.parametrize("error", [RuntimeError("x"), SystemExit(3), KeyboardInterrupt(), MemoryError()])
def test_whatever_a_worker_raises_ends_only_itself(crew: Crew, error: BaseException) -> None:
    def work(stop: StopFlag) -> None:
        raise error

    crew.start("bad", work, replace(SOON, when=Restart.NEVER), lambda event: None)
    crew.start("good", idle, SOON, lambda event: None)
    until(lambda: crew.statuses()["bad"].state is WorkerState.FAILED)
    assert type(error).__name__ in crew.statuses()["bad"].reason
    until(lambda: crew.statuses()["good"].state is WorkerState.RUNNING)


def test_an_error_of_the_listener_is_of_no_consequence(crew: Crew) -> None:
    def listener(event: WorkerEvent) -> None:
        raise RuntimeError("the page broke")

    crew.start("a", idle, SOON, listener)
    until(lambda: crew.statuses()["a"].state is WorkerState.RUNNING)


def test_a_stop_does_not_wait_for_the_end_of_a_pause() -> None:
    crew = Crew()

    def work(stop: StopFlag) -> None:
        raise InputError("lost")

    crew.start("a", work, RestartPolicy(first_s=60, most_s=60), lambda event: None)
    until(lambda: crew.statuses()["a"].state is WorkerState.BACKING_OFF)
    started_s = time.monotonic()
    assert crew.stop(5) == ()
    assert time.monotonic() - started_s < 1


def test_who_does_not_come_back_is_named_and_the_others_are_joined() -> None:
    crew, events, release = Crew(), [], threading.Event()
    crew.start("stuck", lambda stop: release.wait(DEADLINE_S) and None, SOON, events.append)
    crew.start("good", idle, SOON, lambda event: None)
    until(lambda: all(event.state is WorkerState.RUNNING for event in crew.statuses().values()))
    started_s = time.monotonic()
    assert crew.stop(0.2) == ("stuck",)
    assert 0.2 <= time.monotonic() - started_s < 1
    assert crew.statuses()["good"].state is WorkerState.ENDED
    assert crew.statuses()["stuck"].state is WorkerState.STUCK
    release.set()
    until(lambda: crew.statuses()["stuck"].state is WorkerState.ENDED)


def test_a_failure_while_stopping_is_a_failure() -> None:
    crew = Crew()

    def work(stop: StopFlag) -> None:
        idle(stop)
        raise OSError("the disk is full")

    crew.start("a", work, SOON, lambda event: None)
    until(lambda: crew.statuses()["a"].state is WorkerState.RUNNING)
    assert crew.stop(DEADLINE_S) == ()
    assert crew.statuses()["a"].state is WorkerState.FAILED


def test_errors_of_any_thread_are_told_without_secrets() -> None:
    told: list[tuple[str, str]] = []

    def leak() -> None:
        raise RuntimeError(f"cannot open rtsp://u:{SECRET}@cam/x")

    with uncaught(lambda thread, reason: told.append((thread, reason))):
        thread = threading.Thread(target=leak, name="decoder")
        thread.start()
        thread.join()
    assert told == [("decoder", "RuntimeError: cannot open rtsp://***@cam/x")]
    assert threading.excepthook is threading.__excepthook__ or threading.excepthook.__module__ != uncaught.__module__


# --- cameras side by side --------------------------------------------------------------------------------------------


class Cameras:
    """Stands for `run_camera`: cameras that count, fail or block as the test says; who ran in which thread."""

    def __init__(self) -> None:
        self.ticks: dict[str, int] = defaultdict(int)
        self.threads: dict[str, list[int]] = defaultdict(list)
        self.behaviour: dict[str, Callable[[StopFlag], None]] = {}
        self.running: set[str] = set()
        self.release = threading.Event()

    def __call__(self, camera: Camera, screen: Screen, stop: StopFlag) -> None:
        self.threads[camera.name].append(threading.get_ident())
        screen.status(camera.name, CameraStatus(state=StreamState.LIVE))
        self.running.add(camera.name)
        try:
            self.behaviour.get(camera.name, lambda stop: self.count(camera.name, stop))(stop)
        finally:
            self.running.discard(camera.name)

    def count(self, name: str, stop: StopFlag) -> None:
        while not stop.is_set():
            self.ticks[name] += 1
            time.sleep(0.002)

    def block(self, stop: StopFlag) -> None:
        self.release.wait(2 * DEADLINE_S)


def text_of(*names: str, more: str = "") -> str:
    return "[server]\nport = 0\n" + "".join(f'[[camera]]\nname = "{n}"\nsource = "test:{n}"\n{more}' for n in names)


def config_of(*names: str, **sinks: str) -> ServeConfig:
    config = parse(text_of(*names), Path("serve.toml"), {})
    return replace(config, cameras=tuple(_with_sink(camera, sinks.get(camera.name)) for camera in config.cameras))


def _with_sink(camera: Camera, sink: str | None) -> Camera:
    text = f'[[camera]]\nname = "x"\nsource = "test:"\nsinks = ["{sink}"]\n'
    return replace(camera, sinks=parse(text, Path("x"), {}).cameras[0].sinks) if sink else camera


@pytest.fixture
def cameras() -> Iterator[Cameras]:
    cameras = Cameras()
    yield cameras
    cameras.release.set()


@pytest.fixture
def gallery() -> Gallery:
    return Gallery()


@pytest.fixture
def supervisor(cameras: Cameras, gallery: Gallery) -> Iterator[Supervisor]:
    supervisor = Supervisor(cameras, gallery, policy=SOON, overdue_s=0.1)
    yield supervisor
    cameras.release.set()
    supervisor.stop(DEADLINE_S)


def state_of(gallery: Gallery, name: str) -> CameraStatus:
    camera = gallery.find(name)
    assert camera is not None
    assert camera.told is not None
    return camera.told.status


def test_broken_cameras_do_not_change_the_others(supervisor: Supervisor, cameras: Cameras, gallery: Gallery) -> None:
    def fails(stop: StopFlag) -> None:
        time.sleep(0.005)
        raise InputError("no such camera")

    def exits(stop: StopFlag) -> None:
        raise SystemExit(1)

    cameras.behaviour = {"fails": fails, "exits": exits, "blocks": cameras.block}
    supervisor.apply(config_of("one", "fails", "exits", "blocks", "two"))
    until(lambda: cameras.ticks["one"] > 20 and cameras.ticks["two"] > 20)
    before = dict(cameras.ticks)
    until(lambda: len(cameras.threads["fails"]) > 5 and len(cameras.threads["exits"]) > 5)
    until(lambda: all(cameras.ticks[name] > before[name] + 50 for name in ("one", "two")))
    assert len(cameras.threads["one"]) == len(cameras.threads["two"]) == 1
    assert state_of(gallery, "one").state is StreamState.LIVE
    assert {"fails", "exits"} <= {name for name, event in supervisor.statuses().items() if event.restarts >= 4}
    assert any("no such camera" in event.reason for event in state_of(gallery, "fails").events)


@pytest.mark.parametrize(("error", "state"), [(InputError, WorkerState.ENDED), (OutputError, WorkerState.FAILED)])
def test_a_stop_while_the_source_is_looked_for_is_no_failure(supervisor, cameras, error, state) -> None:
    """An unfinished recording is."""

    def looks(stop: StopFlag) -> None:
        idle(stop)
        raise error("not within 5 s")

    cameras.behaviour = {"door": looks}
    supervisor.apply(config_of("door"))
    until(lambda: supervisor.statuses()["door"].state is WorkerState.RUNNING)
    assert supervisor.stop(DEADLINE_S) == ()
    assert supervisor.statuses()["door"].state is state
    assert supervisor.failed == (("door",) if state is WorkerState.FAILED else ())


def test_a_refused_password_is_not_tried_again_for_a_minute(
    supervisor: Supervisor, cameras: Cameras, gallery: Gallery
) -> None:
    said = iter(["no such host is known", "the user or password was refused (401); check both"])

    def fails(stop: StopFlag) -> None:
        raise InputError(f"rtsp://10.0.0.1/x: {next(said)}")

    cameras.behaviour = {"door": fails}
    supervisor.apply(config_of("door", "yard"))

    def pauses() -> list[str]:
        camera = gallery.find("door")
        events = camera.told.status.events if camera and camera.told else ()
        return [event.reason.rpartition("; ")[2] for event in events if event.reason]

    until(lambda: len(pauses()) == 2)
    assert pauses() == ["starts again in 0.02 s", "starts again in 60 s"]
    assert "refused (401); check both" in supervisor.statuses()["door"].reason
    before = cameras.ticks["yard"]
    until(lambda: cameras.ticks["yard"] > before + 50)
    assert len(cameras.threads["door"]) == 2


def test_only_what_is_different_is_touched(supervisor: Supervisor, cameras: Cameras, gallery: Gallery) -> None:
    supervisor.apply(config_of("same", "changed", "removed"))
    until(lambda: all(cameras.ticks[name] for name in ("same", "changed", "removed")))
    changes = supervisor.apply(config_of("new", "changed", "same", changed="out.mkv"))
    assert (changes.added, changes.changed) == (("new",), ("changed",))
    assert (changes.removed, changes.unchanged) == (("removed",), ("same",))
    until(lambda: cameras.ticks["new"] and len(cameras.threads["changed"]) == 2)
    until(lambda: cameras.running == {"same", "changed", "new"})
    ticks = cameras.ticks["same"]
    until(lambda: cameras.ticks["same"] > ticks + 10)
    assert len(cameras.threads["same"]) == 1
    assert len(set(cameras.threads["changed"])) == 2 or len(cameras.threads["changed"]) == 2
    assert set(gallery.cameras()) == {"same", "changed", "new"}
    assert supervisor.apply(config_of("new", "changed", "same", changed="out.mkv")).unchanged == (
        "new",
        "changed",
        "same",
    )


def test_a_changed_camera_waits_for_its_old_self_and_for_nobody_else(
    supervisor: Supervisor, cameras: Cameras, gallery: Gallery
) -> None:
    cameras.behaviour = {"slow": cameras.block}
    supervisor.apply(config_of("slow", "gone", "free"))
    until(lambda: cameras.running == {"slow", "gone", "free"})
    supervisor.apply(config_of("slow", "free", "new", slow="out.mkv"))
    until(lambda: cameras.running == {"slow", "free", "new"})
    until(lambda: supervisor.statuses()["slow"].state is WorkerState.WAITING)
    supervisor.tend()
    assert len(cameras.threads["slow"]) == 1
    assert state_of(gallery, "slow").state is StreamState.CONNECTING
    assert "what ran before it has not ended yet" in state_of(gallery, "slow").events[-1].reason
    cameras.behaviour = {}
    cameras.release.set()
    until(lambda: cameras.ticks["slow"])
    assert len(cameras.threads["slow"]) == 2


def test_who_takes_over_a_sink_waits_for_its_owner(supervisor: Supervisor, cameras: Cameras) -> None:
    cameras.behaviour = {"old": cameras.block}
    supervisor.apply(config_of("old", old="out.mkv"))
    until(lambda: cameras.running == {"old"})
    supervisor.apply(config_of("new", "other", new="./out.mkv", other="other.mkv"))
    until(lambda: cameras.ticks["other"])
    assert supervisor.statuses()["new"].state is WorkerState.WAITING
    cameras.release.set()
    until(lambda: cameras.ticks["new"])


def test_a_camera_that_does_not_stop_is_told_as_stuck_once(
    supervisor: Supervisor, cameras: Cameras, caplog: pytest.LogCaptureFixture
) -> None:
    cameras.behaviour = {"stuck": cameras.block}
    supervisor.apply(config_of("stuck", "other"))
    until(lambda: cameras.running == {"stuck", "other"})
    with caplog.at_level(logging.INFO, "streamfilter.events"):
        supervisor.apply(config_of("other"))
        supervisor.tend()
        assert not [record for record in caplog.records if record.levelno == logging.ERROR]
        time.sleep(0.11)
        supervisor.tend()
        supervisor.tend()
        told = [record for record in caplog.records if record.levelno == logging.ERROR]
    assert len(told) == 1


def test_a_camera_that_was_left_shows_nothing_more(gallery: Gallery) -> None:
    seat = Seat(gallery, "a")
    seat.status("a", CameraStatus(state=StreamState.LIVE))
    seat.leave()
    gallery.forget("a")
    seat.status("a", CameraStatus(state=StreamState.ENDED))
    seat.worker(WorkerEvent(worker="a", state=WorkerState.ENDED, at_s=0))
    seat.repeat()
    assert gallery.cameras() == {}


def test_counters_and_events_go_on_across_restarts_and_stay_bounded(gallery: Gallery) -> None:
    seat = Seat(gallery, "a")
    for run in range(40):
        seat.worker(WorkerEvent(worker="a", state=WorkerState.RUNNING, at_s=run))
        for read in (5, 10):
            live = StreamEvent(state=StreamState.LIVE, at_s=run, reason=f"run {run}")
            seat.status("a", CameraStatus(state=StreamState.LIVE, counters=LiveCounters(read=read), events=(live,)))
        assert state_of(gallery, "a").counters.read == 10 * (run + 1)
        seat.worker(WorkerEvent(worker="a", state=WorkerState.BACKING_OFF, at_s=run, reason="lost", restarts=run))
    status = state_of(gallery, "a")
    assert status.counters.read == 400
    assert status.state is StreamState.RECONNECTING
    assert len(status.events) == 50
    assert [event.reason for event in status.events[-4:]] == ["run 38", "lost", "run 39", "lost"]
    seat.worker(WorkerEvent(worker="a", state=WorkerState.FAILED, at_s=99, reason="gone"))
    assert state_of(gallery, "a").gave_up
    assert state_of(gallery, "a").events[-1] == StreamEvent(state=StreamState.ENDED, at_s=99, reason="gone")


def test_no_reason_holds_a_secret_of_the_configuration(cameras: Cameras, gallery: Gallery) -> None:
    def fails(stop: StopFlag) -> None:
        raise InputError(f"401 for {SECRET}")

    cameras.behaviour = {"a": fails}
    text = f'[[camera]]\nname = "a"\nsource = "rtsp://u:{SECRET}@10.0.0.1/x"\nrestart = "never"\n'
    supervisor, out = Supervisor(cameras, gallery, policy=SOON), io.StringIO()
    with log_to(out, LineFormatter(LogForm.JSON)):
        supervisor.apply(parse(text, Path("serve.toml"), {}))
        until(lambda: not supervisor.working)
    assert supervisor.failed == ("a",)
    assert SECRET not in out.getvalue()
    assert "401 for ***" in out.getvalue()
    assert state_of(gallery, "a").events[-1].reason == "401 for ***"


# --- reload ----------------------------------------------------------------------------------------------------------


@pytest.fixture
def log() -> Iterator[Callable[[], list[dict[str, object]]]]:
    out = io.StringIO()
    with log_to(out, LineFormatter(LogForm.JSON)):
        yield lambda: [json.loads(line) for line in out.getvalue().splitlines() if "config." in line]


def write(path: Path, text: str) -> None:
    """A change that any clock sees."""
    path.write_text(text)
    at = path.stat().st_mtime_ns + 10**9
    os.utime(path, ns=(at, at))


def test_a_file_with_an_error_is_refused_and_the_old_one_stays(
    tmp_path: Path, supervisor: Supervisor, cameras: Cameras, log: Callable[[], list[dict[str, object]]]
) -> None:
    path = tmp_path / "serve.toml"
    path.write_text(text_of("a"))
    config = parse(path.read_text(), path, {})
    seen: list[ServeConfig] = []
    reloader = Reloader(path, config, supervisor, {}, seen.append)
    supervisor.apply(config)
    until(lambda: cameras.running == {"a"})
    write(path, text_of("a", "b", more='sorce = "x"\n'))
    assert not reloader.reload()
    write(path, "")
    assert not reloader.reload()
    path.unlink()
    assert not reloader.reload()
    assert [line["event"] for line in log()] == ["config.refused"] * 3
    assert "serve.toml:6: camera 'a': unknown key 'sorce'" in str(log()[0]["reason"])
    assert cameras.running == {"a"}
    assert len(cameras.threads["a"]) == 1
    write(path, text_of("a", "b").replace("port = 0", "port = 1\nthreads = 2"))
    assert reloader.reload()
    until(lambda: cameras.running == {"a", "b"})
    assert len(cameras.threads["a"]) == 1
    assert log()[3] | {"time": ""} == {
        "time": "", "level": "info", "event": "config.reloaded",
        "added": ["b"], "changed": [], "removed": [], "unchanged": ["a"],
    }  # fmt: skip
    assert log()[4]["keys"] == ["port", "threads"]
    assert len(seen) == 1


def test_a_changed_file_is_read_once_it_is_whole(tmp_path: Path) -> None:
    path = tmp_path / "serve.toml"
    path.write_text("a")
    watch = FileWatch(path)
    assert [watch.changed() for _ in range(3)] == [False] * 3
    write(path, "ab")
    assert not watch.changed()
    write(path, "abc")  # still being written
    assert not watch.changed()
    assert [watch.changed() for _ in range(3)] == [True, False, False]
    path.rename(tmp_path / "old")  # as editors do
    assert [watch.changed() for _ in range(3)] == [False] * 3
    write(path, "abcd")
    assert [watch.changed() for _ in range(3)] == [False, True, False]


def test_a_demand_reloads_at_once(
    tmp_path: Path, supervisor: Supervisor, log: Callable[[], list[dict[str, object]]]
) -> None:
    path = tmp_path / "serve.toml"
    path.write_text(text_of("a"))
    reloader = Reloader(path, parse(path.read_text(), path, {}), supervisor, {})
    reloader.tick(demanded=False)
    assert log() == []
    reloader.tick(demanded=True)
    assert [line["event"] for line in log()] == ["config.reloaded"]


# --- one set of networks, many memories -------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def networks() -> Models:
    return Models(
        detector=Detector.load(device=Device.CPU, threads=1),
        landmarker=Landmarker.load(device=Device.CPU, threads=1),
        anonymizer=Anonymizer.load(device=Device.CPU, threads=1),
    )


def settings(seed: int) -> FilterConfig:
    return FilterConfig(
        detect=DetectConfig(long_side_px=160, again_every=0),
        track=TrackConfig(lookahead_s=0.1),
        anonymize=AnonymizeConfig(seed=seed, max_rung_px=64),
    )


def films() -> tuple[list[Frame], list[Frame]]:
    """Two films of one person each, alike but for a margin, so that both persons have the same track id."""
    picture = probe.picture()
    other = np.pad(picture, ((0, 0), (0, 16), (0, 0)), mode="edge")
    return tuple([Frame(image, index, index, Fraction(1, 25)) for index in range(6)] for image in (picture, other))  # type: ignore[return-value]


def all_of(guard: Guard, frames: list[Frame]) -> list[SafeFrame]:
    return [*(safe for frame in frames for safe in guard.push(frame)), *guard.flush()]


def pictures(frames: list[SafeFrame]) -> list[bytes]:
    return [frame.image.tobytes() for frame in frames]


@pytest.mark.slow
def test_cameras_share_networks_and_keep_their_people_apart(networks: Models) -> None:
    one, _ = films()
    alone = [all_of(wire_camera(networks, settings(seed)), one) for seed in (1, 2)]
    assert all(len(safe.regions) == 1 and safe.blanked is None for film in alone for safe in film)
    assert {region.track_id for film in alone for safe in film for region in safe.regions} == {1}
    assert pictures(alone[0]) == pictures(all_of(wire_camera(networks, settings(1)), one))
    assert np.abs(alone[0][3].image.astype(int) - alone[1][3].image).max() > 20  # the same place, other people

    first = wire_camera(networks, settings(1))
    interleaved: list[list[SafeFrame]] = [[*first.push(one[0])], []]
    second = wire_camera(networks, settings(2))  # starts while the first is under way
    for a, b in zip(one[1:], one, strict=False):
        interleaved[0] += first.push(a)
        interleaved[1] += second.push(b)
    interleaved[1] += [*second.push(one[-1]), *second.flush()]
    second.reset()
    interleaved[0] += first.flush()
    assert [pictures(film) for film in interleaved] == [pictures(film) for film in alone]


@pytest.mark.slow
def test_networks_run_in_many_threads_at_once(networks: Models) -> None:
    one, other = films()
    films_of = [one, other, one, other]
    seeds = [1, 2, 3, 4]
    alone = [pictures(all_of(wire_camera(networks, settings(s)), f)) for s, f in zip(seeds, films_of, strict=True)]
    with ThreadPoolExecutor(4) as pool:
        together = pool.map(lambda s, f: pictures(all_of(wire_camera(networks, settings(s)), f)), seeds, films_of)
        assert list(together) == alone


def test_a_camera_may_ask_for_no_rung_that_is_not_loaded(networks: Models) -> None:
    tiny = networks.anonymizer.sibling(AnonymizeConfig(max_rung_px=16))
    assert len(tiny.models) == 2
    assert len(networks.anonymizer.sibling(AnonymizeConfig()).models) == len(networks.anonymizer.models)
    assert tiny.models[-1] is networks.anonymizer.models[-1]
