"""Options that several commands share, and the settings that they make."""

from __future__ import annotations

from collections.abc import Callable
from functools import reduce
from pathlib import Path
from typing import Protocol, TypeVar

import click

from streamfilter.assemble import Models, load_models
from streamfilter.config import AnonymizeConfig, Audio, Device, FilterConfig, MediaConfig, TrackConfig
from streamfilter.errors import ConfigError
from streamfilter.live_config import LiveConfig, Transport

F = TypeVar("F", bound=Callable[..., object])
PATH = click.Path(path_type=Path)
CONTEXT_SETTINGS = {"help_option_names": ["-h", "--help"], "max_content_width": 100}
TRACK, ANONYMIZE, MEDIA, LIVE = TrackConfig(), AnonymizeConfig(), MediaConfig(), LiveConfig()


class Load(Protocol):
    """Loads the models: `assemble.load_models`, or what a test hands in as click's context object."""

    def __call__(
        self,
        config: FilterConfig,
        *,
        device: Device,
        threads: int = 0,
        model: Path | None = None,
        landmarks: Path | None = None,
    ) -> Models:
        """Load every model."""
        ...


def loader(context: click.Context) -> Load:
    """What loads the models in this context."""
    return load_models if context.obj is None else context.obj


def _together(*decorators: Callable[[F], F]) -> Callable[[F], F]:
    """Several options as one decorator, listed in the help in this order."""
    return lambda command: reduce(lambda done, decorate: decorate(done), reversed(decorators), command)


def _device(_context: click.Context, _parameter: click.Parameter, value: str) -> Device:
    return Device(value)


def _audio(_context: click.Context, _parameter: click.Parameter, value: str) -> Audio:
    return Audio(value)


def device_options(command: F) -> F:
    """Where the networks run."""
    return _together(
        click.option(
            "--device",
            type=click.Choice([str(device) for device in Device]),
            default=str(Device.AUTO),
            show_default=True,
            callback=_device,
            help="Where the networks run. auto takes the best there is and says which; any other is met or refused.",
        ),
        click.option(
            "--threads",
            type=click.IntRange(min=0),
            default=0,
            show_default=True,
            help="CPU threads of each network; 0: one for every core.",
        ),
    )(command)


def encoding_options(command: F) -> F:
    """How the picture is written."""
    return _together(
        click.option(
            "--codec",
            metavar="NAME",
            default=MEDIA.codec,
            help="Video encoder: h264, hevc, av1, vp9, or any that FFmpeg has by its own name, such as h264_nvenc. "
            "Default: h264, or vp9 where the target is a .webm.",
        ),
        click.option(
            "--crf",
            type=click.IntRange(0, 63),
            default=MEDIA.crf,
            show_default=True,
            help="Quality of the picture; lower is better and larger.",
        ),
        click.option(
            "--preset",
            metavar="NAME",
            default=MEDIA.preset,
            show_default=True,
            help="Effort of the encoder, from ultrafast to veryslow; slower is smaller.",
        ),
    )(command)


def filter_options(command: F) -> F:
    """What is found and how it is replaced."""
    return _together(
        click.option(
            "--seed",
            type=click.IntRange(min=0),
            default=ANONYMIZE.seed,
            help="Draw the same invented people again with the same number. Default: others every time.",
        ),
        click.option(
            "--min-face",
            type=click.FloatRange(min=1),
            default=ANONYMIZE.min_face_px,
            show_default=True,
            metavar="PX",
            help="Faces smaller than this are covered instead of replaced.",
        ),
        click.option(
            "--hold",
            type=click.FloatRange(min=0),
            default=TRACK.hold_s,
            show_default=True,
            metavar="SECONDS",
            help="How long the place of a lost face stays covered.",
        ),
        click.option(
            "--look-ahead",
            type=click.FloatRange(min=0),
            default=TRACK.lookahead_s,
            show_default=True,
            metavar="SECONDS",
            help="How far ahead a face that is found later is covered already.",
        ),
        click.option(
            "--landmarks",
            type=click.Choice(["builtin", "dlib"]),
            default="builtin",
            show_default=True,
            help="What finds the 68 landmarks: the network that comes with streamfilter, or dlib's predictor.",
        ),
        click.option(
            "--landmarks-file",
            type=PATH,
            metavar="FILE",
            help="With --landmarks dlib: your shape_predictor_68_face_landmarks.dat.",
        ),
        click.option(
            "--model",
            type=PATH,
            metavar="FILE",
            help="Another generator in ONNX that keeps the contract of the one that comes with streamfilter.",
        ),
    )(command)


