"""A live source: frames for as long as anybody wants them, through stalls, losses and changes of picture."""

from __future__ import annotations

import time
from collections.abc import Iterator
from types import TracebackType
from typing import Self

from av import AudioFrame, FFmpegError

from streamfilter.errors import InputError
from streamfilter.live_config import LiveConfig
from streamfilter.media.address import Address
from streamfilter.media.connection import Connection, Picture
from streamfilter.media.damage import Damage
from streamfilter.media.info import SourceInfo
from streamfilter.media.live_audio import AudioLine, OnAudio
from streamfilter.media.live_clock import LIVE_TIME_BASE, LiveClock, Pacer
from streamfilter.media.live_info import live_info
from streamfilter.media.live_input import UNPACED_KINDS
from streamfilter.media.live_link import Link
from streamfilter.media.live_picture import PictureReader
from streamfilter.media.live_states import LiveStates, OnEvent
from streamfilter.media.orientation import UPRIGHT
from streamfilter.media.probe import orientation_of, peculiarities
from streamfilter.media.reconnecting import BackOff
from streamfilter.stream_state import StreamState
from streamfilter.structures import Frame, Image

_STEP_S = 0.05


class LiveSource:
    """Frames of a camera or stream, all of the first connection's size, times in ticks of `LIVE_TIME_BASE`.

    Iterate in one thread. What goes wrong after the first connection is an event and another try, not an error. `close`
    may be called from any thread; the one that iterates then lets go of the connection, within a moment.

    Args:
        address: Where it comes from.
        config: Time-outs, and what to ask for.
        on_event: Told every change of state, in the thread that connects or iterates; must return at once.
        on_audio: Takes the sound, in the thread that iterates; None: sound is left out.

    Raises:
        InputError: Nothing can be read from an address of this kind.
    """

    info: SourceInfo
    """Of the first connection; there once `connect` returned."""

    def __init__(
        self,
        address: Address,
        config: LiveConfig | None = None,
        *,
        on_event: OnEvent | None = None,
        on_audio: OnAudio | None = None,
    ) -> None:
        self.address = address
        self.reconnects = 0
        self.damage = Damage()
        self.notices: list[str] = []
        # What every source has; only still pictures and recordings say something here.
        self.alpha: Image | None = None
        self.last_duration: int | None = None
        self.final_delay: int | None = None
        self._config = config or LiveConfig()
        self._states = LiveStates(address, on_event)
        self._clock = LiveClock()
        self._audio = AudioLine(self._clock, on_audio) if on_audio else None
        self._back_off = BackOff(self._config)
        self._link = Link(
            address,
            self._config,
            damage=self.damage,
            closed=lambda: self._closed,
            on_stall=self._stalled,
            on_sound=self._hear if on_audio else None,
        )
        self._first: Picture | None = None
        self._turn, self._orientation = 0, UPRIGHT
        self._index = 0
        self._closed = self._iterating = False

    # --- for the owner -----------------------------------------------------------------------------------------------

    @property
    def state(self) -> StreamState | None:
        """What it is doing; None before the first try."""
        return self._states.state

    def connect(self) -> SourceInfo:
        """Wait for the first picture; harmless when repeated.

        Raises:
            InputError: There is none to be had: wrong address, refused password, no such camera, busy device, silence.
            DeviceError: The device that must decode is not there.
        """
        if self._link.connection is None and not self._closed:
            self._states.tell(StreamState.CONNECTING)
            self._connect()
        if self._link.connection is None:
            text = self._link.lost.text if self._link.lost else f"{self.address} was closed"
            self._states.tell(StreamState.ENDED, text)
            raise InputError(text)
        return self.info

    def close(self) -> None:
        """End the iteration and let go of the source; harmless when repeated, and from any thread."""
        self._closed = True
        if not self._iterating:
            self._end()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    def raise_if_damaged(self) -> None:
        """As every source has it; what a stream loses on its way is counted in `damage`, and is no error."""

    def __iter__(self) -> Iterator[Frame]:
        """Frames until `close`, until a recording is over, or for ever.

        Raises:
            InputError: There never was a connection, or it was lost for longer than `give_up_s`.
        """
        self._iterating = True
        try:
            yield from self._frames()
        finally:
            self._iterating = False
            if self._closed:
                self._end()

    # --- frames ------------------------------------------------------------------------------------------------------

    def _frames(self) -> Iterator[Frame]:
        try:
            self.connect()
        except InputError:
            if self._closed:
                return
            raise
        while not self._closed and (connection := self._link.connection) is not None:
            yield from self._frames_of(connection)
            is_over = self._link.lost is None and connection.ends
            if self._closed:
                return
            self._link.let_go()
            if is_over:
                self._states.tell(StreamState.ENDED, "the recording is over")
                return
            self._reconnect()

    def _frames_of(self, connection: Connection) -> Iterator[Frame]:
        self._link.seen()
        picture, self._first = self._first or self._link.next_picture(), None
        pacer = Pacer(self._sleep) if connection.ends or self.address.kind in UNPACED_KINDS else None
        since_s = time.monotonic()
        while picture is not None and not self._closed:
            frame = self._frame(picture, pacer)
            if frame is not None:
                self._states.tell(StreamState.LIVE)
                yield frame
            if time.monotonic() - since_s > self._config.reconnect_most_s:
                self._back_off.reset()
            # The time that the consumer took is no silence of the source.
            self._link.seen()
            picture = self._link.next_picture()

    def _frame(self, picture: Picture, pacer: Pacer | None) -> Frame | None:
        """The picture at its time; None where it cannot be shown."""
        arrival_s = picture.arrival_s
        if pacer is not None:
            pacer.hold(picture.source_s)
            arrival_s = time.monotonic()
        try:
            image = self._reader(picture.frame)
        except (FFmpegError, ValueError):
            self.damage.undecodable += 1
            return None
        pts = self._clock.place(picture.source_s, arrival_s)
        self._index += 1
        return Frame(image, self._index - 1, pts, LIVE_TIME_BASE, arrival_s)

    def _hear(self, frame: AudioFrame, arrival_s: float) -> None:
        if self._audio is not None:
            self._audio.take(frame, arrival_s)

    # --- connections -------------------------------------------------------------------------------------------------

    def _connect(self) -> bool:
        """One try; a new connection has times, sound and a picture of its own."""
        self._clock.restart()
        if self._audio is not None:
            self._audio.restart()
        self._first = first = self._link.connect()
        connection = self._link.connection
        if first is None or connection is None:
            return False
        if not hasattr(self, "info"):
            self.info = live_info(connection, first, self.address)
            self.notices.extend(peculiarities(first.frame))
        # A frame whose side data was read refers to itself (PyAV), and holds the decoder's whole pool of pictures until
        # the garbage is collected: so it is read only where there is something in it that is new.
        if self._turn != first.frame.rotation:
            self._turn, self._orientation = first.frame.rotation, orientation_of(first.frame)
        self._reader = PictureReader(self.info.width, self.info.height, self._orientation)
        return True

    def _reconnect(self) -> None:
        """Try until it is back or `close` was called."""
        lost_s = time.monotonic()
        failure = self._link.lost
        while not self._closed:
            reason = failure.text if failure else f"{self.address}: the stream ended"
            self._states.tell(StreamState.RECONNECTING, reason)
            self._give_up_after(lost_s, reason)
            self._sleep(self._back_off.next_s(denied=failure is not None and failure.denied))
            if not self._closed and self._connect():
                self.reconnects += 1
                return
            failure = self._link.lost

    def _give_up_after(self, lost_s: float, reason: str) -> None:
        limit_s = self._config.give_up_s
        if limit_s is not None and time.monotonic() - lost_s >= limit_s:
            text = f"{reason} (given up after {limit_s:g} s)"
            self._states.tell(StreamState.ENDED, text)
            raise InputError(text)

    def _end(self) -> None:
        self._first = None
        self._link.let_go()
        self._states.tell(StreamState.ENDED, "closed")

    def _sleep(self, seconds: float) -> None:
        """Wait, in steps: whoever closes the source shall not have to."""
        until_s = time.monotonic() + seconds
        while not self._closed and (left_s := until_s - time.monotonic()) > 0:
            time.sleep(min(left_s, _STEP_S))

    def _stalled(self) -> None:
        if self.state is StreamState.LIVE:
            self._states.tell(StreamState.STALLED, f"{self.address}: no picture for {self._config.stall_s:g} s")
