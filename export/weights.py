"""Files of weights that several models refer to, each weight stored once (ONNX external data).

A file that exists already can be kept: weights whose bytes lie in it are referred to where they lie.
"""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Mapping

import onnx
from onnx import TensorProto

SMALLEST = 1024  # bytes; smaller weights stay in the model
ALIGNMENT = 64


class KeptWeights:
    """A file of weights that is only read."""

    def __init__(self, blob: bytes) -> None:
        self._blob = blob

    def find(self, data: bytes) -> int | None:
        """Where these bytes lie, aligned as `NewWeights` aligns them, or None."""
        at = self._blob.find(data)
        while at >= 0 and at % ALIGNMENT:
            at = self._blob.find(data, at + 1)
        return at if at >= 0 else None


class NewWeights:
    """A file of weights that is being made."""

    def __init__(self) -> None:
        self.blob = bytearray()
        self._at: dict[bytes, int] = {}

    def store(self, data: bytes) -> int:
        """Where these bytes lie; they are appended if they are new."""
        digest = hashlib.sha256(data).digest()
        if digest not in self._at:
            self.blob.extend(bytes(-len(self.blob) % ALIGNMENT))
            self._at[digest] = len(self.blob)
            self.blob.extend(data)
        return self._at[digest]


class WeightFiles:
    """All files of weights beside a set of models.

    Args:
        kept: Content of the files that stay as they are, by name; they are searched first.
    """

    def __init__(self, kept: Mapping[str, bytes] | None = None) -> None:
        self._kept = {name: KeptWeights(blob) for name, blob in (kept or {}).items()}
        self._new: dict[str, NewWeights] = {}

    @property
    def new(self) -> dict[str, bytes]:
        """Content of the files that are to be written, by name."""
        return {name: bytes(file.blob) for name, file in self._new.items()}

    def holds(self, data: bytes) -> bool:
        """Whether a kept file has these bytes."""
        return self._find(data) is not None

    def move_out(self, model: onnx.ModelProto, file_of: Callable[[str], str]) -> onnx.ModelProto:
        """Move the model's large weights out; `file_of` names the file for a weight that no kept file has.

        Raises:
            ValueError: `file_of` named a kept file.
        """
        for tensor in model.graph.initializer:
            if len(tensor.raw_data) < SMALLEST:
                continue
            location, offset = self._find(tensor.raw_data) or self._store(file_of(tensor.name), tensor.raw_data)
            length = len(tensor.raw_data)
            tensor.ClearField("raw_data")
            tensor.data_location = TensorProto.EXTERNAL
            for key, value in (("location", location), ("offset", str(offset)), ("length", str(length))):
                entry = tensor.external_data.add()
                entry.key, entry.value = key, value
        return model

    def _find(self, data: bytes) -> tuple[str, int] | None:
        for name, file in self._kept.items():
            offset = file.find(data)
            if offset is not None:
                return name, offset
        return None

    def _store(self, name: str, data: bytes) -> tuple[str, int]:
        if name in self._kept:
            raise ValueError(f"{name} is kept, so nothing new can be stored in it")
        return name, self._new.setdefault(name, NewWeights()).store(data)
