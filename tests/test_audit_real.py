"""The audit on real footage, with the real models: what was done to a clip is what it finds."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import islice
from pathlib import Path

import av
import cv2
import numpy as np
import pytest

from streamfilter import AnonymizeConfig, Device, FilterConfig, MediaConfig, build_filter, filter_file
from streamfilter.audit.report import AuditReport
from streamfilter.audit.run import audit
from streamfilter.audit.section import Verdict
from streamfilter.audit.settings import AuditConfig
from streamfilter.audit.tools import Tools
from streamfilter.model_store.store import Store
from streamfilter.structures import Image

pytestmark = [pytest.mark.real, pytest.mark.slow]
FRAMES = 40
SPLICED = {3, 7, 8, 18, 19, 25, 31, 33, 38, 39}


def pictures(path: Path, count: int = FRAMES) -> list[Image]:
    with av.open(str(path)) as source:
        return [frame.to_ndarray(format="rgb24") for frame in islice(source.decode(video=0), count)]


def written(path: Path, images: Sequence[Image]) -> Path:
    with av.open(str(path), "w") as output:
        stream = output.add_stream("libx264", rate=25, options={"crf": "18", "preset": "veryfast"})
        stream.height, stream.width = images[0].shape[:2]
        stream.pix_fmt = "yuv420p"
        for image in images:
            output.mux(stream.encode(av.VideoFrame.from_ndarray(image, format="rgb24")))
        output.mux(stream.encode())
    return path


@pytest.fixture(scope="module")
def tools(audit_models: Path) -> Tools:
    return Tools.load(Store(audit_models), threads=2)


@pytest.fixture(scope="module")
def clip(real_data: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("real")
    return written(folder / "clip.mp4", pictures(real_data / "videos/talking/webcam_glasses_587f.mp4"))


@pytest.fixture(scope="module")
def protected(clip: Path) -> Path:
    config = FilterConfig(anonymize=AnonymizeConfig(seed=4))
    filter_file(clip, clip.with_name("protected.mp4"), build_filter(config, device=Device.CPU), MediaConfig())
    return clip.with_name("protected.mp4")


def figures(report: AuditReport) -> dict[str, object]:
    return {figure.name: figure.value for section in report.sections for figure in section.figures}


def marks(report: AuditReport) -> list[bool]:
    """Of the crops of the result: whether they are shown on demand only."""
    pictures = [picture for section in report.sections for picture in section.pictures]
    return [picture.original for picture in pictures if picture.name.startswith(("result_", "track_"))]


def test_an_untouched_copy_is_all_leak_and_everyone_is_known(clip: Path, tools: Tools) -> None:
    copy = written(clip.with_name("copy.mp4"), pictures(clip))
    found = figures(audit(clip, copy, tools, AuditConfig()))
    assert found["bare_share"] == 1
    for name in ("sface", "dlib"):
        assert found[f"same_frame_tar_1e3_{name}"] == 1


def test_our_own_result_shows_no_face(clip: Path, protected: Path, tools: Tools) -> None:
    report = audit(clip, protected, tools, AuditConfig())
    found = figures(report)
    assert found["bare_faces"] == 0
    assert report.sections[0].verdict is Verdict.PASSED
    assert report.files[0].faces == FRAMES
    assert found["redetected_mtcnn"] == 1
    for name in ("sface", "dlib"):
        assert found[f"same_frame_tar_1e3_{name}"] == 0


def test_ten_frames_that_were_put_back_are_found_each_one(clip: Path, protected: Path, tools: Tools) -> None:
    before, after = pictures(clip), pictures(protected)
    mixed = [before[i] if i in SPLICED else after[i] for i in range(FRAMES)]
    report = audit(clip, written(clip.with_name("spliced.mp4"), mixed), tools, AuditConfig())
    [spans] = [table for table in report.sections[0].tables if table.name == "bare_spans"]
    assert {i for _, first, last in spans.rows for i in range(first, last + 1)} == SPLICED


def test_faces_that_were_shifted_are_recognised(clip: Path, tools: Tools) -> None:
    shifted = [np.roll(image, 20, axis=1) for image in pictures(clip)[:20]]
    report = audit(first(clip), written(clip.with_name("shifted.mp4"), shifted), tools, AuditConfig())
    assert report.sections[0].verdict is Verdict.PASSED
    found = figures(report)["recognised_anywhere"]
    assert isinstance(found, int) and found >= 5
    assert report.sections[1].verdict is Verdict.FAILED
    assert set(marks(report)) == {True}  # their pixels do not survive, but they can be seen


def test_a_face_pasted_into_a_corner_is_recognised_and_our_own_is_not(
    clip: Path, protected: Path, tools: Tools
) -> None:
    before, after = pictures(clip)[:20], pictures(protected)[:20]
    own = audit(first(clip), written(clip.with_name("own.mp4"), after), tools, AuditConfig())
    assert figures(own)["recognised_anywhere"] == 0
    assert own.sections[1].figures[0].kept is True  # it would have been seen
    assert set(marks(own)) == {False}
    face = tools.detect(before[0])[0].xyxy.astype(int)
    for image, original in zip(after, before, strict=True):
        x0, y0, x1, y1 = (*np.maximum(face[:2] - 20, 0), *(face[2:] + 20))
        small = cv2.resize(original[y0:y1, x0:x1], None, fx=0.6, fy=0.6, interpolation=cv2.INTER_AREA)
        image[: small.shape[0], : small.shape[1]] = small
    pasted = audit(first(clip), written(clip.with_name("pasted.mp4"), after), tools, AuditConfig())
    found = figures(pasted)["recognised_anywhere"]
    assert isinstance(found, int) and found >= 3
    assert pasted.sections[1].verdict is Verdict.FAILED


def first(clip: Path) -> Path:
    """The first 20 pictures of it."""
    return written(clip.with_name("first.mp4"), pictures(clip)[:20])
