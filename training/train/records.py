"""What a run tells: means over a tick, as a JSON line, a printed line, TensorBoard events and curves."""

from __future__ import annotations

import json
import math
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from streamfilter.errors import StreamFilterError
from training.train import curves

STATS, CURVES = "stats.jsonl", "curves.png"
NOT_DRAWN = {"step", "kimg"}


class DivergedError(StreamFilterError, ArithmeticError):
    """A loss or the gradient is no finite number any more."""


def diverged(names: Sequence[str], step: int) -> DivergedError:
    """The error that says which numbers broke, and what to do."""
    return DivergedError(
        f"{', '.join(names)} became infinite or NaN at step {step}; the last checkpoint is from before."
        " Go on from it with a lower rate (--set rate=...) or a smaller gradient (--set clip=...)"
    )


class Means:
    """Sums up numbers on the device they are on, and reads them once a tick: reading stops a GPU."""

    def __init__(self) -> None:
        self._sums: dict[str, Tensor] = {}
        self._counts: dict[str, int] = {}

    def add(self, values: Mapping[str, Tensor]) -> None:
        """One step's numbers."""
        for name, value in values.items():
            now = value.detach().float()
            self._sums[name] = self._sums[name] + now if name in self._sums else now
            self._counts[name] = self._counts.get(name, 0) + 1

    def read(self, step: int) -> dict[str, float]:
        """The means since the last reading.

        Raises:
            DivergedError: one of them is not finite.
        """
        means = {name: float(value) / self._counts[name] for name, value in self._sums.items()}
        self._sums, self._counts = {}, {}
        broken = [name for name, value in means.items() if not math.isfinite(value)]
        if broken:
            raise diverged(broken, step)
        return means


class Records:
    """The statistics of a run folder.

    A resumed run forgets the lines after the step it resumes from: they will come again.

    Args:
        run: Folder of the run.
        step: Step that the run begins with.
        tensorboard: Whether to write TensorBoard events too.
    """

    def __init__(self, run: Path, step: int, *, tensorboard: bool) -> None:
        self.run = run
        self.rows = [row for row in read(run) if row["step"] <= step]
        (run / STATS).write_text("".join(f"{json.dumps(row)}\n" for row in self.rows), "utf-8")
        self._events: Any = _event_writer(run, step) if tensorboard else None

    def add(self, row: Mapping[str, float]) -> None:
        """One tick: `step`, `kimg` and any numbers."""
        self.rows.append(dict(row))
        with (self.run / STATS).open("a", encoding="utf-8") as file:
            print(json.dumps({name: float(f"{value:.6g}") for name, value in row.items()}), file=file)
        if self._events is not None:
            for name, value in row.items():
                self._events.add_scalar(name, value, int(row["step"]))
            self._events.flush()

    def draw(self) -> None:
        """Write the curves."""
        names = list(dict.fromkeys(name for row in self.rows for name in row if name not in NOT_DRAWN))
        if names:
            curves.write(self.run / CURVES, self.rows, names)

    def close(self) -> None:
        """Finish the event file."""
        if self._events is not None:
            self._events.close()


def read(run: Path) -> list[dict[str, float]]:
    """The rows of a run so far; a last line that was cut off by a kill is left out."""
    path = run / STATS
    lines = path.read_text("utf-8").split("\n")[:-1] if path.is_file() else []
    return [json.loads(line) for line in lines]


def _event_writer(run: Path, step: int) -> Any:
    from torch.utils.tensorboard import SummaryWriter  # noqa: PLC0415 - optional: see has_tensorboard

    return SummaryWriter(str(run / "events"), purge_step=step + 1)


def has_tensorboard() -> bool:
    """Whether TensorBoard can be written to."""
    try:
        import torch.utils.tensorboard  # noqa: F401, PLC0415
    except ImportError:
        return False
    return True


def peak_memory_gib(device: torch.device) -> float:
    """Peak memory of the process, or of its tensors on a GPU."""
    if device.type == "cuda":
        return torch.cuda.max_memory_allocated(device) / 2**30
    try:
        import resource  # noqa: PLC0415 - not on Windows
    except ImportError:
        return 0.0
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 2**20


def clock(seconds: float) -> str:
    """Seconds as `1:02:03`, or `?` where they are not known."""
    if not math.isfinite(seconds):
        return "?"
    whole = max(0, round(seconds))
    return f"{whole // 3600}:{whole // 60 % 60:02d}:{whole % 60:02d}"
