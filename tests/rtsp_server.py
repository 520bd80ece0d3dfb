"""An RTSP server for the tests: plays films as endless cameras, takes pushes and plays them again.

Run with Debian's Python, which has GStreamer's bindings:

    /usr/bin/python3 tests/rtsp_server.py --port 8554 --play door=film.mp4 --counter yard=640x360@25 --record out

A film at `rtsp://127.0.0.1:8554/door` runs whether anybody looks or not, as a camera does: what is shown depends on the
monotonic clock alone. Frame `n` of a counter is sent when that clock says `n / fps` seconds; the picture tells
`n % (fps * loop_s)`. So a reader on this machine knows when each frame was made, and a restart changes nothing.
What is pushed to `/rec-out` is played at `/out`, for as long as the push lasts.
"""

from __future__ import annotations

import argparse
import ctypes
import signal
import sys
import tempfile
import threading
import time
from bisect import bisect_left
from dataclasses import dataclass, field
from pathlib import Path

import gi

gi.require_version("Gst", "1.0")
gi.require_version("GstRtspServer", "1.0")
gi.require_version("GstRtsp", "1.0")
gi.require_version("GstSdp", "1.0")
from gi.repository import GLib, Gst, GstRtsp, GstRtspServer  # noqa: E402
from rtsp_films import LOOP_S, counter_films, has_sound, playable  # noqa: E402

SECOND_NS = 1_000_000_000
LATE_NS = SECOND_NS // 2
"""A feeder that is later than this goes on at the next key frame, as a camera that was cut off does."""

VIDEO_CAPS = "video/x-h264,stream-format=byte-stream,alignment=au"
# The payloader must not repeat parameter sets: before every slice, they tear a key frame in slices apart.
VIDEO_OUT = "appsrc name=video ! h264parse ! rtph264pay name=pay0 pt=96"
SOUND_OUT = "appsrc name=sound ! rtpmp4gpay name=pay1 pt=97"
DEPAYLOADERS = {
    "H264": f"rtph264depay name=depay{{0}} ! h264parse config-interval=-1 ! {VIDEO_CAPS} ! appsink name=video",
    "MPEG4-GENERIC": "rtpmp4gdepay name=depay{0} ! aacparse ! appsink name=sound",
}
KINDS = {"H264": "video", "MPEG4-GENERIC": "sound"}


# --- films in memory ---


@dataclass(frozen=True)
class Unit:
    """One coded picture, or one block of sound; `due_ns` counts from the start of the loop."""

    due_ns: int
    kind: str
    data: GLib.Bytes
    key: bool


@dataclass
class Loop:
    """Films one after the other, ready to be sent."""

    units: list[Unit] = field(default_factory=list)
    length_ns: int = 0
    caps: dict[str, Gst.Caps] = field(default_factory=dict)

    @classmethod
    def of(cls, films: list[Path]) -> Loop:
        loop = cls()
        kinds = ["video", "sound"] if all(has_sound(film) for film in films) else ["video"]
        for film in films:
            start_ns = loop.length_ns
            for kind in kinds:
                loop.length_ns = max(loop.length_ns, loop._add(film, kind, start_ns))
        loop.caps["video"] = Gst.Caps.from_string(VIDEO_CAPS)
        loop.units.sort(key=lambda unit: unit.due_ns)
        return loop

    def _add(self, film: Path, kind: str, start_ns: int) -> int:
        """Read a film's pictures, or its sound as far as the pictures go; tells where the film ends."""
        end_ns = start_ns
        for sample in _samples(film, kind):
            buffer = sample.get_buffer()
            due_ns = start_ns + buffer.pts - sample.get_segment().start
            if kind == "video":
                end_ns = due_ns + buffer.duration
            elif not start_ns <= due_ns < self.length_ns:
                continue
            self.caps[kind] = sample.get_caps()
            key = not buffer.has_flags(Gst.BufferFlags.DELTA_UNIT)
            data = GLib.Bytes.new(buffer.extract_dup(0, buffer.get_size()))
            self.units.append(Unit(due_ns, kind, data, key and kind == "video"))
        return end_ns

    def at(self, number: int) -> tuple[int, Unit]:
        """The unit with that number since the clock's zero, and when it is due."""
        turn, index = divmod(number, len(self.units))
        unit = self.units[index]
        return turn * self.length_ns + unit.due_ns, unit

    def next_key(self, now_ns: int) -> int:
        """Number of the first key frame that is not yet due."""
        turn, within_ns = divmod(now_ns, self.length_ns)
        number = turn * len(self.units) + bisect_left(self.units, within_ns, key=lambda unit: unit.due_ns)
        while not self.at(number)[1].key:
            number += 1
        return number


