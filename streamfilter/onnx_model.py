"""The only importer of `onnxruntime`: one model, on the device that was asked for, its inputs and outputs checked."""

from __future__ import annotations

import os
from collections.abc import Mapping
from pathlib import Path

import numpy as np
import onnxruntime as ort
from numpy.typing import NDArray

from streamfilter import engines
from streamfilter.config import Device
from streamfilter.errors import DeviceError, ModelError

Array = NDArray[np.generic]

PROVIDER = {
    Device.CPU: "CPUExecutionProvider",
    Device.CUDA: "CUDAExecutionProvider",
    Device.TENSORRT: "TensorrtExecutionProvider",
}
_BEST_FIRST = (Device.CUDA, Device.CPU)
_ANY_SIZE = -1


def versions() -> dict[str, str | list[str]]:
    """Version of ONNX Runtime and the execution providers that it was built with."""
    return {"onnxruntime": ort.__version__, "providers": list(ort.get_available_providers())}


def describe(path: Path, *, device: Device = Device.AUTO) -> dict[str, str]:
    """Metadata of a model file of whatever kind, after loading it on `device`.

    Raises:
        ModelError: The file is damaged.
        DeviceError: The device is not to be had.
    """
    session, _ = _open(path, device, threads=1)
    return dict(session.get_modelmeta().custom_metadata_map)


class OnnxModel:
    """One loaded model. Inputs are given by name, outputs come back by name; all are numpy arrays.

    Args:
        path: An ONNX file that describes itself in its metadata.
        kind: What the file must be (metadata key `kind`), for example `detector`.
        device: Anything but `AUTO` is a demand: it is met or refused.
        threads: Threads inside one operator; 0 lets ONNX Runtime decide.

    Raises:
        ModelError: The file is missing, damaged, or of another kind.
        DeviceError: The device is not to be had.
    """

    def __init__(self, path: Path, *, kind: str, device: Device = Device.AUTO, threads: int = 0) -> None:
        self.path = path
        if not path.is_file():
            raise ModelError(f"no model file at {path}")
        self._session, self.device = _open(path, device, threads)
        engine = engines.read(path) if self.device is Device.TENSORRT else None
        self._largest_batch = engine.largest_batch if engine else None
        self.metadata: Mapping[str, str] = dict(self._session.get_modelmeta().custom_metadata_map)
        if self.metadata.get("kind") != kind:
            raise ModelError(f"{path.name} is a model of kind {self.metadata.get('kind')!r}, needed is {kind!r}")
        self._inputs = {i.name: tuple(_size(d) for d in i.shape) for i in self._session.get_inputs()}
        self._outputs = [o.name for o in self._session.get_outputs()]

    @property
    def provider(self) -> str:
        """The execution provider that really runs this model."""
        return str(self._session.get_providers()[0])

    @property
    def input_names(self) -> frozenset[str]:
        """The inputs that this model takes, by name."""
        return frozenset(self._inputs)

    def __call__(self, **inputs: Array) -> dict[str, Array]:
        """Run once; in parts, if there are more rows than the engine was built for.

        Raises:
            ModelError: An input is missing or misshapen, the run failed, or an output is not finite.
        """
        self._check(inputs)
        rows = max((len(value) for value in inputs.values()), default=0)
        if self._largest_batch is None or rows <= self._largest_batch:
            return self._run(inputs)
        starts = range(0, rows, self._largest_batch)
        parts = [self._run({k: v[i : i + self._largest_batch] for k, v in inputs.items()}) for i in starts]
        return {name: np.concatenate([part[name] for part in parts]) for name in self._outputs}

    def _run(self, inputs: Mapping[str, Array]) -> dict[str, Array]:
        try:
            results = self._session.run(self._outputs, dict(inputs))
        except Exception as error:  # the provider's own exceptions share no base class
            raise ModelError(f"{self.path.name} failed on {self.provider}: {error}") from error
        outputs = dict(zip(self._outputs, results, strict=True))
        for name, value in outputs.items():
            if not np.isfinite(value).all():
                raise ModelError(f"{self.path.name} gave a value that is not finite in output {name!r}")
        return outputs

    def _check(self, inputs: Mapping[str, Array]) -> None:
        if inputs.keys() != self._inputs.keys():
            raise ModelError(f"{self.path.name} takes the inputs {sorted(self._inputs)}, got {sorted(inputs)}")
        for name, want in self._inputs.items():
            have = inputs[name].shape
            if len(have) != len(want) or any(w not in (_ANY_SIZE, h) for w, h in zip(want, have, strict=True)):
                raise ModelError(f"{self.path.name}: input {name!r} has shape {have}, needed is {want} (-1: any)")


