"""Builds TensorRT engines of exported models through ONNX Runtime, and keeps them beside the models.

    python -m export.to_tensorrt MODEL.onnx... --batch 1,2,4,8 [--cache DIR]

One engine per model, that is per rung, for all batches up to the largest: of an engine's shape profiles ONNX Runtime
only ever uses the first (pull request 31624 there). `streamfilter --device tensorrt` takes up the engines that lie in
`tensorrt/` beside the models, with the options that they were built with; a record beside each engine holds them.
"""

from __future__ import annotations

import ctypes
import os
import statistics
import sys
import threading
import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path

import click
import numpy as np
import onnxruntime as ort

from export.parity import open_model
from streamfilter.config import Device
from streamfilter.engines import Engine, cache_of, fingerprint, record_path
from streamfilter.onnx_model import PROVIDER

TENSORRT = PROVIDER[Device.TENSORRT]
LIBRARIES = ("libnvinfer.so.10", "libnvinfer.so.11", "libnvinfer.so", "nvinfer_10.dll", "nvinfer_11.dll")
DRIVERS = ("libcuda.so.1", "nvcuda.dll")
WARM_RUNS = 10
TICK_S = 5.0
Shapes = Mapping[str, tuple[int, ...]]


def engine_options(
    shapes: Shapes, batches: Sequence[int], *, tuned_for: int, prefix: str, fp16: bool
) -> dict[str, str]:
    """Options of ONNX Runtime's TensorRT provider for one model, but for the folder of the cache.

    Args:
        shapes: Shape of each input without its first axis.
        batches: Batch sizes that will be used; the profile reaches from 1 to the largest.
        tuned_for: The batch size that TensorRT chooses its kernels for.
        prefix: First part of the name of the engine's file.
        fp16: Let TensorRT compute in fp16.
    """
    return {
        "trt_fp16_enable": "1" if fp16 else "0",
        "trt_engine_cache_enable": "1",
        "trt_engine_cache_prefix": prefix,
        "trt_timing_cache_enable": "1",
        "trt_profile_min_shapes": profile(shapes, 1),
        "trt_profile_opt_shapes": profile(shapes, tuned_for),
        "trt_profile_max_shapes": profile(shapes, max(batches)),
    }


def profile(shapes: Shapes, batch: int) -> str:
    """`name:NxCxHxW,...` for a batch size."""
    return ",".join(f"{name}:{'x'.join(map(str, (batch, *shape)))}" for name, shape in shapes.items())


def shapes_of(path: Path) -> dict[str, tuple[int, ...]]:
    """Shape of each input of a model without its first axis.

    Raises:
        click.ClickException: another axis than the first is free.
    """
    shapes = {value.name: tuple(value.shape[1:]) for value in open_model(path).get_inputs()}
    for name, shape in shapes.items():
        if not all(isinstance(size, int) for size in shape):
            raise click.ClickException(
                f"{path.name}: input {name!r} has free axes {shape}; in an engine only the batch may vary"
            )
    return shapes


def missing(providers: Sequence[str] | None = None) -> list[str]:
    """What this machine lacks to build an engine, each with what to do; nothing if it lacks nothing."""
    lacks = []
    if TENSORRT not in (ort.get_available_providers() if providers is None else providers):
        lacks.append(f"this ONNX Runtime was built without {TENSORRT}: install onnxruntime-gpu instead of onnxruntime")
    if not any(loadable(name) for name in LIBRARIES):
        lacks.append(
            f"TensorRT's library ({LIBRARIES[0]}) cannot be loaded: install TensorRT (or its wheel, tensorrt) in the"
            " version that ONNX Runtime names, and put its folder on LD_LIBRARY_PATH"
        )
    if not (count := gpu_count()):
        lacks.append(f"no GPU: the NVIDIA driver {'shows none' if count == 0 else 'cannot be loaded'}")
    return lacks


def loadable(name: str) -> bool:
    """Whether the system's loader finds a library."""
    try:
        ctypes.CDLL(name)
    except OSError:
        return False
    return True


def gpu_count() -> int | None:
    """How many GPUs the NVIDIA driver shows; None without a driver."""
    for name in DRIVERS:
        if loadable(name):
            driver, count = ctypes.CDLL(name), ctypes.c_int(0)
            failed = driver.cuInit(0) or driver.cuDeviceGetCount(ctypes.byref(count))
            return 0 if failed else count.value
    return None


@contextmanager
def ticking(what: str, every_s: float = TICK_S) -> Iterator[None]:
    """Say now and then how long something has been going on, and at the end how long it took."""
    start, done = time.monotonic(), threading.Event()

    def tick() -> None:
        while not done.wait(every_s):
            click.echo(f"{what}: {time.monotonic() - start:.0f} s so far", err=True)

    thread = threading.Thread(target=tick, daemon=True)
    thread.start()
    try:
        yield
        click.echo(f"{what}: done in {time.monotonic() - start:.1f} s")
    finally:
        done.set()
        thread.join()


