"""`streamfilter run` with a live source: a status line, many sinks, and an exit code that tells how it ended."""

from __future__ import annotations

import os
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from fractions import Fraction

from rich.console import Console

from streamfilter.cli.console import say
from streamfilter.cli.exits import Exit, one_line
from streamfilter.config import FilterConfig, MediaConfig
from streamfilter.errors import ConfigError
from streamfilter.guard import Guard
from streamfilter.live_config import LiveConfig, Transport
from streamfilter.live_job import LiveJob, filter_live
from streamfilter.media.address import SINKS, Address, AddressKind
from streamfilter.media.encoder import ALIASES, DEFAULT_CODEC
from streamfilter.media.live_encoder import EncoderConfig
from streamfilter.media.outlets import OUTLET_KINDS, OutletConfig
from streamfilter.pipeline import Consumer, LiveOutcome, LiveStatus, PipelineConfig, stopping_on_signals
from streamfilter.preview import Preview
from streamfilter.shedding import ShedConfig
from streamfilter.stream_state import StreamEvent, StreamState
from streamfilter.structures import SafeFrame
from streamfilter.virtual_camera import virtual_camera

TOKEN_VARIABLE = "STREAMFILTER_TOKEN"
LINE_INTERVAL_S = 5.0
BAR_INTERVAL_S = 0.5
NAME = "camera"
MAX_CRF = 51  # of H.264 and H.265


@dataclass(frozen=True, kw_only=True)
class Ends:
    """Where a run begins and ends, sorted by what takes the frames."""

    source: Address
    encoded: tuple[Address, ...]
    pages: tuple[Address, ...]
    cameras: tuple[Address, ...]
    window: bool


def is_live(source: str, forced: bool | None) -> bool:
    """Whether a source plays in its own time: by its address, unless the user knows better."""
    return Address.parse(source).live if forced is None else forced


def refuse_for_live(*, report: bool, keep_metadata: bool) -> None:
    """Options that a live run would ignore.

    Raises:
        ConfigError: One of them was given.
    """
    for name, given in (("--report", report), ("--keep-metadata", keep_metadata)):
        if given:
            raise ConfigError(f"{name} is for recordings; leave it out, or add --no-live")


def sorted_ends(source: str, sinks: list[str]) -> Ends:
    """The addresses of a command line.

    Raises:
        ConfigError: One of them is none, or cannot be written to.
    """
    parsed = [Address.parse(text, sink=True) for text in sinks]
    for address in parsed:
        if address.kind not in SINKS:
            raise ConfigError(f"{address} cannot be written to; it is a source only")

    def of(*kinds: AddressKind) -> tuple[Address, ...]:
        return tuple(address for address in parsed if address.kind in kinds)

    return Ends(
        source=Address.parse(source),
        encoded=of(*OUTLET_KINDS),
        pages=of(AddressKind.PAGE),
        cameras=of(AddressKind.CAMERA),
        window=bool(of(AddressKind.WINDOW)),
    )


@dataclass(frozen=True, kw_only=True)
class LiveWishes:
    """What the live options say; None: as it comes."""

    max_latency_ms: float | None = None
    transport: Transport = Transport.TCP
    size: tuple[int, int] | None = None
    rate: float | None = None
    give_up_s: float | None = None
    segment_s: float | None = None


def live_job(ends: Ends, media: MediaConfig, config: FilterConfig, wishes: LiveWishes) -> LiveJob:
    """The job of a command line.

    Raises:
        ConfigError: A value cannot work.
    """
    rate = None if wishes.rate is None else Fraction(wishes.rate).limit_denominator(1001)
    shed = ShedConfig.beyond(config.track.lookahead_s, wishes.max_latency_ms)
    return LiveJob(
        source=ends.source,
        sinks=ends.encoded,
        live=LiveConfig(rtsp_transport=wishes.transport, size=wishes.size, rate=rate, give_up_s=wishes.give_up_s),
        pipeline=PipelineConfig(shed=shed, keep_s=config.track.hold_s),
        encoder=EncoderConfig(
            codec=ALIASES.get(media.codec or DEFAULT_CODEC, media.codec or DEFAULT_CODEC),
            crf=min(media.crf, MAX_CRF),
            preset=media.preset,
        ),
        outlets=OutletConfig(overwrite=media.overwrite, segment_s=wishes.segment_s),
        audio=media.audio,
    )


def run_live(console: Console, job: LiveJob, ends: Ends, guard: Guard, *, quiet: bool) -> Exit:
    """Filter until the source ends, Ctrl-C, or a termination signal; a second one ends at once.

    Raises:
        StreamFilterError: It could not start.
    """
    if not quiet:
        say(console, f"live: {ends.source} (--no-live takes it as a recording)")
    with ExitStack() as stack:
        stop = stack.enter_context(stopping_on_signals())
        pages = [stack.enter_context(_page(address, console, quiet=quiet)) for address in ends.pages]
        preview = stack.enter_context(Preview(str(ends.source), stop)) if ends.window else None
        outcome = filter_live(
            job,
            guard,
            pictures=[*(page.consumer for page in pages), *(virtual_camera(each) for each in ends.cameras)],
            on_event=lambda event: _say_event(console, event, quiet=quiet),
            on_status=_told(console, pages, quiet=quiet),
            on_error=lambda name, text: say(console, f"error: {name}: {one_line(text)}", style="red"),
            see=preview.show if preview else lambda safe: None,
            stop=stop,
        )
    return _concluded(console, outcome, quiet=quiet)


