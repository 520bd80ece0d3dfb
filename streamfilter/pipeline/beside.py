"""Work that is done in order in a thread of its own, beside the caller's: faces are painted while others are found."""

from __future__ import annotations

from collections.abc import Callable
from concurrent.futures import Future, ThreadPoolExecutor
from typing import TypeVar

T = TypeVar("T")


class Beside:
    """Takes work in and returns futures of it; its thread begins with the first piece and ends with `rest`."""

    def __init__(self, name: str = "streamfilter-painter") -> None:
        self._name = name
        self._pool: ThreadPoolExecutor | None = None

    def __call__(self, work: Callable[[], T]) -> Future[T]:
        """Do this after all that was given before."""
        if self._pool is None:
            self._pool = ThreadPoolExecutor(1, thread_name_prefix=self._name)
        return self._pool.submit(work)

    def rest(self) -> None:
        """Wait for what was given, and end the thread; more work begins another."""
        pool, self._pool = self._pool, None
        if pool is not None:
            pool.shutdown()
