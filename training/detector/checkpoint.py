"""Checkpoints of the detector: plain tensors and JSON, loadable with `weights_only`."""

from __future__ import annotations

import json
from dataclasses import asdict
from pathlib import Path
from typing import Any

import torch

from training.detector.network import YuNet, YuNetConfig, load_published


def save(path: Path, network: YuNet, *, run: dict[str, Any], state: dict[str, Any] | None = None) -> None:
    """Write the network, how it was made (`run`, anything JSON can hold) and what a resume needs (`state`)."""
    content = {
        "network": network.state_dict(),
        "config": json.dumps(asdict(network.config)),
        "run": json.dumps(run),
        "state": state or {},
    }
    temporary = path.with_suffix(".tmp")
    torch.save(content, temporary)
    temporary.replace(path)


def load_network(path: Path) -> tuple[YuNet, str]:
    """A network in evaluation mode, and the JSON that says how it was made; published YuNet checkpoints load too."""
    content = torch.load(path, map_location="cpu", weights_only=True)
    if "network" not in content:
        return load_published(path), json.dumps({"base": "YuNet-n as published"})
    network = YuNet(YuNetConfig(**json.loads(content["config"])))
    network.load_state_dict(content["network"])
    return network.eval(), str(content["run"])


def load_state(path: Path) -> dict[str, Any]:
    """What a resume needs."""
    state: dict[str, Any] = torch.load(path, map_location="cpu", weights_only=True)["state"]
    return state