# --- what is said on the way ---------------------------------------------------------------------------------------


def _say_event(console: Console, event: StreamEvent, *, quiet: bool) -> None:
    if not quiet and event.state is not StreamState.ENDED:  # the last line tells the end, or the error why
        say(console, f"{event.state}{': ' if event.reason else ''}{event.reason}")


def _told(console: Console, pages: list[Page], *, quiet: bool) -> Callable[[LiveStatus], None]:
    """What is to be called with every status: the pages hear all, the terminal a line now and then."""
    interval_s = BAR_INTERVAL_S if console.is_terminal else LINE_INTERVAL_S
    last_s = -interval_s

    def tell(status: LiveStatus) -> None:
        nonlocal last_s
        for page in pages:
            page.status(status)
        if not quiet and status.at_s - last_s >= interval_s:
            last_s = status.at_s
            _show(console, status_line(status))

    return tell


def _show(console: Console, line: str) -> None:
    if console.is_terminal:
        console.print(line, end="\r", markup=False, highlight=False, overflow="crop", no_wrap=True)
    else:
        say(console, line)


def status_line(status: LiveStatus) -> str:
    """State, pace, latency, faces and sinks on one line."""
    counters, latency = status.counters, status.latency.get("protected", {})
    lag = f", {_both(latency)} ms" if latency else ""
    faces = f"{counters.replaced} faces replaced, {counters.covered} covered"
    lost = f", {counters.dropped} frames dropped, {counters.blanked} blanked"
    ill = "".join(f"; {sink.name}: {sink.state}" for sink in status.sinks if not sink.well)
    shed = f", shedding ({status.level.name.lower().replace('_', ' ')})" if status.level else ""
    return f"{status.state} {status.fps:.1f} fps{lag}, {faces}{lost}{shed}{ill}"


def latency_lines(outcome: LiveOutcome) -> list[str]:
    """What took how long: the steps of the filter in one line, the way from arrival to each sink in another."""
    steps = ", ".join(f"{name} {_both(times)}" for name, times in outcome.latency.items())
    sinks = ", ".join(f"{sink.name} {_both(sink.latency)}" for sink in outcome.sinks if sink.latency)
    lines = (("steps", steps), ("from arrival to sink", sinks))
    return [f"{name}, p50/p95 in ms: {text}" for name, text in lines if text]


def _both(times: Mapping[str, float]) -> str:
    return f"{times['p50_ms']:.0f}/{times['p95_ms']:.0f}"


def _concluded(console: Console, outcome: LiveOutcome, *, quiet: bool) -> Exit:
    """Say how it ended; failures are said even when quiet."""
    counters = outcome.counters
    if not quiet:
        say(
            console,
            f"{counters.protected} frames protected in {outcome.duration_s:.0f} s: {counters.replaced} faces replaced, "
            f"{counters.covered} covered; {counters.dropped} frames dropped, {counters.blanked} blanked, "
            f"{counters.cards} cards shown, {counters.reconnects} reconnects",
        )
        for line in latency_lines(outcome):
            say(console, line)
    if outcome.failure is not None:
        say(console, f"error: {one_line(outcome.failure)}", style="red")
    for sink in outcome.sinks:
        if not sink.well:
            say(console, f"error: {sink.name}: {sink.state}{f': {sink.error}' if sink.error else ''}", style="red")
    for name in outcome.abandoned:
        say(console, f"error: {name} did not end in time", style="red")
    if not outcome.well:
        return Exit.FAILED
    return Exit.INCOMPLETE if counters.blanked else Exit.OK


# --- pages -----------------------------------------------------------------------------------------------------------


class Page:
    """A browser page as a sink: pictures from its own thread, statuses from the caller's."""

    def __init__(self, name: str) -> None:
        # Here, or every other command would wait for the web server's libraries.
        from streamfilter.web import Gallery  # noqa: PLC0415

        self.gallery = Gallery()
        self.consumer: Consumer[SafeFrame] = Consumer(
            name=name, write=lambda safe: self.gallery.show(NAME, safe), queue=2
        )

    def status(self, status: LiveStatus) -> None:
        """Tell how it goes."""
        from streamfilter.serve.run_camera import as_shown  # noqa: PLC0415

        event = StreamEvent(state=status.state, at_s=time.monotonic(), reason=status.reason)
        self.gallery.status(NAME, as_shown(status, (event,)))


@contextmanager
def _page(address: Address, console: Console, *, quiet: bool) -> Iterator[Page]:
    """A page that is served for as long as the block runs; the token, where one is needed, is in the environment."""
    from streamfilter.web import WebServer  # noqa: PLC0415

    token = os.environ.get(TOKEN_VARIABLE)
    if token == "":
        raise ConfigError(f"{TOKEN_VARIABLE} is set and empty; give it at least 16 characters, or unset it")
    page = Page(str(address))
    host, port = address.options.get("host", "127.0.0.1"), int(address.options["port"])
    with WebServer(page.gallery, host, port, token) as server:
        if not quiet:
            say(console, f"page: {server.url}")
        yield page
