"""A recording in one file that plays up to the last second or two, even if the process is killed meanwhile."""

from __future__ import annotations

import io
import os
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path

from streamfilter.errors import ConfigError, OutputError
from streamfilter.media.encoded import EncodedPacket, StreamParameters
from streamfilter.media.outlets.muxing import Muxer
from streamfilter.media.outlets.outlet import Outlet, OutletConfig
from streamfilter.media.signature import SIGNATURE
from streamfilter.media.target import check_target

# What is not yet in the file is lost with the process: no part of it may wait for longer than this.
_PART_MS = 1000
_FRAGMENTS = {
    "movflags": "+frag_keyframe+empty_moov+default_base_moof",
    "frag_duration": str(_PART_MS * 1000),
}
CONTAINERS: dict[str, tuple[str, dict[str, str]]] = {
    ".mkv": ("matroska", {"cluster_time_limit": str(_PART_MS)}),
    ".mp4": ("mp4", _FRAGMENTS),
    ".mov": ("mov", _FRAGMENTS),
    ".ts": ("mpegts", {}),
}


class FileOutlet(Outlet):
    """One recording, written under its own name from the start, and never over another without `overwrite`.

    Opened anew after an error, and `unattended` from the start, it goes beside what is there (`name_2.mkv`).

    Raises:
        ConfigError: The ending is none of `CONTAINERS`.
        OutputError: The place cannot be written, or the name is taken.
    """

    def __init__(self, path: Path, parameters: StreamParameters, config: OutletConfig) -> None:
        check_container(path)
        check_target(path, overwrite=config.overwrite or config.unattended)
        super().__init__(str(path), parameters, config)
        self._path = path
        self._recording: Recording | None = None
        self._goes_beside = config.unattended

    @property
    def path(self) -> Path:
        """The file that is, or was last, written."""
        return self._recording.path if self._recording else self._path

    def _open(self) -> None:
        path = free_name(self._path) if self._goes_beside else self._path
        overwrite = self._config.overwrite and not self._goes_beside
        self._recording = Recording(path, self._parameters, overwrite=overwrite)
        self._goes_beside = True

    def _write(self, packet: EncodedPacket) -> None:
        assert self._recording is not None  # write() opens first
        self._recording.mux(packet)

    def _finish(self) -> None:
        if self._recording is not None:
            self._recording.close()

    def _release(self) -> None:
        if self._recording is not None:
            self._recording.close_quietly()


class Recording:
    """One open file and its container.

    Raises:
        FFmpegError, OSError, ValueError: It cannot be made; what was begun is left as it is, if anything is in it.
    """

    def __init__(self, path: Path, parameters: StreamParameters, *, overwrite: bool = False) -> None:
        container, options = check_container(path)
        self.path = path
        path.parent.mkdir(parents=True, exist_ok=True)
        self._file = WholeWrites(path, "wb" if overwrite else "xb")
        self._is_new = not overwrite
        try:
            self._muxer = Muxer(self._file, container, parameters, options, comment=SIGNATURE)
        except BaseException:
            self._leave()
            raise

    def mux(self, packet: EncodedPacket) -> None:
        """Add one packet."""
        self._muxer.mux(packet)

    def close(self) -> None:
        """Write the end and bring all of it to disk."""
        try:
            self._muxer.close()
            with suppress(OSError):  # pipes and devices have no disk behind them
                os.fsync(self._file.fileno())
        finally:
            self._file.close()

    def close_quietly(self) -> None:
        """Let go after an error; what was written stays."""
        self._muxer.close_quietly()
        self._leave()

    def _leave(self) -> None:
        """An empty file goes: on a full disk every try would leave one."""
        with suppress(OSError):
            self._file.close()
            if self._is_new and not self.path.stat().st_size:
                self.path.unlink()


class WholeWrites(io.FileIO):
    """A disk that is nearly full takes a part of a write; FFmpeg would take that for all of it."""

    def write(self, data: bytes | bytearray | memoryview, /) -> int:  # type: ignore[override]
        """Write all of it, or raise."""
        rest = memoryview(data)
        while rest:
            rest = rest[super().write(rest) :]
        return len(data)


def check_container(path: Path) -> tuple[str, dict[str, str]]:
    """FFmpeg's name and options for a recording with this ending.

    Raises:
        ConfigError: There is none that survives a kill.
    """
    try:
        return CONTAINERS[path.suffix.lower()]
    except KeyError:
        known = ", ".join(CONTAINERS)
        raise ConfigError(f"{path}: a live recording ends in one of {known}; name it so") from None


def free_name(path: Path, exists: Callable[[Path], bool] = os.path.lexists) -> Path:
    """The path, or the first of `name_2`, `name_3`, ... that is not taken."""
    if not exists(path):
        return path
    for number in range(2, 100_000):
        other = path.with_stem(f"{path.stem}_{number}")
        if not exists(other):
            return other
    raise OutputError(f"{path} and all names beside it are taken; name another")