class ForeignModel:
    """Somebody else's model, which says nothing of itself: run by names, on the CPU.

    Args:
        model: An ONNX file, or the bytes of one.
        name: What errors call it.
        threads: Threads inside one operator; 0 lets ONNX Runtime decide.

    Raises:
        ModelError: missing or damaged.
    """

    def __init__(self, model: Path | bytes, *, name: str, threads: int = 0) -> None:
        self.name = name
        if isinstance(model, Path) and not model.is_file():
            raise ModelError(f"no model file at {model}")
        self._session = _session(model, Device.CPU, threads)
        self.input_shapes = {i.name: tuple(_size(d) for d in i.shape) for i in self._session.get_inputs()}
        self.output_names = tuple(o.name for o in self._session.get_outputs())

    def __call__(self, *inputs: Array) -> tuple[Array, ...]:
        """Run once: inputs and outputs in the model's own order.

        Raises:
            ModelError: the run failed; for example an input is misshapen.
        """
        try:
            return tuple(self._session.run(None, dict(zip(self.input_shapes, inputs, strict=True))))
        except Exception as error:  # as in OnnxModel
            raise ModelError(f"{self.name} failed: {error}") from error


def _size(dimension: int | str | None) -> int:
    return dimension if isinstance(dimension, int) else _ANY_SIZE


def _open(path: Path, device: Device, threads: int) -> tuple[ort.InferenceSession, Device]:
    available = ort.get_available_providers()
    if device is not Device.AUTO:
        if PROVIDER[device] not in available:
            raise DeviceError(
                f"--device {device}: this ONNX Runtime has no {PROVIDER[device]}; it has {', '.join(available)}"
            )
        return _session(path, device, threads), device
    for candidate in _BEST_FIRST:
        if PROVIDER[candidate] in available:
            try:
                return _session(path, candidate, threads), candidate
            except DeviceError:
                continue
    raise DeviceError(f"no usable execution provider among {', '.join(available)}")


def _session(path: Path | bytes, device: Device, threads: int) -> ort.InferenceSession:
    # Or every start on a machine without a GPU prints red lines about CUDA; the errors below say it in one.
    ort.set_default_logger_severity(4)
    name = path.name if isinstance(path, Path) else "the model"
    options = ort.SessionOptions()
    options.log_severity_level = 4
    options.intra_op_num_threads = threads or (os.cpu_count() or 1)
    # Waiting threads must not burn the cores that decode and encode.
    options.add_session_config_entry("session.intra_op.allow_spinning", "0")
    try:
        # No fallback: neither now nor in the middle of a run may ONNX Runtime change to another device by itself.
        model = path if isinstance(path, bytes) else str(path)
        session = ort.InferenceSession(model, options, providers=[_provider(path, device)], enable_fallback=0)
    except DeviceError:
        raise
    except Exception as error:  # as in _run
        if device is not Device.CPU:
            raise DeviceError(f"--device {device}: {name} could not be loaded there: {error}") from error
        raise ModelError(f"{name} could not be loaded: {error}") from error
    if session.get_providers()[0] != PROVIDER[device]:
        raise DeviceError(
            f"--device {device}: {PROVIDER[device]} could not start; install its libraries or choose another device"
        )
    return session


def _provider(path: Path | bytes, device: Device) -> str | tuple[str, dict[str, str]]:
    engine = engines.read(path) if device is Device.TENSORRT and isinstance(path, Path) else None
    if engine is None or isinstance(path, bytes):
        return PROVIDER[device]
    return PROVIDER[device], engine.provider_options(engines.cache_of(path))
