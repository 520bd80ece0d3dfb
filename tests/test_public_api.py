"""What `import streamfilter` promises."""

from __future__ import annotations

import tomllib
from pathlib import Path

import pytest

import streamfilter
from streamfilter import errors
from tests.scenes import write_clip

ROOT = Path(__file__).parent.parent


def test_all_is_exactly_what_is_public() -> None:
    submodules = {path.stem for path in (ROOT / "streamfilter").iterdir()} | {"annotations"}
    public = {name for name in vars(streamfilter) if not name.startswith("_")} - submodules
    assert set(streamfilter.__all__) == public | {"__version__"}
    assert list(streamfilter.__all__) == sorted(streamfilter.__all__)


def test_the_version_is_that_of_the_package() -> None:
    project = tomllib.loads((ROOT / "pyproject.toml").read_text("utf-8"))["project"]
    assert streamfilter.__version__ == project["version"]


def test_every_error_is_public_and_a_builtin_too() -> None:
    tree = [item for item in vars(errors).values() if isinstance(item, type)]
    for error in tree:
        assert error.__name__ in streamfilter.__all__
        assert issubclass(error, errors.StreamFilterError)
        if error is not errors.StreamFilterError:
            assert issubclass(error, ValueError | OSError | RuntimeError)
        assert error.__name__ in (errors.__doc__ or "")


@pytest.mark.slow
def test_a_file_can_be_filtered_in_three_lines(tmp_path: Path) -> None:
    source = write_clip(tmp_path / "in.mp4", frames=5)
    guard = streamfilter.build_filter(streamfilter.FilterConfig(), device=streamfilter.Device.CPU, threads=1)
    outcome = streamfilter.filter_file(source, tmp_path / "out.mp4", guard, streamfilter.MediaConfig())
    assert outcome.complete
    assert outcome.summary.frames == 5
    assert outcome.summary.replaced + outcome.summary.covered == 5