def _samples(film: Path, kind: str):
    chain = f"h264parse config-interval=-1 ! {VIDEO_CAPS}" if kind == "video" else "aacparse"
    pad = "d.video_0" if kind == "video" else "d.audio_0"
    pipeline = Gst.parse_launch(f"filesrc name=f ! qtdemux name=d {pad} ! {chain} ! appsink name=out sync=false")
    pipeline.get_by_name("f").set_property("location", str(film))
    pipeline.set_state(Gst.State.PLAYING)
    while sample := pipeline.get_by_name("out").emit("pull-sample"):
        yield sample
    pipeline.set_state(Gst.State.NULL)


# --- playing ---


class Outlet:
    """The appsrc elements of one player's medium; begins with a key frame."""

    def __init__(self, medium: GstRtspServer.RTSPMedia, caps: dict[str, Gst.Caps]) -> None:
        self.begun = False
        self.sources = {kind: medium.get_element().get_by_name_recurse_up(kind) for kind in caps}
        for kind, source in self.sources.items():
            source.set_property("caps", caps[kind])
            source.set_property("format", Gst.Format.TIME)
            source.set_property("is-live", True)
            source.set_property("leaky-type", 2)
            source.set_property("max-bytes", 4_000_000)

    def ready(self) -> bool:
        """Whether the medium's clock runs."""
        source = self.sources["video"]
        return source.get_base_time() > 0 and source.get_state(0).state == Gst.State.PLAYING

    def push(self, kind: str, data: GLib.Bytes, due_ns: int, key: bool) -> bool:
        """Send what was due at that time of the monotonic clock; False once the medium is closed."""
        source = self.sources.get(kind)
        self.begun = self.begun or key
        if source is None or not self.begun:
            return True
        buffer = Gst.Buffer.new_wrapped_bytes(data)
        buffer.pts = buffer.dts = max(due_ns - source.get_base_time(), 0)
        if kind == "video" and not key:
            buffer.set_flags(Gst.BufferFlags.DELTA_UNIT)
        return source.emit("push-buffer", buffer) == Gst.FlowReturn.OK

    def end(self) -> None:
        for source in self.sources.values():
            source.emit("end-of-stream")


def player_factory(caps: dict[str, Gst.Caps]) -> GstRtspServer.RTSPMediaFactory:
    """Makes a medium for each player, so that one who is cut off holds up no other."""
    factory = GstRtspServer.RTSPMediaFactory()
    factory.set_launch("( " + " ".join([VIDEO_OUT, SOUND_OUT] if "sound" in caps else [VIDEO_OUT]) + " )")
    return factory


def film_factory(loop: Loop) -> GstRtspServer.RTSPMediaFactory:
    """A path that plays a loop, in a thread for each player."""
    factory = player_factory(loop.caps)
    factory.connect("media-configure", _play, loop)
    return factory


def _play(_factory: object, medium: GstRtspServer.RTSPMedia, loop: Loop) -> None:
    over = threading.Event()
    medium.connect("unprepared", lambda _medium: over.set())
    threading.Thread(target=_feed, args=(loop, Outlet(medium, loop.caps), over), daemon=True).start()


def _feed(loop: Loop, outlet: Outlet, over: threading.Event) -> None:
    while not outlet.ready() and not over.wait(0.005):
        pass
    number = loop.next_key(time.monotonic_ns())
    while not over.is_set():
        due_ns, unit = loop.at(number)
        early_ns = due_ns - time.monotonic_ns()
        if early_ns < -LATE_NS:
            number = loop.next_key(time.monotonic_ns())
        elif early_ns > 0 and over.wait(early_ns / SECOND_NS):
            return
        elif outlet.push(unit.kind, unit.data, due_ns, unit.key):
            number += 1
        else:
            return


# --- taking pushes ---


