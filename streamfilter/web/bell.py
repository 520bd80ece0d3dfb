"""Wakes coroutines from the threads of the cameras."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from contextlib import suppress
from typing import TypeVar

from streamfilter.web.gallery import Listener

T = TypeVar("T")


class Bell:
    """Coroutines of one event loop wait for it; any thread may ring it, at next to no cost while nobody waits."""

    def __init__(self) -> None:
        self._loop = asyncio.get_running_loop()
        self._waiting: set[asyncio.Future[None]] = set()
        self.last = object()
        """Another one after each ring, so that who was busy meanwhile can tell that it rang."""

    def ring(self) -> None:
        """Wake all who wait."""
        self.last = object()
        if self._waiting:
            with suppress(RuntimeError):  # the loop has just been closed: nobody waits any more
                self._loop.call_soon_threadsafe(self._wake)

    async def until(self, ready: Callable[[], T | None], timeout_s: float) -> T | None:
        """What `ready` returns as soon as that is not None after a ring; None if the time is over."""
        woken: asyncio.Future[None] = self._loop.create_future()
        self._waiting.add(woken)  # before the first look, so that no ring falls in between
        try:
            if (found := ready()) is not None:
                return found
            with suppress(TimeoutError):
                async with asyncio.timeout(timeout_s):  # wait_for may lose a cancellation before Python 3.12
                    await woken
            return ready()
        finally:
            self._waiting.discard(woken)

    async def after(self, last: object, timeout_s: float) -> None:
        """Wait until it has rung since `last` was its last ring, or the time is over."""
        await self.until(lambda: self.last if self.last is not last else None, timeout_s)

    def _wake(self) -> None:
        for waiting in self._waiting:
            if not waiting.done():
                waiting.set_result(None)


class Bells(Listener):
    """One bell for new pictures, one for changed states."""

    def __init__(self) -> None:
        self.pictures, self.states = Bell(), Bell()

    def picture_came(self) -> None:
        """Ring for whoever waits for a picture."""
        self.pictures.ring()

    def state_changed(self) -> None:
        """Ring for whoever waits for a state."""
        self.states.ring()
