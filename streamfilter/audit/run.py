"""The audit itself: every pair of files, every moment, every examiner, one report."""

from __future__ import annotations

import time
from collections.abc import Callable, Generator, Sequence
from contextlib import closing
from dataclasses import asdict
from pathlib import Path

from streamfilter.audit.closer import CloserLook
from streamfilter.audit.consistency import Consistency
from streamfilter.audit.container_facts import ContainerFacts, container_facts
from streamfilter.audit.elsewhere import Look, Looks
from streamfilter.audit.follow import Follower
from streamfilter.audit.footage import Footage, footage_of, frame_pairs, swapped
from streamfilter.audit.leaks import Leaks
from streamfilter.audit.moment import Moment
from streamfilter.audit.pairs import Pair, pairs_of
from streamfilter.audit.reidentify import Reidentification
from streamfilter.audit.report import AuditedFile, AuditReport, AuditSettings
from streamfilter.audit.settings import AuditConfig
from streamfilter.audit.tools import Tools
from streamfilter.audit.utility import Utility
from streamfilter.errors import InputError
from streamfilter.structures import Image

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
) -> AuditReport:
    """Compare a result with its original: two files, or two folders that mirror each other.

    Args:
        parrot: A second result of the same tool for the same original: what an attacker could make who has the tool.
        progress: Called after every frame with the file's name and the number of faces in it.

    Raises:
        InputError: the two cannot be compared, or seem to have been given in the wrong order.
        ModelError: a model failed.
    """
    began = time.monotonic()
    job = _Audit(tools, config)
    seconds = {pair.name: pair.result for pair in pairs_of(original, parrot)} if parrot else {}
    for pair in pairs_of(original, result):
        job.file(pair, seconds.get(pair.name), progress)
    return AuditReport(
        original=str(original),
        result=str(result),
        files=tuple(job.files),
        models=tools.used,
        settings=AuditSettings(interval_s=config.interval_s, seed=config.seed, limits=asdict(config.limits)),
        sections=(
            job.leaks.conclude(),
            job.reid.conclude(),
            job.consistency.conclude(),
            job.utility.conclude(),
        ),
        warnings=tuple(job.warnings),
        fail_on=config.fail_on,
        took_s=time.monotonic() - began,
    )


class _Audit:
    """Examiners and what is counted on the way."""

    def __init__(self, tools: Tools, config: AuditConfig) -> None:
        limits = config.limits
        calibrations = {item.name: item.calibration for item in tools.recognisers}
        self.files: list[AuditedFile] = []
        self.warnings: list[str] = []
        self.facts: list[tuple[str, ContainerFacts]] = []
        self.leaks = Leaks(tools.detect, limits)
        self.reid = Reidentification(tools.recognisers, limits, seed=config.seed)
        self.consistency = Consistency(tuple(calibrations), limits, calibrations, tools.landmarks)
        self.utility = Utility(tools.near, limits, self.facts)
        self._tools = tools
        self._closer = CloserLook(tools, config)
        self._looks = Looks(tools.detect)
        self._follow = Follower(tools.detect, interval_s=config.interval_s)

    def file(self, pair: Pair, parrot: Path | None, progress: Progress) -> None:
        """One pair of files."""
        footage = footage_of(pair)
        facts = container_facts(footage)
        self.facts.append((pair.name, facts))
        self.warnings += [f"{pair.name}: {note}" for note in footage.notes]
        order = _Order(pair)
        first_track, frames, faces, start_s, time_s = self._follow.next_track, 0, 0, 0.0, 0.0
        with closing(_pictures(footage, parrot)) as seconds:
            for moment in self._follow.moments(footage):
                closer, second = self._closer(moment, _at(seconds, moment.index) if parrot else None)
                self.leaks.look(closer)
                looks = self._looks(moment)
                self.reid.look(closer, second, looks)
                self.consistency.look(closer)
                self.utility.look(closer)
                order.look(moment, looks)
                start_s, time_s = (start_s if frames else moment.time_s), moment.time_s
                frames, faces = frames + 1, faces + len(moment.faces)
                progress(pair.name, len(moment.faces))
        order.check()
        self.leaks.beside(unseen_frames=footage.unseen.frames, further_pictures=footage.result.further_pictures)
        self.files.append(
            AuditedFile(
                name=pair.name,
                frames=frames,
                duration_s=None if footage.still else time_s - start_s,
                faces=faces,
                tracks=self._follow.next_track - first_track,
            )
        )


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


def _pictures(footage: Footage, parrot: Path | None) -> Generator[tuple[int, Image]]:
    """Index and picture of a second result, beside the same original."""
    if parrot is None:
        return
    second = footage_of(Pair(name=footage.pair.name, original=footage.pair.original, result=parrot))
    for index, _, _, picture in frame_pairs(second):
        yield index, picture


def _at(pictures: Generator[tuple[int, Image]], index: int) -> Image | None:
    """The picture with this index; None where the second result shows nothing then."""
    for number, picture in pictures:
        if number == index:
            return picture
        if number > index:
            return None
    return None