class PushFactory(GstRtspServer.RTSPMediaFactory):
    """Makes the medium of one push, with a chain for each codec that its client announced."""

    def __init__(self) -> None:
        super().__init__()
        self.kinds: set[str] = set()
        self.set_transport_mode(GstRtspServer.RTSPTransportMode.RECORD)
        self.set_latency(0)

    def do_create_element(self, _url: object) -> Gst.Element:
        lines = _request_body().decode("utf-8", "replace").splitlines()
        codecs = [line.split(" ", 1)[1].split("/")[0].upper() for line in lines if line.startswith("a=rtpmap:")]
        chains = [DEPAYLOADERS.get(codec, "fakesink name=depay{0}").format(at) for at, codec in enumerate(codecs)]
        self.kinds = {KINDS[codec] for codec in codecs if codec in KINDS}
        return Gst.parse_launch("( " + " ".join(chains) + " )")


def _request_body() -> bytes:
    """Of the request that this thread answers now. The bindings leave the way to it out, so C is asked."""
    server, rtsp = ctypes.CDLL("libgstrtspserver-1.0.so.0"), ctypes.CDLL("libgstrtsp-1.0.so.0")
    server.gst_rtsp_context_get_current.restype = ctypes.POINTER(ctypes.c_void_p * 4)
    # The context begins with the pointers server, connection, client, request.
    request = ctypes.c_void_p(server.gst_rtsp_context_get_current().contents[3])
    data, size = ctypes.c_void_p(), ctypes.c_uint()
    rtsp.gst_rtsp_message_get_body(request, ctypes.byref(data), ctypes.byref(size))
    return ctypes.string_at(data, size.value) if data else b""


class Broadcast:
    """A path for pushes: what comes in at `/rec-NAME` goes out at `/NAME`. The latest push counts."""

    def __init__(self, server: Server, name: str) -> None:
        self.server, self.name = server, name
        self.factory = PushFactory()
        self.factory.connect("media-configure", self._configured)
        server.lay(self.factory, f"/rec-{name}")
        self.lock = threading.Lock()
        self.push: object = None
        self.kinds: set[str] = set()
        self.caps: dict[str, Gst.Caps] = {}
        self.outlets: list[Outlet] = []

    def _configured(self, _factory: object, medium: GstRtspServer.RTSPMedia) -> None:
        self._end()
        # The signals carry the push, not its medium: that would hold itself, and its sockets, for ever.
        push = self.push = object()
        self.kinds = set(self.factory.kinds)
        medium.connect("unprepared", self._unprepared, push)
        for kind in self.kinds:
            sink = medium.get_element().get_by_name_recurse_up(kind)
            sink.set_property("emit-signals", True)
            sink.set_property("sync", False)
            sink.connect("new-sample", self._arrived, kind, push)
        print(f"PUSH {self.name} begins: {' '.join(sorted(self.kinds))}", flush=True)

    def _unprepared(self, _medium: GstRtspServer.RTSPMedia, push: object) -> None:
        if push is self.push:
            print(f"PUSH {self.name} ends", flush=True)
            self._end()

    def _end(self) -> None:
        self.server.mounts.remove_factory(f"/{self.name}")
        with self.lock:
            outlets, self.outlets, self.caps, self.push = self.outlets, [], {}, None
        for outlet in outlets:
            outlet.end()

    def _arrived(self, sink: Gst.Element, kind: str, push: object) -> Gst.FlowReturn:
        sample = sink.emit("pull-sample")
        if push is not self.push:
            return Gst.FlowReturn.EOS
        with self.lock:
            self.caps[kind] = Gst.Caps.from_string(VIDEO_CAPS) if kind == "video" else sample.get_caps()
            if self.caps.keys() == self.kinds and not self.server.has(self.name):
                self._publish()
        buffer = sample.get_buffer()
        due_ns = buffer.pts + sink.get_base_time()
        data = GLib.Bytes.new(buffer.extract_dup(0, buffer.get_size()))
        key = kind == "video" and not buffer.has_flags(Gst.BufferFlags.DELTA_UNIT)
        for outlet in list(self.outlets):
            if outlet.ready():
                outlet.push(kind, data, due_ns, key)
        return Gst.FlowReturn.OK

    def _publish(self) -> None:
        factory, caps = player_factory(self.caps), dict(self.caps)
        factory.connect("media-configure", self._joined, caps)
        self.server.lay(factory, f"/{self.name}")

    def _joined(self, _factory: object, medium: GstRtspServer.RTSPMedia, caps: dict[str, Gst.Caps]) -> None:
        outlet = Outlet(medium, caps)
        medium.connect("unprepared", self._left, outlet)
        with self.lock:
            self.outlets.append(outlet)

    def _left(self, _medium: GstRtspServer.RTSPMedia, outlet: Outlet) -> None:
        with self.lock:
            self.outlets = [other for other in self.outlets if other is not outlet]