def output_options(command: F) -> F:
    """What becomes of the sound, the metadata, and a file that is in the way."""
    return _together(
        click.option(
            "--audio",
            type=click.Choice([str(choice) for choice in Audio]),
            default=str(MEDIA.audio),
            show_default=True,
            callback=_audio,
            help="Keep or drop the sound. A voice identifies too.",
        ),
        click.option(
            "--keep-metadata",
            is_flag=True,
            help="Keep what else the source says: place, device, dates, titles. It is dropped otherwise.",
        ),
        click.option("--overwrite", is_flag=True, help="Replace targets that exist already."),
    )(command)


def _size(_context: click.Context, _parameter: click.Parameter, value: str | None) -> tuple[int, int] | None:
    width, _, height = (value or "").lower().partition("x")
    if value is None:
        return None
    if not (width.isdigit() and height.isdigit() and int(width) and int(height)):
        raise click.BadParameter(f"{value!r} is no size; write 1280x720")
    return int(width), int(height)


def _transport(_context: click.Context, _parameter: click.Parameter, value: str) -> Transport:
    return Transport(value)


def live_options(command: F) -> F:
    """What concerns live sources only."""
    return _together(
        click.option(
            "--live/--no-live",
            default=None,
            help="Take the source for live (it may drop frames) or for a recording. Default: by its address.",
        ),
        click.option(
            "--max-latency",
            type=click.FloatRange(min=1),
            metavar="MS",
            help="Live: beyond this latency, look-ahead included, or where frames are dropped, work is shed: faces "
            "shown twice, then smaller ones, then covers. Default: 150 ms more than the look-ahead.",
        ),
        click.option(
            "--rtsp-transport",
            type=click.Choice([str(each) for each in Transport]),
            default=str(LIVE.rtsp_transport),
            show_default=True,
            callback=_transport,
            help="Live: how RTSP carries the media.",
        ),
        click.option("--capture-size", metavar="WxH", callback=_size, help="Live: picture size to ask a webcam for."),
        click.option("--capture-rate", type=click.FloatRange(min=1), metavar="FPS", help="Live: rate to ask it for."),
        click.option(
            "--give-up",
            type=click.FloatRange(min=1),
            metavar="SECONDS",
            help="Live: end when the source was lost for that long. Default: try for ever.",
        ),
        click.option(
            "--segment",
            type=click.FloatRange(min=1),
            metavar="SECONDS",
            help="Live: begin a new file that often; the name may hold %Y%m%d_%H%M%S or %03d.",
        ),
    )(command)


def filter_config(*, seed: int | None, min_face: float, hold: float, look_ahead: float) -> FilterConfig:
    """Settings of the filter from its options."""
    return FilterConfig(
        track=TrackConfig(hold_s=hold, lookahead_s=look_ahead),
        anonymize=AnonymizeConfig(min_face_px=min_face, seed=seed),
    )


def predictor(landmarks: str, landmarks_file: Path | None) -> Path | None:
    """dlib's predictor file if it is to be used.

    Raises:
        ConfigError: One of both options is missing.
    """
    if landmarks == "dlib" and landmarks_file is None:
        raise ConfigError("--landmarks dlib needs --landmarks-file shape_predictor_68_face_landmarks.dat")
    if landmarks != "dlib" and landmarks_file is not None:
        raise ConfigError("--landmarks-file is for --landmarks dlib; add that or leave the file out")
    return landmarks_file
