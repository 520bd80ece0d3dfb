"""What all sinks share: safe frames only, one file that appears complete or not at all."""

from __future__ import annotations

import logging
from abc import ABC, abstractmethod
from collections.abc import Callable
from pathlib import Path
from types import TracebackType
from typing import Self

from av import FFmpegError

from streamfilter.errors import OutputError, ProtectionError, StreamFilterError
from streamfilter.media.container import reason
from streamfilter.media.target import Target
from streamfilter.structures import SafeFrame

_log = logging.getLogger(__name__)


class Sink(ABC):
    """A target for `SafeFrame`s. Leaving the `with` block completes the file; leaving it by an error removes it.

    `write` may be called from another thread than the one that opened and closes the sink, one thread at a time.
    """

    def __init__(self, target: Target) -> None:
        self._target = target
        self._done = False
        self.notices: list[str] = []
        self.frames_written = 0

    @property
    def path(self) -> Path:
        """Where the finished file lies."""
        return self._target.path

    def write(self, frame: SafeFrame) -> None:
        """Append one frame.

        Raises:
            ProtectionError: it is not a `SafeFrame`.
            OutputError: it could not be written.
        """
        if type(frame) is not SafeFrame:
            raise ProtectionError(f"a sink takes SafeFrame only, got {type(frame).__name__}; nothing was written")
        if self._done:
            raise OutputError(f"{self.path} is closed already")
        self._told(lambda: self._write(frame))
        self.frames_written += 1

    def close(self) -> None:
        """Complete the file and give it its name; harmless when repeated.

        Raises:
            OutputError: it could not be completed; nothing is left.
        """
        if self._done:
            return
        self._done = True
        try:
            if not self.frames_written:
                raise OutputError(f"not one frame came for {self.path}; no file was written")
            self._told(self._finish)
            self._target.commit()
        except BaseException:
            self._remove()
            raise

    def abort(self) -> None:
        """Remove what was written; harmless when repeated or after `close`."""
        if not self._done:
            self._done = True
            self._remove()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if error is None:
            self.close()
        else:
            self.abort()

    def notice(self, text: str) -> None:
        """Note once what the user should know of this output."""
        if text not in self.notices:
            _log.info("%s: %s", self.path, text)
            self.notices.append(text)

    def _remove(self) -> None:
        self._release()
        self._target.discard()

    def _told(self, step: Callable[[], None]) -> None:
        """Run a step; what FFmpeg and the system raise becomes an `OutputError` that names the file."""
        try:
            step()
        except StreamFilterError:
            raise
        except (FFmpegError, OSError, ValueError) as error:
            raise OutputError(f"{self.path} cannot be written: {reason(error)}") from error

    @abstractmethod
    def _write(self, frame: SafeFrame) -> None: ...

    @abstractmethod
    def _finish(self) -> None: ...

    @abstractmethod
    def _release(self) -> None:
        """Let go of everything that is open, raising nothing."""