# --- the server ---


class Server:
    """GStreamer's server with our paths."""

    def __init__(self, host: str, port: int, auth: GstRtspServer.RTSPAuth | None) -> None:
        self.server = GstRtspServer.RTSPServer.new()
        self.server.set_address(host)
        self.server.set_service(str(port))
        # A thread for each client: a player who waits for the first picture of a push must not hold up the pusher.
        self.server.get_thread_pool().set_max_threads(-1)
        self.mounts = self.server.get_mount_points()
        self.protected = auth is not None
        self.server.set_auth(auth)

    def lay(self, factory: GstRtspServer.RTSPMediaFactory, path: str) -> None:
        """Lay a factory at a path."""
        if self.protected:
            permissions = GstRtspServer.RTSPPermissions.new()
            for right in ("access", "construct"):
                permissions.add_permission_for_role("guest", f"media.factory.{right}", True)
            factory.set_permissions(permissions)
        self.mounts.add_factory(path, factory)

    def has(self, name: str) -> bool:
        found, _ = self.mounts.match(f"/{name}")
        return found is not None

    def run(self) -> None:
        """Serve until SIGTERM or SIGINT."""
        loop = GLib.MainLoop()
        for number in (signal.SIGTERM, signal.SIGINT):
            GLib.unix_signal_add(GLib.PRIORITY_HIGH, number, loop.quit)
        if not self.server.attach(None):
            raise SystemExit(f"port {self.server.get_service()} cannot be had")
        print(f"READY {self.server.get_bound_port()}", flush=True)
        loop.run()
        self.server.client_filter(lambda _server, _client: GstRtspServer.RTSPFilterResult.REMOVE)


def _auth(user: str, password: str, method: str) -> GstRtspServer.RTSPAuth:
    """One method only: the bindings cannot name two at once."""
    auth = GstRtspServer.RTSPAuth.new()
    token = GstRtspServer.RTSPToken.new()
    token.set_string("media.factory.role", "guest")
    auth.set_supported_methods(GstRtsp.RTSPAuthMethod.BASIC if method == "basic" else GstRtsp.RTSPAuthMethod.DIGEST)
    if method == "basic":
        auth.add_basic(GstRtspServer.RTSPAuth.make_basic(user, password), token)
    else:
        auth.add_digest(user, password, token)
    return auth


def _arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--host", default="127.0.0.1")
    parser.add_argument("--port", type=int, default=0, help="0 takes a free one; READY tells it")
    parser.add_argument("--play", action="append", default=[], metavar="NAME=FILE[,FILE ...]")
    parser.add_argument("--counter", action="append", default=[], metavar="NAME=WxH@FPS[:FILE][,WxH@FPS ...]")
    parser.add_argument("--record", action="append", default=[], metavar="NAME")
    parser.add_argument("--loop-s", type=int, default=LOOP_S, help="length of a counter's loop")
    parser.add_argument("--no-beep", dest="beep", action="store_false", help="counters without sound")
    parser.add_argument("--user", default="")
    parser.add_argument("--password", default="")
    parser.add_argument("--auth", choices=["digest", "basic"], default="digest")
    parser.add_argument("--cache", type=Path, help="folder for encoded films; kept")
    return parser.parse_args()


def main() -> None:
    arguments = _arguments()
    Gst.init(None)
    auth = _auth(arguments.user, arguments.password, arguments.auth) if arguments.user else None
    server = Server(arguments.host, arguments.port, auth)
    with tempfile.TemporaryDirectory() as scratch:
        folder = arguments.cache or Path(scratch)
        for name, _, films in (text.partition("=") for text in arguments.play):
            loop = Loop.of([playable(Path(film), folder) for film in films.split(",")])
            server.lay(film_factory(loop), f"/{name}")
        for name, _, counter in (text.partition("=") for text in arguments.counter):
            films = counter_films(counter, folder, loop_s=arguments.loop_s, beep=arguments.beep)
            server.lay(film_factory(Loop.of(films)), f"/{name}")
    for name in arguments.record:
        Broadcast(server, name)
    server.run()


if __name__ == "__main__":
    sys.exit(main())
