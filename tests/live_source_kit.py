"""Watching live sources: one that is read in a thread, and what its frames must keep to."""

from __future__ import annotations

import itertools
import threading
from collections.abc import Callable

import pytest

from streamfilter.errors import InputError
from streamfilter.live_config import LiveConfig
from streamfilter.media import Address, AudioChunk, LiveSource
from streamfilter.stream_state import StreamEvent, StreamState
from streamfilter.structures import Frame
from tests.live_kit import wait_until

QUICK = LiveConfig(
    open_timeout_s=2.0, stall_s=0.2, read_timeout_s=0.6, reconnect_first_s=0.02, reconnect_most_s=0.1, denied_wait_s=0.2
)


class Watched:
    """A live source that is read in a thread; keeps what it gives and says."""

    def __init__(self, url: str, config: LiveConfig = QUICK) -> None:
        self.frames: list[Frame] = []
        self.events: list[StreamEvent] = []
        self.chunks: list[AudioChunk] = []
        self.error: InputError | None = None
        self.source = LiveSource(Address.parse(url), config, on_event=self.events.append, on_audio=self.chunks.append)

    def read(self) -> None:
        try:
            for frame in self.source:
                self.frames.append(frame)
        except InputError as error:
            self.error = error

    def __str__(self) -> str:
        return f"states {self.states}, {len(self.frames)} frames, error {self.error}"

    @property
    def states(self) -> list[StreamState]:
        """In order, without repetition."""
        return [state for state, _ in itertools.groupby(event.state for event in self.events)]

    def until(self, condition: Callable[[], object], within_s: float = 5) -> None:
        wait_until(condition, within_s=within_s, what=self)

    def until_more(self, count: int = 3, within_s: float = 5) -> None:
        have = len(self.frames)
        self.until(lambda: len(self.frames) >= have + count, within_s)

    def __enter__(self) -> Watched:
        self._thread = threading.Thread(target=self.read)
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self.source.close()
        self._thread.join(5)
        assert not self._thread.is_alive()


def rises(frames: list[Frame]) -> bool:
    return all(a.pts < b.pts for a, b in itertools.pairwise(frames))  # type: ignore[operator]


def off_arrival_s(frames: list[Frame]) -> float:
    """The farthest that an output time lies from arrival."""
    start = frames[0]
    return max(abs(f.time_s - start.time_s - (f.captured_s - start.captured_s)) for f in frames)  # type: ignore[operator]


def failure_at(url: str, config: LiveConfig = QUICK) -> str:
    with pytest.raises(InputError) as caught, LiveSource(Address.parse(url), config) as source:
        source.connect()
    text = str(caught.value)
    assert "\n" not in text
    return text
