"""What the end-to-end tests of live streams and the soak share: the command as a process, films with faces, bare faces.

A face counts as bare by `streamfilter.metrics.survival`, frame against frame: the number burnt into both pairs them.
"""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from collections.abc import Iterable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

import av
import numpy as np

from streamfilter.metrics.survival import coding_floor, survival
from streamfilter.structures import Floats, Image
from tests.live_kit import Resources, resources, wait_until
from tests.live_measure import PLAYER, CounterClock, Watcher, read_number
from tests.scenes import FACE_PX, scene

ROOT = Path(__file__).parent.parent
STAND_INS = "from streamfilter.cli import main; from tests.scenes import FlatModels; main(obj=FlatModels())"
REAL_MODELS = "from streamfilter.cli import main; main()"

WIDTH, HEIGHT, FPS = 320, 180, 10
STEPS = 8  # after so many frames the drawn face is where it was
LEFT_PX = 100
Numbered = Sequence[tuple[int, Image]]


# --- the command ---


class Command:
    """`streamfilter WORDS` as a process; use in `with`, which kills what is left of it.

    Args:
        words: Of the command line.
        log: File that takes what it says.
        code: What the process runs; by default with stand-ins for the heavy networks.
        environ: Beside our own environment.
    """

    def __init__(self, *words: object, log: Path, code: str = STAND_INS, environ: Mapping[str, str] | None = None):
        self._log = log
        surroundings = {**os.environ, "OMP_NUM_THREADS": "1", "COLUMNS": "300", **(environ or {})}
        with log.open("wb") as said:
            self.process = subprocess.Popen(
                [sys.executable, "-c", code, *(str(word) for word in words)],
                cwd=ROOT, stdin=subprocess.DEVNULL, stdout=said, stderr=said, env=surroundings,
            )  # fmt: skip

    def __enter__(self) -> Command:
        return self

    def __exit__(self, *_: object) -> None:
        self.kill()

    @property
    def said(self) -> str:
        """Everything so far, on both of its outputs."""
        return self._log.read_text("utf-8", "replace")

    def wait_for(self, words: str, *, within_s: float = 30) -> None:
        """Until it says so; fails when it ends before."""
        wait_until(lambda: words in self.said or self.process.poll() is not None, within_s=within_s, what=words)
        assert words in self.said, self.said

    def resources(self) -> Resources:
        return resources(self.process.pid)

    def children(self) -> list[int]:
        """Processes that it started and that still run."""
        return [int(pid) for task in self._tasks() for pid in (task / "children").read_text().split()]

    def _tasks(self) -> Iterator[Path]:
        return (Path("/proc") / str(self.process.pid) / "task").iterdir()

    def end(self, number: signal.Signals = signal.SIGTERM, *, within_s: float = 25) -> int:
        """Ask it to end; tells the exit code."""
        self.process.send_signal(number)
        return self.process.wait(within_s)

    def kill(self) -> None:
        """End it as a power cut does."""
        self.process.kill()
        self.process.wait(10)


def gone(pid: int) -> bool:
    """Whether no such process runs."""
    try:
        return "\nState:\tZ" in (Path("/proc") / str(pid) / "status").read_text()
    except (FileNotFoundError, ProcessLookupError):
        return True


# --- films with faces ---


def drawn_film(folder: Path) -> Path:
    """A film of WIDTH x HEIGHT at FPS whose frame `n` shows the drawn face in `face_box(n)`; made once."""
    path = folder / "drawn.mp4"
    if not path.exists():
        part = path.with_suffix(".part.mp4")
        with av.open(str(part), "w") as container:
            video = container.add_stream("libx264", rate=FPS, options={"preset": "ultrafast", "crf": "12"})
            video.width, video.height, video.pix_fmt = WIDTH, HEIGHT, "yuv420p"
            for number in range(10 * STEPS):
                picture = np.roll(scene(number % STEPS, width=WIDTH, height=HEIGHT), LEFT_PX, axis=1)
                container.mux(video.encode(av.VideoFrame.from_ndarray(picture, format="rgb24")))
            container.mux(video.encode(None))
        part.rename(path)
    return path


def face_box(number: int) -> Floats:
    """Where the drawn face is, xyxy (4,)."""
    left, top = LEFT_PX + 2 * (number % STEPS), HEIGHT - FACE_PX - 8
    return np.array([left + 24, top + 15, left + 72, top + 77], np.float32)


# --- pictures with their numbers ---


class Collector(Watcher):
    """A watcher that also keeps the pictures that tell a number, at most one in `every_s`.

    Attributes:
        kept: Number and RGB picture, in order; only ever appended to.
    """

    def __init__(self, url: str, *, clock: CounterClock, every_s: float = 0.0) -> None:
        super().__init__(url, clock=clock)
        self.kept: list[tuple[int, Image]] = []
        self._every_s, self._kept_s = every_s, 0.0

    def _note(self, frame: av.VideoFrame) -> None:
        super()._note(frame)
        seen = self.sightings[-1]
        if seen.number is not None and seen.at_s - self._kept_s >= self._every_s:
            self._kept_s = seen.at_s
            self.kept.append((seen.number, frame.to_ndarray(format="rgb24")))


def pictures(source: Path | str, most: int = 100_000) -> Iterator[tuple[int | None, Image]]:
    """The frames of a file or a stream, RGB, each with the number that it tells."""
    options = PLAYER if str(source).startswith("rtsp") else {}
    with av.open(str(source), options=options, timeout=(5.0, 5.0)) as container:
        video: Any = container.streams.video[0]
        video.codec_context.thread_count = 1
        try:
            for _, frame in zip(range(most), container.decode(video), strict=False):
                image = frame.to_ndarray(format="rgb24")
                yield read_number(image), image
        except (av.InvalidDataError, av.EOFError):
            return  # where a killed writer left off


def numbered(source: Path | str, most: int = 100_000) -> list[tuple[int, Image]]:
    """Those of `pictures` that tell a number."""
    return [(number, image) for number, image in pictures(source, most) if number is not None]


def originals(films: Iterable[Path]) -> dict[int, Image]:
    """What the server sends, by number; `films` are those of `counter_films`."""
    return dict(pair for film in films for pair in numbered(film))


def bare(sent: Mapping[int, Image], seen: Numbered) -> list[int]:
    """The numbers of the frames where the drawn face survived."""
    return [number for number, image in seen if _survived(sent[number], image, face_box(number))]


def _survived(original: Image, result: Image, box: Floats) -> bool:
    return survival(original, result, box, coding_floor(original, result, [box])).bare
