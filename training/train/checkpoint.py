"""Checkpoints: a snapshot that describes itself, and beside it what a resume needs; no file above 16 MiB.

    RUN/step_00001200/snapshot.pt      the averaged weights: what export and evaluation read
    RUN/step_00001200/resume_00.pt ... weights, average, optimisers

A checkpoint is written into a folder of another name, which is renamed when it is whole; only then the one before it is
removed. So whenever the process dies, the newest `step_...` folder is a whole one. All files load with `weights_only`.
"""

from __future__ import annotations

import shutil
from collections.abc import Mapping, Sequence
from pathlib import Path
from pickle import UnpicklingError
from typing import Any

import torch
from torch import Tensor, nn

from streamfilter.errors import ConfigError
from training.networks.build import build, kind_of, options_of

FORMAT = 1
LIMIT_BYTES = 16 * 2**20
ROOM_BYTES = 15 * 2**20  # of tensors in one file; the rest is for names and padding
LARGE = 4096  # a tensor of more elements is stored in half precision where a snapshot would be too large
SNAPSHOT, RESUME = "snapshot", "resume"
Tree = Any  # tensors and plain values in dicts, lists and tuples


def save(run: Path, *, model: nn.Module, step: int, kimg: float, preset: Mapping[str, Any], state: Tree) -> Path:
    """Write the checkpoint of a step, whole or not at all, and remove older ones.

    Args:
        run: Folder of the run.
        model: The averaged model, for the snapshot.
        step: Steps taken.
        kimg: Thousands of faces painted.
        preset: How it was trained; plain values.
        state: What a resume needs.
    """
    final = run / f"step_{step:08d}"
    if final.is_dir():
        return final
    part = run / f"part_{step:08d}"
    shutil.rmtree(part, ignore_errors=True)
    part.mkdir(parents=True)
    save_snapshot(part / f"{SNAPSHOT}.pt", model=model, step=step, kimg=kimg, preset=preset)
    _write(part / f"{RESUME}_00.pt", {"format": FORMAT}, state)
    older = checkpoints(run)
    part.rename(final)
    for folder in older:
        shutil.rmtree(folder)
    return final


def save_snapshot(path: Path, *, model: nn.Module, step: int, kimg: float, preset: Mapping[str, Any]) -> None:
    """Write a snapshot alone: `path`, and numbered files beside it where one of 16 MiB is not enough."""
    described = {"format": FORMAT, "kind": kind_of(model), "options": options_of(model)}
    head = {**described, "step": step, "kimg": kimg, "preset": dict(preset)}
    _write(path, head, {"model": compact(model.state_dict())})


def compact(tensors: Mapping[str, Tensor]) -> dict[str, Tensor]:
    """The tensors as they are if they fit into one file; else the large ones in half precision."""
    if sum(tensor.numel() * tensor.element_size() for tensor in tensors.values()) <= ROOM_BYTES:
        return dict(tensors)
    return {
        name: tensor.half() if tensor.dtype == torch.float32 and tensor.numel() > LARGE else tensor
        for name, tensor in tensors.items()
    }


def load_snapshot(path: Path) -> tuple[nn.Module, dict[str, Any]]:
    """The model of a snapshot, in evaluation mode, and what the snapshot says about itself (all but the weights).

    Args:
        path: `snapshot.pt`, the folder of a checkpoint, or the folder of a run.

    Raises:
        ConfigError: there is no snapshot, a file of it is missing or damaged, or it is of another format.
    """
    head, content = _read(snapshot_path(path))
    model = build(head["kind"], head["options"])
    model.load_state_dict(content["model"])
    return model.eval(), head


def snapshot_path(path: Path) -> Path:
    """The snapshot file meant by a file, a checkpoint's folder or a run's folder."""
    if path.is_file():
        return path
    for folder in (path, *reversed(checkpoints(path))):
        if (folder / f"{SNAPSHOT}.pt").is_file():
            return folder / f"{SNAPSHOT}.pt"
    raise ConfigError(f"{path} is no snapshot and holds none; python -m training.train writes RUN/step_.../snapshot.pt")


