"""`streamfilter run`: the main job, for one source or many."""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path

import click
from rich.console import Console

from streamfilter import media
from streamfilter.assemble import Models, wire
from streamfilter.cli import options
from streamfilter.cli.batch import Batch
from streamfilter.cli.console import log_lines, say, stderr_console
from streamfilter.cli.live import LiveWishes, is_live, live_job, refuse_for_live, run_live, sorted_ends
from streamfilter.cli.reporting import header, open_report
from streamfilter.config import Audio, Device, MediaConfig
from streamfilter.errors import ConfigError
from streamfilter.live_config import Transport
from streamfilter.media.address import Address, AddressKind

HELP = """Replace every face in SOURCES by the face of a person who does not exist, and write the result to SINK.

SOURCES are videos, GIFs, images, or folders of them. SINK is a file if there is one source file, a folder otherwise.

A live source (webcam:0, rtsp://, http://, srt://, udp://, an .m3u8, test:, screen:) comes first and alone; all that
follows are sinks: files, rtsp://, rtmp://, srt://, udp://, folder/live.m3u8, page:8080 (a browser page), window:,
camera: (a virtual camera). One that fails does not disturb the others.

\b
Examples:
  streamfilter run in.mp4 out.mp4
  streamfilter run in.mov out.mkv --codec hevc --crf 20 --preset slow
  streamfilter run a.mp4 b.mp4 photo.jpg protected/
  streamfilter run holiday/ protected/ --overwrite
  streamfilter run in.mp4 out.mp4 --audio drop --seed 7 --report out.jsonl
  streamfilter run webcam:0 window:
  streamfilter run rtsp://camera.local/stream rtsp://server.local/safe page:8080 record.mkv --max-latency 800

\b
Exit codes:
  0    all was written, and every face in it was replaced or covered
  1    at least one target was not written; one line on stderr says why
  2    the command itself cannot work: an unknown option, a value out of range
  3    all was written and protected, but frames were blanked or parts of a source could not be decoded
  130  stopped by Ctrl-C or a termination signal; the unfinished target was removed

A live run ends properly with the first Ctrl-C (0 or 3, or 1 if a sink was not finished), at once with the second (130).
A page that other machines may reach (page:0.0.0.0:8080) demands the token in the environment variable
STREAMFILTER_TOKEN.
"""


@click.command("run", help=HELP, short_help="Replace every face in videos, images, folders and live streams.")
@click.argument("sources", nargs=-1, required=True, type=click.Path())
@click.argument("sink", type=click.Path())
@options.encoding_options
@options.output_options
@options.filter_options
@options.live_options
@options.device_options
@click.option(
    "--report",
    "report_path",
    type=options.PATH,
    metavar="FILE.jsonl",
    help="Write one JSON object per frame: track, box, action, reason.",
)
@click.option("-q", "--quiet", is_flag=True, help="Show errors only.")
@click.option("-v", "--verbose", is_flag=True, help="Show what goes on inside, and where an error came from.")
@click.pass_context
def run(
    context: click.Context,
    *,
    sources: tuple[str, ...],
    sink: str,
    codec: str | None,
    crf: int,
    preset: str,
    audio: Audio,
    keep_metadata: bool,
    overwrite: bool,
    seed: int | None,
    min_face: float,
    hold: float,
    look_ahead: float,
    landmarks: str,
    landmarks_file: Path | None,
    model: Path | None,
    live: bool | None,
    max_latency: float | None,
    rtsp_transport: Transport,
    capture_size: tuple[int, int] | None,
    capture_rate: float | None,
    give_up: float | None,
    segment: float | None,
    device: Device,
    threads: int,
    report_path: Path | None,
    quiet: bool,
    verbose: bool,
) -> None:
    """Plan, load, run; see HELP."""
    console = stderr_console()
    context.find_root().with_resource(log_lines(console, verbose=verbose))
    media_config = MediaConfig(
        codec=codec, crf=crf, preset=preset, audio=audio, keep_metadata=keep_metadata, overwrite=overwrite
    )
    config = options.filter_config(seed=seed, min_face=min_face, hold=hold, look_ahead=look_ahead)
    predictor = options.predictor(landmarks, landmarks_file)
    if is_live(sources[0], live):
        refuse_for_live(report=report_path is not None, keep_metadata=keep_metadata)
        ends = sorted_ends(sources[0], [*sources[1:], sink])
        wishes = LiveWishes(
            max_latency_ms=max_latency,
            transport=rtsp_transport,
            size=capture_size,
            rate=capture_rate,
            give_up_s=give_up,
            segment_s=segment,
        )
        job = live_job(ends, media_config, config, wishes)
        models = options.loader(context)(config, device=device, threads=threads, model=model, landmarks=predictor)
        _say_device(console, models, quiet=quiet)
        context.exit(run_live(console, job, ends, wire(models, config), quiet=quiet))
    _refuse_for_files([*sources, sink])
    plan = media.plan_jobs([Path(source) for source in sources], sink, media_config)
    with open_report(report_path, plan.jobs, overwrite=overwrite) as report:
        models = options.loader(context)(config, device=device, threads=threads, model=model, landmarks=predictor)
        _say_device(console, models, quiet=quiet)
        report.write(header(models, config, media_config))
        batch = Batch(console=console, quiet=quiet, guard=wire(models, config), config=media_config, report=report)
        try:
            code = batch.run(plan)
        finally:  # an interrupted run keeps the record of what it finished
            if batch.outcomes:
                report.commit()
    context.exit(code)


def _say_device(console: Console, models: Models, *, quiet: bool) -> None:
    if not quiet:
        say(console, f"running on {models.detector.model.device} ({models.detector.model.provider})")


def _refuse_for_files(places: Iterable[str]) -> None:
    """Let no URL or device be taken for the name of a file.

    Raises:
        ConfigError: One of them is no file on this machine.
    """
    for address in map(Address.parse, places):
        if address.kind not in (AddressKind.FILE, AddressKind.HLS) or "://" in address.url:
            raise ConfigError(f"{address} is no file on this machine; give one, or take the source for live (--live)")
