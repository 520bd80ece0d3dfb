"""The line to a live source: made, watched, and cut; when it breaks, why."""

from __future__ import annotations

import time
from collections.abc import Callable

from av import FFmpegError

from streamfilter.errors import InputError
from streamfilter.live_config import LiveConfig
from streamfilter.media.address import Address, AddressKind
from streamfilter.media.connection import Connection, OnSound, Picture
from streamfilter.media.damage import Damage
from streamfilter.media.live_failure import Failure, failure_of
from streamfilter.media.live_input import live_input

# A playlist brings whole segments, with nothing between them.
PLAYLIST_PATIENCE_S = 12.0


class Link:
    """At most one connection at a time, and the watch over it. Used by one thread; `let_go` by any, but see there.

    Args:
        address: Where to.
        config: Time-outs.
        damage: Counts what could not be decoded.
        closed: Asked while something waits: whether the owner wants no more.
        on_stall: Told, while the connection stands, that no picture came for `stall_s`.
        on_sound: Takes the decoded sound, or None.
    """

    def __init__(
        self,
        address: Address,
        config: LiveConfig,
        *,
        damage: Damage,
        closed: Callable[[], bool],
        on_stall: Callable[[], None],
        on_sound: OnSound | None,
    ) -> None:
        self._address = address
        self._config = config
        self._damage = damage
        self._closed = closed
        self._on_stall = on_stall
        self._on_sound = on_sound
        self._input = live_input(address, config, audio=on_sound is not None)
        self._patience_s = config.read_timeout_s
        if address.kind is AddressKind.HLS:
            self._patience_s = max(self._patience_s, PLAYLIST_PATIENCE_S)
        self._connections: list[Connection] = []  # one or none; `pop` is whole even where two threads try it
        self._deadline_s: float | None = None
        self._seen_s = 0.0
        self.lost: Failure | None = None

    @property
    def connection(self) -> Connection | None:
        """The one that stands."""
        return self._connections[0] if self._connections else None

    def connect(self) -> Picture | None:
        """One try, up to the first picture; None where it failed: then `lost` says why.

        Raises:
            DeviceError: The device that must decode is not there.
        """
        connection: Connection | None = None
        picture: Picture | None = None
        self._seen_s = time.monotonic()
        self._deadline_s = self._seen_s + self._config.open_timeout_s
        self.lost = None
        try:
            connection = Connection(
                self._address,
                self._input,
                self._config,
                watch=self._enough,
                damage=self._damage,
                on_sound=self._on_sound,
            )
            picture = connection.next_picture()
        except InputError as error:
            self.lost = Failure(text=str(error))
        except (FFmpegError, OSError, ValueError) as error:
            self.lost = self._failure(error)
        self._deadline_s = None
        if connection is not None and picture is not None:
            self._connections.append(connection)
            self.seen()
            return picture
        self.lost = self.lost or Failure(text=f"{self._address} ended before its first picture")
        if connection is not None:
            connection.close()
        return None

    def next_picture(self) -> Picture | None:
        """Wait for the next one; None at the end, and where the connection broke: then `lost` says why."""
        connection = self.connection
        try:
            return connection.next_picture() if connection is not None else None
        except (FFmpegError, OSError, ValueError) as error:
            self.lost = self._failure(error)
        return None

    def seen(self) -> None:
        """Count silence from now on: a picture came, or the consumer only now wants the next one."""
        self._seen_s = time.monotonic()

    def let_go(self) -> None:
        """Cut it. Only where no other thread is in `connect` or `next_picture`."""
        try:
            connection = self._connections.pop()
        except IndexError:
            return
        connection.close()

    def _enough(self) -> bool:
        """The watch: asked ten times a second while FFmpeg waits."""
        now_s = time.monotonic()
        if self._closed():
            return True
        if self._deadline_s is not None:
            return now_s >= self._deadline_s
        if now_s - self._seen_s >= self._config.stall_s:
            self._on_stall()
        return now_s - self._seen_s >= self._patience_s

    def _failure(self, error: Exception) -> Failure:
        """Why; a time-out of ours comes out of FFmpeg as any error."""
        if self._deadline_s is not None and time.monotonic() >= self._deadline_s:
            return Failure(
                text=f"{self._address}: no picture came within {self._config.open_timeout_s:g} s; check host, port and "
                "path, and whether the source is on"
            )
        if self._deadline_s is None and time.monotonic() - self._seen_s >= self._patience_s:
            return Failure(text=f"{self._address}: no picture came for {self._patience_s:g} s")
        return failure_of(error, self._address)