def checkpoints(run: Path) -> list[Path]:
    """Whole checkpoints of a run, oldest first."""
    return sorted(folder for folder in run.glob("step_*") if folder.is_dir())


def load_resume(run: Path) -> Tree | None:
    """What the newest checkpoint of a run kept for a resume; None where there is no checkpoint.

    Raises:
        ConfigError: a file of the checkpoint is missing or damaged, or of another format.
    """
    found = checkpoints(run)
    return _read(found[-1] / f"{RESUME}_00.pt")[1] if found else None


def _write(path: Path, head: Mapping[str, Any], tree: Tree) -> None:
    """Write `tree` to `path` and numbered files beside it, each within the limit; `head` goes into the first."""
    pieces: list[Tensor] = []
    content = _take_apart(tree, pieces)
    files = [group for group in _grouped(pieces) if group] or [[]]
    for number, group in enumerate(files):
        values: dict[str, Any] = {"pieces": group}
        if number == 0:
            values |= {**head, "content": content, "files": len(files)}
        torch.save(values, _numbered(path, number))


def _read(path: Path) -> tuple[dict[str, Any], Tree]:
    first = _load(path)
    if not isinstance(first, dict) or first.get("format") != FORMAT:
        raise ConfigError(f"{path} is no checkpoint of format {FORMAT}, as python -m training.train writes it")
    pieces = list(first.pop("pieces"))
    for number in range(1, first.pop("files")):
        pieces += _load(_numbered(path, number))["pieces"]
    content = _put_together(first.pop("content"), pieces)
    return first, content


def _load(path: Path) -> Any:
    if not path.is_file():
        raise ConfigError(f"{path} is missing: a checkpoint's numbered files belong together, copy them all")
    try:
        return torch.load(path, map_location="cpu", weights_only=True)
    except (UnpicklingError, RuntimeError, EOFError) as error:
        raise ConfigError(f"{path} is damaged, or no checkpoint: {repr(error).splitlines()[0]}") from error


def _numbered(path: Path, number: int) -> Path:
    """`snapshot.pt`, `snapshot_01.pt`, ...; `resume_00.pt`, `resume_01.pt`, ..."""
    if number == 0:
        return path
    return path.with_name(f"{path.stem.removesuffix('_00')}_{number:02d}.pt")


def _take_apart(tree: Tree, pieces: list[Tensor]) -> Tree:
    """The tree with each tensor replaced by where its pieces are; every piece fits into a file."""
    if isinstance(tree, Tensor):
        # A copy of its own: a view would be saved with all of its storage.
        flat = tree.detach().to("cpu", copy=True).contiguous().flatten()
        first, per_piece = len(pieces), max(1, ROOM_BYTES // flat.element_size())
        pieces += [part.clone() for part in flat.split(per_piece)] if flat.numel() > per_piece else [flat]
        return {"#tensor": [first, len(pieces)], "shape": list(tree.shape)}
    if isinstance(tree, Mapping):
        return {key: _take_apart(value, pieces) for key, value in tree.items()}
    if isinstance(tree, (list, tuple)):
        return type(tree)(_take_apart(value, pieces) for value in tree)
    return tree


def _put_together(tree: Tree, pieces: Sequence[Tensor]) -> Tree:
    if isinstance(tree, dict) and "#tensor" in tree:
        first, after = tree["#tensor"]
        return torch.cat(list(pieces[first:after])).view(tree["shape"])
    if isinstance(tree, dict):
        return {key: _put_together(value, pieces) for key, value in tree.items()}
    if isinstance(tree, (list, tuple)):
        return type(tree)(_put_together(value, pieces) for value in tree)
    return tree


def _grouped(pieces: Sequence[Tensor]) -> list[list[Tensor]]:
    """Neighbouring pieces together as far as they fit into one file."""
    groups: list[list[Tensor]] = [[]]
    filled = 0
    for piece in pieces:
        size = piece.numel() * piece.element_size() + 512  # an entry of the archive has a header and is padded
        if filled + size > ROOM_BYTES and groups[-1]:
            groups.append([])
            filled = 0
        groups[-1].append(piece)
        filled += size
    return groups
