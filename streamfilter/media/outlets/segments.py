"""A recording in many files, each of which plays by itself; a complete one is never touched again."""

from __future__ import annotations

import re
import time
from collections import deque
from fractions import Fraction
from pathlib import Path

from streamfilter.errors import ConfigError, OutputError
from streamfilter.media.encoded import EncodedPacket, StreamParameters, TrackKind
from streamfilter.media.outlets.file import Recording, check_container, free_name
from streamfilter.media.outlets.outlet import Outlet, OutletConfig
from streamfilter.media.target import check_target

DEFAULT_SEGMENT_S = 300.0
_NUMBER = re.compile(r"%0?(\d*)d")
# As `%9999999d` and, by the C library's `strftime`, `%9999999Y`.
_TOO_WIDE = re.compile(r"%\D?\d{3,}")
# Sound runs ahead of a picture by what the filter takes. If the picture stops, sound is let go after so much.
_MOST_AHEAD_S = 5


class SegmentsOutlet(Outlet):
    """Begins a new file at the first key frame after every `segment_s` seconds.

    Args:
        pattern: `cam_%03d.mkv` counts on from what is there; otherwise times by `strftime` (`cam_%Y%m%d_%H%M%S.mkv`,
            local time); without a `%` a count is put before the ending.
        parameters: Of the stream.
        config: `segment_s`, 5 minutes if None.

    Raises:
        ConfigError: The ending or the pattern cannot work.
        OutputError: The folder cannot be written.
    """

    def __init__(self, pattern: Path, parameters: StreamParameters, config: OutletConfig) -> None:
        check_container(pattern)
        if "%" in str(pattern.parent):
            raise ConfigError(f"{pattern}: only the file's name may hold a pattern, not its folder")
        if _TOO_WIDE.search(pattern.name):
            raise ConfigError(f"{pattern}: a number in a file's name has at most 99 digits, as in cam_%03d.mkv")
        self._pattern = pattern if "%" in pattern.name else pattern.with_stem(f"{pattern.stem}_%03d")
        if _is_counted(self._pattern):
            check_target(_numbered(self._pattern, 0), overwrite=True)
        else:
            check_target(pattern.parent / time.strftime(self._pattern.name), overwrite=True)
        super().__init__(str(pattern), parameters, config)
        self._length_s = config.segment_s or DEFAULT_SEGMENT_S
        self._recording: Recording | None = None
        self._began_s = Fraction(0)
        self._sound: deque[EncodedPacket] = deque()
        self.finished: list[Path] = []

    @property
    def path(self) -> Path:
        """The file that is, or was last, written; the pattern before the first."""
        return self._recording.path if self._recording else self._pattern

    def _open(self) -> None:
        self._sound.clear()
        self._recording = None

    def _write(self, packet: EncodedPacket) -> None:
        now_s = packet.dts * packet.time_base
        if packet.kind is TrackKind.AUDIO:
            self._sound.append(packet)
            self._pass_sound(until_s=now_s - _MOST_AHEAD_S)
            return
        # Sound goes to the file that holds the picture of its time, so it waits for that picture.
        self._pass_sound(until_s=now_s)
        if packet.is_key and (self._recording is None or now_s - self._began_s >= self._length_s):
            self._begin(now_s)
        self._mux(packet)

    def _pass_sound(self, *, until_s: Fraction) -> None:
        while self._sound and self._sound[0].dts * self._sound[0].time_base < until_s:
            self._mux(self._sound.popleft())

    def _mux(self, packet: EncodedPacket) -> None:
        if self._recording is not None:  # sound of before the first picture
            self._recording.mux(packet)

    def _begin(self, now_s: Fraction) -> None:
        self._complete()
        self._recording = Recording(next_name(self._pattern), self._parameters)
        self._began_s = now_s

    def _complete(self) -> None:
        if self._recording is None:
            return
        self._recording.close()
        self.finished.append(self._recording.path)

    def _finish(self) -> None:
        while self._sound:
            self._mux(self._sound.popleft())
        self._complete()

    def _release(self) -> None:
        self._sound.clear()
        if self._recording is not None:
            self._recording.close_quietly()


def next_name(pattern: Path) -> Path:
    """The file to write next: one that does not exist yet.

    Raises:
        OutputError: All names are taken.
    """
    if not _is_counted(pattern):
        return free_name(pattern.parent / time.strftime(pattern.name))
    before, _, after = _NUMBER.sub("\0", pattern.name).partition("\0")
    taken = re.compile(re.escape(before) + r"(\d+)" + re.escape(after))
    numbers = [int(found[1]) for path in _files_in(pattern.parent) if (found := taken.fullmatch(path.name))]
    return _numbered(pattern, max(numbers, default=-1) + 1)


def _is_counted(pattern: Path) -> bool:
    """Whether its `%d` is a count: beside other marks it is the day of the month."""
    return pattern.name.count("%") == 1 and _NUMBER.search(pattern.name) is not None


def _files_in(folder: Path) -> list[Path]:
    try:
        return list(folder.iterdir())
    except FileNotFoundError:
        return []
    except OSError as error:
        raise OutputError(f"the folder {folder} cannot be read: {error.strerror}") from error


def _numbered(pattern: Path, number: int) -> Path:
    return pattern.with_name(_NUMBER.sub(lambda found: f"{number:0{found[1] or 1}d}", pattern.name))
