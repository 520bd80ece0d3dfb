"""What all outlets share: a start at a key frame, errors in one line without credentials, and a second try."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections import deque
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass
from types import TracebackType
from typing import Self

from av import FFmpegError

from streamfilter.errors import ConfigError, OutputError, StreamFilterError
from streamfilter.media.container import reason
from streamfilter.media.encoded import EncodedPacket, StreamParameters, TrackKind

# Sound runs ahead of the picture, which the filter delays: what belongs to the first picture has come before it.
_MOST_AHEAD_S = 5


@dataclass(frozen=True, kw_only=True)
class OutletConfig:
    """Settings of outlets.

    Attributes:
        overwrite: A recording may replace a file.
        segment_s: A recording begins a new file at the first key frame after so many seconds; None: one file.
        open_timeout_s: How long a network target may take to accept the stream.
        write_timeout_s: How long it may take no data before it is given up.
        hls_segment_s, hls_segments: Seconds of an HLS segment, and how many the playlist names.
        unattended: Nobody is there to choose: files and folders are tried again, too, after they failed (a full disk
            may be emptied), and a recording whose name is taken goes beside it (`name_2.mkv`), never over it.
    """

    overwrite: bool = False
    segment_s: float | None = None
    open_timeout_s: float = 10.0
    write_timeout_s: float = 5.0
    hls_segment_s: float = 2.0
    hls_segments: int = 6
    unattended: bool = False

    def __post_init__(self) -> None:
        if self.segment_s is not None and self.segment_s < 1:
            raise ConfigError(f"segments must be at least 1 s long, got {self.segment_s:g}")
        if min(self.open_timeout_s, self.write_timeout_s) < 0.1:
            raise ConfigError("time-outs of outlets must be at least 0.1 s")
        if self.hls_segment_s < 1 or self.hls_segments < 2:
            raise ConfigError("HLS needs segments of at least 1 s, and at least 2 of them")


class Outlet(ABC):
    """One target of an encoded stream.

    Opens with the first key frame that is written; nothing before it is sent. After an `OutputError` it is broken,
    until `reopen` makes it wait for the next key frame. One thread at a time may call it.

    Args:
        name: The address as it may be shown.
        parameters: Of the stream.
        config: Time-outs and the like.
    """

    is_network = False
    """Whether it is tried again after a failure: servers always are, others with `OutletConfig.unattended`."""

    def __init__(self, name: str, parameters: StreamParameters, config: OutletConfig) -> None:
        self.name = name
        self._parameters = parameters
        self._config = config
        self.is_network |= config.unattended
        self._is_open = self._broken = self._closed = False
        self._early: deque[EncodedPacket] = deque()
        self.packets_written = 0

    @property
    def is_open(self) -> bool:
        """Whether it is connected, as far as can be told."""
        return self._is_open

    def write(self, packet: EncodedPacket) -> None:
        """Send one packet.

        Raises:
            OutputError: It cannot be opened or written, did not take the packet in time, or is broken or closed.
        """
        if self._closed or self._broken:
            raise OutputError(f"{self.name} is {'closed' if self._closed else 'broken; reopen it first'}")
        if self._is_open:
            self._pass_on(packet)
        elif packet.starts:
            self._told(self._open)
            self._is_open = True
            self._pass_on(packet)
            while self._early:
                self._pass_on(self._early.popleft())
        else:
            self._remember(packet)

    def _pass_on(self, packet: EncodedPacket) -> None:
        self._told(lambda: self._write(packet))
        self.packets_written += 1

    def _remember(self, packet: EncodedPacket) -> None:
        """Sound that may belong to a picture to come; which of it does, the muxer decides by the times."""
        if packet.kind is TrackKind.AUDIO:
            self._early.append(packet)
            while packet.time_s - self._early[0].time_s > _MOST_AHEAD_S:
                self._early.popleft()

    def reopen(self) -> None:
        """Let go of a target that is broken or closed; the next key frame opens it anew. Harmless on a fresh one."""
        self._drop()
        self._broken = self._closed = False

    def close(self) -> None:
        """Complete the output; harmless when repeated, or after an error.

        Raises:
            OutputError: Its end could not be written.
        """
        if self._closed:
            return
        self._closed = True
        if self._is_open:
            self._told(self._finish)
            self._is_open = False

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if error is None:
            self.close()
            return
        with suppress(OutputError):  # the first error matters
            self.close()

    def _told(self, step: Callable[[], None]) -> None:
        """Run a step; whatever fails breaks the outlet and becomes one line that names it."""
        try:
            step()
        except (FFmpegError, OSError, ValueError) as error:
            self._broken = True
            self._drop()
            if isinstance(error, StreamFilterError):
                raise
            # FFmpeg's own text repeats the address, password included, so neither it nor the cause is passed on.
            raise OutputError(f"{self.name} cannot be written: {reason(error)}") from None

    def _drop(self) -> None:
        self._is_open = False
        self._early.clear()
        self._release()

    @abstractmethod
    def _open(self) -> None: ...

    @abstractmethod
    def _write(self, packet: EncodedPacket) -> None: ...

    @abstractmethod
    def _finish(self) -> None:
        """Complete and let go."""

    @abstractmethod
    def _release(self) -> None:
        """Let go of everything that is open, raising nothing."""
