"""The rules of the house that no type checker sees."""

from __future__ import annotations

import ast
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parent.parent
RUNTIME = ROOT / "streamfilter"
SOURCES = sorted(RUNTIME.rglob("*.py"))


def imported(path: Path) -> set[str]:
    """Top-level names of every module that a file imports, wherever in the file."""
    names: set[str] = set()
    for node in ast.walk(ast.parse(path.read_text("utf-8"))):
        if isinstance(node, ast.Import):
            names |= {alias.name.partition(".")[0] for alias in node.names}
        elif isinstance(node, ast.ImportFrom) and node.module and not node.level:
            names.add(node.module.partition(".")[0])
    return names


def calls(path: Path) -> set[str]:
    """Names of everything that a file calls: `f(...)` and `m.f(...)` both count as `f`."""
    found = set()
    for node in ast.walk(ast.parse(path.read_text("utf-8"))):
        if isinstance(node, ast.Call):
            function = node.func
            found.add(getattr(function, "attr", None) or getattr(function, "id", ""))
    return found


def users_of(*modules: str) -> set[str]:
    return {str(path.relative_to(RUNTIME)) for path in SOURCES if imported(path) & set(modules)}


def test_import_contracts_hold() -> None:
    command = [str(Path(sys.executable).with_name("lint-imports")), "--no-cache"]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout + done.stderr


@pytest.mark.parametrize("module", ["streamfilter", "streamfilter.cli"])
def test_the_runtime_never_loads_torch(module: str) -> None:
    code = f"import sys, {module}; print(sorted({{'torch', 'onnx', 'training'}} & set(sys.modules)))"
    done = subprocess.run([sys.executable, "-c", code], cwd=ROOT, capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[]"


def test_only_media_talks_to_ffmpeg() -> None:
    assert {name.partition("/")[0] for name in users_of("av")} == {"media"}


def test_only_one_file_talks_to_onnxruntime() -> None:
    assert users_of("onnxruntime") == {"onnx_model.py"}


def test_threads_live_in_the_pipeline() -> None:
    users = users_of("threading", "queue", "concurrent", "multiprocessing")
    assert {name.partition("/")[0] for name in users} == {"pipeline"}
    assert {name.partition("/")[0] for name in users_of("asyncio")} <= {"pipeline", "web"}


def test_only_the_filter_and_the_guard_make_safe_frames() -> None:
    makers = {str(path.relative_to(RUNTIME)) for path in SOURCES if "SafeFrame" in calls(path)}
    assert "face_filter.py" in makers
    assert makers <= {"face_filter.py", "guard.py"}


def test_only_the_command_line_prints() -> None:
    printers = {str(path.relative_to(RUNTIME)) for path in SOURCES if calls(path) & {"print", "echo"}}
    assert {name.partition("/")[0] for name in printers} <= {"cli"}


def test_only_containment_may_catch_everything() -> None:
    broad = {
        str(path.relative_to(RUNTIME))
        for path in SOURCES
        for node in ast.walk(ast.parse(path.read_text("utf-8")))
        if isinstance(node, ast.ExceptHandler)
        and (node.type is None or (isinstance(node.type, ast.Name) and node.type.id in {"Exception", "BaseException"}))
        and not any(isinstance(inner, ast.Raise) for inner in ast.walk(node))
    }
    # The pipeline's parts run in threads; it raises what they caught to its caller, or tells it.
    assert {name for name in broad if not name.startswith("pipeline/")} == {"containment.py"}


def test_every_module_names_its_job_in_its_first_line() -> None:
    for path in SOURCES:
        first = (ast.get_docstring(ast.parse(path.read_text("utf-8"))) or "").partition("\n")[0]
        assert first.endswith((".", ":")) or ": " in first, f"{path}: {first!r}"


def test_nothing_unfinished_is_left_in_the_code() -> None:
    marks = ["TO" + "DO", "FIX" + "ME", "XX" + "X"]
    for path in [
        p for folder in ("streamfilter", "training", "export", "tests") for p in (ROOT / folder).rglob("*.py")
    ]:
        text = path.read_text("utf-8")
        assert not [mark for mark in marks if mark in text], path
