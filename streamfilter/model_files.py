"""Where the shipped models lie, and what their bytes are."""

from __future__ import annotations

import hashlib
from collections.abc import Iterable
from pathlib import Path

from streamfilter.errors import ModelError

MODELS = Path(__file__).parent / "models"


def shipped(name: str) -> Path:
    """Path of the shipped model file `name`.

    Raises:
        ModelError: it is not there; the installation is damaged.
    """
    path = MODELS / name
    if not path.is_file():
        raise ModelError(f"the model file {name} is missing from the installation; reinstall streamfilter")
    return path


def sha256(path: Path) -> str:
    """SHA-256 of a file, as hexadecimal digits."""
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def weights_beside(paths: Iterable[Path]) -> list[Path]:
    """Files with weights that models in these places share; ONNX calls them external data."""
    return sorted({weights for path in paths for weights in path.parent.glob("*.weights")})
