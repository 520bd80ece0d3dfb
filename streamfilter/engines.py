"""TensorRT engines that were built before: where they lie, and the options with which ONNX Runtime takes them up.

`python -m export.to_tensorrt` builds them. Beside each lies a record; without one, TensorRT builds at every start.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from pathlib import Path

from streamfilter.errors import DeviceError
from streamfilter.model_files import sha256, weights_beside

FOLDER = "tensorrt"
REBUILD = "build it again: python -m export.to_tensorrt"


@dataclass(frozen=True, kw_only=True)
class Engine:
    """How an engine was built: from which model, for batches of up to how many faces, with which options."""

    fingerprint: str
    largest_batch: int
    options: Mapping[str, str]

    def provider_options(self, cache: Path) -> dict[str, str]:
        """What ONNX Runtime's TensorRT provider is given; the same options as when it was built, or it builds anew."""
        folder = str(cache.resolve())
        return {**self.options, "trt_engine_cache_path": folder, "trt_timing_cache_path": folder}

    def as_json(self) -> str:
        """The text of the record."""
        return json.dumps(asdict(self), indent=1)


def fingerprint(model: Path) -> str:
    """A hash of a model file and of the weights beside it: another light controller may have the very same graph."""
    return hashlib.sha256("".join(sha256(path) for path in (model, *weights_beside([model]))).encode()).hexdigest()


def cache_of(model: Path) -> Path:
    """Where the engines of a model are looked for: in a folder beside it."""
    return model.parent / FOLDER


def record_path(model: Path, cache: Path) -> Path:
    """The record of a model's engine."""
    return cache / f"{model.stem}.json"


def read(model: Path) -> Engine | None:
    """The engine that was built for a model, or None.

    Raises:
        DeviceError: It was built for another file of this name, or its record is damaged.
    """
    path = record_path(model, cache_of(model))
    if not path.is_file():
        return None
    try:
        engine = Engine(**json.loads(path.read_text("utf-8")))
    except (ValueError, TypeError) as error:
        raise DeviceError(f"{path} is damaged; {REBUILD}") from error
    if engine.fingerprint != fingerprint(model):
        raise DeviceError(f"{path} belongs to another {model.name}; {REBUILD}")
    return engine
