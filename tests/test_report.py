"""What the report and the summary say about frames."""

from __future__ import annotations

import json
import os
from collections import Counter
from fractions import Fraction
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from streamfilter.errors import OutputError
from streamfilter.report import ReportFile, Summary, Tally, frame_record
from streamfilter.structures import Action, Region, SafeFrame


def region(track_id: int, action: Action, reason: str = "") -> Region:
    return Region(track_id=track_id, xyxy=np.array([1, 2, 30.25, 40], np.float32), action=action, reason=reason)


def safe(*regions: Region, index: int = 0, pts: int | None = 0, blanked: str | None = None) -> SafeFrame:
    image = np.zeros((4, 6, 3), np.uint8)
    return SafeFrame(image=image, index=index, pts=pts, time_base=Fraction(1, 90000), regions=regions, blanked=blanked)


def test_tally_counts_faces_frames_and_tracks() -> None:
    tally = Tally()
    tally.add(safe(region(1, Action.GENERATED), region(2, Action.COVERED, "too small")))
    tally.add(safe(region(1, Action.GENERATED)))
    tally.add(safe(blanked="the detector failed"))
    assert tally.summary() == Summary(frames=3, replaced=2, covered=1, blanked=1, tracks=2, reasons={"too small": 1})


@given(
    st.lists(
        st.lists(
            st.tuples(st.integers(0, 3), st.sampled_from(list(Action)), st.sampled_from(["small", "unsure"])),
            max_size=4,
        ),
        max_size=8,
    )
)
def test_every_region_is_counted_once(frames: list[list[tuple[int, Action, str]]]) -> None:
    tally = Tally()
    for regions in frames:
        tally.add(safe(*(region(*each) for each in regions)))
    total = tally.summary()
    assert total.frames == len(frames)
    assert total.replaced + total.covered == sum(map(len, frames))
    assert sum(total.reasons.values()) == total.covered


def test_summaries_add_up() -> None:
    one = Summary(frames=2, replaced=3, covered=1, blanked=0, tracks=1, reasons={"small": 1})
    two = Summary(frames=5, replaced=0, covered=3, blanked=2, tracks=4, reasons={"small": 2, "unsure": 1})
    both = one + two
    assert (both.frames, both.replaced, both.covered, both.blanked, both.tracks) == (7, 3, 4, 2, 5)
    assert Counter(both.reasons) == Counter(small=3, unsure=1)


def test_a_frame_becomes_one_plain_json_object() -> None:
    frame = safe(region(7, Action.COVERED, "turned away"), index=3, pts=45000)
    assert json.loads(json.dumps(frame_record(frame))) == {
        "type": "frame",
        "index": 3,
        "time_s": 0.5,
        "regions": [{"track": 7, "box": [1.0, 2.0, 30.2, 40.0], "action": "covered", "reason": "turned away"}],
        "blanked": None,
    }


def test_a_frame_without_timestamp_has_no_time() -> None:
    assert frame_record(safe(pts=None))["time_s"] is None


def test_the_report_appears_only_when_it_is_whole(tmp_path: Path) -> None:
    path = tmp_path / "report.jsonl"
    with ReportFile(path) as report:
        report.write({"type": "header"})
        report.write(frame_record(safe()))
        assert not path.exists()
        report.commit()
    assert [json.loads(line)["type"] for line in path.read_text("utf-8").splitlines()] == ["header", "frame"]
    assert list(tmp_path.iterdir()) == [path]


def test_an_abandoned_report_leaves_nothing(tmp_path: Path) -> None:
    with pytest.raises(RuntimeError, match="stopped"), ReportFile(tmp_path / "report.jsonl") as report:
        report.write({"type": "header"})
        raise RuntimeError("stopped")
    assert list(tmp_path.iterdir()) == []


def test_an_existing_report_is_kept_unless_told_otherwise(tmp_path: Path) -> None:
    path = tmp_path / "report.jsonl"
    path.write_text("old")
    with pytest.raises(OutputError, match="--overwrite"):
        ReportFile(path)
    assert path.read_text() == "old"
    with ReportFile(path, overwrite=True) as report:
        report.write({"new": True})
        report.commit()
    assert json.loads(path.read_text()) == {"new": True}


@pytest.mark.parametrize("place", ["missing/report.jsonl", "."])
def test_an_impossible_place_is_refused_at_once(tmp_path: Path, place: str) -> None:
    with pytest.raises(OutputError, match="name"):
        ReportFile(tmp_path / place)
    assert list(tmp_path.iterdir()) == []


def test_a_device_is_never_replaced_by_a_file() -> None:
    with pytest.raises(OutputError, match="device"):
        ReportFile(Path(os.devnull), overwrite=True)
    assert Path(os.devnull).is_char_device()


def test_a_target_that_became_a_folder_is_an_output_error(tmp_path: Path) -> None:
    path = tmp_path / "report.jsonl"
    with pytest.raises(OutputError, match="could not be written"), ReportFile(path) as report:
        path.mkdir()
        report.commit()
    assert list(tmp_path.iterdir()) == [path]
