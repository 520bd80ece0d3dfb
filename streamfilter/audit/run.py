"""The audit itself: every pair of files, every moment, every examiner, one report."""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict, replace
from pathlib import Path

from streamfilter.audit.closer import CloserLook
from streamfilter.audit.consistency import Consistency
from streamfilter.audit.consistency.judge import FALSE_ACCEPTS
from streamfilter.audit.container_facts import ContainerFacts, container_facts
from streamfilter.audit.elsewhere import Look, Looks
from streamfilter.audit.follow import Follower
from streamfilter.audit.footage import Footage, footage_of, swapped
from streamfilter.audit.in_step import Beside
from streamfilter.audit.leaks import Leaks
from streamfilter.audit.moment import Moment
from streamfilter.audit.pairs import Pair, pairs_of
from streamfilter.audit.reidentify import Reidentification
from streamfilter.audit.report import AuditedFile, AuditReport, AuditSettings
from streamfilter.audit.section import Section
from streamfilter.audit.settings import AuditConfig
from streamfilter.audit.showable import Showable
from streamfilter.audit.tally import Tally, faceless, without_folders
from streamfilter.audit.tools import Tools
from streamfilter.audit.utility import Utility
from streamfilter.errors import InputError
from streamfilter.structures import Floats

ORDER_CHECKS, ORDER_FIRST = 20, 8  # looks at a result
Progress = Callable[[str, int], None]


def audit(
    original: Path,
    result: Path,
    tools: Tools,
    config: AuditConfig,
    *,
    parrot: Path | None = None,
    progress: Progress = lambda _name, _faces: None,
    ready: Sequence[Footage] = (),
) -> AuditReport:
    """Compare a result with its original: two files, or two folders that mirror each other.

    A pair of two folders that cannot be compared is reported as failed; the others are.

    Args:
        parrot: A second result of the same tool for the same original: what an attacker could make who has the tool.
        progress: Called after every frame with the file's name and the number of faces in it.
        ready: Pairs that were looked at already: that is not done again.

    Raises:
        InputError: the two cannot be compared (of two folders: not one pair), or seem to be in the wrong order.
        ModelError: a model failed.
    """
    began = time.monotonic()
    job = _Audit(tools, config, ready)
    seconds = {pair.name: pair.result for pair in pairs_of(original, parrot)} if parrot else {}
    job.all_files(pairs_of(original, result), seconds, progress)
    return AuditReport(
        original=str(original),
        result=str(result),
        files=tuple(job.files),
        models=tools.used,
        settings=AuditSettings(interval_s=config.interval_s, seed=config.seed, limits=asdict(config.limits)),
        sections=job.conclude(),
        warnings=tuple(job.warnings),
        fail_on=config.fail_on,
        took_s=time.monotonic() - began,
    )


class _Audit:
    """Examiners and what is counted on the way."""

    def __init__(self, tools: Tools, config: AuditConfig, ready: Sequence[Footage]) -> None:
        limits = config.limits
        calibrations = {item.name: item.calibration for item in tools.recognisers}
        self.files: list[AuditedFile] = []
        self.warnings: list[str] = []
        self.facts: list[tuple[str, ContainerFacts]] = []
        self.showable = Showable({name: known.threshold(FALSE_ACCEPTS) for name, known in calibrations.items()})
        self.leaks = Leaks(tools.detect, limits, self.showable)
        self.reid = Reidentification(tools.recognisers, limits, seed=config.seed)
        self.consistency = Consistency(
            tuple(calibrations), limits, calibrations, tools.landmarks, showable=self.showable
        )
        self.utility = Utility(tools.near, limits, self.facts)
        self._tools = tools
        self._closer = CloserLook(tools, config)
        self._looks = Looks(tools.detect)
        self._follow = Follower(tools.detect, interval_s=config.interval_s)
        self._ready = {footage.pair: footage for footage in ready}

    def all_files(self, pairs: Sequence[Pair], seconds: Mapping[str, Path], progress: Progress) -> None:
        """Every pair; of several, one that cannot be compared does not end the audit."""
        for pair in pairs:
            tally, second = Tally(pair, self._follow.next_track), seconds.get(pair.name)
            try:
                self._file(pair, tally, second, progress)
            except InputError as error:
                if len(pairs) == 1:
                    raise
                tally.error = without_folders(error, pair, second)
                self.warnings.append(f"{pair.name} failed: {tally.error}")
                progress(pair.name, 0)
            self.files.append(tally.file(self._follow.next_track))
        if all(file.error for file in self.files):
            raise InputError(f"not one of {len(pairs)} files could be compared; {pairs[0].name}: {self.files[0].error}")
        self.warnings += faceless(self.files)

    def conclude(self) -> tuple[Section, ...]:
        """The sections; who is recognised anywhere comes first: it decides which pictures the others may show."""
        reid = self.reid.conclude()
        self.showable.searched(self.reid.known_in)
        return self.leaks.conclude(), reid, self.consistency.conclude(), self.utility.conclude()

    def _file(self, pair: Pair, tally: Tally, parrot: Path | None, progress: Progress) -> None:
        """One pair of files."""
        footage = self._footage(pair)
        facts = container_facts(footage)
        self.facts.append((pair.name, facts))
        self.warnings += [f"{pair.name}: {note}" for note in footage.notes]
        order = _Order(pair)
        second = replace(pair, result=parrot) if parrot else None
        beside = Beside(self._footage(second) if second else None)
        for moment in self._follow.moments(footage):
            closer, parrots = self._closer(moment, beside.at(moment.index))
            looks = self._looks(moment)
            self._examine(closer, parrots, looks)
            order.look(moment, looks)
            tally.add(moment)
            progress(pair.name, len(moment.faces))
        order.check()
        self.warnings += [f"{pair.name}: {loss}" for loss in footage.losses.sentences()]
        self.leaks.beside(unseen_frames=footage.unseen.frames, further_pictures=footage.result.further_pictures)

    def _footage(self, pair: Pair) -> Footage:
        return self._ready.pop(pair, None) or footage_of(pair)

    def _examine(self, moment: Moment, parrots: Mapping[int, Mapping[str, Floats]], looks: Sequence[Look]) -> None:
        self.showable.look(moment)
        self.leaks.look(moment)
        self.reid.look(moment, parrots, looks)
        self.consistency.look(moment)
        self.utility.look(moment)


class _Order:
    """Counts the faces of some results too: many there, and hardly any in the original, is the wrong order."""

    def __init__(self, pair: Pair) -> None:
        self._pair = pair
        self._original = self._result = self._checks = 0

    def look(self, moment: Moment, looks: Sequence[Look]) -> None:
        """One more moment, and what was found in its result, if it was looked at."""
        upright = next((look for look in looks if not look.turned), None)
        if upright is not None and self._checks < ORDER_CHECKS:
            self._checks += 1
            self._original += sum(face.seen for face in moment.faces)
            self._result += len(upright.sightings)
            if self._checks == ORDER_FIRST:  # rather than after an hour of footage
                self.check()

    def check(self) -> None:
        """After the first looks, and after the last moment.

        Raises:
            InputError: the two seem to be in the wrong order.
        """
        text = swapped(self._pair, original_faces=self._original, result_faces=self._result)
        if text:
            raise InputError(text)
