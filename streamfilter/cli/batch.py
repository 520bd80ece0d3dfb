"""Jobs that share one filter: run one after the other, each shown, counted and reported."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from functools import partial

from rich.console import Console

from streamfilter import media
from streamfilter.cli.console import say, say_error
from streamfilter.cli.exits import Exit, exit_code, one_line, severest
from streamfilter.cli.progress import progress
from streamfilter.cli.reporting import AnyReport, summary_record
from streamfilter.cli.summary import job_lines, short_line, skipped_line, times_table, total_line
from streamfilter.config import MediaConfig
from streamfilter.errors import StreamFilterError
from streamfilter.file_job import Outcome, See, filter_file
from streamfilter.guard import Guard
from streamfilter.report import frame_record
from streamfilter.structures import SafeFrame
from streamfilter.timing import StageTimes


@dataclass(frozen=True, kw_only=True)
class Batch:
    """One filter, one report and one console for many jobs; what was done gathers in `outcomes`."""

    console: Console
    quiet: bool
    guard: Guard
    config: MediaConfig
    report: AnyReport
    times: StageTimes = field(default_factory=StageTimes)
    outcomes: list[Outcome] = field(default_factory=list)

    def run(self, plan: media.Plan) -> Exit:
        """Do every job, whatever becomes of the others, and say at the end what was done."""
        codes = [self._one(job, alone=len(plan) == 1) for job in plan]
        if self.outcomes and not self.quiet:
            if len(codes) > 1:
                say(self.console, total_line(self.outcomes, failed=len(codes) - len(self.outcomes)))
            if plan.skipped:
                say(self.console, skipped_line(plan.skipped))
            self.console.print(times_table(self.outcomes[-1].times))
        return severest(codes)

    def _failed(self, error: StreamFilterError) -> Exit:
        """One line on stderr and one in the report."""
        say_error(self.console, error)
        self.report.write({"type": "failed", "error": one_line(error)})
        return exit_code(error)

    def _one(self, job: media.Job, *, alone: bool) -> Exit:
        self.guard.reset()
        self.report.write({"type": "source", "source": str(job.source), "sink": str(job.sink)})
        try:
            watch = partial(self._watch, job)
            outcome = filter_file(job.source, job.sink, self.guard, self.config, watch=watch, times=self.times)
        except StreamFilterError as error:
            return self._failed(error)
        except KeyboardInterrupt:
            say(self.console, f"the unfinished {job.sink} was removed")
            self.report.write({"type": "failed", "error": "interrupted"})
            raise
        self.outcomes.append(outcome)
        self.report.write(summary_record(outcome))
        self._tell(outcome, alone=alone)
        return Exit.OK if outcome.complete else Exit.INCOMPLETE

    @contextmanager
    def _watch(self, job: media.Job, frames: int | None) -> Iterator[See]:
        with progress(self.console, job.source.name, frames, quiet=self.quiet) as advance:

            def see(frame: SafeFrame) -> None:
                self.report.write(frame_record(frame))
                advance(len(frame.regions))

            yield see

    def _tell(self, outcome: Outcome, *, alone: bool) -> None:
        """Damage is said even when quiet: the exit code would be a riddle otherwise."""
        if not self.quiet:
            for line in job_lines(outcome) if alone else [short_line(outcome)]:
                say(self.console, line)
        elif not outcome.complete:
            say(self.console, short_line(outcome))
