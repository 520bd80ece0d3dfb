"""An HLS folder: a playlist that any web server can serve, and the segments that it names; older ones are deleted."""

from __future__ import annotations

import io
import re
from pathlib import Path
from typing import IO

from streamfilter.errors import ConfigError, OutputError
from streamfilter.media.encoded import EncodedPacket, StreamParameters
from streamfilter.media.outlets.file import WholeWrites
from streamfilter.media.outlets.muxing import Muxer
from streamfilter.media.outlets.outlet import Outlet, OutletConfig
from streamfilter.media.target import check_target

# `temp_file`: playlist and segments appear whole, by renaming. `append_list`: a second opening goes on where the first
# one stopped, so that players do.
_FLAGS = "delete_segments+append_list+independent_segments+temp_file"
_WRITE = 2  # AVIO_FLAG_WRITE
# Players that are a little behind still find what the playlist no longer names.
_KEPT_BEYOND_LIST = 2


class HlsOutlet(Outlet):
    """A live playlist; what lay there under its name, and was written by this class, is gone on from.

    Raises:
        ConfigError: There is a % in its path, where FFmpeg would put numbers.
        OutputError: The folder cannot be written, or another program's playlist lies there.
    """

    def __init__(self, playlist: Path, parameters: StreamParameters, config: OutletConfig) -> None:
        if "%" in str(playlist):
            raise ConfigError(f"{playlist}: name and folder of an HLS playlist may hold no %; name them otherwise")
        check_target(playlist, overwrite=True)
        _refuse_foreign(playlist)
        super().__init__(str(playlist), parameters, config)
        self._playlist = playlist
        self._muxer: Muxer | None = None

    @property
    def path(self) -> Path:
        """The playlist."""
        return self._playlist

    def _open(self) -> None:
        _refuse_foreign(self._playlist)
        self._playlist.parent.mkdir(parents=True, exist_ok=True)
        self._muxer = Muxer(str(self._playlist), "hls", self._parameters, self._options(), io_open=_open_file)

    def _options(self) -> dict[str, str]:
        segment = str(self._playlist.parent / f"{self._playlist.stem}_%06d.ts").replace("\\", "/")
        return {
            "hls_time": f"{self._config.hls_segment_s:g}",
            "hls_list_size": str(self._config.hls_segments),
            "hls_delete_threshold": str(_KEPT_BEYOND_LIST),
            "hls_segment_filename": segment,
            "hls_flags": _FLAGS,
        }

    def _write(self, packet: EncodedPacket) -> None:
        assert self._muxer is not None  # write() opens first
        self._muxer.mux(packet)

    def _finish(self) -> None:
        if self._muxer is not None:
            self._muxer.close()

    def _release(self) -> None:
        if self._muxer is not None:
            self._muxer.close_quietly()
            self._muxer = None


def _refuse_foreign(playlist: Path) -> None:
    """Refuse what another program wrote: going on from a playlist deletes, in time, every file that it names.

    Raises:
        OutputError: It names other segments than ours, or is no playlist, or cannot be read.
    """
    try:
        lines = playlist.read_text("utf-8", "replace").split("\n") if playlist.exists() else []
    except OSError as error:
        raise OutputError(f"{playlist} cannot be read: {error.strerror}") from error
    ours = re.compile(rf"(#(?!.*URI=).*|{re.escape(playlist.stem)}_\d{{6,}}\.ts|)")
    if any(lines) and not (lines[0] == "#EXTM3U" and all(ours.fullmatch(line) for line in lines)):
        raise OutputError(f"{playlist} is another program's, and its segments would be deleted; give another name")


def _open_file(url: str, flags: int, options: dict[str, str]) -> IO[bytes]:
    """FFmpeg would take a segment that a full disk cut short for a whole one; ours raises.

    It reads one file: the playlist of before, if there is one.
    """
    if flags & _WRITE:
        return WholeWrites(url, "wb")
    return open(url, "rb") if Path(url).exists() else io.BytesIO()
