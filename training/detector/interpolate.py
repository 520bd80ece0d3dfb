"""Between two checkpoints: weights = (1 - alpha) * FIRST + alpha * SECOND (Wortsman et al., "WiSE-FT", 2022).

python -m training.detector.interpolate yunet_n.pth RUN/final.pt --alpha 0.7 --out blend.pt
"""

from __future__ import annotations

import argparse
import json
from pathlib import Path

import torch

from training.detector import checkpoint
from training.detector.network import YuNet, fold


def interpolate(first: YuNet, second: YuNet, alpha: float) -> YuNet:
    """A new network; 0 gives `first`, 1 gives `second`."""
    result, other = fold(first), fold(second).state_dict()
    result.load_state_dict({k: torch.lerp(v, other[k], alpha) for k, v in result.state_dict().items()})
    return result.eval()


def main() -> None:
    """Command line."""
    parser = argparse.ArgumentParser(description="Interpolate between two detector checkpoints.")
    parser.add_argument("first", type=Path)
    parser.add_argument("second", type=Path)
    parser.add_argument("--alpha", type=float, required=True)
    parser.add_argument("--out", type=Path, required=True)
    arguments = parser.parse_args()
    first, _ = checkpoint.load_network(arguments.first)
    second, run = checkpoint.load_network(arguments.second)
    run_with = {**json.loads(run), "interpolated": arguments.alpha}
    checkpoint.save(arguments.out, interpolate(first, second, arguments.alpha), run=run_with)
    print(f"wrote {arguments.out}")


if __name__ == "__main__":
    main()
