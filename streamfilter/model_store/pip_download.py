"""Archives from the package index that the user's pip uses: pinned by hash, downloaded, never installed."""

from __future__ import annotations

import logging
import os
import re
import subprocess
import sys
from collections.abc import Callable, Sequence
from pathlib import Path

from streamfilter.errors import ModelError
from streamfilter.model_files import sha256
from streamfilter.model_store.catalogue import Package
from streamfilter.model_store.store import check_sha256

_log = logging.getLogger(__name__)
# -P: a file pip.py in the folder where the user stands is not pip.
PIP = (sys.executable, "-P", "-m", "pip")
LOOK_EVERY_S = 0.2
CRASH = "ERROR: Exception:"  # a traceback follows; its last line says what happened
WORTH_TELLING = ("ERROR:", "×", "error:")
FULL = "; free some space, or set TMPDIR to a folder on another disk"
OFFLINE = "; check the network and pip's settings, or take the files from a folder: --from FOLDER"


def download(package: Package, workspace: Path, *, seen: Callable[[int], None], command: Sequence[str] = PIP) -> Path:
    """Let pip fetch the archive of a package into `workspace`, which the caller removes.

    pip compares the archive with the pinned hash before it looks into it; afterwards it is compared once more here.

    Args:
        package: What to fetch.
        workspace: An empty folder; pip's own temporary files go there too.
        seen: Told the bytes that have arrived so far, again and again.
        command: How pip is started.

    Raises:
        ModelError: there is no pip, it failed, or the archive is not the one that is pinned.
    """
    fetched, wish, log = workspace / "fetched", workspace / "requirements.txt", workspace / "pip.log"
    wish.write_text(f"{package.pin} --hash=sha256:{package.sha256}\n", encoding="utf-8")
    status = _run([*command, *_arguments(package, wish, fetched)], log, lambda: seen(_arrived(workspace, package)))
    said = without_secrets(log.read_text("utf-8", errors="replace"))
    _log.debug("pip said:\n%s", said)
    archives = list(fetched.glob("*")) if status == 0 else []
    if not archives:
        raise ModelError(_failure(package, said))
    check_sha256(sha256(archives[0]), package.sha256, archives[0].name)
    return archives[0]


def without_secrets(text: str) -> str:
    """Text with every address cut down to its host: user names, passwords and tokens in paths go.

    Any index may have its credentials in its address, and pip repeats addresses in what it says.
    """
    text = re.sub(r"(\w+)://(?:[^\s/]*@)?([^\s/?#@'\"<>()]*)[^\s'\"<>()]*", r"\1://\2/...", text)
    return re.sub(r"(: )/[^\s'\"]+", r"\1/...", text)


def _arguments(package: Package, wish: Path, fetched: Path) -> list[str]:
    """Whatever the user's settings prefer, the kind of archive that is pinned is the one to take."""
    kind = "--only-binary" if package.is_wheel else "--no-binary"
    return [
        *("download", "--no-deps", "--require-hashes", "--no-input", "--disable-pip-version-check"),
        *("--progress-bar", "off", f"{kind}={package.name}", "--requirement", str(wish), "--dest", str(fetched)),
    ]


def _run(command: list[str], log: Path, tick: Callable[[], None]) -> int:
    """Run to the end, and end it with this process; what it says goes to `log`."""
    temporary = dict.fromkeys(("TMPDIR", "TEMP", "TMP"), str(log.parent))
    with log.open("wb") as output:
        try:
            process = subprocess.Popen(
                command,
                stdin=subprocess.DEVNULL,
                stdout=output,
                stderr=subprocess.STDOUT,
                env={**os.environ, **temporary, "PYTHONIOENCODING": "utf-8"},
            )
        except OSError as error:
            raise ModelError(f"pip cannot be started: {error.strerror}{OFFLINE}") from error
        try:
            return _wait(process, tick)
        except BaseException:
            process.terminate()
            process.wait()
            raise


def _wait(process: subprocess.Popen[bytes], tick: Callable[[], None]) -> int:
    while True:
        tick()
        try:
            return process.wait(LOOK_EVERY_S)
        except subprocess.TimeoutExpired:
            continue


def _arrived(workspace: Path, package: Package) -> int:
    """Bytes of the archive so far: pip writes into a folder of its own below its temporary one."""
    sizes = [0]
    for path in workspace.glob(f"*/{package.archive}"):
        try:
            sizes.append(path.stat().st_size)
        except OSError:  # moved meanwhile
            continue
    return max(sizes)


def _failure(package: Package, said: str) -> str:
    if "No module named pip" in said:
        return f"this Python has no pip: {sys.executable}; install it with `python -m ensurepip`, or use --from FOLDER"
    if got := re.search(r"\bGot\s+([0-9a-f]{64})", said):
        pinned = f"expected SHA-256 {package.sha256}, got {got[1]}"
        return f"{package.archive} is not the file that is pinned: {pinned}; nothing of it was kept"
    unreachable = " (the index could not be reached)" if "after connection broken" in said else ""
    remedy = FULL if "No space left" in said else OFFLINE
    return f"pip could not download {package.pin}: {_last_word(said)}{unreachable}{remedy}"


def _last_word(said: str) -> str:
    """The line of pip's output that says most: its last error, else its last line."""
    lines = [line.strip() for line in said.splitlines() if line.strip()]
    for mark in WORTH_TELLING:
        for line in reversed(lines):
            if line.startswith(mark) and line != CRASH:
                return line.removeprefix(mark).strip()
    return lines[-1] if lines else "it said nothing"
