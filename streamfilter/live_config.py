"""Every setting of live streams, with its default and its unit; one frozen dataclass a room, as in `config`."""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum
from fractions import Fraction

from streamfilter.errors import ConfigError


class Transport(StrEnum):
    """How RTSP carries its media: inside its own connection, or beside it, faster to arrive and easier to lose."""

    TCP = "tcp"
    UDP = "udp"


@dataclass(frozen=True, kw_only=True)
class LiveConfig:
    """Live sources: how long to wait, and when to come back.

    Attributes:
        open_timeout_s: For one try to connect, up to its first frame.
        stall_s: Without a frame for that long the stream counts as stalled; the connection is kept.
        read_timeout_s: Without a frame for that long the connection is given up, and made anew.
        reconnect_first_s, reconnect_most_s: Waits between two tries: the first, doubling up to the longest.
        denied_wait_s: Wait after a refused password, longer, lest the camera lock the account.
        give_up_s: End the stream when it was lost for that long; None: try for ever.
        rtsp_transport: TCP unless UDP is asked for.
        size: Width and height to ask a webcam, screen or test picture for.
        rate: Frames a second to ask these for.
        hw_decode: Device that must decode, by FFmpeg's name (`cuda`, `vaapi`, ...); None: the processor.
    """

    open_timeout_s: float = 5.0
    stall_s: float = 1.0
    read_timeout_s: float = 3.0
    reconnect_first_s: float = 0.25
    reconnect_most_s: float = 0.5
    denied_wait_s: float = 15.0
    give_up_s: float | None = None
    rtsp_transport: Transport = Transport.TCP
    size: tuple[int, int] | None = None
    rate: Fraction | None = None
    hw_decode: str | None = None

    def __post_init__(self) -> None:
        if min(self.open_timeout_s, self.stall_s, self.read_timeout_s, self.reconnect_first_s) <= 0:
            raise ConfigError("the time-outs and waits of a live source must be above 0 s")
        if self.stall_s > self.read_timeout_s:
            raise ConfigError(
                f"a stream must stall before it is given up: stall {self.stall_s} s is above the read time-out of "
                f"{self.read_timeout_s} s"
            )
        if self.reconnect_most_s < self.reconnect_first_s:
            raise ConfigError(
                f"the longest wait between two tries ({self.reconnect_most_s} s) is below the first "
                f"({self.reconnect_first_s} s)"
            )
        if self.give_up_s is not None and self.give_up_s <= 0:
            raise ConfigError(f"give_up_s must be above 0 s, got {self.give_up_s} s; leave it out to try for ever")
        if self.size is not None and min(self.size) < 1:
            raise ConfigError(f"a picture size must be at least 1x1, got {self.size[0]}x{self.size[1]}")
        if self.rate is not None and self.rate <= 0:
            raise ConfigError(f"a frame rate must be above 0, got {self.rate}")