def build(path: Path, engine: Engine, cache: Path) -> ort.InferenceSession:
    """Load a model on TensorRT, which builds the engine into the cache, or takes it from there.

    Raises:
        click.ClickException: TensorRT could not start.
    """
    cache.mkdir(parents=True, exist_ok=True)
    try:
        session = ort.InferenceSession(
            str(path), providers=[(TENSORRT, engine.provider_options(cache))], enable_fallback=0
        )
    except Exception as error:  # ONNX Runtime's exceptions share no base class
        raise click.ClickException(f"{path.name}: TensorRT could not build its engine: {error}") from error
    if session.get_providers()[0] != TENSORRT:
        raise click.ClickException(
            f"{path.name}: TensorRT could not start; ONNX Runtime would run {session.get_providers()}"
        )
    return session


def warm_ms(session: ort.InferenceSession, shapes: Shapes, batch: int) -> float:
    """Median time of a run with `batch` rows, ms, after one that does not count."""
    rng = np.random.default_rng(batch)
    inputs = {name: rng.uniform(0, 1, (batch, *shape)).astype(np.float32) for name, shape in shapes.items()}
    times = []
    for _ in range(WARM_RUNS + 1):
        start = time.perf_counter()
        session.run(None, inputs)
        times.append((time.perf_counter() - start) * 1000)
    return statistics.median(times[1:])


def write_record(path: Path, engine: Engine, cache: Path) -> Path:
    """Write the record, whole; only now will the runtime take up the engine."""
    target = record_path(path, cache)
    part = target.with_suffix(".part")
    part.write_text(engine.as_json(), "utf-8")
    os.replace(part, target)
    return target


def make(path: Path, cache: Path, batches: Sequence[int], *, tuned_for: int, fp16: bool) -> None:
    """Build the engine of one model, run every batch size once warm, and write the record."""
    shapes = shapes_of(path)
    options = engine_options(shapes, batches, tuned_for=tuned_for, prefix=path.stem, fp16=fp16)
    engine = Engine(fingerprint=fingerprint(path), largest_batch=max(batches), options=options)
    with ticking(f"{path.name}: engine for 1 to {max(batches)} rows"):
        session = build(path, engine, cache)
    for batch in batches:
        ms = warm_ms(session, shapes, batch)
        click.echo(f"{path.name}: {batch} rows in {ms:.2f} ms, {ms / batch:.2f} ms each")
    write_record(path, engine, cache)


def parse_batches(text: str) -> tuple[int, ...]:
    """`1,2,4` -> (1, 2, 4).

    Raises:
        click.BadParameter: that is no list of batch sizes.
    """
    try:
        batches = tuple(sorted({int(part) for part in text.split(",")}))
    except ValueError:
        batches = ()
    if not batches or batches[0] < 1:
        raise click.BadParameter(f"{text!r} is no list of batch sizes such as 1,2,4,8", param_hint="--batch")
    return batches


@click.command()
@click.argument("models", nargs=-1, required=True, type=click.Path(exists=True, dir_okay=False, path_type=Path))
@click.option("--cache", type=click.Path(file_okay=False, path_type=Path),
              help="Folder of the engines.  [default: tensorrt/ beside each model]")  # fmt: skip
@click.option(
    "--batch", default="1,2,4,8", show_default=True, help="Batch sizes to run warm; all up to the largest work."
)
@click.option("--tune-for", type=int, help="Batch size to be fastest at.  [default: the smallest of --batch]")
@click.option("--fp16/--fp32", default=True, show_default=True, help="What TensorRT may compute in.")
def main(models: tuple[Path, ...], cache: Path | None, batch: str, tune_for: int | None, fp16: bool) -> None:
    """Build and cache the TensorRT engine of each of MODELS."""
    batches = parse_batches(batch)
    tuned_for = batches[0] if tune_for is None else tune_for
    if not 1 <= tuned_for <= batches[-1]:
        raise click.BadParameter(f"{tuned_for} is not between 1 and {batches[-1]}", param_hint="--tune-for")
    if lacks := missing():
        click.echo("Error: no engine can be built here.", err=True)
        for what in lacks:
            click.echo(f"  - {what}", err=True)
        sys.exit(1)
    for path in models:
        make(path, cache or cache_of(path), batches, tuned_for=tuned_for, fp16=fp16)
    if cache:
        click.echo(f"streamfilter looks for engines in {cache_of(models[0])}; copy or link {cache} there")


if __name__ == "__main__":
    main()
