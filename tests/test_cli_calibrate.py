"""`streamfilter models calibrate`, with made-up recognisers and detections."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest
from click.testing import CliRunner, Result

from streamfilter.audit.recognise import calibration, load
from streamfilter.audit.recognise.arcface import PREPARATIONS, ArcFace
from streamfilter.cli import calibration_job, main
from streamfilter.cli.calibration_job import Subject
from tests.recognise_kit import SHAPES, portraits, small_network, whole

Calibrate = Callable[..., Result]


@pytest.fixture
def network(tmp_path: Path) -> Path:
    return small_network(tmp_path / "own.onnx", shape=SHAPES[0], wants=PREPARATIONS[2])


@pytest.fixture
def photos(tmp_path: Path) -> Path:
    portraits(tmp_path / "people", people=5, each=3)
    return tmp_path / "people"


@pytest.fixture
def in_place(photos: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Run where the photos lie."""
    monkeypatch.chdir(photos.parent)


@pytest.fixture
def calibrate(monkeypatch: pytest.MonkeyPatch, network: Path) -> Calibrate:
    """The command, with the own network in the place of SFace and a detector that takes whole pictures for faces."""
    real = calibration_job.open_recogniser

    def opened(name: str, *others: object) -> Subject:
        if name != "sface":
            return real(name, *others)
        return Subject(network=ArcFace.load(network, preparation=PREPARATIONS[2]), path=network)

    monkeypatch.setattr(calibration_job, "open_recogniser", opened)
    monkeypatch.setattr(calibration_job, "open_detector", lambda *_: whole)
    return lambda *arguments: CliRunner().invoke(main, ["models", "calibrate", *map(str, arguments)])


def test_a_network_of_ones_own_is_fed_measured_and_ready(calibrate: Calibrate, network: Path, photos: Path) -> None:
    done = calibrate(network, "--photos", photos)
    assert done.exit_code == 0, done.output
    assert "RGB 0..255" in done.stderr
    assert "FAR 0.01 rests on 0.9 of 90 pairs; for 1,000 take more photos" in done.stderr
    assert f"written: {network}.calibration.json" in done.stderr
    for words in ("no pairs", "threshold at FAR 0.001", "TAR at FAR 0.001", "pairs of different people", "ms per face"):
        assert words in done.stdout
    known = load.load_extra(network).calibration
    assert (known.people, known.pictures, known.genuine_pairs, known.impostor_pairs) == (5, 15, 15, 90)
    assert known.preparation == PREPARATIONS[2]
    assert known.photos == "people, the most central face of each photo"


def test_what_comes_calibrated_is_shown_and_kept_only_on_demand(
    calibrate: Calibrate, photos: Path, tmp_path: Path
) -> None:
    before = sorted(tmp_path.iterdir())
    done = calibrate("sface", "--photos", photos)
    assert done.exit_code == 0, done.output
    assert "nothing was written" in done.stderr
    assert sorted(tmp_path.iterdir()) == before


def test_all_go_into_one_file_if_that_is_named(
    calibrate: Calibrate, network: Path, photos: Path, tmp_path: Path
) -> None:
    out = tmp_path / "all.json"
    done = calibrate("sface", network, "sface", "--photos", photos, "--out", out)
    assert done.exit_code == 0, done.output
    assert len(calibration.load(out)) == 2
    assert not calibration.beside(network).exists()


@pytest.mark.parametrize("target", ["own.onnx", "people/pairs.txt", "people/p01/photo"])
def test_nothing_is_replaced_that_was_not_asked_for(
    calibrate: Calibrate, photos: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, target: str
) -> None:
    (photos / "pairs.txt").write_text("2 1\np00 1 2\np00 1 p01 1\np01 1 2\np01 1 p02 1\n")
    network = tmp_path / "own.onnx"
    path = next((photos / "p01").iterdir()) if target.endswith("photo") else tmp_path / target
    before = path.read_bytes()
    monkeypatch.setattr(calibration_job, "embed", lambda *_: pytest.fail("it was measured first"))
    done = calibrate(network, "--photos", photos, "--out", path, "--overwrite")
    assert done.exit_code == 1 and "is the input itself" in " ".join(done.stderr.split())
    done = calibrate(network, "--photos", photos, "--out", path)
    assert done.exit_code == 1
    assert path.read_bytes() == before


def test_a_file_that_exists_is_replaced_on_demand_only(
    calibrate: Calibrate, network: Path, photos: Path, tmp_path: Path
) -> None:
    out = tmp_path / "letter.json"
    out.write_text("dear")
    done = calibrate(network, "--photos", photos, "--out", out)
    assert done.exit_code == 1 and "--overwrite" in done.stderr
    assert out.read_text() == "dear"
    assert calibrate(network, "--photos", photos, "--out", out, "--overwrite").exit_code == 0
    for _ in range(2):  # its own calibration is replaced: that is what calibrating again is for
        assert calibrate(network, "--photos", photos).exit_code == 0
    assert len(calibration.load(out)) == len(calibration.load(calibration.beside(network))) == 1


def test_pairs_beside_the_photos_give_the_accuracy(calibrate: Calibrate, photos: Path) -> None:
    lines = [f"p{n:02} 1 2\np{n:02} 1 p{n + 1:02} 3" for n in range(4)]
    (photos / "pairs.txt").write_text("\n".join(["4 1", *lines]))
    done = calibrate("sface", "--photos", photos)
    assert done.exit_code == 0, done.output
    assert "100.00% +- 0.00%" in done.stdout
    assert "8 of 8" in done.stdout


def test_photos_that_do_not_count_are_told(calibrate: Calibrate, photos: Path, network: Path) -> None:
    next(photos.rglob("*.png")).write_bytes(b"damaged")
    assert calibrate(network, "--photos", photos).exit_code == 0
    assert "; 1 more show no face or cannot be read" in load.load_extra(network).calibration.photos


@pytest.mark.parametrize(
    ("arguments", "code", "says"),
    [
        (("resnet", "--photos", "people"), 2, "resnet is no recogniser; name sface, dlib, or a file"),
        (("sface", "--photos", "nowhere"), 1, "nowhere cannot be read"),
        (("sface", "--photos", "people", "--pairs", "none.txt"), 1, "none.txt cannot be read"),
        (("missing.onnx", "--photos", "people"), 1, "no model file at missing.onnx"),
        (("sface", "--photos", "people", "--out", "people"), 1, "people is a folder where a file name is needed"),
        (("sface",), 2, "--photos"),
    ],
)
def test_bad_input_ends_in_one_line(
    calibrate: Calibrate, in_place: None, arguments: tuple[str, ...], code: int, says: str
) -> None:
    done = calibrate(*arguments)
    assert done.exit_code == code
    assert says in done.stderr
    assert "Traceback" not in done.output


def test_the_help_teaches(calibrate: Calibrate) -> None:
    text = calibrate("--help").stdout
    for words in ("DIR/PERSON/PHOTO.jpg", "false accept rate", ".calibration.json", "models pull", "LFW"):
        assert words in text
