"""Fixtures that several test files share."""

from __future__ import annotations

import os
import shutil
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from pathlib import Path

import pytest
from hypothesis import settings

from tests.live_kit import Cable, RtspServer, cable_missing, server_missing

# The same examples on every machine, however slow it is.
settings.register_profile("streamfilter", derandomize=True, deadline=None)
settings.load_profile("streamfilter")

DATA_VARIABLE = "STREAMFILTER_DATA"


@pytest.fixture(scope="session")
def real_data() -> Path:
    """The folder with real footage; its absence fails in CI and skips elsewhere."""
    folder = os.environ.get(DATA_VARIABLE)
    if folder and Path(folder).is_dir():
        return Path(folder)
    message = f"set {DATA_VARIABLE} to the folder with videos/, faces/ and wild/"
    if os.environ.get("CI"):
        pytest.fail(message)
    pytest.skip(message)


@pytest.fixture(scope="session")
def audit_models() -> Path:
    """The folder with the audit's models; its absence fails in CI and skips elsewhere."""
    folder = os.environ.get("STREAMFILTER_MODELS")
    if folder and (Path(folder) / "centerface.onnx").is_file():
        return Path(folder)
    message = "set STREAMFILTER_MODELS to the folder that `streamfilter models pull audit` fills"
    if os.environ.get("CI"):
        pytest.fail(message)
    pytest.skip(message)


@pytest.fixture(scope="session")
def chromium() -> str:
    """Path of a Chromium; its absence fails in CI and skips elsewhere."""
    found = shutil.which("chromium") or shutil.which("chromium-browser") or shutil.which("google-chrome")
    if found:
        return found
    message = "install Chromium (Debian package `chromium`)"
    if os.environ.get("CI"):
        pytest.fail(message)
    pytest.skip(message)


def needed(message: str) -> None:
    """Fail in CI and skip elsewhere, unless there is nothing to say."""
    if message and os.environ.get("CI"):
        pytest.fail(message)
    if message:
        pytest.skip(message)


@pytest.fixture(scope="session")
def rtsp_films(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Folder where the RTSP servers of a session share their encoded films."""
    needed(server_missing())
    return tmp_path_factory.mktemp("films")


@pytest.fixture
def rtsp_server(rtsp_films: Path) -> Iterator[Callable[..., RtspServer]]:
    """Starts RTSP servers, `rtsp_server("--counter", "yard=640x360@25", user=..., password=...)`, and ends them."""
    with ExitStack() as servers:
        yield lambda *words, **options: servers.enter_context(RtspServer(*words, cache=rtsp_films, **options))


@pytest.fixture
def cable() -> Iterator[Cable]:
    """A network that can be cut, for `rtsp_server(..., cable=cable)`."""
    needed(cable_missing())
    with Cable() as laid:
        yield laid
